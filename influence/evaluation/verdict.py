"""The verdict of a comparison in one sentence, with warnings where it shows less than it seems to.

With many comparisons, some look significant by chance. So an arm counts as clearly better or worse
only if it is so by Holm's method for all comparisons; intervals are those of one comparison.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from influence.errors import listed
from influence.evaluation import convergence
from influence.evaluation.by_class import by_class, warnings
from influence.evaluation.intervals import (
    Retrainings,
    in_points,
    interval,
    shown,
    summarise,
)
from influence.sampling.arms import AT_EQUAL_STEPS
from influence.scoring.label_errors import UNLEARNED

MATTERS = 0.005  # of accuracy: a smaller gain is not worth another retraining
MANY_SEEDS = 30  # beyond which nobody retrains
MANY_WRONG = 0.05  # share of wrong labels from which to prune them first is ahead of random
CLEANING = {"clean", "ccs_clean"}  # rules that do
VAGUE = 0.05  # half-width beyond which an interval is inconclusive


@dataclass(frozen=True, eq=False)
class Verdict:
    """Arms against random pruning: every retraining, and what follows from them.

    summary: as `intervals.summarise`; differences and lost: to random and to the full train set,
    as `intervals.Paired.table`; classes: as `by_class`; said: the verdict, then the warnings;
    notes: further remarks.
    """

    points: pd.DataFrame
    summary: pd.DataFrame
    differences: pd.DataFrame
    lost: pd.DataFrame
    classes: pd.DataFrame
    said: list[str]
    notes: list[str]


class Flaws(NamedTuple):
    """What may be wrong with a train set."""

    suspected: float | None  # share of the labels that look wrong; if it was measured
    repeated: float  # share of the texts that repeat another
    varied: float | None = None  # the same with those that differ in one word; if known


def compare(
    measured: Retrainings,
    shares: Mapping[str, pd.DataFrame],
    guessing: float,
    history: pd.DataFrame | None = None,
    flaws: Flaws | None = None,
    early: Sequence[str] = (),
) -> Verdict:
    """Compare the arms of all retrainings; `shares`: see `by_class`.

    `guessing`: the accuracy of always guessing the most frequent class of test; `history`: how the
    scored model learned, see `convergence.reasons`; `flaws`: see `background`; `early`: what
    is to be known before the rest. The verdict on models that had not converged is called
    provisional.
    """
    points, metric = measured.points, measured.metric
    history = pd.DataFrame() if history is None else history
    classes, told = by_class(measured, shares), verdict(measured)
    moving = convergence.reasons(history, points, metric)
    if moving:
        told = f"Provisional, the model had not converged: {told[0].lower()}{told[1:]}"
    hindered = [f"Not converged: {reason}" for reason in moving]
    said = [told, *hindered, *untrained(points, guessing, metric), *warnings(classes)]
    behind = [] if flaws is None else background(measured, flaws)
    notes = [*early, *behind, *power(measured), *equal_steps(measured)]
    notes += convergence.overtrained(history)
    if AT_EQUAL_STEPS not in set(points["arm"]):
        notes += convergence.short_of_steps(history, points)
    beside = pd.concat([measured.arms.to_random.table, measured.steps.to_random.table])
    lost = measured.arms.to_full.table
    return Verdict(points, summarise(points, metric), beside, lost, classes, said, notes)


def verdict(measured: Retrainings) -> str:
    """Say in one sentence how arms did against random, and random against the full train set.

    The full train set is 0 % pruned. Random pruning trained for more steps is not an arm, see
    `equal_steps`.
    """
    seeds = int(measured.points["seed"].nunique())
    if seeds < 2:
        return "One seed cannot tell a difference from chance; run again with seeds=3 or more."
    beside, lost = measured.arms.to_random.table, measured.arms.to_full.table
    named = ["random"] if (best := _best(beside)) is None else [best["arm"], "random"]
    full = [_against_full(lost[lost["arm"] == arm], arm, seeds) for arm in named]
    return "; ".join(filter(None, [_of_arms(beside, seeds), *full])) + "."


def decided(measured: Retrainings) -> bool:
    """Tell whether more seeds could not change much: an arm is clearly better, or none can be.

    None can be if no interval leaves room for a gain that matters. And what random pruning loses
    must have been measured.
    """
    beside, lost = measured.arms.to_random.table.dropna(), measured.arms.to_full.table
    random = lost[lost["arm"] == "random"]
    if not len(beside) or len(random) and _vague(_held(random)):
        return False
    return _best(beside) is not None or bool((beside["high"] < MATTERS).all())


def background(measured: Retrainings, flaws: Flaws) -> list[str]:
    """Say what in the data may be behind a verdict: labels, repeats, what random pruning loses."""
    found = []
    if flaws.suspected is not None:
        found.append(f"about {100 * flaws.suspected:.1f} % of the train labels look wrong")
    varied = ""
    if flaws.varied is not None:
        varied = f" ({100 * flaws.varied:.1f} % with those that differ in one word)"
    found.append(f"{100 * flaws.repeated:.1f} % of the train texts repeat another{varied}")
    data = " and ".join(found)
    random = measured.arms.to_full.table
    random = random[random["arm"] == "random"].to_dict("records")
    lost = [f"{_points(row)} points at {row['percent_pruned']:g} %" for row in random]
    curve = (
        [f"Random pruning changes accuracy by {listed(lost, len(lost))} pruned."] if lost else []
    )
    return [f"{data[0].upper()}{data[1:]}.", *curve, *_of_labels(measured, flaws.suspected)]


def _of_labels(measured: Retrainings, suspected: float | None) -> list[str]:
    """Say what follows from the share of labels that look wrong, if anything does."""
    if suspected is None:
        return []
    if suspected > UNLEARNED:
        return [
            "A model to which so many labels look wrong has not learned them, or cannot tell which "
            "are wrong: clean and ccs_clean then keep random examples."
        ]
    beside = measured.arms.to_random.table
    ahead = set(_ahead(beside)["arm"])
    cleaning = [arm for arm in dict.fromkeys(beside["arm"]) if {*arm.split(":")} & CLEANING]
    leading = [arm for arm in cleaning if arm in ahead]
    if suspected >= MANY_WRONG and leading:
        first = "prunes" if len(leading) == 1 else "prune"
        return [
            f"So many wrong labels cost accuracy, and {listed(leading)} {first} them first: that "
            "is the likely reason for the lead."
        ]
    if suspected >= MANY_WRONG and not cleaning:
        return ["No arm here prunes what looks mislabeled first; aum:ccs_clean and clean do."]
    if suspected < MANY_WRONG and len(beside) and not len(ahead) and beside["low"].notna().any():
        return [
            "Where labels look as clean as here, how many examples stay matters more than which: "
            "pruning at random is nearly as good as any arm."
        ]
    return []


def power(measured: Retrainings) -> list[str]:
    """Say what difference these seeds would have shown, and how many show half of it.

    Shown means: clear by Holm's method as the largest of all, in 8 of 10 repetitions. It is said of
    the comparison with the narrowest interval and of the one with the widest. Nothing is said
    without intervals.
    """
    compared = measured.arms.to_random
    if not (ranked := compared.by_width):
        return []
    seeds, widest = int(np.median(compared.seeds)), ranked[-1]
    least, most = (compared.detectable(seeds, place) for place in (ranked[0], widest))
    first, last = (f"{compared.arms[k]} at {compared.percents[k]:g} %" for k in (ranked[0], widest))
    points = f"{100 * most:.1f} points or more"
    if f"{100 * least:.1f} points or more" != points:
        points = f"{100 * least:.1f} points ({first} pruned) to {100 * most:.1f} ({last})"
    said = f"8 times in 10, {seeds} seeds would have shown a difference from random of {points}"
    counts = range(seeds + 1, MANY_SEEDS + 1)
    needed = bisect_left(counts, -most / 2, key=lambda count: -compared.detectable(count, widest))
    if needed < len(counts):
        return [f"{said}; half of that takes seeds={counts[needed]}."]
    return [f"{said}; half of that takes more test examples, not only more seeds."]


def _best(beside: pd.DataFrame) -> pd.Series | None:
    """Return the clear comparison with the largest gain; None where no gain is clear."""
    better = _ahead(beside)
    return better.sort_values("difference").iloc[-1] if len(better) else None


def _ahead(beside: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons in which an arm is clearly better."""
    return beside[beside["clear"] & (beside["difference"] > 0)]


