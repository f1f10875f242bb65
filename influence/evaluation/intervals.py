"""What a model is worth, and what a pruned train set costs: metrics, retraining, intervals."""

import math
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from influence.evaluation.result import Point

LEVEL = 0.95  # of every interval


def table(points: Collection[Point], arm: str) -> pd.DataFrame:
    """Return one row per point: arm, percent_pruned, seed, kept, steps, seconds, metrics."""
    rows = [
        {
            "arm": arm,
            "percent_pruned": p.percent_pruned,
            "seed": p.seed,
            "kept": p.kept,
            "steps": p.steps,
            "seconds": p.seconds,
            **p.metrics,
        }
        for p in points
    ]
    return pd.DataFrame(rows).sort_values(["percent_pruned", "seed"], ignore_index=True)


def interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float, float]:
    """Return mean, low and high end of Student's interval; the ends are nan for one value."""
    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    if len(array) < 2:
        return mean, float("nan"), float("nan")
    half = students_t(level, len(array) - 1) * float(array.std(ddof=1)) / math.sqrt(len(array))
    return mean, mean - half, mean + half


@cache
def students_t(level: float, degrees: int) -> float:
    """Return the t that Student's t stays within, on both sides, with the probability `level`.

    Our own, because evaluation runs where scipy is not installed. With an angle whose tangent is
    t / sqrt(degrees), the probability is a finite sum of powers of its cosine: Abramowitz and
    Stegun 1964, 26.7.3 and 26.7.4.
    """

    def inside(angle: float) -> float:
        odd, cosine = degrees % 2, math.cos(angle)
        term = total = cosine**odd
        for k in range(2 + odd, degrees, 2):
            term *= cosine**2 * (k - 1) / k
            total += term
        if not odd:
            return math.sin(angle) * total
        return 2 / math.pi * (angle + (math.sin(angle) * total if degrees > 1 else 0))

    low, high = 0.0, math.pi / 2
    for _ in range(64):  # of halving, after which no digit changes
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) < level else (low, middle)
    return math.sqrt(degrees) * math.tan(low)


def summarise(points: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return arm, percent_pruned, mean, low, high, seeds: each arm's curve with 95 % intervals."""
    rows = []
    for (arm, percent), group in _by_point(points):
        mean, low, high = interval(group[metric].tolist())
        rows.append((arm, percent, mean, low, high, len(group)))
    return pd.DataFrame(rows, columns=["arm", "percent_pruned", "mean", "low", "high", "seeds"])


def differences(
    points: pd.DataFrame, metric: str, baseline: str = "random", level: float = LEVEL
) -> pd.DataFrame:
    """Return each arm minus `baseline`, paired by seed.

    Columns: arm, percent_pruned, difference, low, high (at `level`), seeds. Seeds that one of
    the two lacks are left out, and so is the fraction 0, where all arms are the full train set.
    """
    keys = ["percent_pruned", "seed"]
    base = points[points["arm"] == baseline].set_index(keys)[metric]
    rows = []
    for (arm, percent), group in _by_point(points):
        paired = (group.set_index(keys)[metric] - base).dropna()
        if arm != baseline and percent > 0 and len(paired):
            rows.append((arm, percent, *interval(paired.tolist(), level), len(paired)))
    columns = ["arm", "percent_pruned", "difference", "low", "high", "seeds"]
    return pd.DataFrame(rows, columns=columns)


def _by_point(points: pd.DataFrame) -> Any:
    return points.groupby(["arm", "percent_pruned"], sort=True)
