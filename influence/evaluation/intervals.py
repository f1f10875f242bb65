"""Tables of retrainings: means, paired differences and their intervals."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from influence.evaluation.shared_variance import Shared, error_of_test, holm, share
from influence.sampling.arms import AT_EQUAL_STEPS
from influence.sampling.order import fraction_of
from influence.shapes import Bool

LEVEL = 0.95  # of every interval
ROUNDING = 1e-9  # standard deviation of equal differences
SHOWN = 0.8  # the power at which a difference counts as one that would have been shown
COLUMNS = ["arm", "percent_pruned", "difference", "low", "high", "seeds", "p", "clear"]
Correct = Bool[np.ndarray, "points examples"]


def interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float, float]:
    """Return mean, low and high end of Student's interval; the ends are nan for one value."""
    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    if len(array) < 2:
        return mean, float("nan"), float("nan")
    quantile = float(stdtrit(len(array) - 1, (1 + level) / 2))  # of Student's t
    half = quantile * float(array.std(ddof=1)) / math.sqrt(len(array))
    return mean, mean - half, mean + half


def level_of(comparisons: int) -> float:
    """Return the level of each interval at which all of them together hold at 95 % (Bonferroni)."""
    return 1 - (1 - LEVEL) / max(comparisons, 1)


def shown(mean: float, low: float, high: float, sign: str = "") -> str:
    """Return a mean and the half-width of its interval in percent; one seed has no interval.

    A minus is as wide as a plus.
    """
    half = 50 * (high - low)
    spread = "" if math.isnan(half) else f" ± {half:.1f}"
    return f"{100 * mean:{sign}.1f}{spread}".replace("-", "−")


def in_points(mean: float, low: float, high: float) -> str:
    """Return a difference as `shown` does, with its sign."""
    return shown(mean, low, high, "+")


