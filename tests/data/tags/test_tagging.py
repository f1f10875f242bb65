"""Tags are read as seqeval reads them, whatever they look like, and what changed is said."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influence.data.tags import slots, tagging
from influence.errors import InputError
from influence.nlu import stack
from influence.nlu.metrics import outcomes
from tests.helpers.tables import load, write

WORDS = ("play", "hey", "jude", "by", "beatles", "now")
BIO = "O B-song I-song O B-by.artist_name O"
LABELS = ["a", "b", "a-b", "fromloc.city_name", "O", "I-a"]


def test_words_that_were_written_as_lists_are_words(tmp_path):
    rows = pd.DataFrame(
        {
            "tokens": ["['play', 'some', \"don't\"]", "['stop']"] * 4,
            "slots": ["['O', 'O', 'B-song']", "['O']"] * 4,
            "intent": ["play", "stop"] * 4,
            "domain": ["music", "home"] * 4,
        }
    )
    path = write(tmp_path, "csv", train=rows, validation=rows, test=rows)
    dataset = load(path, task="nlu", text_column="tokens")
    assert dataset.train["text"].tolist()[:2] == ["play some don't", "stop"]
    assert dataset.train["slots"].tolist()[:2] == ["O O B-song", "O"]
    assert "the texts of 'tokens' are lists of words that were written as texts" in dataset.notes


def frame(*rows: tuple[str, str], **columns) -> pd.DataFrame:
    text, tags = zip(*rows, strict=True)
    return pd.DataFrame({"text": list(text), "slots": list(tags), **columns})


def read(*rows: tuple[str, str]) -> tuple[list[str], list[str]]:
    """Tags and notes of a dataset of one split."""
    splits, notes = tagging.to_bio({"train": frame(*rows)})
    return splits["train"]["slots"].tolist(), notes


def refusal(*rows: tuple[str, str], **columns) -> str:
    with pytest.raises(InputError) as caught:
        tagging.to_bio({"train": frame(*rows, **columns)})
    return str(caught.value)


def song(tags: str) -> tuple[str, str]:
    return " ".join(WORDS), tags


# What is well-formed


@pytest.mark.parametrize("tags", [BIO, " O  B-song I-song\tO B-b I-b", "O O O O O O", "B-a " * 6])
def test_well_formed_bio_stays_as_it_is(tags):
    assert read(song(tags)) == ([tags], [])


# What begins a slot


def test_tags_that_begin_a_slot_are_counted_in_each_split():
    splits = {
        "train": frame(("a b c", "O I-x I-x"), ("a b c", "I-x I-y I-x"), ("a b", "B-x I-x")),
        "validation": frame(("a b", "B-x I-x")),
        "test": frame(("a b c", "O I-x O")),
    }
    found, notes = tagging.to_bio(splits)
    assert found["train"]["slots"].tolist() == ["O B-x I-x", "B-x B-y B-x", "B-x I-x"]
    assert found["test"]["slots"].tolist() == ["O B-x O"]
    assert notes == [
        "train: 4 tags I-x begin a slot, as after O; they are read as B-x",
        "test: 1 tag I-x begins a slot, as after O; it is read as B-x",
    ]


def test_a_file_that_has_b_between_neighbours_alone_is_read():
    (found,), notes = read(("a b c d e", "I-x I-x B-x O I-x"))
    assert found == "B-x I-x B-x O B-x"
    assert notes == ["train: 2 tags I-x begin a slot, as after O; they are read as B-x"]


def entities(tags: list[str]) -> list[tuple[str, int, int]]:
    from seqeval.metrics.sequence_labeling import get_entities

    return [(label, start, end + 1) for label, start, end in get_entities(tags)]


def spans(tags: str) -> list[tuple[str, int, int]]:
    return [(span.label, span.start, span.end) for span in slots.spans(tags.split())]


def sequences(kinds: str):
    tags = [f"{kind}-{label}" for kind in kinds for label in LABELS]
    return st.lists(st.sampled_from(["O", "O", *tags]), min_size=1, max_size=9)


@given(st.lists(sequences("BI"), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_slots_of_bio_are_the_entities_of_seqeval(rows):
    pytest.importorskip("seqeval")
    found, _ = read(*(("word " * len(tags), " ".join(tags)) for tags in rows))
    assert [spans(tags) for tags in found] == [entities(tags) for tags in rows]
    for tags, given_tags in zip(found, rows, strict=True):
        words = "word " * len(given_tags)
        assert slots.read(words, tags) == slots.read(words, " ".join(given_tags))
        assert spans(" ".join(given_tags)) == entities(given_tags)  # of predictions too


@given(st.lists(sequences("BIES"), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_slots_of_tags_with_ends_are_the_entities_of_seqeval(rows):
    pytest.importorskip("seqeval")
    rows = [["B-a", "I-a"], *rows]
    found, _ = read(*(("word " * len(tags), " ".join(tags)) for tags in rows))
    assert [spans(tags) for tags in found] == [entities(tags) for tags in rows]


SLOTS = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 4)), min_size=1, max_size=6)


@given(st.lists(SLOTS, min_size=1, max_size=3))
@settings(max_examples=100, deadline=None)
def test_slots_written_with_first_last_and_single_words_are_those_of_seqeval(rows):
    pytest.importorskip("seqeval")
    from seqeval.scheme import BILOU, Entities

    def bilou(label: str, size: int) -> list[str]:
        many = [f"B-{label}", *[f"I-{label}"] * (size - 2), f"L-{label}"]
        return ["O"] if not size else [f"U-{label}"] if size == 1 else many

    texts = [["B-a", "L-a"], *([tag for slot in row for tag in bilou(*slot)] for row in rows)]
    found, _ = read(*(("word " * len(tags), " ".join(tags)) for tags in texts))
    expected = [
        [(one.tag, one.start, one.end) for one in row]
        for row in Entities(texts, BILOU, suffix=False).entities
    ]
    assert [spans(tags) for tags in found] == expected


@pytest.mark.parametrize("seed", range(3))
def test_error_rates_are_those_of_seqeval_for_tags_as_they_came(seed):
    pytest.importorskip("seqeval")
    from seqeval.metrics import precision_score, recall_score

    rng = np.random.default_rng(seed)
    tags = [f"{kind}-{label}" for kind in "BI" for label in "ab"]
    gold = [rng.choice(["O", *tags], 7).tolist() for _ in range(50)]
    guessed = [np.where(rng.random(7) < 0.3, rng.choice(["O", *tags], 7), row) for row in gold]
    guessed = [row.tolist() for row in guessed]
    words = " ".join(f"word{place}" for place in range(7))  # equal words are one place
    found, _ = tagging.to_bio(
        {
            name: frame(*((words, " ".join(row)) for row in rows), label=0, intent="go")
            for name, rows in {"gold": gold, "guessed": guessed}.items()
        }
    )
    sums = outcomes(*(stack.gold(found[name], ("d",)) for name in ("gold", "guessed")), 0.5).sum()
    precision = 1 - sums["spurious_slots"] / sums["predicted_slots"]
    recall = 1 - sums["missed_slots"] / sums["gold_slots"]
    assert precision == pytest.approx(precision_score(gold, guessed))
    assert recall == pytest.approx(recall_score(gold, guessed))
    assert 0 < recall < 1


# Other ways of writing


@pytest.mark.parametrize(
    ("tags", "expected", "said"),
    [
        ("O B-s E-s O S-a O", "O B-s I-s O B-a O", "1 E-x as I-x, 1 S-x as B-x"),
        ("O B-s L-s U-s U-s O", "O B-s I-s B-s B-s O", "2 U-x as B-x, 1 L-x as I-x"),
        ("B-s M-s M-s E-s W-s O", "B-s I-s I-s I-s B-s O", "2 M-x as I-x, 1 E-x as I-x, 1 W-x"),
        ("o b-s i-s o b-A o", "O B-s I-s O B-A O", "3 o as O, 2 b-x as B-x, 1 i-x as I-x"),
        ("O B_s I_s O B_to_city O", "O B-s I-s O B-to_city O", "2 B_x as B-x, 1 I_x as I-x"),
        ("O B:s I:s O B-to:city O", "O B-s I-s O B-to:city O", "1 B:x as B-x, 1 I:x as I-x"),
        ("O s-B s-I O to-city-B O", "O B-s I-s O B-to-city O", "2 x-B as B-x, 1 x-I as I-x"),
        ("O s_B s_I O to_city_B O", "O B-s I-s O B-to_city O", "2 x_B as B-x, 1 x_I as I-x"),
        ("O i-s i-s O I-a O", "O B-s I-s O B-a O", "1 i-x as B-x, 1 i-x as I-x"),
    ],
)
def test_other_ways_of_writing_are_read_and_said(tags, expected, said):
    (found,), notes = read(song(tags))
    assert found == expected
    assert notes[-1].startswith(f"train: tags are read as BIO, {said}")


@pytest.mark.parametrize(
    ("tags", "expected", "slots"),
    [
        ("O song song O artist O", "O B-song I-song O B-artist O", 2),
        ("O song song artist artist o", "O B-song I-song B-artist I-artist O", 2),
        ("O e-mail e-mail O to_city O", "O B-e-mail I-e-mail O B-to_city O", 2),
        ("O e-mail O O O O", "O B-e-mail O O O O", 1),
    ],
)
def test_labels_alone_are_slots_of_neighbours_with_one_label(tags, expected, slots):
    (found,), notes = read(song(tags))
    assert found == expected
    assert notes[0] == (
        "train: tags are labels alone, which do not say where a slot begins; neighbours with one "
        f"label are read as one slot, {slots} in all"
    )


@pytest.mark.parametrize(
    "tags",
    [
        "O,B-song,I-song,O,B-by.artist_name,O",
        "O, B-song, I-song, O, B-by.artist_name, O",
        "O; B-song; I-song; O; B-by.artist_name; O",
        "['O', 'B-song', 'I-song', 'O', 'B-by.artist_name', 'O']",
        '["O", "B-song", "I-song", "O", "B-by.artist_name", "O"]',
        "['O' 'B-song' 'I-song' 'O'\n 'B-by.artist_name' 'O']",
    ],
)
def test_tags_written_as_a_list_are_read_and_said(tags):
    found, notes = read(song(tags), song(BIO), ("stop", "O"))
    assert found == [BIO, BIO, "O"]
    assert notes == ["train: the tags of 1 row are separated by more than blanks"]


def test_a_way_of_writing_is_that_of_all_splits():
    splits = {"train": frame(song("O song song O artist O")), "test": frame(song(BIO))}
    with pytest.raises(InputError, match="1 of 1 train rows .* unknown tag 'song'"):
        tagging.to_bio(splits)
    splits = {"train": frame(song(BIO)), "test": frame(("hey jude", "S-x E-x"))}
    found, notes = tagging.to_bio(splits)
    assert found["test"]["slots"].tolist() == ["B-x B-x"]
    assert notes == ["test: tags are read as BIO, 1 S-x as B-x, 1 E-x as B-x"]


# Words


@pytest.mark.parametrize(
    ("text", "tags", "expected"),
    [
        ("pay 12\xa0000 euros", "O B-n O", "O B-n I-n O"),
        ("pay 12\xa0000 euros", "O B-n I-n", "O B-n I-n I-n"),
        ("to\u3000go now", "O B-n", "O O B-n"),
        ("a  b c", "O O B-x I-x", "O B-x I-x"),
        (" a b", "O B-x I-x", "B-x I-x"),
        ("a b  c", "B-x I-x B-x I-x", "B-x I-x B-x"),
        ("a b  c", "B-x I-x B-x O", "B-x I-x O"),
        ("a b  c", "B-x I-x O I-x", "B-x I-x B-x"),
    ],
)
def test_every_word_gets_the_tag_of_what_it_is_in(text, tags, expected):
    found, notes = read((text, tags), ("stop", "O"))
    assert found == [expected, "O"]
    assert len(text.split()) == len(expected.split())
    assert notes[-1] == (
        "train: the blanks in the texts of 1 row separate more or fewer words than there are "
        "tags; every word got the tag of what it is in"
    )


# What cannot be read


def test_rows_that_cannot_be_read_are_counted_with_the_first_and_the_way_out():
    rows = [song(BIO)] * 40 + [("play jazz", "O"), ("play jazz", "O genre")] + [song(BIO)] * 5
    assert refusal(*rows, source_row=range(100, 147)) == (
        "the tags of 2 of 47 train rows cannot be read; the first is row 140 of train, counted "
        "from 0: 2 words but 1 tags for text 'play jazz'; give one tag for each word, both "
        "separated by blanks, or take these rows out"
    )


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ("O B I O B O", "unknown tag 'B' of word 'hey'"),  # slots without a label
        ("O B- I- O B- O", "unknown tag 'B-' of word 'hey'"),
        ("0 0 3 4 0 0", "unknown tag '0' of word 'play'"),  # numbers without names
        ("Other song song Other artist Other", "unknown tag 'Other' of word 'play'"),
        ("O B-song genre O O O", "unknown tag 'genre' of word 'jude'"),
        ("O O-song O O O B-x", "unknown tag 'O-song' of word 'hey'"),
        ("[O B-song O O O", "6 words but 5 tags"),
        ("O B-a,b I-a,b O O", "6 words but 5 tags"),
        (",", "6 words but 1 tags"),
        ("[hey : song]", "'[hey : song]' holds no tags; write one for each word, or take these"),
        ("İ-song O O O O ı-song", "unknown tag 'İ-song' of word 'play'"),
    ],
)
def test_what_no_way_of_reading_reads_is_refused(tags, said):
    assert said in refusal(song(tags), ("x", "B-a"))


def test_a_column_that_holds_no_tags_is_to_be_named_otherwise():
    assert refusal(song("0 0 3 4 0 0"), song("1 0 0 0 0 0")) == (
        "the tags of 2 of 2 train rows cannot be read; the first is row 0 of train, counted from 0:"
        " unknown tag '0' of word 'play'; write O, B-label or I-label, or name another column with "
        "slots_column"
    )


SOME = st.sampled_from(["O", "o", "B-a", "i-a", "a-B", "a", "S-a", "x,"])


@given(st.lists(st.lists(SOME | st.text(max_size=4), max_size=4), min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_any_tags_become_bio_or_are_refused(rows):
    texts = [("word " * len(tags), " ".join(tags)) for tags in rows]
    try:
        found, _ = read(*texts)
    except InputError:
        return
    for (text, _), after in zip(texts, found, strict=True):
        assert slots.read(text, after)[1] == tuple(after.split())
    assert read(*zip((text for text, _ in texts), found, strict=True)) == (found, [])
