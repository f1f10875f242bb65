"""Intervals that share their variance: Student's for one, valid for many, and far narrower."""

import numpy as np
import pytest
from scipy import stats

from benchmarks.intervals import KEPT, drawn
from influence.evaluation.shared_variance import error_of_test, holm, share


def shared(values: np.ndarray):
    """Return what the differences (comparisons, seeds) say of their variances."""
    count, seeds = values.shape
    kept = KEPT[np.arange(count) % len(KEPT)]
    degrees = np.full(count, seeds - 1.0)
    return share(values.var(1, ddof=1), degrees, values.mean(1), kept)


def p_values(values: np.ndarray, truth: float | np.ndarray = 0.0) -> np.ndarray:
    count, seeds = values.shape
    found = shared(values)
    assert found is not None
    return found.p_values(values.mean(1) - truth, np.full(count, seeds))


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_for_one_comparison_it_is_students(seeds):
    values = np.random.default_rng(seeds).normal(0.2, 1, (1, seeds))
    found, count = shared(values), np.array([seeds])
    assert found is not None
    expected = stats.ttest_1samp(values[0], 0)
    assert p_values(values) == pytest.approx([expected.pvalue], rel=0.03)
    ends = expected.confidence_interval(0.95)
    assert found.half_widths(count) == pytest.approx([(ends.high - ends.low) / 2], rel=0.03)


def test_a_half_width_is_where_the_p_value_is_the_level():
    values = np.random.default_rng(0).normal(0, 1, (6, 4))
    found, seeds, other = shared(values), np.full(6, 4), np.full(6, 0.01)
    assert found is not None
    half = found.half_widths(seeds, other, 0.9)
    assert found.p_values(half, seeds, other) == pytest.approx(np.full(6, 0.1))


def test_the_unit_does_not_matter():
    values = np.random.default_rng(1).normal(0.3, 1, (6, 3))
    assert p_values(values * 1e-3) == pytest.approx(p_values(values))


def test_known_variance_makes_a_normal_interval():
    # Where the test examples are all that varies, nothing is left to be estimated.
    values = np.random.default_rng(2).normal(0, 1e-6, (5, 3))
    found, seeds = shared(values), np.full(5, 3)
    assert found is not None
    assert found.half_widths(seeds, 1.0) == pytest.approx(np.full(5, 1.96), rel=1e-3)


def test_where_nothing_varies_nothing_is_known():
    assert shared(np.ones((3, 4))) is None


REPEATS = 150
CASES = [("equal", 3), ("unequal", 3), ("trend", 3), ("collapse", 3), ("equal", 10), ("unequal", 5)]
CASES += [("equal", 2), ("collapse", 2)]  # as few as an interval takes


@pytest.mark.parametrize(("kind", "seeds"), CASES)
def test_intervals_cover_and_false_claims_are_rare(kind, seeds):
    generator, covered, claimed = np.random.default_rng(7), [], 0
    for _ in range(REPEATS):
        values, truth = drawn(kind, seeds, generator)
        found = p_values(values, truth)
        covered.append((found > 0.05).mean())
        claimed += bool((holm(found) < 0.05).any())
    # Three standard errors: of what was seen, and of a share of 5 %.
    assert np.mean(covered) > 0.95 - 3 * np.std(covered) / np.sqrt(REPEATS)
    assert claimed / REPEATS < 0.05 + 3 * np.sqrt(0.05 * 0.95 / REPEATS)


def test_what_is_shared_shows_five_times_as_much_as_students_t():
    generator, own, students = np.random.default_rng(3), 0, 0
    for _ in range(100):
        values, _ = drawn("equal", 3, generator)
        values[0] += 1  # two standard deviations
        own += holm(p_values(values))[0] < 0.05
        students += holm(stats.ttest_1samp(values, 0, axis=1).pvalue)[0] < 0.05
    assert own > 30 and own >= 5 * students


def test_holm_is_that_of_a_loop():
    values = np.random.default_rng(4).uniform(0, 0.2, 9)
    expected, least = np.empty(9), 0.0
    for place, number in enumerate(np.argsort(values)):
        least = expected[number] = min(1, max(least, (9 - place) * values[number]))
    assert holm(values) == pytest.approx(expected)
    assert holm(np.array([])).tolist() == []


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_error_of_the_test_split_is_what_other_examples_would_give(seeds):
    # Examples whose models differ under every seed, others where only chance in training differs.
    generator, examples = np.random.default_rng(5), 400
    found, means = [], []
    for _ in range(400):
        gain, usual = (
            0.1 * generator.standard_normal(examples),
            generator.uniform(0.6, 0.9, examples),
        )
        one, other = (
            generator.random((seeds, examples)) < np.clip(p, 0, 1) for p in (usual + gain, usual)
        )
        found.append(error_of_test(one, other))
        means.append(np.mean(gain))
    expected = np.var(means) + (2 * 0.19 / examples if seeds == 1 else 0)
    # Under one seed chance in training cannot be told apart, and stays in.
    assert np.mean(found) == pytest.approx(expected + 1 / examples**2, rel=0.35)


def test_two_models_that_agree_everywhere_are_not_known_to_be_equal():
    right = np.ones((3, 50), dtype=bool)
    assert error_of_test(right, right) == pytest.approx(1 / 50**2)
