"""How well a score agrees with itself, and so whether one run of it can be trusted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from influence.errors import InputError
from influence.scores import REGISTRY
from influence.scoring.compute import compute
from influence.scoring.plan import plan
from influence.scoring.spec import ScoreSpec, hardness, parse_spec, window_of
from influence.shapes import Float
from influence.trace.trace import Trace
from influence.training.result import RunInfo

Examples = Float[np.ndarray, " examples"]
HALVES = ("odd", "even")
TOP = 0.1  # share of the hardest examples that is compared
COLUMNS = ["score", "across", "spearman", "overlap", "chance"]


def stability(specs: Sequence[ScoreSpec], trace: Trace) -> pd.DataFrame:
    """Return how each score agrees with itself across training seeds and across epochs.

    Columns: score; across ("seeds 0 and 1", "epochs 1 and 3", "odd and even checkpoints"); spearman
    (nan where a score is constant); overlap, the share of the hardest 10 % that both have in
    common, ties broken by the order of the train set; chance, the share that two random tenths have
    in common. Only what the trace holds is compared: a score that was measured in one run and one
    window has no row.
    """
    rows = []
    for spec in specs:
        pairs = [*_seeds(spec, trace), *_epochs(spec, trace), *_halves(spec, trace)]
        rows += [{"score": str(spec), "across": name} | agreement(a, b) for name, a, b in pairs]
    return pd.DataFrame(rows, columns=COLUMNS)


def between(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return how scores of the same examples agree between trainings, pair by pair.

    `tables`: by training: id, label and one column per score. The columns are those of `stability`,
    with the names of the two trainings in `across`. Examples and scores of only one are left out.
    """
    rows = []
    for (one, first), (other, second) in combinations(tables.items(), 2):
        both = first.merge(second, on="id", suffixes=("", " "))
        for name in (c for c in first if c not in ("id", "label") and f"{c} " in both):
            spec = parse_spec(str(name))
            values = (hardness(spec, both[end].to_numpy()) for end in (name, f"{name} "))
            rows.append({"score": name, "across": f"{one} and {other}"} | agreement(*values))
    return pd.DataFrame(rows, columns=COLUMNS)


def halves(specs: Sequence[ScoreSpec], runs: Sequence[RunInfo]) -> list[ScoreSpec]:
    """Return the specs to measure in addition so that odd and even checkpoints can be compared."""
    parts = []
    for spec in specs:
        own = [replace(spec, window=window) for window in HALVES]
        if _can_be_halved(spec):
            try:
                plan(own, tuple(runs))
                parts += own
            except InputError:  # too few checkpoints
                continue
    return parts


def agreement(one: Examples, other: Examples, top: float = TOP) -> dict[str, float]:
    """Return Spearman's correlation, and the overlap of the hardest `top` of both."""
    correlations = pd.DataFrame({"one": one, "other": other}).corr(method="spearman")
    size = max(1, round(top * len(one)))
    hardest = [set(np.argsort(-values, kind="stable")[:size].tolist()) for values in (one, other)]
    return {
        "spearman": float(correlations.loc["one", "other"]),
        "overlap": len(hardest[0] & hardest[1]) / size,
        "chance": size / len(one),
    }


def _seeds(spec: ScoreSpec, trace: Trace) -> Iterator[tuple[str, Examples, Examples]]:
    """Yield the scores of every pair of runs, each computed from that run alone."""
    if not REGISTRY[spec.name].series and "observations" not in REGISTRY[spec.name].needs:
        return
    by_seed = {run.seed: _compute(spec, replace(trace, runs=(run,))) for run in trace.runs}
    there = [(seed, values) for seed, values in by_seed.items() if values is not None]
    for (first, one), (second, other) in combinations(there, 2):
        yield f"seeds {first} and {second}", one, other


def _epochs(spec: ScoreSpec, trace: Trace) -> Iterator[tuple[str, Examples, Examples]]:
    """Yield the score at the end of each epoch with that of the last epoch in the trace."""
    if REGISTRY[spec.name].series != "epochs" or window_of(spec) == "all":
        return
    ends = sorted({int(c.epoch) for c in trace.runs[0].checkpoints if "epochs" in c.series})
    by_epoch = {end: _compute(replace(spec, window=str(end)), trace) for end in ends}
    there = [(end, values) for end, values in by_epoch.items() if values is not None]
    for end, values in there[:-1]:
        last, final = there[-1]
        yield f"epochs {end} and {last}", values, final


def _halves(spec: ScoreSpec, trace: Trace) -> Iterator[tuple[str, Examples, Examples]]:
    """Yield a score computed from the odd checkpoints with the one from the even checkpoints."""
    if _can_be_halved(spec):
        odd, even = (_compute(replace(spec, window=window), trace) for window in HALVES)
        if odd is not None and even is not None:
            yield "odd and even checkpoints", odd, even


def _can_be_halved(spec: ScoreSpec) -> bool:
    return REGISTRY[spec.name].series == "spread" and window_of(spec) == "all"


def _compute(spec: ScoreSpec, trace: Trace) -> Examples | None:
    try:
        return hardness(spec, compute(spec, trace))
    except InputError:  # the trace lacks what the score reads there
        return None
