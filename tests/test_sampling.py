"""Every rule keeps the contract: exact budgets, nested subsets, no surprise under a seed."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influence.errors import InputError
from influence.sampling import (
    REGISTRY,
    Arm,
    class_shares,
    cut,
    kept_count,
    linear_map,
    normalize,
    order,
    parse_arm,
)

RULES = list(REGISTRY)
DRAWN = [name for name, rule in REGISTRY.items() if rule.drawn]
FRACTIONS = [0.0, 0.01, 0.1, 0.25, 0.333, 0.45, 0.5, 0.7, 0.9, 0.95]
RECALL = np.array([0.9, 0.5, 0.7, 0.0])


def make_arm(rule, normalize="none"):
    """An arm of this rule that reads the score "el2n" where the rule reads one."""
    return Arm(("el2n",) if REGISTRY[rule].scored else (), rule, normalize)


def make_data(examples=400, seed=0):
    """Distinct scores and unbalanced labels of four classes."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(4, examples, p=[0.6, 0.25, 0.13, 0.02])
    labels[:4] = range(4)
    return generator.exponential(size=examples), labels


def ordered(rule, hardness, labels, seed=0, normalize="none", floor=1, **knobs):
    """The order of one rule on one score."""
    arm = make_arm(rule, normalize)
    recall = np.resize(RECALL, labels.max() + 1)
    return order(arm, {"el2n": hardness}, labels, seed, floor=floor, recall=recall, knobs=knobs)


# Contract


@pytest.mark.parametrize("rule", RULES)
def test_an_order_holds_every_example_once(rule):
    hardness, labels = make_data()
    assert sorted(ordered(rule, hardness, labels)) == list(range(len(labels)))


@pytest.mark.parametrize("rule", RULES)
def test_a_priority_is_one_finite_value_per_example(rule):
    hardness, labels = make_data()
    given = {"hardness": hardness, "hardnesses": hardness[None], "labels": labels, "recall": RECALL}
    given["generator"] = np.random.default_rng(0)
    entry = REGISTRY[rule]
    priority = entry.function(**{name: given[name] for name in entry.needs if name in given})
    assert priority.shape == labels.shape
    assert np.isfinite(priority).all()


@pytest.mark.parametrize("floor", [0, 1, 3])
@pytest.mark.parametrize("rule", RULES)
def test_budgets_are_exact_and_subsets_nested(rule, floor):
    hardness, labels = make_data()
    ranked = ordered(rule, hardness, labels, floor=floor)
    larger = set(range(len(labels)))
    for fraction in FRACTIONS:
        kept = cut(ranked, fraction, labels, floor)
        assert len(kept) == round((1 - fraction) * len(labels))
        assert set(kept) <= larger
        larger = set(kept)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_deterministic_under_its_seed(rule):
    hardness, labels = make_data()
    again = ordered(rule, hardness, labels, seed=5)
    np.testing.assert_array_equal(ordered(rule, hardness, labels, seed=5), again)


@pytest.mark.parametrize("rule", RULES)
def test_only_rules_that_draw_differ_between_seeds(rule):
    hardness, labels = make_data()
    first, second = (ordered(rule, hardness, labels, seed=seed) for seed in (0, 1))
    assert (first != second).any() == (rule in DRAWN)
    kept = [set(cut(ranked, 0.5, labels, 1)) for ranked in (first, second)]
    assert (kept[0] != kept[1]) == (rule in DRAWN)


def test_all_rules_but_the_cut_offs_draw():
    assert set(RULES) - set(DRAWN) == {"easy", "hard"}


@pytest.mark.parametrize("normalize", ["none", "class", "dataset"])
@pytest.mark.parametrize("rule", ["easy", "hard"])
def test_a_cut_off_follows_a_permutation_of_the_train_set(rule, normalize):
    hardness, labels = make_data()
    rows = np.random.default_rng(1).permutation(len(labels))
    moved = ordered(rule, hardness[rows], labels[rows], normalize=normalize)
    np.testing.assert_array_equal(rows[moved], ordered(rule, hardness, labels, normalize=normalize))


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_leaves_its_inputs_untouched(rule):
    hardness, labels = make_data()
    hardness[3] = np.inf
    before = hardness.copy(), labels.copy()
    for how in ("none", "class", "dataset"):
        ordered(rule, hardness, labels, normalize=how)
    np.testing.assert_array_equal(hardness, before[0])
    np.testing.assert_array_equal(labels, before[1])


