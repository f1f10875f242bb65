"""The verdict of a comparison in one sentence, with warnings where it shows less than it seems to.

With many comparisons, some look significant by chance. So an arm counts as clearly better or worse
only if it is so by Holm's method for all comparisons; intervals are those of one comparison.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from influence.evaluation import convergence
from influence.evaluation.by_class import by_class, warnings
from influence.evaluation.intervals import (
    Correct,
    differences,
    in_points,
    interval,
    losses,
    paired,
    shown,
    summarise,
)
from influence.sampling.arms import AT_EQUAL_STEPS

MANY_SEEDS = 30  # beyond which nobody retrains
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
    correct: Correct | None = None,
    history: pd.DataFrame | None = None,
) -> Verdict:
    """Compare the arms of `points`, one row per retraining; `shares`: see `by_class`.

    `guessing`: the accuracy of always guessing the most frequent class of test; `correct`: see
    `intervals.paired`; `history`: how the scored model learned, see `convergence.reasons`. The
    verdict on models that had not converged is called provisional.
    """
    classes = by_class(points, shares)
    told = verdict(points, metric, correct)
    history = pd.DataFrame() if history is None else history
    moving = convergence.reasons(history, points, metric)
    if moving:
        told = f"Provisional, the model had not converged: {told[0].lower()}{told[1:]}"
    hindered = [f"Not converged: {reason}" for reason in moving]
    said = [told, *hindered, *untrained(points, guessing, metric), *warnings(classes)]
    notes = [*power(points, metric, correct), *equal_steps(points, metric, correct)]
    if AT_EQUAL_STEPS not in set(points["arm"]):
        notes += convergence.short_of_steps(history, points["percent_pruned"].unique().tolist())
    beside = pd.concat([_of_epochs(points, metric, correct), _of_steps(points, metric, correct)])
    return Verdict(points, summarise(points, metric), beside, classes, said, notes)


def verdict(
    points: pd.DataFrame, metric: str = "test/accuracy", correct: Correct | None = None
) -> str:
    """Say in one sentence how arms did against random, and random against the full train set.

    `points`: arm, percent_pruned, seed and metrics, one row per retraining, 0 % included. Random
    pruning trained for more steps is not an arm, see `equal_steps`.
    """
    seeds = int(points["seed"].nunique())
    if seeds < 2:
        return "One seed cannot tell a difference from chance; run again with seeds=3 or more."
    lost = losses(points, metric, correct)
    random = _of_random(lost[lost["arm"] == "random"], seeds)
    arms = _of_arms(_of_epochs(points, metric, correct), seeds)
    return "; ".join(filter(None, [arms, random])) + "."


def power(
    points: pd.DataFrame, metric: str = "test/accuracy", correct: Correct | None = None
) -> list[str]:
    """Say what difference these seeds would have shown, and how many show half of it.

    Shown means: clear by Holm's method as the largest of all, in 8 of 10 repetitions, for the
    comparison in the middle. Nothing is said without intervals.
    """
    compared = paired(*_arms_only(points, correct, metric))
    if compared.shared is None:
        return []
    seeds = int(np.median(compared.seeds))
    smallest = compared.detectable(seeds)
    said = (
        f"{seeds} seeds would have shown a difference from random of {100 * smallest:.1f} points "
        "or more (8 times in 10)"
    )
    more = [n for n in range(seeds + 1, MANY_SEEDS + 1) if compared.detectable(n) <= smallest / 2]
    if more:
        return [f"{said}; half of that takes seeds={more[0]}."]
    return [f"{said}; half of that takes more test examples, not only more seeds."]


def _of_epochs(points: pd.DataFrame, metric: str, correct: Correct | None) -> pd.DataFrame:
    """Return the arms, trained for equal epochs, minus random."""
    chosen, metric, baseline, known = _arms_only(points, correct, metric)
    return differences(chosen, metric, baseline, known)


def _of_steps(points: pd.DataFrame, metric: str, correct: Correct | None) -> pd.DataFrame:
    """Return random pruning trained for as many steps as the full train set, minus random."""
    both = points["arm"].isin(("random", AT_EQUAL_STEPS)).to_numpy()
    return differences(points[both], metric, correct=None if correct is None else correct[both])


def _arms_only(
    points: pd.DataFrame, correct: Correct | None, metric: str
) -> tuple[pd.DataFrame, str, str, Correct | None]:
    arms = (points["arm"] != AT_EQUAL_STEPS).to_numpy()
    return points[arms], metric, "random", None if correct is None else correct[arms]


def _of_arms(beside: pd.DataFrame, seeds: int) -> str:
    """Say how the arms did against random pruning; `beside`: see `differences`."""
    count = len(beside)
    tried = f"{count} comparison{'s' * (count != 1)}"
    if not count:
        return "Only random pruning was tried"
    better = beside[beside["clear"] & (beside["difference"] > 0)]
    if len(better):
        best = better.sort_values("difference").iloc[-1]
        return (
            f"{best['arm']} is clearly better than random pruning at {best['percent_pruned']:g} % "
            f"pruned, by {_points(best)} points"
            + (f" ({len(better)} of {tried} are clearly better)" if len(better) > 1 else "")
        )
    worse = _from(beside[beside["clear"]])
    said = f"No arm is clearly better than random pruning ({tried}, {seeds} seeds)"
    return f"{said}; clearly worse: {worse}" if worse else said


def _of_random(random: pd.DataFrame, seeds: int) -> str:
    """Say how random pruning did against the full train set; `random`: see `losses`.

    At 95 % for each fraction: a wider interval would claim more, that nothing was lost.
    """
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


def equal_steps(
    points: pd.DataFrame, metric: str = "test/accuracy", correct: Correct | None = None
) -> list[str]:
    """Say what random pruning gains if trained for as many steps as the full train set.

    At equal epochs a subset is trained for fewer steps, which may be part of what an arm loses.
    Nothing is said where this was not tried, or under one seed.
    """
    gained = _of_steps(points, metric, correct).dropna()
    if not len(gained):
        return []
    clear = gained[gained["clear"]]
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


def _from(rows: pd.DataFrame) -> str:
    """List arms with the smallest percent at which each is in `rows`."""
    firsts = rows.groupby("arm")["percent_pruned"].min().sort_values(kind="stable")
    return ", ".join(f"{arm} from {percent:g} %" for arm, percent in firsts.items())


def _at(row: pd.Series) -> str:
    return f"{row['percent_pruned']:g} % ({_points(row)} points against the full train set)"


def _points(row: pd.Series) -> str:
    return in_points(row["difference"], row["low"], row["high"])
