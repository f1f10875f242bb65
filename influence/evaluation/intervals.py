"""Tables of retrainings: means, paired differences and their intervals."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

LEVEL = 0.95  # of every interval


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
    """Return a mean and the half-width of its interval in percent; one seed has no interval."""
    half = 50 * (high - low)
    spread = "" if math.isnan(half) else f" ± {half:.1f}"
    return f"{100 * mean:{sign}.1f}{spread}"


def in_points(mean: float, low: float, high: float) -> str:
    """Return a difference as `shown` does, with its sign and a minus that is as wide as a plus."""
    return shown(mean, low, high, "+").replace("-", "−")


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
