"""Every rule keeps the contract and draws as often as its weights say."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from influence.errors import InputError
from influence.sampling.arms import Arm, parse_arm
from influence.sampling.order import Minimum, cut, order
from influence.sampling.rules import BESIDES, REGISTRY, linear_map
from influence.trace.neighbors import Representations
from tests.helpers.orders import (
    RECALL,
    RULES,
    keep_rates,
    make_besides,
    make_data,
    make_representations,
    ordered,
)

DRAWN = [name for name, rule in REGISTRY.items() if rule.drawn]

# Contract


@pytest.mark.parametrize("rule", RULES)
def test_an_order_holds_every_example_once(rule):
    hardness, labels = make_data()
    assert sorted(ordered(rule, hardness, labels)) == list(range(len(labels)))


@pytest.mark.parametrize("rule", RULES)
def test_a_priority_is_one_finite_value_per_example(rule):
    hardness, labels = make_data()
    given = {"hardness": hardness, "hardnesses": hardness[None], "labels": labels, "recall": RECALL}
    given |= {"generator": np.random.default_rng(0), "lots": np.arange(len(labels))}
    besides = make_besides(len(labels))
    given |= {name: -besides[score] for name, score in BESIDES.items()}
    given["representations"] = make_representations(labels)
    entry = REGISTRY[rule]
    priority = entry.function(**{name: given[name] for name in entry.needs if name in given})
    assert priority.shape == labels.shape
    assert np.isfinite(priority).all()


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
    kept = [set(cut(ranked, 0.5, [Minimum(labels, 1)])) for ranked in (first, second)]
    assert (kept[0] != kept[1]) == (rule in DRAWN)


def test_all_rules_but_the_cut_offs_draw():
    assert set(RULES) - set(DRAWN) == {"easy", "hard", "d2"}


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
    min_per_class=st.integers(0, 2),
)
@settings(max_examples=40, deadline=None)
def test_any_scores_give_an_order(rule, scores, classes, how, min_per_class):
    labels = np.array(classes[: len(scores)])
    ranked = ordered(rule, np.array(scores), labels, normalize=how, min_per_class=min_per_class)
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


def test_a_rule_takes_its_own_knobs_from_all_of_them():
    hardness, labels = make_data()
    parameters = {"epsilon": 0.5, "winsorize": 0.2, "beta": 0.3, "strata": 5, "temperature": 2.0}
    parameters |= {"exponent": 9.0, "neighbors": 2, "gamma": 0.1, "similarity": 0.5}
    for name in RULES:
        assert set(REGISTRY[name].parameters) <= set(parameters)
        default, changed = (
            ordered(name, hardness, labels),
            ordered(name, hardness, labels, **parameters),
        )
        assert (default != changed).any() == bool(REGISTRY[name].parameters)


@pytest.mark.parametrize("rule", RULES)
def test_a_registered_rule_says_what_it_is(rule):
    entry = REGISTRY[rule]
    assert entry.function.__doc__
    assert entry.reference
    assert dataclasses.replace(entry, name="other").function is entry.function
    assert entry.scored == any(name.startswith("hardness") for name in entry.needs)


def test_easy_prunes_the_easiest_and_hard_the_hardest():
    hardness, labels = np.array([0.5, 3.0, -1.0, 2.0]), np.zeros(4, dtype=int)
    assert ordered("easy", hardness, labels).tolist() == [1, 3, 0, 2]
    assert ordered("hard", hardness, labels).tolist() == [2, 0, 3, 1]


# Drawing


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
    parameters = {"epsilon": 0.1, "winsorize": 0.0}
    rates = keep_rates(lambda seed: order(arm, hardness, labels, seed, parameters=parameters), 3, 1)
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


def test_half_as_many_again_as_look_mislabeled_are_pruned_first_the_lowest_margin_at_the_end():
    # The median of those above 0 is 3: one is below -3, so that two are taken to be wrong.
    margins = np.array([2.0, -0.5, 0.1, -4.0, 3.0, 4.0, -1.0, 0.0, 5.0, 6.0])
    hardness, labels = (
        np.random.default_rng(0).permutation(np.arange(10.0)),
        np.zeros(10, dtype=int),
    )
    for arm in (parse_arm("clean"), parse_arm("el2n:ccs_clean")):
        firsts = set()
        for seed in range(20):
            ranked = order(arm, {"el2n": hardness, "aum@early": -margins}, labels, seed)
            assert ranked[7:].tolist() == [1, 6, 3]
            firsts.add(tuple(ranked[:7]))
        assert len(firsts) > 1, arm


@pytest.mark.parametrize("share", (0.05, 0.1, 0.2, 0.3))
def test_wrong_labels_go_first_where_their_margins_mirror_those_of_the_right_ones(share):
    wrong = round(share * 20_000)
    margins = np.abs(np.random.default_rng(0).normal(3, 1, 20_000))
    margins[:wrong] *= -1
    ranked = order(parse_arm("clean"), {"aum@early": -margins}, np.zeros(20_000, dtype=int), 0)
    assert np.isin(np.arange(wrong), ranked[-round(1.4 * wrong) :]).all()
    first = set(ranked[-round(1.6 * wrong) :])  # a few more than go first: drawn from the others
    assert first != set(np.argsort(margins)[: len(first)])


def test_what_is_only_hard_is_not_taken_to_be_mislabeled():
    generator, labels = np.random.default_rng(0), np.zeros(1000, dtype=int)
    margins = np.append(generator.normal(4, 1, 800), generator.normal(-1, 0.5, 200))
    ranked = order(parse_arm("clean"), {"aum@early": -margins}, labels, 0)
    assert 60 < (ranked[:500] >= 800).sum() < 140  # a fifth of what is kept, as of all


def test_a_class_that_was_learned_late_does_not_look_mislabeled():
    generator, labels = np.random.default_rng(0), np.repeat([0, 1], (950, 50))
    margins = generator.normal(4, 0.5, 1000)
    margins[950:] /= 20  # right labels all, of which the model is hardly sure
    wrong = np.append(np.arange(60), [950, 951])
    margins[wrong] *= -1
    for arm in (parse_arm("clean"), parse_arm("aum@early:ccs_clean")):
        ranked = order(arm, {"aum@early": -margins}, labels, 0)
        first = set(ranked[-93:])  # half as many again as are wrong: 62
        assert set(range(60)) < first, arm
        assert len(first - set(range(950))) <= 10, arm
        assert {950, 951} < first, arm


def test_a_class_that_was_not_learned_loses_first_as_large_a_share_as_the_others():
    labels = np.repeat([0, 1], (950, 50))
    margins = np.random.default_rng(0).normal(4, 0.5, 1000)
    margins[:20] *= -1
    margins[950:976] = np.linspace(-6, -5, 26)  # more than half of the class, and below all others
    share = 1.5 * 2 * (margins < -np.median(margins[margins > 0])).mean()
    for seed in range(5):
        ranked = order(parse_arm("clean"), {"aum@early": -margins}, labels, seed)
        first = ranked[-(round(share * 950) + round(share * 50)) :]
        assert set(first[first >= 950]) == set(range(950, 950 + round(share * 50)))
        assert set(range(20)) < set(ranked[-25:])  # what looks worst, the first of these
    assert sorted(
        order(parse_arm("clean"), {"aum@early": np.full(50, 1.0)}, labels[950:], 0)
    ) == list(range(50))


@pytest.mark.parametrize("arm", ("clean", "aum@early:ccs_clean"))
def test_of_a_class_with_mostly_wrong_labels_the_wrong_ones_go_first(arm):
    generator, labels = np.random.default_rng(0), np.repeat([0, 1, 2], (600, 300, 100))
    margins = generator.normal(4, 1, 1000)
    wrong = np.concatenate([np.arange(150), 600 + np.arange(100), 900 + np.arange(60)])
    margins[wrong] *= -1
    ranked = order(parse_arm(arm), {"aum@early": -margins}, labels, 0)
    share = 1.5 * 2 * (margins < -np.median(margins[margins > 0])).mean()
    pruned = np.isin(np.arange(1000), ranked[-round(share * 900) - round(share * 100) :])
    assert pruned[wrong[wrong < 900]].all()
    lowest = np.argsort(margins[900:])[: round(share * 100)]
    assert set(np.flatnonzero(pruned[900:])) == set(lowest) and len(lowest) < 60


def test_clean_draws_the_others_at_random():
    margins, labels = np.append(np.ones(5), -2.0), np.zeros(6, dtype=int)
    rates = keep_rates(
        lambda seed: order(parse_arm("clean"), {"aum@early": -margins}, labels, seed), 6, 2
    )
    np.testing.assert_allclose(rates, [0.4, 0.4, 0.4, 0.4, 0.4, 0], atol=0.04)


def test_clean_coverage_prunes_what_looks_mislabeled_then_covers_every_class_at_the_same_rate():
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], (300, 90, 30))
    margins = generator.normal(4, 1, 420) - labels  # the rarer the class, the harder
    wrong = generator.choice(420, 40, replace=False)
    margins[wrong] *= -1
    given = {"el2n": generator.exponential(size=420), "aum@early": -margins}
    ranked = order(parse_arm("el2n:ccs_clean"), given, labels, 3)
    assert set(wrong) < set(ranked[360:]) and len(wrong) < 60
    last = ranked[360:]  # half as many again as are wrong
    usual = np.array([np.median(own[own > 0]) for own in (margins[labels == c] for c in range(3))])
    assert (np.diff((margins / usual[labels])[last]) < 0).all()
    for kept in (180, 90, 45):
        rates = np.bincount(labels[ranked[:kept]]) / np.bincount(labels[ranked[:360]])
        np.testing.assert_allclose(rates, kept / 360, atol=0.04)


def test_of_the_hardest_share_what_looks_mislabeled_is_a_part():
    labels, margins = np.zeros(400, dtype=int), np.random.default_rng(0).normal(4, 1, 400)
    margins[:10] -= 10  # below minus the median: 20 are taken to be wrong, and 30 go first
    hardest = np.argsort(margins)
    for share, first in ((0.0, 30), (0.05, 30), (0.2, 80)):
        ranked = order(
            parse_arm("aum@all:ccs_clean"),
            {"aum@all": -margins},
            labels,
            5,
            parameters={"beta": share},
        )
        assert ranked[-30:].tolist() == hardest[:30][::-1].tolist(), share
        assert np.isin(hardest[:first], ranked[200 - 15 :]).all(), share  # half of the other 370
        assert not np.isin(hardest[: first + 20], ranked[200 - 15 :]).all(), share


@pytest.mark.parametrize("share", (0.0, 0.1, 0.25, 0.5, 0.99))
def test_the_hardest_go_by_and_by_until_half_is_pruned(share):
    generator, labels = np.random.default_rng(0), np.zeros(1000, dtype=int)
    given = {"el2n": generator.normal(size=1000), "aum@early": -generator.normal(20, 1, 1000)}
    ranked = order(parse_arm("el2n:ccs_clean"), given, labels, 0, parameters={"beta": share})
    hardest = np.argsort(-given["el2n"])[: round(1000 * share)]
    assert sorted(ranked) == list(range(1000))
    for fraction in (0.1, 0.2, 0.35, 0.5, 0.8):
        gone = np.isin(hardest, ranked[round((1 - fraction) * 1000) :])
        assert gone[: gone.sum()].all(), fraction  # the very hardest first
        if share <= 0.25:  # more take every turn from some place on
            due = len(hardest) * min(fraction / 0.5, 1) ** 2
            assert gone.sum() == pytest.approx(due, abs=1), fraction


@pytest.mark.parametrize("written", ["clean", "aum@early:ccs_clean"])
def test_a_model_that_has_not_learned_a_third_of_the_labels_says_nothing_of_them(written):
    margins, labels = np.append(np.full(3, -1.0), np.linspace(0.5, 4, 5)), np.zeros(8, dtype=int)
    arm = parse_arm(written)
    rates = keep_rates(lambda seed: order(arm, {"aum@early": -margins}, labels, seed), 8, 4)
    np.testing.assert_allclose(rates, 0.5, atol=0.04)


def test_by_a_model_that_has_not_learned_a_third_of_the_labels_every_class_is_thinned_alike():
    labels = np.repeat([0, 1, 2], (60, 30, 10))
    margins = np.random.default_rng(0).normal(0, 1, 100)
    arm = parse_arm("aum@early:ccs_clean")
    for seed in range(5):
        ranked = order(arm, {"aum@early": -margins}, labels, seed)
        assert np.bincount(labels[ranked[:50]]).tolist() == [30, 15, 5]


def test_ccs_of_each_class_keeps_class_shares_and_covers_the_strata_of_each():
    hardness = np.concatenate([[0.0] * 40, [1.0] * 20, [5.0] * 20, [9.0] * 10])
    labels = np.repeat([0, 1], [60, 30])  # class 0 has strata of 40 and 20, class 1 of 20 and 10
    ranked = ordered("ccs_class", hardness, labels, min_per_class=0, beta=0.0, strata=2)
    for kept, expected in ((30, [10, 10, 5, 5]), (60, [20, 20, 10, 10]), (75, [30, 20, 15, 10])):
        values, counts = np.unique(hardness[ranked[:kept]], return_counts=True)
        assert (values.tolist(), counts.tolist()) == ([0, 1, 5, 9], expected)


def test_ccs_of_each_class_puts_the_hardest_of_each_class_last():
    hardness, labels = np.arange(40.0), np.repeat([0, 1], [30, 10])
    ranked = ordered("ccs_class", hardness, labels, min_per_class=0, beta=0.1)
    assert set(ranked[36:]) == {27, 28, 29, 39}
    at_once = ordered("ccs", hardness, labels, min_per_class=0, beta=0.1)
    assert set(at_once[36:]) == {36, 37, 38, 39}


def test_the_adaptive_rule_draws_the_first_hundredth_by_the_paper_s_weights():
    confidence = np.array([0.2, 0.5, 0.9, 0.95] + [0.5] * 96)
    score = np.array([0.9, 0.6, 0.5, 0.1] + [0.0] * 96)
    labels, arm = np.zeros(100, dtype=int), Arm(("dual",), "adaptive")
    given = {"dual": score, "confidence": -confidence}
    draw = lambda seed: order(arm, given, labels, seed, parameters={"exponent": 2.0})  # noqa: E731
    anchor = confidence[[0, 1, 2, 3]].sum() / 10 + 0.5 * 6 / 10  # the ten largest scores
    b = 15 * (1 - anchor) * (1 - 0.99**2)
    weights = score[:4] / 0.9 * beta.pdf(confidence[:4], 16 - b, b)
    np.testing.assert_allclose(keep_rates(draw, 100, 1)[:4], weights / weights.sum(), atol=0.04)


def test_the_adaptive_rule_is_as_easy_as_the_paper_s_own_draws_at_every_fraction():
    generator, examples = np.random.default_rng(0), 4000
    confidence = generator.beta(4, 0.8, examples)
    score = generator.random(examples) * np.sqrt(confidence * (1 - confidence)) * (1 - confidence)
    anchor = 1 - confidence[np.argsort(-score)[:10]].mean()
    given = {"dual": score, "confidence": -confidence}
    nested = order(Arm(("dual",), "adaptive"), given, np.zeros(examples, dtype=int), 0)
    easiness = []
    for fraction in (0.3, 0.5, 0.7, 0.9):
        kept = round((1 - fraction) * examples)
        b = 15 * anchor * (1 - fraction**4)
        weights = np.log(score) + beta.logpdf(confidence, 16 - b, b)
        alone = np.argsort(-(weights + generator.gumbel(size=examples)))[:kept]
        easiness.append(confidence[nested[:kept]].mean())
        assert abs(easiness[-1] - confidence[alone].mean()) < 0.03
        assert abs(score[nested[:kept]].mean() / score[alone].mean() - 1) < 0.15
    assert easiness[3] > easiness[2] + 0.05  # and the more is pruned, the easier the rest


def near(unit, labels) -> tuple[np.ndarray, np.ndarray]:
    """Rows and similarities of all classmates, the nearest first, by a loop."""
    rows = np.zeros((len(labels), 4), dtype=int)
    similarities = np.full(rows.shape, -np.inf)
    for row in range(len(labels)):
        mates = [i for i in range(len(labels)) if labels[i] == labels[row] and i != row]
        ranked = sorted(mates, key=lambda i: -(unit[row] @ unit[i]))[:4]
        rows[row], similarities[row] = row, -np.inf
        rows[row, : len(ranked)] = ranked
        similarities[row, : len(ranked)] = [unit[row] @ unit[i] for i in ranked]
    return rows, similarities


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("share", [0.0, 0.2])
def test_d2_is_message_passing_forward_and_then_backward_step_by_step(gamma, share):
    generator = np.random.default_rng(3)
    labels, vectors = np.repeat([0, 1, 2], [14, 8, 1]), generator.normal(size=(23, 5))
    hardness = generator.exponential(size=23)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for label in (0, 1):
        unit[labels == label] -= unit[labels == label].mean(0)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    rows, similarities = near(unit, labels)
    hardest = np.argsort(-hardness)[: round(share * 23)].tolist()
    rest = [i for i in range(23) if i not in hardest]
    low, high = hardness[rest].min(), hardness[rest].max()
    value = {i: (hardness[i] - low) / (high - low) for i in rest}
    feature = dict(value)
    for i in rest:
        for j, similar in zip(rows[i], similarities[i], strict=True):
            if j in value and j != i:
                feature[i] += np.exp(-(2 - 2 * similar)) * value[j]
    expected = []
    while feature:
        best = max(feature, key=lambda i: feature[i])
        reach = feature.pop(best)
        expected.append(best)
        for j, similar in zip(rows[best], similarities[best], strict=True):
            if j in feature and reach > 0:
                feature[j] -= np.exp(-gamma * (2 - 2 * similar)) * reach
    arm, known = Arm(("el2n",), "d2"), Representations(vectors, labels)
    parameters = {"beta": share, "neighbors": 4, "gamma": gamma}
    found = order(arm, {"el2n": hardness}, labels, 0, representations=known, parameters=parameters)
    assert found.tolist() == [*expected, *hardest[::-1]]


def test_d2_breaks_ties_by_lot():
    labels, hardness = np.zeros(60, dtype=int), np.zeros(60)
    known = Representations(np.tile([1.0, 0.0], (60, 1)), labels)
    arm = Arm(("el2n",), "d2")
    orders = [
        order(arm, {"el2n": hardness}, labels, seed, representations=known).tolist()
        for seed in (0, 0, 1)
    ]
    assert orders[0] == orders[1] != orders[2]


def test_d2_keeps_one_of_each_cluster_before_a_second_one():
    generator = np.random.default_rng(0)
    cluster, labels = np.repeat(np.arange(6), 5), np.zeros(30, dtype=int)
    vectors = np.eye(6)[cluster] + 0.01 * generator.normal(size=(30, 6))
    hardness = 1 + 0.01 * generator.random(30)
    known = Representations(vectors, labels)
    parameters = {"beta": 0.0, "neighbors": 4}
    ranked = order(
        Arm(("el2n",), "d2"), {"el2n": hardness}, labels, 0, representations=known,
        parameters=parameters,
    )  # fmt: skip
    assert set(cluster[ranked[:6]]) == set(range(6))


def test_dedup_keeps_one_of_each_group_of_near_duplicates_first_and_draws_the_rest():
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(40, 8))
    vectors[30:] = vectors[20:30] + 1e-4 * generator.normal(size=(10, 8))
    vectors[39] = vectors[29] = vectors[0] + 1e-4 * generator.normal(size=8)  # three alike
    labels = np.zeros(40, dtype=int)
    known, arm = Representations(vectors, labels), Arm((), "dedup")
    first, second = (order(arm, {}, labels, s, representations=known).tolist() for s in (0, 1))
    for ranked in (first, second):
        last = ranked[29:]  # 9 pairs lose one each, the three alike two
        assert {20 + i % 10 for i in last if i not in (0, 29, 39)} == set(range(20, 29))
        assert len({0, 29, 39} & set(last)) == 2
    assert set(first[29:]) == set(second[29:]) and first[:29] != second[:29]


def test_dedup_compares_no_examples_of_different_classes():
    vectors, labels = np.tile([[1.0, 2.0], [2.0, 1.0]], (10, 1)), np.repeat([0, 1], [2, 18])
    alone = Representations(vectors, np.arange(20))
    assert np.isneginf(alone.repeats).all()
    ranked = order(
        Arm((), "dedup"), {}, labels, 0, representations=Representations(vectors, labels)
    )
    assert set(ranked[:4]) >= {0, 1}  # the two of class 0 differ; class 1 has two points


def test_stratified_keeps_the_class_shares_at_every_cut():
    _, labels = make_data(1000)
    ranked = ordered("stratified", np.zeros(1000), labels, min_per_class=0)
    seen = np.cumsum(labels[ranked][:, None] == np.arange(4), axis=0)
    expected = np.arange(1, 1001)[:, None] * np.bincount(labels) / 1000
    assert np.abs(seen - expected).max() < 2  # a random order strays by ten


def test_a_class_of_one_takes_its_place_in_the_middle():
    labels = np.array([0, 0, 0, 1])  # places 1/6, 3/6, 5/6 and 1/2
    orders = [
        ordered("stratified", np.zeros(4), labels, seed, min_per_class=0) for seed in range(50)
    ]
    assert {ranked.tolist().index(3) for ranked in orders} == {1, 2}


def test_stratified_is_random_inside_a_class():
    labels = np.repeat([0, 1], [8, 4])
    rates = keep_rates(lambda seed: ordered("stratified", np.zeros(12), labels, seed), 12, 6, 3000)
    np.testing.assert_allclose(rates, 0.5, atol=0.05)


def drop_counts(sizes, recall, kept, min_per_class=0):
    """Examples of each class among the first `kept` under rule drop."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    arm = Arm((), "drop")
    ranked = order(
        arm, {}, labels, 0, minimums=[Minimum(labels, min_per_class)], recall=np.array(recall)
    )
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
    assert drop_counts([50, 50], [1.0, 0.5], 20, min_per_class=3) == [3, 17]


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


