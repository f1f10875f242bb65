"""Trials of a search: what was tried, with which result, and which one to recommend.

Everything here depends only on validation metrics, paired by seed with the full train set.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from influence.sampling.arms import Arm, parse_arm
from influence.scoring.spec import parse_spec
from influence.searching.space import STEP, Candidate

State = Literal["complete", "pruned", "failed"]
SLACK = 2.0  # standard errors that a trial may still gain before it counts as hopeless
ROUNDING = 1e-9


@dataclass(frozen=True)
class Trial:
    """One candidate and its retrainings.

    state: complete; pruned, which means stopped early as hopeless; or failed, because its worker
    was lost. values: the validation metric of each seed; differences: that metric minus the one of
    the full train set under the same seed. started, ended: milliseconds since 1970.
    """

    number: int
    state: State
    candidate: Candidate | None
    values: tuple[float, ...]
    differences: tuple[float, ...]
    started: int
    ended: int

    @property
    def difference(self) -> float:
        """Return the mean difference to the full train set, nan before the first retraining."""
        return float(np.mean(self.differences)) if self.differences else math.nan

    @property
    def percent(self) -> int:
        """Return the percent pruned."""
        assert self.candidate is not None
        return self.candidate.percent

    def holds(self, tolerance: float) -> bool:
        """Tell whether this trial is complete and loses no more than `tolerance`."""
        return self.state == "complete" and self.difference >= -tolerance - ROUNDING


def noise(full: Sequence[float], trials: Sequence[Trial]) -> float:
    """Return the pooled standard deviation of a paired difference over seeds; inf if unknown.

    The variance of the full train set counts twice, as in a difference of two independent runs.
    """
    spreads = [(2.0, full), *((1.0, trial.differences) for trial in trials)]
    known = [(factor, values) for factor, values in spreads if len(values) > 1]
    freedom = sum(len(values) - 1 for _, values in known)
    if not freedom:
        return math.inf
    squares = sum(factor * np.var(values) * len(values) for factor, values in known)
    return float(np.sqrt(squares / freedom))


def is_hopeless(
    percent: int,
    differences: Sequence[float],
    known: Sequence[Trial],
    goal: str,
    tolerance: float,
    noise: float,
) -> bool:
    """Tell whether no number of further seeds could make this candidate the recommendation.

    The test assumes that its mean rises by two standard errors. goal prune: it would still lose
    more than `tolerance`, or a known trial holds at a larger percent. goal efficiency: it would
    still lose more, or gain less per percent than a known trial. goal frontier: a complete trial
    that prunes at least as much would still be better.
    """
    error = SLACK * noise / math.sqrt(len(differences))
    best = float(np.mean(differences)) + error
    if goal == "frontier":
        complete = [trial for trial in known if trial.state == "complete"]
        return any(trial.percent >= percent and trial.difference > best for trial in complete)
    leader = recommend(known, tolerance, goal)
    if best < -tolerance or leader is None:
        return best < -tolerance
    if goal == "efficiency":
        return best / percent < gain(leader, noise)
    return percent < leader.percent


def recommend(trials: Sequence[Trial], tolerance: float, goal: str = "prune") -> Trial | None:
    """Return the best trial within `tolerance` of the full train set, None if none is.

    goal efficiency: the trial with the largest `gain`; otherwise the one that prunes most. Ties go
    to the most accurate, then to the oldest, so that the paper's settings come first.
    """
    holding = [trial for trial in trials if trial.holds(tolerance)]
    spread = noise((), trials)
    worth = {trial.number: gain(trial, spread) for trial in holding if goal == "efficiency"}
    return max(
        holding,
        key=lambda t: (worth.get(t.number, t.percent), t.difference, -t.number),
        default=None,
    )


def gain(trial: Trial, noise: float) -> float:
    """Return a cautious estimate of what a trial gains over the full train set per percent pruned.

    It is taken one standard error below the mean: divided by few percent, chance would look large.
    Times -100 and divided by the error of the full train set, it is the data-score efficiency.
    """
    error = noise / math.sqrt(len(trial.differences)) if math.isfinite(noise) else 0.0
    return (trial.difference - error) / trial.percent


def next_percent(
    trial: Trial,
    trials: Sequence[Trial],
    goal: str,
    tolerance: float,
    highest: int,
    lowest: int = STEP,
) -> int | None:
    """Return the percent at which to try the candidate of an ended trial next, None for nowhere.

    Accuracy falls with the percent pruned, so bisection finds how much a candidate can prune. goal
    prune: half-way between the largest percent at which it holds and the smallest at which it does
    not, if that exceeds the best so far. goal frontier: half-way to the next trial on the front.
    goal efficiency: the middle of the wider of the two gaps around the best trial.
    """
    own = [t for t in trials if t.candidate and _at(t, 0) == _at(trial, 0)]
    if goal == "efficiency":
        best = recommend(trials, tolerance, goal)
        return _beside(best, own, lowest, highest) if best in own else None
    if goal == "frontier":
        leading = front(trials)
        if trial.number not in {t.number for t in leading}:
            return None
        start, beyond = trial.percent, [t.percent for t in [*leading, *own]]
    else:
        held = [t.percent for t in own if t.holds(tolerance)]
        if not held:
            return None
        start, beyond = max(held), [t.percent for t in own]
    end = min((percent for percent in beyond if percent > start), default=highest + STEP)
    half = (start + end) // (2 * STEP) * STEP
    best = recommend(trials, tolerance) if goal == "prune" else None
    percent = max(half, best.percent + STEP if best else 0)
    return percent if start < percent < end else None


def _beside(best: Trial, own: Sequence[Trial], lowest: int, highest: int) -> int | None:
    """Return the middle of the wider gap between a trial and its neighbours, on the grid."""
    below = max((t.percent for t in own if t.percent < best.percent), default=lowest - STEP)
    above = min((t.percent for t in own if t.percent > best.percent), default=highest + STEP)
    gaps = sorted([(best.percent, above), (below, best.percent)], key=lambda gap: gap[0] - gap[1])
    middles = [(start, (start + end) // (2 * STEP) * STEP) for start, end in gaps]
    return next((middle for start, middle in middles if middle > start), None)


def front(trials: Sequence[Trial]) -> list[Trial]:
    """Return the complete trials that no other beats in both percent pruned and accuracy.

    In ascending order of percent; among equal ones, the oldest.
    """
    complete = [trial for trial in trials if trial.state == "complete"]
    leading: list[Trial] = []
    for trial in sorted(complete, key=lambda t: (-t.percent, -t.difference, t.number)):
        if not leading or trial.difference > leading[-1].difference:
            leading.append(trial)
    return leading[::-1]


def table(trials: Sequence[Trial], tolerance: float) -> pd.DataFrame:
    """Return one row per trial: number, state, arm and its parts, percent_pruned, results."""
    on_front = {trial.number for trial in front(trials)}
    return pd.DataFrame([_row(trial, tolerance, on_front) for trial in trials])


def _at(trial: Trial, percent: int) -> Candidate:
    assert trial.candidate is not None
    return replace(trial.candidate, percent=percent)


def _row(trial: Trial, tolerance: float, on_front: set[int]) -> dict:
    candidate = trial.candidate or Candidate(Arm((), ""), 0, 0, {})
    scores = candidate.arm.scores
    return {
        "number": trial.number,
        "state": trial.state,
        "arm": str(candidate.arm),
        "score": parse_spec(scores[0]).name if scores else "",
        "rule": candidate.arm.rule,
        "normalize": candidate.arm.normalize if scores else "",
        "percent_pruned": candidate.percent,
        "min_per_class": candidate.min_per_class,
        "parameters": json.dumps(dict(candidate.parameters)),
        "seeds": len(trial.values),
        "mean": float(np.mean(trial.values)) if trial.values else math.nan,
        "difference": trial.difference,
        "feasible": trial.difference >= -tolerance - ROUNDING,
        "on_front": trial.number in on_front,
        "started": trial.started,
        "ended": trial.ended,
    }


def pack(candidate: Candidate) -> dict:
    """Return a candidate as JSON values."""
    return {
        "arm": str(candidate.arm),
        "percent_pruned": candidate.percent,
        "min_per_class": candidate.min_per_class,
        "parameters": dict(candidate.parameters),
    }


def unpack(packed: dict) -> Candidate:
    """Return the candidate that `pack` wrote."""
    arm = parse_arm(packed["arm"])
    return Candidate(arm, packed["percent_pruned"], packed["min_per_class"], packed["parameters"])