def _of_arms(beside: pd.DataFrame, seeds: int) -> str:
    """Say how the arms did against random pruning; `beside`: see `intervals.Paired`."""
    count = len(beside)
    tried = f"{count} comparison{'s' * (count != 1)}"
    if not count:
        return "Only random pruning was tried"
    worse = _from(beside[beside["clear"] & (beside["difference"] < 0)])
    behind = f"; clearly worse: {worse}" if worse else ""
    best = _best(beside)
    if best is None:
        return f"No arm is clearly better than random pruning ({tried}, {seeds} seeds){behind}"
    better = len(_ahead(beside))
    counted = f" ({better} of {tried} are clearly better)" if better > 1 else ""
    return (
        f"{best['arm']} is clearly better than random pruning at {best['percent_pruned']:g} % "
        f"pruned, by {_points(best)} points{counted}{behind}"
    )


def _against_full(lost: pd.DataFrame, arm: str, seeds: int) -> str:
    """Say how an arm did against the full train set; `lost`: its rows of `to_full`.

    A loss is one at 95 % for each fraction: a wider interval would claim more, that nothing was
    lost. A gain is claimed only where it is clear for all comparisons together.
    """
    if not len(lost):
        return ""
    name = "random pruning" if arm == "random" else arm
    if (best := _best(lost)) is not None:
        return f"{name} gains accuracy at {_at(best)}"
    losses = lost[lost["high"] < 0]
    if lost.index[0] in losses.index:
        return f"{name} already loses accuracy at {_at(lost.iloc[0])}"
    held = _held(lost)
    if not _vague(held):
        return f"{name} shows no clear loss up to {_at(held)}"
    if len(losses):
        return f"{name} loses accuracy at {_at(losses.iloc[0])}"
    return f"{seeds} seeds are too few to measure what {name} loses at {_at(held)}"


def _held(lost: pd.DataFrame) -> pd.Series:
    """Return the comparison before the first clear loss, the last one without, else the first."""
    losses = (lost["high"] < 0).tolist()
    first = losses.index(True) if any(losses) else len(losses)
    return lost.iloc[max(first - 1, 0)]


def _vague(row: pd.Series) -> bool:
    return row["high"] - row["low"] > 2 * VAGUE


def equal_steps(measured: Retrainings) -> list[str]:
    """Say what random pruning gains if trained for as many steps as the full train set.

    Where a subset is trained for fewer steps, these may be part of what an arm loses.
    Nothing is said where this was not tried, or under one seed.
    """
    gained = measured.steps.to_random.table.dropna()
    if not len(gained):
        return []
    clear = gained[gained["clear"]]
    if not len(clear):
        most = gained.iloc[-1]
        return [
            "Trained for as many steps as the full train set, random pruning does neither better "
            f"nor worse ({_points(most)} points at {most['percent_pruned']:g} % pruned)."
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
