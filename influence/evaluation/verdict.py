"""The verdict of a comparison in one sentence, with warnings where it shows less than it seems to.

With many comparisons, some look significant by chance. So an arm counts as clearly better or worse
only if the interval at 1 - 5 % / comparisons excludes 0 (Bonferroni), wider than in the tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from influence.evaluation.by_class import by_class, warnings
from influence.evaluation.intervals import (
    differences,
    in_points,
    interval,
    level_of,
    shown,
    summarise,
)
from influence.sampling.arms import AT_EQUAL_STEPS

VAGUE = 0.05  # half-width beyond which an interval is inconclusive


@dataclass(frozen=True, eq=False)
class Verdict:
    """Arms against random pruning: every retraining, and what follows from them.

    summary and differences: as `evaluation.summarise` and `evaluation.differences` give them;
    classes: as `by_class`; said: the verdict, then the warnings; notes: further remarks.
    """

    points: pd.DataFrame
    summary: pd.DataFrame
    differences: pd.DataFrame
    classes: pd.DataFrame
    said: list[str]
    notes: list[str]


def compare(
    points: pd.DataFrame,
    shares: Mapping[str, pd.DataFrame],
    guessing: float,
    metric: str = "test/accuracy",
) -> Verdict:
    """Compare the arms of `points`, one row per retraining; `shares`: see `by_class`.

    `guessing`: the accuracy of always guessing the most frequent class of test.
    """
    classes = by_class(points, shares)
    said = [verdict(points, metric), *untrained(points, guessing, metric), *warnings(classes)]
    summary, beside = summarise(points, metric), differences(points, metric)
    return Verdict(points, summary, beside, classes, said, equal_steps(points, metric))


def verdict(points: pd.DataFrame, metric: str = "test/accuracy") -> str:
    """Say in one sentence how arms did against random, and random against the full train set.

    `points`: arm, percent_pruned, seed and metrics, one row per retraining, 0 % included. Random
    pruning trained for more steps is not an arm, see `equal_steps`.
    """
    points = points[points["arm"] != AT_EQUAL_STEPS]
    seeds = int(points["seed"].nunique())
    if seeds < 2:
        return "One seed cannot tell a difference from chance; run again with seeds=3 or more."
    random = _of_random(_to_full(points, metric), seeds)
    return "; ".join(filter(None, [_of_arms(points, metric, seeds), random])) + "."


def _of_arms(points: pd.DataFrame, metric: str, seeds: int) -> str:
    """Say how the arms did against random pruning."""
    count = len(differences(points, metric))
    beside = differences(points, metric, level=level_of(count))
    tried = f"{count} comparison{'s' * (count != 1)}"
    if not count:
        return "Only random pruning was tried"
    better = beside[beside["low"] > 0]
    if len(better):
        best = better.sort_values("difference").iloc[-1]
        return (
            f"{best['arm']} is clearly better than random pruning at {best['percent_pruned']:g} % "
            f"pruned, by {_points(best)} points"
            + (f" ({len(better)} of {tried} are clearly better)" if len(better) > 1 else "")
        )
    worse = _from(beside[beside["high"] < 0])
    said = f"No arm is clearly better than random pruning ({tried}, {seeds} seeds)"
    return f"{said}; clearly worse: {worse}" if worse else said


def _of_random(random: pd.DataFrame, seeds: int) -> str:
    """Say how random pruning did against the full train set; `random`: see `_to_full`."""
    if not len(random):
        return ""
    lost = (random["high"] < 0).tolist()
    if lost[0]:
        return f"random pruning already loses accuracy at {_at(random.iloc[0])}"
    first = lost.index(True) if any(lost) else len(lost)
    held = random.iloc[first - 1]
    vague = held["high"] - held["low"] > 2 * VAGUE
    if vague and any(lost):
        return f"random pruning loses accuracy at {_at(random.iloc[first])}"
    if vague:
        return f"{seeds} seeds are too few to measure what random pruning loses at {_at(held)}"
    return f"random pruning shows no clear loss up to {_at(held)}"


def equal_steps(points: pd.DataFrame, metric: str = "test/accuracy") -> list[str]:
    """Say what random pruning gains if trained for as many steps as the full train set.

    At equal epochs a subset is trained for fewer steps, which may be part of what an arm loses.
    Nothing is said where this was not tried, or under one seed.
    """
    both = points[points["arm"].isin(("random", AT_EQUAL_STEPS))]
    gained = differences(both, metric)
    gained = differences(both, metric, level=level_of(len(gained))).dropna()
    if not len(gained):
        return []
    clear = gained[(gained["low"] > 0) | (gained["high"] < 0)]
    if not len(clear):
        most = gained.iloc[-1]
        return [
            "Trained for as many steps as the full train set, random pruning is neither better "
            f"nor worse than at equal epochs ({_points(most)} points at "
            f"{most['percent_pruned']:g} % pruned)."
        ]
    most = clear.sort_values("difference").iloc[-1 if clear["difference"].max() > 0 else 0]
    better, meaning = "worse", "fewer training steps do not explain its loss"
    if most["difference"] > 0:
        better, meaning = "better", "this part of the gap comes from fewer training steps"
    return [
        "Trained for as many steps as the full train set, random pruning is "
        f"{_points(most)} points {better} at {most['percent_pruned']:g} % pruned: {meaning}."
    ]


def untrained(points: pd.DataFrame, guessing: float, metric: str = "test/accuracy") -> list[str]:
    """Warn where the model has not clearly learned anything, even from the full train set."""
    full = points[(points["arm"] == "random") & (points["percent_pruned"] == 0)][metric]
    mean, low, high = interval(full.tolist())
    if not low <= guessing:
        return []
    return [
        f"Trained on the full train set, the model is not clearly better "
        f"({shown(mean, low, high)} %) than always guessing the most frequent class "
        f"({100 * guessing:.1f} %), so its curves say nothing about pruning; train it on more "
        "examples, for more epochs or with another learning rate"
    ]


def _to_full(points: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return random minus the full train set, paired by seed, by ascending percent, at 95 %.

    Here a wider interval would claim more: that nothing was lost.
    """
    own = points[points["arm"] == "random"]
    full = own[own["percent_pruned"] == 0].set_index("seed")[metric]
    rows = []
    for percent, some in own[own["percent_pruned"] > 0].groupby("percent_pruned"):
        paired = (some.set_index("seed")[metric] - full).dropna()
        if len(paired):
            rows.append((percent, *interval(paired.tolist())))
    return pd.DataFrame(rows, columns=["percent_pruned", "difference", "low", "high"])


def _from(rows: pd.DataFrame) -> str:
    """List arms with the smallest percent at which each is in `rows`."""
    firsts = rows.groupby("arm")["percent_pruned"].min().sort_values(kind="stable")
    return ", ".join(f"{arm} from {percent:g} %" for arm, percent in firsts.items())


def _at(row: pd.Series) -> str:
    return f"{row['percent_pruned']:g} % ({_points(row)} points against the full train set)"


def _points(row: pd.Series) -> str:
    return in_points(row["difference"], row["low"], row["high"])
