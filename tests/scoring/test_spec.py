"""A score as asked for is read, printed and turned so that high means hard."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from influence.errors import InputError
from influence.scores import REGISTRY
from influence.scoring.spec import ScoreSpec, as_given, hardness, parse_spec


@pytest.mark.parametrize(
    "text", ["el2n", "el2n@3", "vog@1-3", "aum@all", "grand@last", "forgetting"]
)
def test_a_spec_prints_as_it_was_typed(text):
    assert str(parse_spec(text)) == text


def test_a_spec_is_a_name_and_a_window():
    assert parse_spec(" el2n@2 ") == ScoreSpec("el2n", "2")
    assert parse_spec("el2n") == ScoreSpec("el2n", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("el3n", "unknown score 'el3n'; there is aum, .*vog_std"),
        ("", "unknown score ''"),
        ("el2n@", "unknown window '' in 'el2n@'; write el2n@2 or el2n@1-3"),
        ("el2n@two", "unknown window 'two'"),
        ("el2n@2-", "unknown window '2-'"),
        ("el2n@4-2", "window '4-2' ends before it starts; ask for el2n@2-4"),
        ("forgetting@2", "reads no checkpoints; ask for forgetting"),
        ("el2n@" + "9" * 5000, "unknown window '9999"),
        ("el2n@\N{SUPERSCRIPT TWO}", "unknown window"),
        ("el2n@\N{ARABIC-INDIC DIGIT TWO}", "unknown window"),
    ],
)
def test_an_unreadable_spec_says_what_to_write(text, message):
    with pytest.raises(InputError, match=message):
        parse_spec(text)


@pytest.mark.parametrize("name", ["confidence", "pvi", "correctness", "aum", "h_score"])
def test_hardness_turns_scores_whose_low_end_is_hard(name):
    values = np.array([1.0, -2.0])
    assert hardness(ScoreSpec(name), values).tolist() == [-1, 2]


@pytest.mark.parametrize("name", ["vog", "el2n", "forgetting", "variability", "dual", "loss"])
def test_hardness_keeps_scores_whose_high_end_is_hard(name):
    values = np.array([1.0, -2.0])
    result = hardness(ScoreSpec(name), values)
    assert result.tolist() == [1, -2]
    assert result is not values


def test_a_score_from_elsewhere_stands_for_the_early_epochs_too_and_for_no_other_window():
    assert as_given(parse_spec("aum@early"), {"aum", "el2n"}) == "aum"
    assert as_given(parse_spec("aum@early"), {"aum", "aum@early"}) == "aum@early"
    assert not as_given(parse_spec("aum@2"), {"aum"})
    assert not as_given(parse_spec("aum@early"), {"el2n"})


NAMES = st.sampled_from([*REGISTRY, "fog", ""])
WINDOWS = st.sampled_from(
    ["", "all", "last", "early", "odd", "even", "0", "1-", "-1", "2-1", "2-3"]
)
PIECES = st.one_of(NAMES, WINDOWS, st.sampled_from("@-: +\n\0"), st.integers().map(str), st.text())


@given(st.one_of(st.text(), st.lists(PIECES, max_size=5).map("".join)))
def test_any_text_is_a_spec_that_prints_as_it_reads_or_bad_input(text):
    try:
        spec = parse_spec(text)
    except InputError:
        return
    assert str(spec) == text.strip() and parse_spec(str(spec)) == spec


@given(
    st.sampled_from([name for name, score in REGISTRY.items() if score.series]),
    st.tuples(st.integers(0, 10**9 - 1), st.integers(0, 10**9 - 1)),
)
def test_every_range_of_epochs_is_a_window(name, ends):
    first, last = sorted(ends)
    assert parse_spec(f"{name}@{first}-{last}") == ScoreSpec(name, f"{first}-{last}")
