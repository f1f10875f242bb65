"""Tags and slots are each other's meaning, and tags reach the tokens and come back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influence.config.parameters import ModelConfig
from influence.data.tags.slots import (
    Span,
    align,
    from_tokens,
    read,
    slots_of,
    spans,
    tag_names,
    trail,
    trail_entropies,
)
from influence.errors import InputError
from influence.models.tokenizers import load_tokenizer

WORDS = ("play", "Hey", "Jude", "by", "beatles", "now")
TAGS = ("O", "B-song", "I-song", "O", "B-artist", "O")
PREDICTED = st.lists(st.sampled_from(["O", "B-a", "I-a", "B-b", "I-b", "B-a-b", "I-a-b"]))

# Reading


def test_words_and_tags_are_read_at_blanks():
    assert read(" ".join(WORDS), " ".join(TAGS)) == (WORDS, TAGS)
    assert read("  play \t jazz\n", " O  B-genre ") == (("play", "jazz"), ("O", "B-genre"))


@pytest.mark.parametrize("tags", ["B-a I-a I-a", "B-a B-a I-a", "O B-b B-a", "B-a I-a B-b"])
def test_a_tag_may_continue_a_slot_of_its_label(tags):
    assert read("x y z", tags)[1] == tuple(tags.split())


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("I-a O O", "B-a O O"),
        ("O I-a I-a", "O B-a I-a"),
        ("B-b I-a O", "B-b B-a O"),
        ("B-a O I-a", "B-a O B-a"),
        ("B-a I-a I-b", "B-a I-a B-b"),
        ("I-a I-b I-a", "B-a B-b B-a"),
    ],
)
def test_a_tag_that_continues_nothing_is_read_as_the_first_of_its_slot(tags, expected):
    assert read("x y z", tags)[1] == tuple(expected.split())


def test_a_label_may_hold_a_hyphen():
    _, tags = read("to new york", "O B-to-city I-to-city")
    assert spans(tags) == (Span("to-city", 1, 3),)


@pytest.mark.parametrize(
    ("text", "tags", "said"),
    [
        ("", "", "text is empty; give at least one word, and one tag for each word"),
        (" ", "O", "text is empty; give at least one word, and one tag for each word"),
        ("play", " \n", "tags are empty; give at least one word, and one tag for each word"),
        (
            "play jazz",
            "O",
            "2 words but 1 tags for text 'play jazz'; give one tag for each word, both separated "
            "by blanks",
        ),
        (
            "word " * 100,
            "O O",
            f"100 words but 2 tags for text {('word ' * 12)!r}; give one tag for each word, both "
            "separated by blanks",
        ),
        *(
            (
                "play jazz",
                f"O {tag}",
                f"unknown tag {tag!r} of word 'jazz'; write O, B-label or I-label",
            )
            for tag in ("B-", "I-", "B", "I", "o", "b-genre", "genre", "S-genre", "O-genre", "OO")
        ),
    ],
)
def test_tags_that_fit_no_text_are_refused_in_one_sentence(text, tags, said):
    with pytest.raises(InputError) as caught:
        read(text, tags)
    assert str(caught.value) == said


NAMED = st.sampled_from(["O", "B-a", "I-a", "B-b", "I-b", "B-", "o"])
TAGGED = st.lists(
    st.tuples(
        st.text(min_size=1, max_size=4),
        st.one_of(
            st.sampled_from(["O", "B-a", "I-a", "B-b", "I-b", "B-", "o"]), st.text(max_size=4)
        ),
    ),
    max_size=6,
)


@given(TAGGED)
@settings(max_examples=100, deadline=None)
def test_any_text_and_tags_are_read_or_bad_input(rows):
    text, tags = (" ".join(part) for part in zip(*rows, strict=True)) if rows else ("", "")
    try:
        words, names = read(text, tags)
    except InputError:
        return
    assert list(words) == text.split() and len(words) == len(names)
    assert [name[1:] for name in names] == [tag[1:] for tag in tags.split()]
    covered = [place for span in spans(names) for place in range(span.start, span.end)]
    assert covered == [place for place, tag in enumerate(names) if tag != "O"]
    assert [span.start for span in spans(names)] == [
        place for place, tag in enumerate(names) if tag.startswith("B-")
    ]


# Slots


def test_slots_come_in_order_with_their_words_as_they_are():
    assert spans(TAGS) == (Span("song", 1, 3), Span("artist", 4, 5))
    assert slots_of(WORDS, TAGS) == (("song", "Hey Jude"), ("artist", "beatles"))
    assert spans(("O", "O")) == spans(()) == slots_of(("a", "b"), ("O", "O")) == ()


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-a B-a", [("a", 0, 1), ("a", 1, 2)]),
        ("I-a", [("a", 0, 1)]),
        ("I-a I-a O", [("a", 0, 2)]),
        ("O I-a B-a I-a", [("a", 1, 2), ("a", 2, 4)]),
        ("B-a I-b I-b", [("a", 0, 1), ("b", 1, 3)]),
        ("B-a O I-a", [("a", 0, 1), ("a", 2, 3)]),
        ("I-a I-b I-a", [("a", 0, 1), ("b", 1, 2), ("a", 2, 3)]),
    ],
)
def test_a_tag_that_continues_nothing_begins_a_slot(tags, expected):
    assert spans(tags.split()) == tuple(Span(*span) for span in expected)


def slow_spans(tags):
    """Try every range of words: a slot is one that begins, goes on and ends, by definition."""
    label = [tag.split("-", 1)[1] if "-" in tag else None for tag in tags] + [None]
    kind = [tag[0] for tag in tags] + ["O"]
    begins = [
        kind[i] == "B" or (kind[i] == "I" and (i == 0 or label[i - 1] != label[i]))
        for i in range(len(tags))
    ] + [True]
    return [
        (label[start], start, end)
        for start in range(len(tags))
        for end in range(start + 1, len(tags) + 1)
        if begins[start]
        and all(label[i] == label[start] and not begins[i] for i in range(start + 1, end))
        and (begins[end] or label[end] != label[start])
    ]


@given(PREDICTED)
@settings(max_examples=200, deadline=None)
def test_slots_of_any_tags_are_those_of_a_slow_search(tags):
    assert [(span.label, span.start, span.end) for span in spans(tags)] == slow_spans(tags)


@given(PREDICTED.filter(len))
@settings(max_examples=100, deadline=None)
def test_writing_the_slots_of_any_tags_again_makes_them_well_formed(tags):
    again = ["O"] * len(tags)
    for span in spans(tags):
        again[span.start : span.end] = [f"I-{span.label}"] * (span.end - span.start)
        again[span.start] = f"B-{span.label}"
    assert read("word " * len(tags), " ".join(again))[1] == tuple(again)
    assert spans(again) == spans(tags)
    assert [tag[1:] for tag in again] == [tag[1:] for tag in tags]


@pytest.mark.parametrize("function", [slots_of, trail])
@pytest.mark.parametrize("tags", [("O", "B-a", "I-a"), ("O",)])
def test_words_and_tags_of_different_numbers_are_a_bug(function, tags):
    with pytest.raises(ValueError) as caught:
        function(("x", "y"), tags)
    assert not isinstance(caught.value, InputError)


# Trails


def test_a_trail_keeps_the_words_in_slots_alone():
    assert trail(WORDS, TAGS) == "Other Hey|song Jude|song Other beatles|artist Other"
    assert trail(("stop",), ("O",)) == "Other"


def entropies(groups, trails):
    return trail_entropies(list(groups), list(trails)).tolist()


def test_equal_trails_have_no_entropy_and_n_different_ones_log_n_bits():
    assert entropies("gggg", ["x"] * 4) == [0.0] * 4
    assert entropies("gggg", "wxyz") == [2.0] * 4
    assert entropies("gggg", "xxyy") == [1.0] * 4
    assert entropies("g" * 8, "abcdefgh") == [3.0] * 8


def test_a_group_of_one_has_no_entropy_and_no_sign():
    found = trail_entropies(["g"], ["Other"])
    assert found.tolist() == [0.0] and not np.signbit(found).any()


def test_uneven_trails_have_less_entropy_than_even_ones():
    assert entropies("gggg", "xxyz") == [1.5] * 4
    expected = -(0.9 * np.log2(0.9) + 0.1 * np.log2(0.1))
    np.testing.assert_allclose(entropies("g" * 10, "x" * 9 + "y"), expected, rtol=1e-12)


def test_each_example_gets_the_entropy_of_its_own_domain_and_intent():
    groups = [("music", "play"), ("timer", "set"), ("music", "play"), ("music", "stop")] * 2
    groups[5] = ("timer", "play")  # an intent of two domains
    trails = ["x", "x", "y", "x", "x", "z", "y", "w"]
    assert entropies(groups, trails) == [1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0]


def test_no_example_has_no_entropy():
    found = trail_entropies([], [])
    assert found.shape == (0,) and found.dtype == np.float64


@pytest.mark.parametrize("trails", [["x"], ["x", "y", "z"]])
def test_an_example_without_trail_or_group_is_a_bug(trails):
    with pytest.raises(ValueError):
        trail_entropies(["g", "g"], trails)


EXAMPLES = st.lists(st.tuples(st.sampled_from("gh"), st.sampled_from("uvwxyz")), min_size=1)


@given(EXAMPLES, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_entropies_are_those_of_their_definition_in_whatever_order(examples, random):
    found = entropies(*zip(*examples, strict=True))
    for (group, _), bits in zip(examples, found, strict=True):
        inside = [trail for other, trail in examples if other == group]
        shares = np.array([inside.count(trail) for trail in set(inside)]) / len(inside)
        assert bits == pytest.approx(-(shares * np.log2(shares)).sum(), abs=1e-12)
    rows = random.sample(range(len(examples)), len(examples))
    moved = entropies(*zip(*(examples[row] for row in rows), strict=True))
    assert moved == [found[row] for row in rows]  # to the last bit


def test_groups_alike_tie_to_the_last_bit():
    counts = zip("uvwxyz", (1, 2, 3, 5, 7, 11), strict=True)
    trails = [letter for letter, count in counts for _ in range(count)]
    found = entropies("g" * len(trails) + "h" * len(trails), trails + trails[::-1])
    assert len(set(found)) == 1


# Tokens

UTTERANCES = ["play hey jude by the beatles", "don't wake me up", "set an alarm for 7:30 pm"]


def encoded(texts, max_length=64):
    """Tokenise words with a vocabulary of little more than characters."""
    tokenizer = load_tokenizer(ModelConfig(model="tiny", vocabulary=100), UTTERANCES)
    return tokenizer(
        [text.split() for text in texts],
        is_split_into_words=True,
        truncation=True,
        max_length=max_length,
        padding=True,
    )


def test_the_first_piece_of_every_word_carries_its_tag():
    tokens = encoded(["play jude", "don't"])
    pieces = [tokens.tokens(row) for row in range(2)]
    assert len(pieces[0]) > 5 and pieces[1][-2:] == ["[PAD]", "[PAD]"]
    aligned = align([tokens.word_ids(row) for row in range(2)], [[3, 7], [5]])
    carriers = [
        [(piece[0], number) for piece, number in zip(*row, strict=True) if number != -100]
        for row in zip(pieces, aligned, strict=True)
    ]
    assert carriers == [[("p", 3), ("j", 7)], [("d", 5)]]  # the initials of the words


def test_alignment_by_hand():
    word_ids = [[None, 0, 0, 1, 2, 2, 2, None], [None, 0, None, None]]
    expected = [[-1, 4, -1, 5, 6, -1, -1, -1], [-1, 9, -1, -1]]
    assert align(word_ids, [[4, 5, 6], [9]], ignored=-1) == expected
    assert align([[None, None]], [[]]) == [[-100, -100]]
    assert from_tokens(word_ids[0], [90, 4, 91, 5, 6, 92, 93, 94], 4, missing=7) == [4, 5, 6, 7]


def test_words_cut_off_leave_no_tag_and_come_back_as_outside():
    tokens = encoded(["play hey jude by the beatles"], max_length=10)
    word_ids = tokens.word_ids(0)
    there = max(word for word in word_ids if word is not None) + 1
    assert 1 < there < 6
    aligned = align([word_ids], [[11, 12, 13, 14, 15, 16]])[0]
    assert [number for number in aligned if number != -100] == [11, 12, 13, 14, 15, 16][:there]
    back = from_tokens(word_ids, aligned, 6, missing=0)
    assert back == [11, 12, 13, 14, 15, 16][:there] + [0] * (6 - there)


def test_a_word_that_the_tokenizer_drops_comes_back_as_outside():
    word_ids = encoded(["play \u200b jude"]).word_ids(0)
    assert set(word_ids) == {None, 0, 2}
    aligned = align([word_ids], [[5, 6, 7]])[0]
    assert from_tokens(word_ids, aligned, 3, missing=0) == [5, 0, 7]


def test_predictions_may_be_longer_than_the_example_but_not_shorter():
    assert from_tokens([None, 0, 1, None], [9, 1, 2, 9, 9, 9], 2, missing=0) == [1, 2]
    with pytest.raises(IndexError):
        from_tokens([None, 0, 1, None], [9, 1], 2, missing=0)


def test_a_word_without_tag_and_an_example_without_tags_are_bugs():
    with pytest.raises(IndexError):
        align([[None, 0, 1, None]], [[5]])
    with pytest.raises(ValueError):
        align([[None, 0, None]], [])


@given(
    lengths=st.lists(st.lists(st.integers(1, 4), max_size=6), max_size=4),
    padding=st.integers(0, 3),
    cut=st.integers(1, 25),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_tags_come_back_from_the_tokens(lengths, padding, cut, data):
    tags = [
        data.draw(st.lists(st.integers(1, 9), min_size=len(n), max_size=len(n))) for n in lengths
    ]
    word_ids = [
        [None, *np.repeat(np.arange(len(n)), n).tolist()[:cut], None, *[None] * padding]
        for n in lengths
    ]
    aligned = align(word_ids, tags)
    for pieces, ids, row, numbers in zip(lengths, word_ids, aligned, tags, strict=True):
        kept = sum(before < cut for before in np.cumsum([0, *pieces[:-1]])) if pieces else 0
        noise = [data.draw(st.integers(0, 9)) if n == -100 else n for n in row]
        back = from_tokens(ids, noise, len(pieces), missing=0)
        assert back == numbers[:kept] + [0] * (len(pieces) - kept)
        assert len(row) == len(ids) and sum(n != -100 for n in row) == kept


# Classes


def test_a_tagger_knows_outside_and_two_tags_of_every_label_in_order():
    expected = ("O", "B-artist", "I-artist", "B-song", "I-song")
    assert tag_names(["song", "artist", "song"]) == expected
    assert tag_names(span.label for span in spans(TAGS)) == expected
    assert tag_names([]) == ("O",)
