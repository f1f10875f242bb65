"""What a search recommends: its test figures with intervals, its cost, and one honest sentence."""

import json
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from influence.config.parameters import FitConfig, SearchConfig
from influence.evaluation import intervals
from influence.evaluation.verdict import shown
from influence.models.fit import steps_per_epoch
from influence.nlu.metrics import efficiency, relative_change
from influence.sampling import order
from influence.searching import trials
from influence.searching.trials import Trial

FULL = "full train set"


def recommendation(
    config: SearchConfig,
    fit: FitConfig,
    examples: int,
    ended: Sequence[Trial],
    points: pd.DataFrame,
) -> dict:
    """Return what `recommendation.json` says.

    `examples`: of the train set; `ended`: the trials of the study; `points`: the retrainings of the
    final test, one row each, of the full train set, of random pruning and of the recommended arm.
    Intervals are Student's at 95 % over seeds, differences are paired by seed.
    """
    chosen = trials.recommend(ended, config.tolerance, config.goal)
    arm = str(chosen.candidate.arm) if chosen and chosen.candidate else FULL
    found = {
        "goal": config.goal,
        "metric": config.metric,
        "tolerance": config.tolerance,
        "trial": chosen.number if chosen else None,
        "arm": arm,
        "percent_pruned": chosen.percent if chosen else 0,
        "min_per_class": chosen.candidate.min_per_class if chosen and chosen.candidate else 0,
        "parameters": dict(chosen.candidate.parameters) if chosen and chosen.candidate else {},
        "kept": int(points[points["arm"] == arm]["kept"].iloc[0]),
        "validation_difference": chosen.difference if chosen else 0.0,
        "test_seeds": config.test_seeds,
        "test": _test(points, arm, f"test/{config.metric}"),
        "sigma": _sigma(points, arm, f"test/{config.metric}", chosen.percent if chosen else 0),
        "cost": _cost(config, fit, examples, ended, points, chosen),
        "front": [
            {"arm": str(t.candidate.arm), "percent_pruned": t.percent, "difference": t.difference}
            for t in trials.front(ended)
            if t.candidate
        ],
    }
    return {"verdict": verdict(found), **found}


def verdict(found: dict) -> str:
    """Say in one sentence what the test says of a recommendation, and no more than it says."""
    tolerance, seeds = 100 * found["tolerance"], found["test_seeds"]
    if found["trial"] is None:
        return (
            f"Keep everything: nothing tried stayed within {tolerance:g} points of the full train "
            "set on validation."
        )
    full, test = found["test"]["recommended_minus_full"], found["test"]
    if full["low"] >= -found["tolerance"]:
        within = "within the tolerance"
    elif full["high"] < -found["tolerance"]:
        within = "beyond the tolerance after all"
    else:
        within = f"which leaves open whether it is within {tolerance:g}"
    said = (
        f"Prune {found['percent_pruned']} % by {found['arm']}: {_points(full)} points of "
        f"{found['metric']} against the full train set on test ({seeds} seeds), {within}"
    )
    if found["arm"] == "random":
        return f"{said}; no score did better than pruning at random."
    random = test["recommended_minus_random"]
    if random["low"] > 0:
        beside = "better than random pruning"
    elif random["high"] < 0:
        beside = "worse than random pruning"
    else:
        beside = "not to be told from random pruning"
    return f"{said}; {_points(random)} against random at the same fraction: {beside}."


def flat(found: dict) -> dict[str, float]:
    """Return the numbers of a recommendation under the names of metrics."""
    ends = (("", "mean"), ("_low", "low"), ("_high", "high"))
    test = {f"test/{row}{end}": v[key] for row, v in found["test"].items() for end, key in ends}
    cost = {f"search/{name}": value for name, value in found["cost"].items()}
    chosen = {"percent_pruned": float(found["percent_pruned"]), "sigma": found["sigma"]}
    return {**{f"search/{name}": value for name, value in chosen.items()}, **test, **cost}


def _test(points: pd.DataFrame, arm: str, metric: str) -> dict[str, dict[str, float]]:
    full, random, recommended = (
        points[points["arm"] == name].sort_values("seed")[metric].to_numpy()
        for name in (FULL, "random", arm)
    )
    found = {"full": full, "recommended": recommended, "recommended_minus_full": recommended - full}
    if len(random):
        found["random"] = random
    if len(random) and arm != "random":
        found["recommended_minus_random"] = recommended - random
    return {row: _interval(values) for row, values in found.items()}


def _sigma(points: pd.DataFrame, arm: str, metric: str, percent: int) -> float:
    """Return the data-score efficiency on test: relative change of the error per share pruned."""
    full, own = (points[points["arm"] == name][metric].mean() for name in (FULL, arm))
    return efficiency(relative_change(1 - full, 1 - own), percent / 100)


def _interval(values: np.ndarray) -> dict[str, float]:
    mean, low, high = intervals.interval(values.tolist())
    return {"mean": mean, "low": low, "high": high}


def _points(difference: dict[str, float]) -> str:
    return shown(**difference, sign="+").replace("-", "−")


def _cost(
    config: SearchConfig,
    fit: FitConfig,
    examples: int,
    ended: Sequence[Trial],
    points: pd.DataFrame,
    chosen: Trial | None,
) -> dict[str, float]:
    """Count retrainings, and their optimiser steps in trainings on everything; scoring is not in.

    break_even: how often the subset must be trained on, instead of everything, before the search
    has paid for itself; infinite where nothing is saved. A candidate tried twice counts once.
    """
    tried = {
        (json.dumps(trials.pack(trial.candidate), sort_keys=True), number): trial.percent
        for trial in ended
        if trial.candidate
        for number in range(len(trial.values))
    }
    percents = [*[0] * config.seeds, *tried.values(), *points["percent_pruned"]]
    whole = sum(_share(config, fit, examples, percent) for percent in percents)
    saved = 1 - _share(config, fit, examples, chosen.percent) if chosen else 0.0
    return {
        "retrainings": float(len(percents)),
        "full_trainings": whole,
        "break_even": whole / saved if saved > 0 else math.inf,
    }


def _share(config: SearchConfig, fit: FitConfig, examples: int, percent: float) -> float:
    """Return the optimiser steps of a retraining as a share of those on everything."""
    if config.budget == "steps":
        return 1.0
    kept = order.kept_count(examples, percent / 100)
    return steps_per_epoch(kept, fit.batch_size) / steps_per_epoch(examples, fit.batch_size)