def summarise(points: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return arm, percent_pruned, mean, low, high, seeds: each arm's curve with 95 % intervals."""
    rows = []
    for (arm, percent), group in _by_point(points):
        mean, low, high = interval(group[metric].tolist())
        rows.append((arm, percent, mean, low, high, len(group)))
    return pd.DataFrame(rows, columns=["arm", "percent_pruned", "mean", "low", "high", "seeds"])


@dataclass(frozen=True, eq=False)
class Retrainings:
    """All retrainings of a comparison, and what is looked at.

    points: arm, percent_pruned, seed and metrics, one row per retraining; correct: which test
    examples the model of each row gets right, where `metric` is their accuracy: with it, intervals
    hold for other test examples as well as for other seeds; looks: how often the comparison may be
    looked at before it ends, each of which could make a false claim; examples: of the metrics that
    are an accuracy on some of the test examples, which ones.
    """

    points: pd.DataFrame
    metric: str = "test/accuracy"
    correct: Correct | None = None
    looks: int = 1
    examples: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def joined(
        cls,
        by_arm: Mapping[str, tuple[pd.DataFrame, Correct]],
        looks: int = 1,
        examples: Mapping[str, np.ndarray] | None = None,
    ) -> "Retrainings":
        """Return the points of several curves under the names of their arms, and who is right."""
        points = pd.concat([own.assign(arm=arm) for arm, (own, _) in by_arm.items()])
        correct = np.concatenate([correct for _, correct in by_arm.values()])
        return cls(points, correct=correct, looks=looks, examples=examples or {})

    @cached_property
    def to_random(self) -> "Paired":
        """Each arm minus random at the same percent pruned."""
        return _paired(self, "random")

    @cached_property
    def to_full(self) -> "Paired":
        """Every arm, random too, minus the full train set."""
        return _paired(self, "")

    @cached_property
    def arms(self) -> "Retrainings":
        """Those of the arms, trained as `budget` says."""
        return self.only((self.points["arm"] != AT_EQUAL_STEPS).to_numpy())

    @cached_property
    def steps(self) -> "Retrainings":
        """Those of random pruning, and of the same for as many steps as the full train set."""
        return self.only(self.points["arm"].isin(("random", AT_EQUAL_STEPS)).to_numpy())

    def error_of_test(self, one: Sequence[int], other: Sequence[int], metric: str = "") -> float:
        """Return the variance of a mean difference that comes from the test examples drawn.

        `one`, `other`: rows of two kinds of retrainings, paired by seed; `metric`: one of
        `examples`, or that which is looked at. 0 where it is not known who is right.
        """
        if self.correct is None or not (metric == "" or metric in self.examples):
            return 0.0
        some = self.examples[metric] if metric else slice(None)
        return error_of_test(*(self.correct[list(rows)][:, some] for rows in (one, other)))

    def only(self, rows: np.ndarray) -> "Retrainings":
        """Return those of the rows that are True."""
        correct = None if self.correct is None else self.correct[rows]
        return replace(self, points=self.points[rows], correct=correct)


@dataclass(frozen=True, eq=False)
class Paired:
    """Arms minus a baseline, paired by seed, and what their variances say together.

    arms, percents: of each comparison; differences: by seed; of_test: the variance of each mean
    that comes from the test examples drawn; shared: None where no variance was seen; looks: see
    `Retrainings`.
    """

    arms: list[str]
    percents: list[float]
    differences: list[np.ndarray]
    of_test: np.ndarray
    shared: Shared | None
    looks: int = 1

    @property
    def means(self) -> np.ndarray:
        """The mean difference of each comparison."""
        return np.array([own.mean() for own in self.differences])

    @property
    def seeds(self) -> np.ndarray:
        """The number of seeds of each comparison."""
        return np.array([len(own) for own in self.differences])

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per comparison.

        Columns: arm, percent_pruned, difference, low, high (95 %), seeds, p (two-sided, Holm's for
        all rows together) and clear (p below 5 %). Seeds that one of the two lacks are left out,
        and so is the fraction 0, where all arms are the full train set. With one seed, or if no
        seed differs from another, there is no interval.
        """
        low = high = np.full(len(self.arms), np.nan)
        p_values = np.ones(len(self.arms))
        if self.shared is not None:
            half = self.shared.half_widths(self.seeds, self.of_test, LEVEL)
            low, high = self.means - half, self.means + half
            p_values = holm(self.shared.p_values(self.means, self.seeds, self.of_test))
            p_values = np.minimum(self.looks * p_values, 1)
        clear = p_values < 1 - LEVEL
        columns = (self.arms, self.percents, self.means, low, high, self.seeds, p_values, clear)
        return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))

    @cached_property
    def by_width(self) -> list[int]:
        """The comparisons from the narrowest interval to the widest; none without intervals."""
        if self.shared is None:
            return []
        widths = self.shared.half_widths(self.seeds, self.of_test)
        return np.argsort(widths, kind="stable").tolist()

    def detectable(self, seeds: int, comparison: int) -> float:
        """Return the difference that `seeds` show in 8 of 10 repetitions of a comparison.

        It counts as the largest of all, so that Holm's method asks it for 5 % / comparisons.
        """
        assert self.shared is not None
        more = np.array([seeds - self.seeds[comparison]])
        at = self.shared.only(comparison).with_seeds(more)
        of_test = self.of_test[[comparison]]
        levels = (level_of(self.looks * len(self.arms)), 2 * SHOWN - 1)
        return sum(float(at.half_widths(np.array([seeds]), of_test, own)[0]) for own in levels)


def _paired(measured: Retrainings, baseline: str) -> Paired:
    """Return each arm minus `baseline` at the same percent pruned; "": minus the full train set."""
    points = measured.points
    values = points[measured.metric].to_numpy(dtype=np.float64)
    compared = list(_pairs(points.reset_index(drop=True), baseline))
    differences = [values[one] - values[other] for _, _, one, other in compared]
    of_test = np.array([measured.error_of_test(one, other) for *_, one, other in compared])
    arms, percents = [arm for arm, *_ in compared], [percent for _, percent, *_ in compared]
    shared = shared_over(differences, [1 - fraction_of(percent) for percent in percents])
    return Paired(arms, percents, differences, of_test, shared, measured.looks)


def _pairs(
    points: pd.DataFrame, baseline: str
) -> Iterator[tuple[str, float, np.ndarray, np.ndarray]]:
    """Yield arm, percent pruned, and the rows of the arm and of its baseline, by seed."""
    rows = {key: own.index for key, own in points.groupby(["arm", "percent_pruned"])}
    for (arm, percent), own in rows.items():
        beside = (baseline, percent) if baseline else ("random", 0)
        if percent == 0 or arm == baseline or beside not in rows:
            continue
        one, other = by_seed(points["seed"], own, rows[beside])
        if len(one):
            yield arm, percent, one, other


def by_seed(seeds: pd.Series, one: pd.Index, other: pd.Index) -> np.ndarray:
    """Return the rows of two kinds of retrainings (2, seeds), by the seeds that both have."""
    ends = [pd.Series(own, seeds[own]) for own in (one, other)]
    return pd.concat(ends, axis=1, join="inner").to_numpy().T


def shared_over(differences: Sequence[np.ndarray], kept: Sequence[float]) -> Shared | None:
    """Return what the variances over seeds say together; None under one seed.

    `differences`: of each comparison by seed; `kept`: how much each of them left, in any unit.
    """
    if not differences or min(len(own) for own in differences) < 2:
        return None
    variances, degrees, means = (
        np.array([measure(own) for own in differences])
        for measure in (lambda own: own.var(ddof=1), lambda own: len(own) - 1.0, np.mean)
    )
    variances[np.sqrt(variances) < ROUNDING] = 0
    return share(variances, degrees, means, np.asarray(kept, dtype=np.float64))


def _by_point(points: pd.DataFrame) -> Any:
    return points.groupby(["arm", "percent_pruned"], sort=True)