# Quotas, against their definitions


def seats_are_fair(counts, divisors, sizes) -> bool:
    """No class has an example that another should have had: Webster's method, as far as it goes."""
    taken = [(c - 0.5) / d for c, d in zip(counts, divisors, strict=True) if c]
    waiting = [(c + 0.5) / d for c, d, n in zip(counts, divisors, sizes, strict=True) if c < n]
    return not taken or not waiting or max(taken) <= min(waiting) * (1 + 1e-9)


CLASSES = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array)


@given(CLASSES, st.integers(0, 100))
def test_every_cut_of_stratified_apportions_its_budget_as_webster_does(labels, seed):
    ranked, sizes = order(Arm((), "stratified"), {}, labels, seed), np.bincount(labels)
    for kept in range(len(labels) + 1):
        counts = np.bincount(labels[ranked[:kept]], minlength=len(sizes))
        assert counts.sum() == kept and seats_are_fair(counts, sizes, sizes)


@given(CLASSES, st.lists(st.floats(0, 1), min_size=5, max_size=5), st.integers(0, 100))
def test_every_cut_of_drop_apportions_its_budget_by_the_errors_of_a_class(labels, recalls, seed):
    sizes = np.bincount(labels)
    recall = np.array(recalls[: len(sizes)])
    ranked = order(Arm((), "drop"), {}, labels, seed, recall=recall)
    divisors = sizes * np.maximum(1 - recall, 1e-9)
    for kept in range(len(labels) + 1):
        counts = np.bincount(labels[ranked[:kept]], minlength=len(sizes))
        assert counts.sum() == kept and seats_are_fair(counts, divisors, sizes)