HUGE = st.floats(allow_nan=False, allow_infinity=True, width=64)
TIES = st.sampled_from([0.0, 1.0, -1e308, 1e308, 5e-324])


@pytest.mark.parametrize("rule", RULES)
@given(
    scores=st.lists(st.one_of(HUGE, TIES), min_size=1, max_size=12),
    classes=st.lists(st.integers(0, 3), min_size=12, max_size=12),
    how=st.sampled_from(["none", "class", "dataset"]),
    floor=st.integers(0, 2),
)
@settings(max_examples=40, deadline=None)
def test_any_scores_give_an_order(rule, scores, classes, how, floor):
    labels = np.array(classes[: len(scores)])
    ranked = ordered(rule, np.array(scores), labels, normalize=how, floor=floor)
    assert sorted(ranked) == list(range(len(labels)))


@given(st.lists(TIES | st.floats(-10, 10), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_a_cut_off_keeps_the_extreme_scores(values):
    hardness, labels = np.array(values), np.zeros(len(values), dtype=int)
    assert hardness[ordered("easy", hardness, labels)].tolist() == sorted(values, reverse=True)
    assert hardness[ordered("hard", hardness, labels)].tolist() == sorted(values)


@pytest.mark.parametrize("rule", RULES)
def test_a_single_example_can_be_ordered(rule):
    assert ordered(rule, np.array([2.0]), np.array([0])).tolist() == [0]


# Cut-offs, ties, floors


def test_easy_prunes_the_easiest_and_hard_the_hardest():
    hardness, labels = np.array([0.5, 3.0, -1.0, 2.0]), np.zeros(4, dtype=int)
    assert ordered("easy", hardness, labels).tolist() == [1, 3, 0, 2]
    assert ordered("hard", hardness, labels).tolist() == [2, 0, 3, 1]


def test_ties_are_broken_by_the_seed_and_only_ties():
    hardness, labels = np.repeat([0.0, 1.0, 2.0], [500, 3, 500]), np.zeros(1003, dtype=int)
    first, second = (ordered("easy", hardness, labels, seed=seed) for seed in (0, 1))
    assert (first != second).mean() > 0.9
    for ranked in (first, second):
        assert hardness[ranked].tolist() == sorted(hardness, reverse=True)


def test_every_tied_example_has_the_same_chance():
    hardness, labels = np.array([0.0, 1.0, 1.0, 1.0, 1.0]), np.zeros(5, dtype=int)
    firsts = [ordered("easy", hardness, labels, seed=seed)[0] for seed in range(2000)]
    counts = np.bincount(firsts, minlength=5)
    assert counts[0] == 0
    assert (np.abs(counts[1:] - 500) < 100).all()


def test_the_floor_keeps_the_first_of_each_class_in_order():
    hardness = np.array([9.0, 8.0, 7.0, 6.0, 1.0, 2.0, 3.0])
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    assert ordered("easy", hardness, labels, floor=0).tolist() == [0, 1, 2, 3, 6, 5, 4]
    assert ordered("easy", hardness, labels, floor=1).tolist() == [0, 6, 5, 1, 2, 3, 4]
    assert ordered("easy", hardness, labels, floor=2).tolist() == [0, 1, 6, 5, 4, 2, 3]


@pytest.mark.parametrize("rule", RULES)
def test_no_class_falls_below_the_floor(rule):
    hardness, labels = make_data()
    kept = cut(ordered(rule, hardness, labels, floor=5), 0.95, labels, 5)
    expected = np.minimum(np.bincount(labels), 5)
    assert (np.bincount(labels[kept], minlength=4) >= expected).all()


def test_a_class_without_examples_needs_no_floor():
    labels = np.array([0, 0, 3, 3])
    assert sorted(ordered("random", np.zeros(4), labels, floor=1)[:2] // 2) == [0, 1]
    assert len(cut(np.arange(4), 0.5, labels, 1)) == 2


@pytest.mark.parametrize("fraction", [1.0, -0.1, 1.5, float("nan")])
def test_a_fraction_must_leave_something(fraction):
    with pytest.raises(InputError, match="at least 0 and below 1, not"):
        cut(np.arange(10), fraction, np.zeros(10, dtype=int), 1)


def test_a_fraction_that_breaks_the_floor_names_the_largest_possible():
    labels = np.repeat([0, 1, 2], [6, 3, 1])
    with pytest.raises(InputError) as raised:
        cut(np.arange(10), 0.7, labels, 2)
    assert str(raised.value) == (
        "pruning 0.7 leaves 3 of 10 examples, fewer than 5, as floor=2 requires; "
        "the largest possible fraction is 0.5"
    )
    assert len(cut(np.arange(10), 0.5, labels, 2)) == 5


@given(st.integers(1, 3000), st.integers(1, 4), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_the_largest_possible_fraction_is_possible(examples, classes, floor):
    labels = np.arange(examples) % classes
    with pytest.raises(InputError) as raised:
        cut(np.arange(examples), np.nextafter(1, 0), labels, floor)
    largest = float(str(raised.value).split()[-1])
    needed = max(1, np.minimum(np.bincount(labels), floor).sum())
    assert needed <= len(cut(np.arange(examples), largest, labels, floor)) <= needed + 1


def test_kept_count_rounds():
    assert [kept_count(10, f) for f in (0.0, 0.44, 0.46, 0.99)] == [10, 6, 5, 0]


# Drawing


def keep_rates(draw, examples, kept, draws=2500):
    """How often each example is among the first `kept`, over many seeds."""
    counts = np.zeros(examples)
    for seed in range(draws):
        counts[draw(seed)[:kept]] += 1
    return counts / draws


def test_twice_the_mapped_score_is_twice_the_chance_to_be_kept_at_small_budgets():
    hardness, labels = np.linspace(0, 1, 100), np.zeros(100, dtype=int)
    weights = linear_map(hardness, 0.01, 0.0)
    rates = keep_rates(
        lambda seed: ordered("linear", hardness, labels, seed, winsorize=0.0), 100, 2
    )
    ratio = rates[weights > 0.8].mean() / rates[(weights > 0.4) & (weights < 0.5)].mean()
    assert ratio == pytest.approx(0.9 / 0.45, rel=0.15)


def test_linear_draws_in_proportion_to_the_mapped_score():
    hardness, labels = np.array([0.0, 1.0, 3.0]), np.zeros(3, dtype=int)
    draw = lambda seed: ordered("linear", hardness, labels, seed, epsilon=0.25, winsorize=0.0)  # noqa: E731
    weights = np.array([0.25, 0.5, 1.0])
    np.testing.assert_allclose(keep_rates(draw, 3, 1), weights / weights.sum(), atol=0.04)


def test_softmax_draws_in_proportion_to_the_exponential():
    hardness, labels = np.log([1.0, 2.0, 5.0]), np.zeros(3, dtype=int)
    rates = keep_rates(lambda seed: ordered("softmax", hardness, labels, seed), 3, 1)
    np.testing.assert_allclose(rates, [1 / 8, 2 / 8, 5 / 8], atol=0.04)


def test_a_temperature_divides_the_score():
    hardness, labels = np.log([1.0, 2.0, 5.0]), np.zeros(3, dtype=int)
    draw = lambda seed: ordered("softmax", hardness, labels, seed, temperature=0.5)  # noqa: E731
    np.testing.assert_allclose(keep_rates(draw, 3, 1), [1 / 30, 4 / 30, 25 / 30], atol=0.04)


def test_a_low_temperature_makes_softmax_a_cut_off():
    hardness, labels = make_data()
    cold = ordered("softmax", hardness, labels, temperature=1e-9)
    np.testing.assert_array_equal(cold, ordered("easy", hardness, labels))


def test_random_keeps_every_example_as_often():
    rates = keep_rates(lambda seed: ordered("random", np.zeros(20), np.zeros(20, int), seed), 20, 5)
    np.testing.assert_allclose(rates, 0.25, atol=0.04)


def test_linear_map_reaches_from_epsilon_to_one():
    np.testing.assert_allclose(linear_map(np.array([2.0, 4.0, 3.0]), 0.1, 0.0), [0.1, 1.0, 0.55])


def test_an_outlier_does_not_flatten_the_others():
    values = np.append(np.linspace(0, 1, 999), 1e6)
    assert linear_map(values, 0.01, 0.0)[998] < 0.02
    mapped = linear_map(values, 0.01, 0.01)
    assert mapped[998] == 1
    assert mapped[500] == pytest.approx(0.5, abs=0.02)


def test_a_score_that_is_zero_but_for_a_few_examples_survives_winsorising():
    values = np.zeros(1000)
    values[:3] = [1, 2, 4]
    np.testing.assert_allclose(linear_map(values, 0.2, 0.01)[:4], [0.4, 0.6, 1.0, 0.2])


def test_a_constant_score_draws_like_random():
    labels = np.zeros(5, dtype=int)
    assert len(set(linear_map(np.full(5, 0.1)))) == 1
    rates = keep_rates(lambda seed: ordered("linear", np.full(5, 0.1), labels, seed), 5, 1, 2000)
    np.testing.assert_allclose(rates, 0.2, atol=0.05)


def test_a_blend_draws_by_the_mean_of_the_mapped_scores():
    hardness = {"vog": np.array([0.0, 0.0, 8.0]), "aum": np.array([-1.0, -2.0, -2.0])}
    labels, arm = np.zeros(3, dtype=int), parse_arm("vog+aum:linear:dataset")
    knobs = {"epsilon": 0.1, "winsorize": 0.0}
    rates = keep_rates(lambda seed: order(arm, hardness, labels, seed, knobs=knobs), 3, 1)
    weights = np.array([0.55, 0.1, 0.55])
    np.testing.assert_allclose(rates, weights / weights.sum(), atol=0.04)


# Coverage and quotas


def test_ccs_keeps_as_many_from_each_stratum():
    hardness = np.concatenate([np.full(500, 0.0), np.full(60, 1.0), np.full(30, 2.0), [3.0] * 10])
    labels = np.zeros(600, dtype=int)
    ranked = ordered("ccs", hardness, labels, beta=0.0, strata=4)
    for kept, expected in ((40, [10] * 4), (100, [30, 30, 30, 10]), (200, [100, 60, 30, 10])):
        assert np.bincount(hardness[ranked[:kept]].astype(int)).tolist() == expected


def test_the_strata_of_ccs_have_equal_width_in_what_is_not_the_hardest():
    hardness, labels = np.array([0.0, 1.0, 2.0, 10.0, 1e6]), np.zeros(5, dtype=int)
    for seed in range(20):
        ranked = ordered("ccs", hardness, labels, seed, beta=0.2, strata=2)
        assert ranked[4] == 4
        assert 3 in ranked[:2]


def test_two_strata_split_the_scores_in_the_middle():
    hardness, labels = np.array([0.0, 0.49, 0.51, 1.0]), np.zeros(4, dtype=int)
    for seed in range(30):
        first = ordered("ccs", hardness, labels, seed, beta=0.0, strata=2)[:2]
        assert sorted(first // 2) == [0, 1]


def test_ccs_puts_the_hardest_last_and_the_very_hardest_at_the_end():
    hardness = np.random.default_rng(0).permutation(100.0 * np.arange(1000))
    labels = np.zeros(1000, dtype=int)
    ranked = ordered("ccs", hardness, labels, beta=0.1, strata=50)
    assert hardness[ranked[900:]].tolist() == (100.0 * np.arange(900, 1000)).tolist()
    assert (np.diff(hardness[ranked[:900]]) < 0).any()


def test_ccs_chooses_among_ties_for_the_hardest_share():
    hardness, labels = np.zeros(100), np.zeros(100, dtype=int)
    first, second = (set(ordered("ccs", hardness, labels, seed, beta=0.3)[70:]) for seed in (0, 1))
    assert len(first) == 30
    assert first != second


def test_stratified_keeps_the_class_shares_at_every_cut():
    _, labels = make_data(1000)
    ranked = ordered("stratified", np.zeros(1000), labels, floor=0)
    seen = np.cumsum(labels[ranked][:, None] == np.arange(4), axis=0)
    expected = np.arange(1, 1001)[:, None] * np.bincount(labels) / 1000
    assert np.abs(seen - expected).max() < 2  # a random order strays by ten


def test_a_class_of_one_takes_its_place_in_the_middle():
    labels = np.array([0, 0, 0, 1])  # places 1/6, 3/6, 5/6 and 1/2
    orders = [ordered("stratified", np.zeros(4), labels, seed, floor=0) for seed in range(50)]
    assert {ranked.tolist().index(3) for ranked in orders} == {1, 2}


def test_stratified_is_random_inside_a_class():
    labels = np.repeat([0, 1], [8, 4])
    rates = keep_rates(lambda seed: ordered("stratified", np.zeros(12), labels, seed), 12, 6, 3000)
    np.testing.assert_allclose(rates, 0.5, atol=0.05)


def drop_counts(sizes, recall, kept, floor=0):
    """Examples of each class among the first `kept` under rule drop."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    arm = Arm((), "drop")
    ranked = order(arm, {}, labels, 0, floor=floor, recall=np.array(recall))
    return np.bincount(labels[ranked[:kept]], minlength=len(sizes)).tolist()


def test_drop_keeps_shares_in_proportion_to_one_minus_recall():
    assert drop_counts([100, 100, 100], [0.9, 0.8, 0.7], 60) == [10, 20, 30]
    assert drop_counts([200, 100], [0.5, 0.8], 60) == [50, 10]


def test_drop_gives_what_a_full_class_cannot_take_to_the_others():
    # Densities 0.2, 0.4, 1.2 fill class 2; its surplus of 20 splits 1 : 2 between the others.
    assert drop_counts([150, 150, 100], [0.9, 0.8, 0.4], 190) == [30, 60, 100]
    assert drop_counts([150, 150, 100], [0.9, 0.8, 0.4], 400) == [150, 150, 100]


def test_drop_without_errors_keeps_equal_shares():
    assert drop_counts([100, 40], [1.0, 1.0], 70) == [50, 20]


def test_drop_takes_a_perfectly_recalled_class_last_but_for_its_floor():
    assert drop_counts([50, 50], [1.0, 0.5], 50) == [0, 50]
    assert drop_counts([50, 50], [1.0, 0.5], 60) == [10, 50]
    assert drop_counts([50, 50], [1.0, 0.5], 20, floor=3) == [3, 17]


@pytest.mark.parametrize(
    ("recall", "message"),
    [
        (None, "rule 'drop' needs the recall of every class on validation data"),
        (np.array([0.5]), "needs a recall in .* for each of 2 classes"),
        (np.array([0.5, np.nan]), "needs a recall in .* not .*nan"),
        (np.array([0.5, 1.5]), "needs a recall in"),
    ],
)
def test_drop_refuses_a_recall_it_cannot_use(recall, message):
    with pytest.raises(InputError, match=message):
        order(Arm((), "drop"), {}, np.array([0, 1, 1]), 0, recall=recall)


# Normalising


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
    assert set(ordered("easy", hardness, labels, floor=0)[:3]) == {0, 1, 2}
    assert set(ordered("easy", hardness, labels, floor=0, normalize="class")[:2]) == {2, 5}


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
        ("", "an arm is empty; write score:rule\\[:normalize\\] or random, stratified, drop"),
        ("vog", "arm 'vog' names no rule; write vog:rule with easy, hard"),
        ("easy", "rule 'easy' needs a score; write score:easy, such as el2n:easy"),
        ("fog", "unknown score 'fog'; there is aum"),
        ("fog:easy", "unknown score 'fog'; there is aum"),
        ("vog+:linear", "unknown score ''; there is aum"),
        (":easy", "unknown score ''; there is aum"),
        ("el2n@x:easy", "unknown window 'x'"),
        ("vog:soft", "unknown rule 'soft'; there is ccs"),
        ("vog:", "unknown rule ''; there is ccs"),
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


def test_an_unknown_knob_is_named():
    with pytest.raises(InputError, match="unknown knob 'heat'; there is beta, epsilon"):
        ordered("easy", np.ones(2), np.array([0, 0]), heat=2.0)


def test_a_rule_takes_its_own_knobs_from_all_of_them():
    hardness, labels = make_data()
    knobs = {"epsilon": 0.5, "winsorize": 0.2, "beta": 0.3, "strata": 5, "temperature": 2.0}
    for name in RULES:
        assert set(REGISTRY[name].knobs) <= set(knobs)
        default, changed = ordered(name, hardness, labels), ordered(name, hardness, labels, **knobs)
        assert (default != changed).any() == bool(REGISTRY[name].knobs)


@pytest.mark.parametrize("rule", RULES)
def test_a_registered_rule_says_what_it_is(rule):
    entry = REGISTRY[rule]
    assert entry.function.__doc__
    assert entry.reference
    assert dataclasses.replace(entry, name="other").function is entry.function
    assert entry.scored == any(name.startswith("hardness") for name in entry.needs)


# Class balance


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
    code = "import sys, influence.sampling, influence.scores; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
