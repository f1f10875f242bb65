"""The built-in dataset: shape of the traffic, tags, planted truth, determinism."""

import os
import re
import subprocess
import sys
from difflib import SequenceMatcher

import pandas as pd
import pytest

from influence.data.sources.assistant import (
    PART,
    derivations,
    generate,
    grammar,
    largest_size,
    wordings,
)
from influence.errors import InputError

TEXT_COLUMNS = ["text", "domain", "intent", "slots", "clean_domain", "clean_intent", "duplicate_of"]
COLUMNS = {*TEXT_COLUMNS, "mislabeled"}


@pytest.fixture(scope="module")
def splits() -> dict[str, pd.DataFrame]:
    return generate()


@pytest.fixture(scope="module")
def requests(splits) -> pd.DataFrame:
    return pd.concat(splits.values(), ignore_index=True)


@pytest.fixture(scope="module")
def many() -> pd.DataFrame:
    return pd.concat(generate(40_000, seed=1).values(), ignore_index=True)


@pytest.fixture(scope="module")
def originals(requests) -> pd.DataFrame:
    return requests[requests["duplicate_of"] == ""]


def slot_values(text: str, slots: str) -> list[str]:
    """Return the slot values of a request, each as its words."""
    values: list[list[str]] = []
    for word, tag in zip(text.split(), slots.split(), strict=True):
        if tag.startswith("B-"):
            values.append([word])
        elif tag.startswith("I-"):
            values[-1].append(word)
    return [" ".join(value) for value in values]


# The grammar


def templates() -> list[str]:
    lists = [*grammar().carriers.values(), *grammar().rules.values()]
    return [template for some in lists for template in some]


def test_shares_add_up_to_all_traffic():
    assert sum(grammar().traffic.values()) == pytest.approx(1)


def test_every_intent_has_carriers_and_belongs_to_one_domain():
    intents = [intent for intents in grammar().shares.values() for intent in intents]
    assert len(intents) == len(set(intents)) >= 40
    assert set(grammar().carriers) == set(intents)


def test_there_are_many_domains_and_exactly_one_has_a_single_intent():
    assert len(grammar().shares) >= 12
    assert sum(len(intents) == 1 for intents in grammar().shares.values()) == 1


def test_every_rule_is_used_and_every_name_has_a_rule():
    used = set(re.findall(r"[{<](?:\w+:)?(\w+)[>}]", " ".join(templates())))
    assert used == set(grammar().rules)


def test_what_is_left_beside_the_parts_of_a_template_is_plain_words():
    plain = re.compile(r"[a-z]+( [a-z]+)*[?.!]?")
    assert not [each for each in templates() if not plain.fullmatch(PART.sub("x", each))]


def test_wordings_count_what_a_template_can_become():
    assert derivations("(a|b|) c") == 3
    assert derivations("{unit:celsius} <celsius>") == 1
    assert derivations("{weekday} (x|<weekday>)") == 7 * 8


def test_every_frame_holds_the_request_once():
    frames = [frame for some in grammar().frames.values() for frame in some]
    assert frames and not [frame for frame in frames if frame.count("*") != 1]


def test_no_intent_is_asked_for_more_requests_than_it_has_wordings():
    rows = {intent: share * largest_size() for intent, share in grammar().traffic.items()}
    assert all(wordings(intent) >= count for intent, count in rows.items())
    assert largest_size() > 40_000


# Splits and shares


def test_splits_have_three_quarters_a_tenth_and_the_rest(splits):
    sizes = {name: len(table) for name, table in splits.items()}
    assert sizes == {"train": 6000, "validation": 800, "test": 1200}
    assert sum(map(len, generate(777).values())) == 777


def test_columns_are_the_documented_ones(splits):
    for table in splits.values():
        assert set(table.columns) == COLUMNS
        assert table["mislabeled"].dtype == bool
        assert table[TEXT_COLUMNS].map(lambda value: isinstance(value, str)).all(axis=None)


@pytest.mark.parametrize("seed", [0, 1])
def test_every_intent_is_in_every_split_from_two_thousand_requests_on(seed):
    for table in generate(2000, seed).values():
        assert set(table["clean_intent"]) == set(grammar().carriers)
        assert set(table["clean_domain"]) == set(grammar().shares)


def test_every_intent_has_its_share_of_every_split_up_to_rounding(splits):
    for table in splits.values():
        counts = table["clean_intent"].value_counts()
        for intent, share in grammar().traffic.items():
            assert abs(counts[intent] - share * len(table)) < 1 + 1e-6


def test_domain_shares_have_a_long_tail(requests):
    shares = requests["clean_domain"].value_counts(normalize=True)
    assert 0.16 < shares.max() < 0.20
    assert shares.min() < 0.01


def test_few_openings_make_much_of_an_intent_and_many_are_rare(requests):
    texts = requests.loc[requests["clean_intent"] == "start_timer", "text"]
    openings = texts.str.split().str[:3].str.join(" ").value_counts(normalize=True)
    assert openings.iloc[0] > 0.15
    assert (openings < 0.01).sum() > 20


# Texts