@given(
    st.lists(st.integers(-20, 20), min_size=1, max_size=60),
    st.floats(0, 0.99),
    st.integers(1, 10),
    st.integers(0, 100),
)
def test_ccs_takes_turns_among_its_strata_and_then_the_hardest_from_the_easier_end(
    values, beta, strata, seed
):
    hardness, labels = np.array(values, dtype=float), np.zeros(len(values), dtype=int)
    ranked = ordered("ccs", hardness, labels, seed, min_per_class=0, beta=beta, strata=strata)
    hardest = min(round(beta * len(values)), len(values) - 1)
    rest, last = ranked[: len(values) - hardest], ranked[len(values) - hardest :]
    assert hardness[last].tolist() == sorted(values)[len(values) - hardest :]
    unit = hardness[rest] - hardness[rest].min()
    unit /= max(unit.max(), 1)
    stratum = np.minimum((unit * strata).astype(int), strata - 1)
    sizes = np.bincount(stratum, minlength=strata)
    for kept in range(len(rest) + 1):
        counts = np.bincount(stratum[:kept], minlength=strata)
        waiting = counts[counts < sizes]
        assert not len(waiting) or counts.max() <= waiting.min() + 1


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30),
    st.floats(1e-9, 1),
    st.floats(0, 0.49),
)
def test_linear_weights_rise_with_the_score_from_epsilon_to_one(values, epsilon, winsorize):
    weights = linear_map(np.array(values), epsilon, winsorize)
    assert (weights >= epsilon * (1 - 1e-9)).all() and (weights <= 1 + 1e-9).all()
    assert (np.diff(weights[np.argsort(values, kind="stable")]) >= -1e-12).all()
