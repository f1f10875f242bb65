"""Compute scores from a trace: select what a score reads, and apply its function."""

import numpy as np

from influence.errors import InputError
from influence.scores import QUANTITIES, REGISTRY
from influence.scoring.plan import check_null, select
from influence.scoring.spec import ScoreSpec, as_given, window_key, window_of
from influence.shapes import Float
from influence.trace.trace import RunTrace, Trace

Examples = Float[np.ndarray, " examples"]
BLOCK = 65536  # examples scored at a time


def compute(spec: ScoreSpec, trace: Trace, block: int = BLOCK) -> Examples:
    """Return one value per example, combined over the runs that reach the window.

    A score that was computed elsewhere is returned as it is.

    Raises InputError where the trace lacks the checkpoints or the quantities of this score.
    """
    if name := as_given(spec, trace.given):
        return trace.given[name].astype(np.float64)
    selected = select(spec, trace.runs)
    runs = [_compute_run(spec, trace, run, chosen, block) for run, chosen in selected]
    combine = np.sum if REGISTRY[spec.name].combine == "sum" else np.mean
    return combine(runs, axis=0)


def _compute_run(spec, trace: Trace, run: RunTrace, chosen, block: int) -> np.ndarray:
    """Score one run block by block: blocks bound the memory of the 64-bit copies."""
    score, key = REGISTRY[spec.name], window_key(spec)
    if lacking := _lacking(spec, trace, run, chosen):
        raise InputError(
            f"score '{spec}' reads {' and '.join(score.needs)}, but this trace has no {lacking}; "
            f"score again with {spec} among the scores"
        )
    starts = range(0, max(len(trace.labels), 1), block)  # one block even without examples
    return np.concatenate(
        [
            score.function(**{n: _read(n, rows, trace, run, chosen, key) for n in score.needs})
            for rows in (slice(start, start + block) for start in starts)
        ]
    )


def _lacking(spec, trace: Trace, run: RunTrace, chosen) -> str:
    """Describe the first of a score's quantities that a trace does not hold, "" if it holds all.

    Raises InputError for a null model that ends too early, because scoring again would not help.
    """
    for name in REGISTRY[spec.name].needs:
        kind, of = QUANTITIES[name], f"'{name}' of seed {run.seed}"
        if kind == "dataset" and getattr(trace, name) is None:
            return f"'{name}'"
        if kind in ("record", "dataset"):
            continue
        held = {"window": run.over, "run": run.whole}.get(kind, run.at)
        if name not in held:
            return of
        if kind == "null":
            check_null(spec, run, chosen, run.at[name])
        absent = [c.epoch for c in chosen if kind == "checkpoint" and c.step not in run.at[name]]
        if absent:
            return f"{of} at epoch {absent[0]:g}"
        if kind == "window" and window_key(spec) not in run.over[name]:
            return f"{of} in window {window_of(spec)}"
    return ""


def _read(name, rows, trace, run, chosen, key) -> np.ndarray:
    """Return one quantity of a block of examples, in the shape that a score expects."""
    match QUANTITIES[name]:
        case "checkpoint":
            return np.stack([run.at[name][checkpoint.step][rows] for checkpoint in chosen])
        case "null":
            return np.stack([run.at[name][checkpoint.step] for checkpoint in chosen])
        case "window":
            return run.over[name][key][rows]
        case "run":
            return run.whole[name][:, rows]
        case "record":
            return np.array([checkpoint.learning_rate for checkpoint in chosen])
        case "dataset":
            return getattr(trace, name)[rows]
