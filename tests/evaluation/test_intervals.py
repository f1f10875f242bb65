"""Means, paired differences and their intervals, beside a loop, scipy and simulations."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from influence.evaluation import intervals
from influence.evaluation.result import Point, table
from influence.evaluation.shared_variance import holm


def test_the_interval_is_students():
    # mean 2, standard deviation 1, n 3: half width 4.3027 / sqrt(3)
    assert intervals.interval([1, 2, 3]) == pytest.approx((2, 2 - 2.4841, 2 + 2.4841), abs=1e-3)


def test_one_value_has_no_interval():
    mean, low, high = intervals.interval([0.5])
    assert mean == 0.5 and np.isnan(low) and np.isnan(high)


def curve(arm: str, values: dict[tuple[float, int], float]) -> pd.DataFrame:
    points = [
        Point(percent, seed, 10, 5, 1.0, {"test/accuracy": value})
        for (percent, seed), value in values.items()
    ]
    return table(points, arm)


def test_differences_pair_by_seed_and_leave_out_the_full_train_set():
    random = curve("random", {(0, 1): 0.9, (0, 2): 0.9, (30, 1): 0.5, (30, 2): 0.7, (30, 3): 0.1})
    arm = curve("el2n:easy", {(0, 1): 0.9, (0, 2): 0.9, (30, 1): 0.6, (30, 2): 0.8})
    found = intervals.Retrainings(pd.concat([random, arm])).to_random.table
    assert found[["arm", "percent_pruned", "seeds"]].values.tolist() == [["el2n:easy", 30, 2]]
    # The seeds differ by 0.2, the arms by 0.1 under each: pairing removes the former.
    assert found.loc[0, "difference"] == pytest.approx(0.1)
    # No seed says anything else: how far others would is unknown, and nothing is clear.
    assert np.isnan(found.loc[0, "low"]) and not found.loc[0, "clear"]


def test_the_summary_has_one_row_per_arm_and_percent():
    points = pd.concat([curve(arm, {(0, 1): 1, (50, 1): 0.5, (50, 2): 0.7}) for arm in ("a", "b")])
    found = intervals.summarise(points, "test/accuracy")
    assert found[["arm", "percent_pruned", "seeds"]].values.tolist() == [
        ["a", 0, 1],
        ["a", 50, 2],
        ["b", 0, 1],
        ["b", 50, 2],
    ]
    assert found["mean"].tolist() == pytest.approx([1, 0.6, 1, 0.6])


# Against others


SHARES = st.floats(0, 1)


@given(st.lists(SHARES, min_size=2, max_size=8), st.floats(0.5, 0.999))
def test_the_interval_is_scipys(values, level):
    mean, low, high = intervals.interval(values, level)
    assume(np.std(values) > 1e-9)
    expected = stats.ttest_1samp(values, 0).confidence_interval(level)
    assert (mean, low, high) == pytest.approx((np.mean(values), *expected))


POINTS = st.dictionaries(
    st.tuples(
        st.sampled_from(["random", "a", "b"]), st.sampled_from([0.0, 30.0, 50.0]), st.integers(0, 3)
    ),
    SHARES,
    min_size=1,
)


@given(POINTS)
def test_summaries_and_differences_are_those_of_a_loop(values):
    rows = [(*key, value) for key, value in values.items()]
    points = pd.DataFrame(rows, columns=["arm", "percent_pruned", "seed", "x"])
    summary = intervals.summarise(points, "x").set_index(["arm", "percent_pruned"])
    beside = intervals.Retrainings(points, "x").to_random.table.set_index(["arm", "percent_pruned"])
    assert sorted(summary.index) == sorted({key[:2] for key in values})
    expected = set()
    for arm, percent in summary.index:
        own = {seed: v for (a, p, seed), v in values.items() if (a, p) == (arm, percent)}
        base = {seed: v for (a, p, seed), v in values.items() if (a, p) == ("random", percent)}
        assert summary.loc[(arm, percent), "mean"] == pytest.approx(np.mean(list(own.values())))
        assert summary.loc[(arm, percent), "seeds"] == len(own)
        changes = [own[seed] - base[seed] for seed in sorted(own.keys() & base.keys())]
        if arm != "random" and percent and changes:
            expected.add((arm, percent))
            found = beside.loc[(arm, percent)]
            assert found["difference"] == pytest.approx(np.mean(changes))
            assert np.isnan(found["low"]) or found["low"] < found["difference"] < found["high"]
            assert found["clear"] == (found["p"] < 0.05)
            assert found["seeds"] == len(changes)
    assert set(beside.index) == expected


# Simulated retrainings, in which no arm gains or loses anything

REPEATS, EXAMPLES = 100, 250


def simulated(seeds: int, generator: np.random.Generator) -> intervals.Retrainings:
    """Two arms at two fractions that are right on others of the test examples drawn than random.

    Over all that could be drawn they are as good as random.
    """
    usual = generator.uniform(0.5, 1, EXAMPLES)
    rows, correct = [], []
    for arm, percent in [("random", 0), *((a, p) for a in ("random", "a", "b") for p in (30, 60))]:
        own = 0.3 * generator.standard_normal(EXAMPLES) * (percent > 0)
        for seed in range(seeds):
            luck = 0.02 * generator.standard_normal()
            correct.append(generator.random(EXAMPLES) < usual + own + luck)
            rows.append((arm, percent, seed, correct[-1].mean()))
    points = pd.DataFrame(rows, columns=["arm", "percent_pruned", "seed", "test/accuracy"])
    return intervals.Retrainings(points, correct=np.array(correct))


def chances(drawn: intervals.Retrainings) -> np.ndarray:
    """Return the p-value of every difference to random, none of which is true."""
    found = drawn.to_random
    assert found.shared is not None
    return found.shared.p_values(found.means, found.seeds, found.of_test)


def rare(claimed: float) -> bool:
    """Tell whether a share of repetitions is 5 % or less, within three standard errors."""
    return claimed < 0.05 + 3 * np.sqrt(0.05 * 0.95 / REPEATS)


@pytest.mark.parametrize("seeds", [2, 5])
def test_intervals_hold_for_other_test_examples_as_well_as_for_other_seeds(seeds):
    generator = np.random.default_rng(seeds)
    drawn = [simulated(seeds, generator) for _ in range(REPEATS)]
    found = [chances(one) for one in drawn]
    # Comparisons of one repetition share random's examples: as if there were one in each.
    assert rare(np.mean([own < 0.05 for own in found]))
    assert rare(np.mean([(holm(own) < 0.05).any() for own in found]))
    if seeds == 5:  # without who is right, the examples' part is missing
        assert not rare(np.mean([chances(replace(one, correct=None)) < 0.05 for one in drawn]))


def test_who_looks_after_three_and_after_six_seeds_makes_no_more_false_claims():
    generator, claimed = np.random.default_rng(0), []
    for _ in range(REPEATS):
        drawn = simulated(6, generator)
        first = drawn.only((drawn.points["seed"] < 3).to_numpy())
        claimed.append([2 * holm(chances(one)).min() < 0.05 for one in (first, drawn)])
    assert rare(np.any(claimed, axis=1).mean()) and np.any(claimed)
