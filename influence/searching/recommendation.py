"""What a search recommends: its test results with intervals, its cost, and a one-line verdict."""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

import pandas as pd

from influence.config.parameters import SearchConfig
from influence.evaluation import intervals
from influence.evaluation.intervals import Correct, Retrainings, in_points
from influence.nlu.metrics import efficiency, relative_change
from influence.sampling.order import fraction_of
from influence.searching import trials
from influence.searching.result import Outcome, pruned
from influence.searching.space import Candidate
from influence.searching.trials import Trial

FULL = "full train set"
ENDS = ("mean", "low", "high")
Share = Callable[[float], float]
Subset = Callable[[Candidate, int], Hashable]


def recommendation(
    config: SearchConfig,
    share: Share,
    ended: Sequence[Trial],
    subset: Subset,
    points: pd.DataFrame,
    correct: Correct | None = None,
) -> Outcome:
    """Return the outcome of a search.

    `share`: what a retraining costs at a percent pruned, in trainings on the full train set;
    `ended`: the trials of the study; `subset`: names what a candidate keeps under the seed of a
    number, for what two of them keep alike is retrained on once; `points`: one row for each
    retraining of the final test (full train set, random pruning, recommended arm); `correct`: see
    `intervals.Retrainings`, whose intervals differences have; others have Student's over seeds.
    """
    chosen = trials.recommend(ended, config.tolerance, config.goal)
    candidate = chosen.candidate if chosen else None
    arm = str(candidate.arm) if candidate else FULL
    percent, metric = candidate.percent if candidate else 0, f"test/{config.metric}"
    outcome = Outcome(
        verdict="",
        goal=config.goal,
        metric=config.metric,
        tolerance=config.tolerance,
        trial=chosen.number if chosen else None,
        arm=arm,
        percent_pruned=percent,
        min_per_class=candidate.min_per_class if candidate else 0,
        parameters=dict(candidate.parameters) if candidate else {},
        kept=int(points[points["arm"] == arm]["kept"].iloc[0]),
        validation_difference=chosen.difference if chosen else 0.0,
        test_seeds=config.test_seeds,
        test=_test(points, correct, arm, metric),
        sigma=_sigma(points, arm, metric, percent),
        cost=_cost(config, share, ended, subset, points, chosen),
        front=[
            {"arm": str(t.candidate.arm), "percent_pruned": t.percent, "difference": t.difference}
            for t in trials.front(ended)
            if t.candidate
        ],
    )
    return replace(outcome, verdict=verdict(outcome))


def verdict(outcome: Outcome) -> str:
    """Summarise the test of a recommendation in one sentence that claims no more than it shows."""
    tolerance = 100 * outcome.tolerance
    if outcome.trial is None:
        points = f"{tolerance:g} point{'s' * (tolerance != 1)}"
        return (
            f"Keep everything: no candidate stayed within {points} of the full train set "
            "on validation."
        )
    full = outcome.test["recommended_minus_full"]
    if full["low"] >= -outcome.tolerance:
        within = "within the tolerance"
    elif full["high"] < -outcome.tolerance:
        within = "beyond the tolerance after all"
    else:
        within = f"which leaves open whether it is within {tolerance:g}"
    said = (
        f"Prune {pruned(outcome.percent_pruned, outcome.arm)}: {in_points(**full)} points of "
        f"{outcome.metric} against the full train set on test ({outcome.test_seeds} seeds), "
        f"{within}"
    )
    if outcome.arm == "random":
        return f"{said}; no score did better than pruning at random."
    random = outcome.test["recommended_minus_random"]
    if random["low"] > 0:
        beside = "better than random pruning"
    elif random["high"] < 0:
        beside = "worse than random pruning"
    else:
        beside = "indistinguishable from random pruning"
    return f"{said}; {in_points(**random)} against random at the same fraction: {beside}."


def flat(outcome: Outcome) -> dict[str, float]:
    """Return the numbers of a recommendation by metric name."""
    ends = (("", "mean"), ("_low", "low"), ("_high", "high"))
    test = {f"test/{row}{end}": v[key] for row, v in outcome.test.items() for end, key in ends}
    cost = {f"search/{name}": value for name, value in outcome.cost.items()}
    chosen = {"percent_pruned": float(outcome.percent_pruned), "sigma": outcome.sigma}
    return {**{f"search/{name}": value for name, value in chosen.items()}, **test, **cost}


def _test(
    points: pd.DataFrame, correct: Correct | None, arm: str, metric: str
) -> dict[str, dict[str, float]]:
    alone = {"full": FULL, "recommended": arm, "random": "random"}
    found = {
        row: dict(zip(ENDS, intervals.interval(values.tolist()), strict=True))
        for row, name in alone.items()
        if len(values := points[points["arm"] == name][metric])
    }
    # A curve calls the full train set random pruning of nothing.
    measured = Retrainings(points.replace({"arm": {FULL: "random"}}), metric, correct)
    beside = {"full": measured.to_full}
    if arm not in (FULL, "random"):
        beside["random"] = measured.to_random
    for row, compared in beside.items():
        own = compared.table[compared.table["arm"] == arm]
        # A subset of everything is the full train set: no curve compares it with itself.
        ends = own[["difference", "low", "high"]].iloc[0].tolist() if len(own) else [0.0] * 3
        found[f"recommended_minus_{row}"] = dict(zip(ENDS, ends, strict=True))
    return found


def _sigma(points: pd.DataFrame, arm: str, metric: str, percent: int) -> float:
    """Return the data-score efficiency on test: relative change of the error per share pruned."""
    full, own = (points[points["arm"] == name][metric].mean() for name in (FULL, arm))
    return efficiency(relative_change(1 - full, 1 - own), fraction_of(percent))


def _cost(
    config: SearchConfig,
    share: Share,
    ended: Sequence[Trial],
    subset: Subset,
    points: pd.DataFrame,
    chosen: Trial | None,
) -> dict[str, float]:
    """Return the cost in retrainings and in equivalent full trainings; scoring is not included.

    break_even: how often the subset must be trained on, instead of the full train set, before the
    search has paid for itself; infinite where nothing is saved.
    """
    tried = {
        (subset(trial.candidate, number), number): trial.percent
        for trial in ended
        if trial.candidate
        for number in range(len(trial.values))
    }
    percents = [*[0] * config.seeds, *tried.values(), *points["percent_pruned"]]
    whole = sum(map(share, percents))
    saved = 1 - share(chosen.percent) if chosen else 0.0
    return {
        "retrainings": float(len(percents)),
        "full_trainings": whole,
        "break_even": whole / saved if saved > 0 else math.inf,
    }
