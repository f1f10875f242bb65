"""Which scores can be trusted from one run: how far a score agrees with itself."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from influence.errors import InputError
from influence.planning import compute
from influence.records import Trace
from influence.scores import REGISTRY
from influence.shapes import Float
from influence.specs import ScoreSpec, hardness, window_of

Examples = Float[np.ndarray, " examples"]
TOP = 0.1  # the hardest share that is compared
COLUMNS = ["score", "across", "spearman", "overlap", "chance"]


def stability(specs: Sequence[ScoreSpec], trace: Trace) -> pd.DataFrame:
    """Return how each score agrees with itself across training seeds and across epochs.

    Columns: score; across ("seeds 0 and 1", "epochs 1 and 3"); spearman (nan where a score is
    constant); overlap, the share of the hardest 10 % that both have in common, ties broken by the
    place in the train set; chance, what two random tenths have in common. Only what the trace
    holds is compared: a score read from one run or from one window alone has no row.
    """
    rows = []
    for spec in specs:
        pairs = [*_seeds(spec, trace), *_epochs(spec, trace)]
        rows += [{"score": str(spec), "across": name} | agreement(a, b) for name, a, b in pairs]
    return pd.DataFrame(rows, columns=COLUMNS)


def agreement(one: Examples, other: Examples, top: float = TOP) -> dict[str, float]:
    """Return Spearman's correlation, and what the hardest `top` of both have in common."""
    ranks = pd.DataFrame({"one": one, "other": other}).rank()
    size = max(1, round(top * len(one)))
    hardest = [set(np.argsort(-values, kind="stable")[:size].tolist()) for values in (one, other)]
    return {
        "spearman": float(ranks["one"].corr(ranks["other"])),
        "overlap": len(hardest[0] & hardest[1]) / size,
        "chance": size / len(one),
    }


def _seeds(spec: ScoreSpec, trace: Trace) -> Iterator[tuple[str, Examples, Examples]]:
    """Yield the score of every pair of runs, each as if it were the only one."""
    if not REGISTRY[spec.name].series and "observations" not in REGISTRY[spec.name].needs:
        return
    found = {run.seed: _compute(spec, replace(trace, runs=(run,))) for run in trace.runs}
    there = [(seed, values) for seed, values in found.items() if values is not None]
    for (first, one), (second, other) in combinations(there, 2):
        yield f"seeds {first} and {second}", one, other


def _epochs(spec: ScoreSpec, trace: Trace) -> Iterator[tuple[str, Examples, Examples]]:
    """Yield the score at the end of each epoch beside the last epoch that the trace holds."""
    if REGISTRY[spec.name].series != "epochs" or window_of(spec) == "all":
        return
    ends = sorted({int(c.epoch) for c in trace.runs[0].checkpoints if "epochs" in c.series})
    found = {end: _compute(replace(spec, window=str(end)), trace) for end in ends}
    there = [(end, values) for end, values in found.items() if values is not None]
    for end, values in there[:-1]:
        last, final = there[-1]
        yield f"epochs {end} and {last}", values, final


def _compute(spec: ScoreSpec, trace: Trace) -> Examples | None:
    try:
        return hardness(spec, compute(spec, trace))
    except InputError:  # this trace does not hold what the score reads there
        return None
