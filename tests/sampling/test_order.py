"""Budgets are exact, subsets nested, minimums kept, scores normalised, arms read and printed."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influence.errors import InputError
from influence.sampling.arms import Arm, parse_arm
from influence.sampling.normalization import normalize
from influence.sampling.order import Minimum, class_shares, cut, kept_count, order
from influence.sampling.rules import REGISTRY
from influence.scores import REGISTRY as SCORES
from influence.trace.neighbors import Representations
from tests.helpers.orders import (
    RULES,
    keep_rates,
    make_arm,
    make_besides,
    make_data,
    make_representations,
    ordered,
)

FRACTIONS = [0.0, 0.01, 0.1, 0.25, 0.333, 0.45, 0.5, 0.7, 0.9, 0.95]

# Budgets, ties, minimums


@pytest.mark.parametrize("min_per_class", [0, 1, 3])
@pytest.mark.parametrize("rule", RULES)
def test_budgets_are_exact_and_subsets_nested(rule, min_per_class):
    hardness, labels = make_data()
    ranked = ordered(rule, hardness, labels, min_per_class=min_per_class)
    larger = set(range(len(labels)))
    for fraction in FRACTIONS:
        kept = cut(ranked, fraction, [Minimum(labels, min_per_class)])
        assert len(kept) == round((1 - fraction) * len(labels))
        assert set(kept) <= larger
        larger = set(kept)


def test_ties_are_broken_by_the_seed_and_only_ties():
    hardness, labels = np.repeat([0.0, 1.0, 2.0], [500, 3, 500]), np.zeros(1003, dtype=int)
    first, second = (ordered("easy", hardness, labels, seed=seed) for seed in (0, 1))
    assert (first != second).mean() > 0.9
    for ranked in (first, second):
        assert hardness[ranked].tolist() == sorted(hardness, reverse=True)


def test_every_tied_example_has_the_same_chance():
    hardness, labels = np.array([0.0, 1.0, 1.0, 1.0, 1.0]), np.zeros(5, dtype=int)
    rates = keep_rates(lambda seed: ordered("easy", hardness, labels, seed=seed), 5, 1, 2000)
    assert rates[0] == 0
    np.testing.assert_allclose(rates[1:], 0.25, atol=0.05)


def test_the_floor_keeps_the_first_of_each_class_in_order():
    hardness = np.array([9.0, 8.0, 7.0, 6.0, 1.0, 2.0, 3.0])
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    assert ordered("easy", hardness, labels, min_per_class=0).tolist() == [0, 1, 2, 3, 6, 5, 4]
    assert ordered("easy", hardness, labels, min_per_class=1).tolist() == [0, 6, 5, 1, 2, 3, 4]
    assert ordered("easy", hardness, labels, min_per_class=2).tolist() == [0, 1, 6, 5, 4, 2, 3]


@pytest.mark.parametrize("rule", RULES)
def test_no_class_falls_below_the_floor(rule):
    hardness, labels = make_data()
    kept = cut(ordered(rule, hardness, labels, min_per_class=5), 0.95, [Minimum(labels, 5)])
    expected = np.minimum(np.bincount(labels), 5)
    assert (np.bincount(labels[kept], minlength=4) >= expected).all()


def test_two_floors_hold_at_once_and_share_what_counts_for_both():
    hardness, classes = np.arange(10.0)[::-1], np.repeat([0, 1], 5)
    finer = np.array([0, 0, 0, 0, 1, 2, 2, 2, 2, 2])
    minimums = [Minimum(classes, 2), Minimum(finer, 1, "min_per_intent")]
    ranked = order(Arm(("el2n",), "easy"), {"el2n": hardness}, classes, 0, minimums=minimums)
    assert ranked.tolist() == [0, 1, 4, 5, 6, 2, 3, 7, 8, 9]
    assert cut(ranked, 0.5, minimums).tolist() == [0, 1, 4, 5, 6]
    message = (
        "leaves 4 .* fewer than 5, as min_per_class=2 and min_per_intent=1 requires?; .* is 0.5"
    )
    with pytest.raises(InputError, match=message):
        cut(ranked, 0.6, minimums)


def test_a_class_without_examples_needs_no_floor():
    labels = np.array([0, 0, 3, 3])
    assert sorted(ordered("random", np.zeros(4), labels, min_per_class=1)[:2] // 2) == [0, 1]
    assert len(cut(np.arange(4), 0.5, [Minimum(labels, 1)])) == 2


@pytest.mark.parametrize("fraction", [1.0, -0.1, 1.5, float("nan")])
def test_a_fraction_must_leave_something(fraction):
    with pytest.raises(InputError, match="at least 0 and below 1, not"):
        cut(np.arange(10), fraction, [])


def test_a_fraction_that_breaks_the_floor_names_the_largest_possible():
    labels = np.repeat([0, 1, 2], [6, 3, 1])
    with pytest.raises(InputError) as raised:
        cut(np.arange(10), 0.7, [Minimum(labels, 2)])
    assert str(raised.value) == (
        "pruning 0.7 leaves 3 of 10 examples, fewer than 5, as min_per_class=2 requires; "
        "the largest possible fraction is 0.5"
    )
    assert len(cut(np.arange(10), 0.5, [Minimum(labels, 2)])) == 5


@given(st.integers(1, 3000), st.integers(1, 4), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_the_largest_possible_fraction_is_possible(examples, classes, min_per_class):
    labels = np.arange(examples) % classes
    with pytest.raises(InputError) as raised:
        cut(np.arange(examples), np.nextafter(1, 0), [Minimum(labels, min_per_class)])
    largest = float(str(raised.value).split()[-1])
    needed = max(1, np.minimum(np.bincount(labels), min_per_class).sum())
    assert (
        needed
        <= len(cut(np.arange(examples), largest, [Minimum(labels, min_per_class)]))
        <= needed + 1
    )


def test_kept_count_rounds():
    assert [kept_count(10, f) for f in (0.0, 0.44, 0.46, 0.99)] == [10, 6, 5, 0]


VALUES = st.one_of(
    st.floats(allow_nan=False),
    st.sampled_from([0.0, -0.0, 1.0, np.inf, -np.inf, 1.7e308, -1.7e308, 5e-324]),
)
TABLES = st.lists(
    st.tuples(VALUES, st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=30
)  # score, class, another group
HOW = st.sampled_from(["none", "class", "dataset"])
SEEDS = st.integers(0, 2**32)
ANY_FRACTION = st.floats(0, 1, exclude_max=True)


def columns_of(table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scores, classes, groups = zip(*table, strict=True)
    return np.array(scores, dtype=float), np.array(classes), np.array(groups)


def order_of(rule, scores, labels, seed=0, normalize="none", minimums=()):
    recall = np.linspace(0, 1, 4)[: labels.max() + 1]
    arm, given = (
        make_arm(rule, normalize),
        {"el2n": scores, **make_besides(len(scores))},
    )
    near = make_representations(labels)
    return order(arm, given, labels, seed, minimums=minimums, recall=recall, representations=near)


@pytest.mark.parametrize("rule", RULES)
@given(
    table=TABLES,
    how=HOW,
    seed=SEEDS,
    counts=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    fractions=st.lists(ANY_FRACTION, min_size=2, max_size=4),
)
def test_whatever_the_scores_cuts_are_exact_nested_and_keep_both_floors(
    rule, table, how, seed, counts, fractions
):
    scores, labels, groups = columns_of(table)
    minimums = [Minimum(labels, counts[0]), Minimum(groups, counts[1], "min_per_intent")]
    ranked = order_of(rule, scores, labels, seed, how, minimums)
    larger = set(range(len(labels)))
    for fraction in sorted(fractions):
        try:
            kept = cut(ranked, fraction, minimums)
        except InputError as error:
            largest = float(str(error).split()[-1])
            assert largest < fraction and len(cut(ranked, largest, minimums)) > 0
            continue
        assert abs(len(kept) - (1 - fraction) * len(labels)) <= 0.5 + 1e-9
        assert len(kept) == len(set(kept)) and set(kept) <= larger
        larger = set(kept)
        for min_per_class in minimums:
            sizes = np.bincount(min_per_class.groups)
            left = np.bincount(min_per_class.groups[kept], minlength=len(sizes))
            assert (left >= np.minimum(sizes, min_per_class.count)).all()


@pytest.mark.parametrize("rule", RULES)
@given(table=TABLES, how=HOW, at=st.integers(0))
def test_one_missing_score_is_bad_input_for_the_rules_that_read_it(rule, table, how, at):
    scores, labels, _ = columns_of(table)
    scores[at % len(scores)] = np.nan
    if REGISTRY[rule].scored:
        with pytest.raises(InputError, match=f"1 of {len(scores)} scores are NaN"):
            order_of(rule, scores, labels, normalize=how)
    else:
        assert sorted(order_of(rule, scores, labels)) == list(range(len(scores)))


@pytest.mark.parametrize("rule", RULES)
@given(table=TABLES, how=HOW, seed=SEEDS)
def test_a_negative_zero_is_a_zero(rule, table, how, seed):
    scores, labels, _ = columns_of(table)
    negative = np.where(scores == 0, -0.0, scores)
    positive = np.where(scores == 0, 0.0, scores)
    first, second = (order_of(rule, s, labels, seed, how) for s in (negative, positive))
    assert first.tolist() == second.tolist()


WHOLE = st.one_of(st.integers(-9, 9), st.sampled_from([np.inf, -np.inf]))


@pytest.mark.parametrize("rule", ["easy", "hard"])
@given(
    table=st.lists(st.tuples(WHOLE, st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=30),
    how=st.sampled_from(["none", "dataset"]),
    min_per_class=st.integers(0, 2),
    random=st.randoms(use_true_random=False),
)
def test_where_scores_tie_the_order_of_the_rows_changes_who_is_kept_but_no_score(
    rule, table, how, min_per_class, random
):
    scores, labels, _ = columns_of(table)
    rows = np.array(random.sample(range(len(table)), len(table)))
    moved = order_of(
        rule, scores[rows], labels[rows], 1, how, [Minimum(labels[rows], min_per_class)]
    )
    ranked = order_of(rule, scores, labels, 0, how, [Minimum(labels, min_per_class)])
    own, other = normalize(scores, labels, "none")[ranked], normalize(scores, labels, "none")
    assert own.tolist() == other[rows][moved].tolist()


# Normalising


@given(TABLES)
def test_z_scores_are_finite_and_keep_the_order_whatever_the_scores(table):
    scores, labels, _ = columns_of(table)
    for how, groups in (("class", labels), ("dataset", np.zeros_like(labels))):
        result = normalize(scores, labels, how)
        assert np.isfinite(result).all()
        for group in set(groups.tolist()):
            own, before = result[groups == group], scores[groups == group]
            assert own.mean() == pytest.approx(0, abs=1e-9)
            assert own.std() == pytest.approx(1) or not own.any()
            ascending = own[np.argsort(before, kind="stable")]
            assert (np.diff(ascending) >= -1e-9).all()


def test_class_normalisation_gives_each_class_mean_zero_and_deviation_one():
    hardness, labels = make_data()
    hardness += 10 * labels
    values = normalize(hardness, labels, "class")
    for label in range(4):
        assert values[labels == label].mean() == pytest.approx(0, abs=1e-12)
        assert values[labels == label].std() == pytest.approx(1)


def test_dataset_normalisation_is_the_z_score():
    hardness, labels = make_data()
    expected = (hardness - hardness.mean()) / hardness.std()
    np.testing.assert_allclose(normalize(hardness, labels, "dataset"), expected)


def test_a_constant_class_becomes_zero():
    values = np.array([0.1, 0.1, 0.1, 1.0, 3.0])
    result = normalize(values, np.array([2, 2, 2, 0, 0]), "class")
    np.testing.assert_allclose(result, [0, 0, 0, -1, 1], atol=0)


def test_infinite_scores_become_the_extreme_finite_ones():
    values = np.array([np.inf, 1.0, -np.inf, 3.0])
    labels = np.zeros(4, dtype=int)
    assert normalize(values, labels, "none").tolist() == [3, 1, 1, 3]
    np.testing.assert_allclose(normalize(values, labels, "dataset"), [1, -1, -1, 1])


def test_scores_that_are_all_infinite_are_ordered_by_sign():
    values, labels = np.array([-np.inf, np.inf, -np.inf]), np.zeros(3, dtype=int)
    assert ordered("easy", values, labels)[0] == 1


def test_huge_scores_do_not_overflow():
    values, labels = np.array([1.7e308, -1.7e308, 0.0]), np.zeros(3, dtype=int)
    for how in ("class", "dataset"):
        result = normalize(values, labels, how)
        np.testing.assert_allclose(result, np.sqrt(1.5) * np.array([1, -1, 0]), atol=1e-12)


def test_class_normalisation_changes_what_a_cut_off_keeps():
    hardness = np.array([10.0, 11.0, 12.0, 1.0, 2.0, 3.0])
    labels = np.array([0, 0, 0, 1, 1, 1])
    assert set(ordered("easy", hardness, labels, min_per_class=0)[:3]) == {0, 1, 2}
    assert set(ordered("easy", hardness, labels, min_per_class=0, normalize="class")[:2]) == {2, 5}


def test_missing_scores_are_counted():
    values = np.array([1.0, np.nan, np.nan])
    with pytest.raises(InputError, match="2 of 3 scores are NaN"):
        normalize(values, np.zeros(3, dtype=int), "none")


# Arms


@pytest.mark.parametrize(
    ("text", "arm"),
    [
        ("vog:easy", Arm(("vog",), "easy")),
        ("el2n@3:hard:class", Arm(("el2n@3",), "hard", "class")),
        ("vog+aum:linear:dataset", Arm(("vog", "aum"), "linear", "dataset")),
        ("random:softmax", Arm(("random",), "softmax")),
        ("random", Arm((), "random")),
        ("stratified", Arm((), "stratified")),
        ("drop", Arm((), "drop")),
    ],
)
def test_an_arm_is_read_and_printed(text, arm):
    assert parse_arm(text) == arm
    assert str(arm) == text


def test_the_printed_arm_is_canonical():
    assert str(parse_arm(" vog:easy:none ")) == "vog:easy"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "",
            "an arm is empty; write score:rule\\[:normalize\\] or random, stratified, clean, drop",
        ),
        ("vog", "arm 'vog' names no rule; write vog:rule with easy, hard"),
        ("easy", "rule 'easy' needs a score; write score:easy, such as el2n:easy"),
        ("fog", "unknown score 'fog'; there is aum"),
        ("fog:easy", "unknown score 'fog'; there is aum"),
        ("vog+:linear", "unknown score ''; there is aum"),
        (":easy", "unknown score ''; there is aum"),
        ("el2n@x:easy", "unknown window 'x'"),
        ("vog:soft", "unknown rule 'soft'; there is adaptive, ccs"),
        ("vog:", "unknown rule ''; there is adaptive, ccs"),
        ("vog:random", "rule 'random' takes no score, unlike 'vog:random'; write random"),
        ("vog:easy:label", "unknown normalize 'label'; there is class, dataset, none"),
        ("vog:easy:class:1", "arm 'vog:easy:class:1' has 4 parts; write score:rule"),
        ("vog+aum:easy", "only rule 'linear' blends scores, unlike .*; write vog\\+aum:linear"),
    ],
)
def test_an_unreadable_arm_says_what_to_write(text, message):
    with pytest.raises(InputError, match=message):
        parse_arm(text)


def test_a_score_that_was_not_computed_is_named():
    with pytest.raises(InputError, match="unknown score 'vog'; there is aum, el2n"):
        order(parse_arm("vog:easy"), {"aum": np.ones(2), "el2n": np.ones(2)}, np.array([0, 0]), 0)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (None, "rule 'dedup' needs the representation of every example: representations=true"),
        (
            np.array([[1.0], [np.nan], [2.0]]),
            "1 of 3 representations are not finite, and rule 'ded",
        ),
    ],
)
def test_representations_that_are_missing_or_unusable_are_bad_input(vectors, message):
    labels = np.array([0, 1, 1])
    given = None if vectors is None else Representations(vectors, labels)
    with pytest.raises(InputError, match=message):
        order(Arm((), "dedup"), {}, labels, 0, representations=given)


def test_an_arm_says_all_that_it_reads():
    reads = {
        text: parse_arm(text).reads
        for text in ("dual:adaptive", "dual:ccs_clean", "dedup", "clean")
        + ("aum:ccs_clean", "aum@all:ccs_clean", "confidence@last:adaptive", "aum:easy")
    }
    assert reads == {
        "dual:adaptive": ("dual", "confidence"),
        "dual:ccs_clean": ("dual", "aum@early"),
        "dedup": (),
        "clean": ("aum@early",),
        "aum:ccs_clean": ("aum", "aum@early"),
        "aum@all:ccs_clean": ("aum@all",),
        "confidence@last:adaptive": ("confidence@last",),
        "aum:easy": ("aum",),
    }
    assert parse_arm("confidence:adaptive").reads == ("confidence",)
    represents = [parse_arm(text).represents for text in ("aum:d2", "dedup", "aum:ccs")]
    assert represents == [True, True, False]


def test_a_confidence_that_was_not_computed_is_named():
    with pytest.raises(InputError, match="unknown score 'confidence'; there is dual"):
        order(parse_arm("dual:adaptive"), {"dual": np.ones(2)}, np.array([0, 0]), 0)


def test_an_unknown_knob_is_named():
    with pytest.raises(InputError, match="unknown parameter 'heat'; there is beta, epsilon"):
        ordered("easy", np.ones(2), np.array([0, 0]), heat=2.0)


PARTS = st.one_of(
    st.sampled_from([*SCORES, *REGISTRY, "none", "class", "dataset", "el2n@2", "vog@1-3", ""]),
    st.text(max_size=5),
)


@given(st.one_of(st.text(), st.lists(st.one_of(PARTS, st.sampled_from(":+@ "))).map("".join)))
def test_any_text_is_an_arm_that_reads_as_it_prints_or_bad_input(text):
    try:
        arm = parse_arm(text)
    except InputError:
        return
    assert parse_arm(str(arm)) == arm and str(parse_arm(str(arm))) == str(arm)


WINDOWED = [name for name, score in SCORES.items() if score.series]
SPECS = st.one_of(
    st.sampled_from(list(SCORES)),
    st.tuples(st.sampled_from(WINDOWED), st.sampled_from(["@0", "@2", "@1-3", "@all", "@odd"])).map(
        "".join
    ),
)


@given(st.sampled_from(RULES), st.lists(SPECS, min_size=1, max_size=3), HOW)
def test_every_arm_comes_back_from_its_name(rule, specs, how):
    entry = REGISTRY[rule]
    if not entry.scored:
        specs, how = [], "none"
    arm = Arm(tuple(specs if entry.blends else specs[:1]), rule, how)
    assert parse_arm(str(arm)) == arm
    assert parse_arm(f" {arm} ") == arm


# Class balance


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.data())
def test_class_shares_add_up(classes, data):
    labels = np.array(classes)
    kept = data.draw(st.lists(st.integers(0, len(labels) - 1), unique=True))
    table = class_shares(labels, np.array(kept, dtype=int), list("abcde"))
    assert (table["before"].sum(), table["after"].sum()) == (len(labels), len(kept))
    assert table["share_before"].sum() == pytest.approx(1)
    assert table["share_after"].sum() == pytest.approx(1 if kept else 0)
    assert table["kept_share"].between(0, 1).all()


def test_class_shares_compare_before_and_after():
    labels = np.array([0, 0, 0, 1, 1, 3])
    table = class_shares(labels, np.array([0, 3, 4, 5]), ["a", "b", "c", "d"])
    assert list(table.columns) == [
        "label", "before", "after", "share_before", "share_after", "kept_share",
    ]  # fmt: skip
    assert table.label.tolist() == ["a", "b", "c", "d"]
    assert table.before.tolist() == [3, 2, 0, 1]
    assert table.after.tolist() == [1, 2, 0, 1]
    np.testing.assert_allclose(table.share_before, [1 / 2, 1 / 3, 0, 1 / 6])
    np.testing.assert_allclose(table.share_after, [1 / 4, 1 / 2, 0, 1 / 4])
    np.testing.assert_allclose(table.kept_share, [1 / 3, 1, 1, 1])


def test_the_shares_of_an_empty_subset_are_zero():
    table = class_shares(np.array([0, 1]), np.array([], dtype=int), ["a", "b"])
    assert table.share_after.tolist() == [0, 0]


def test_scores_and_sampling_need_numpy_not_torch():
    code = "import sys, influence.scoring.plan, influence.sampling.order"
    code += "; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