def test_texts_are_lower_case_words_without_punctuation(requests):
    assert requests["text"].str.fullmatch(r"[a-z]+( [a-z]+)*").all()


def test_articles_agree_with_the_next_word(originals):
    text = " " + originals["text"]
    assert not text.str.contains(r" a (?!one|uni|use|euro)[aeiou]").any()
    assert not text.str.contains(r" an (?![aeiou]|hour|honest)").any()
    assert text.str.contains(" an e").any()


def test_no_word_follows_itself(many):
    doubled = many.loc[many["duplicate_of"] == "", "text"].str.extract(r"\b(\w+) \1\b")[0].dropna()
    assert set(doubled) <= {"ten", "knock"}  # "at ten ten", "a knock knock joke"


def test_no_request_names_a_value_twice(originals):
    for text, slots in zip(originals["text"], originals["slots"], strict=True):
        values = slot_values(text, slots)
        assert len(values) == len(set(values)), text


def test_some_wordings_belong_to_two_domains(requests):
    domains = requests.groupby("text")["clean_domain"].nunique()
    assert (domains > 1).sum() >= 5


def test_exact_repeats_are_few_and_the_test_split_is_mostly_unseen(splits, requests):
    assert requests["text"].duplicated().mean() < 0.10
    assert splits["test"]["text"].isin(splits["train"]["text"]).mean() < 0.20


def test_forty_thousand_requests_have_thirty_thousand_texts(many):
    assert many["text"].nunique() > 30_000


# Slots


def test_there_is_one_tag_per_word(requests):
    words, tags = requests["text"].str.split().str.len(), requests["slots"].str.split().str.len()
    assert (words == tags).all()


def test_a_slot_goes_on_only_where_it_began(requests):
    for slots in requests["slots"].unique():
        before = "O"
        for tag in slots.split():
            assert tag == "O" or tag[:2] in ("B-", "I-")
            assert tag[0] != "I" or before[1:] == tag[1:], slots
            before = tag


def test_exactly_one_domain_has_no_slots(requests):
    has_slots = requests["slots"].str.contains("B-").groupby(requests["clean_domain"]).any()
    assert list(has_slots[~has_slots].index) == ["small_talk"]


def test_slot_values_come_from_their_rule(originals):
    rooms = {
        value
        for text, slots in zip(originals["text"], originals["slots"], strict=True)
        for value, tag in zip(slot_values(text, slots), re.findall(r"B-(\w+)", slots), strict=True)
        if tag == "room"
    }
    assert rooms == set(grammar().rules["room"])


# Planted truth


def test_held_out_splits_hold_nothing_planted(splits):
    for name in ("validation", "test"):
        assert not splits[name]["mislabeled"].any()
        assert (splits[name]["duplicate_of"] == "").all()


def test_labels_differ_from_the_truth_exactly_where_mislabeled(requests):
    wrong = requests["domain"] != requests["clean_domain"]
    assert (wrong == requests["mislabeled"]).all()
    assert ((requests["intent"] != requests["clean_intent"]) == requests["mislabeled"]).all()


def test_a_wrong_intent_belongs_to_the_wrong_domain(requests):
    assert (requests["intent"].map(grammar().domains) == requests["domain"]).all()
    assert (requests["clean_intent"].map(grammar().domains) == requests["clean_domain"]).all()


def test_three_percent_of_train_is_mislabeled(splits):
    assert splits["train"]["mislabeled"].sum() == 180


def test_about_eight_percent_of_train_varies_another_row_of_the_same_intent(splits):
    train = splits["train"]
    copies = train[train["duplicate_of"] != ""]
    assert 0.075 < len(copies) / len(train) < 0.085
    sources = set(zip(train["text"], train["clean_intent"], strict=True))
    assert all(
        pair in sources for pair in zip(copies["duplicate_of"], copies["intent"], strict=True)
    )
    assert not copies["mislabeled"].any()


def test_a_near_duplicate_differs_by_one_word(splits):
    train = splits["train"]
    copies = train[train["duplicate_of"] != ""]
    kinds = set()
    for text, source in zip(copies["text"], copies["duplicate_of"], strict=True):
        changes = SequenceMatcher(None, source.split(), text.split(), autojunk=False).get_opcodes()
        (kind, start, end, new_start, new_end), *more = [c for c in changes if c[0] != "equal"]
        assert not more and end - start <= 1 and new_end - new_start <= 1
        kinds.add(kind)
    assert kinds == {"insert", "delete", "replace"}


# Determinism and errors


def test_equal_seeds_give_equal_tables_and_other_seeds_others():
    first, again, other = generate(500, 3), generate(500, 3), generate(500, 4)
    for name, table in first.items():
        pd.testing.assert_frame_equal(table, again[name])
        assert (table["text"] != other[name]["text"]).mean() > 0.8


def test_tables_do_not_depend_on_the_hash_seed():
    code = "from influence.data.sources.assistant import generate as made"
    code += "; print(made(500)['train'].to_csv())"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize("size", [-1, 0, 499, largest_size() + 1])
def test_an_impossible_size_is_refused_with_what_is_possible(size):
    with pytest.raises(InputError, match=rf"{size}.* 500 and {largest_size()} "):
        generate(size)
