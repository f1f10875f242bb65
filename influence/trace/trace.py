"""The measurements: records between the scoring pass and the scores, and their file."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from influence.runtime.store import replacing
from influence.shapes import Float, Int, Shaped

EARLY = "early"
OPTIONAL = ("trail_entropies", "out_of_fold_logits")  # arrays of a trace that may be absent


@dataclass(frozen=True)
class Checkpoint:
    """One saved state of a model in training.

    step: optimiser steps taken; epoch: epochs completed at this step; series: "spread" (evenly
    spread over training), "epochs" (at the end of an epoch) or both, and EARLY where the model had
    not yet learned by heart (see `training.history`); learning_rate: that of the encoder at this
    step.
    """

    step: int
    epoch: float
    series: frozenset[str]
    learning_rate: float


@dataclass(frozen=True, eq=False)
class RunTrace:
    """Everything measured under one training seed; row i is example i.

    at: quantity -> step -> (examples,) or (examples, classes), for null_logits (classes,).
    over: quantity -> window key -> (examples,), for quantities of several checkpoints together.
    whole: quantity -> array of the whole run; observations: bool (observations, examples).
    """

    seed: int
    checkpoints: tuple[Checkpoint, ...]
    at: dict[str, dict[int, np.ndarray]]
    over: dict[str, dict[str, np.ndarray]]
    whole: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Trace:
    """The measurements of every training seed on the same examples in the same order.

    trail_entropies: computed by `slots`, where the dataset has slots; out_of_fold_logits: by models
    that have not seen the example, where there are folds; given: scores that were computed
    elsewhere, by name.
    """

    ids: Shaped[np.ndarray, " examples"]
    labels: Int[np.ndarray, " examples"]
    runs: tuple[RunTrace, ...]
    trail_entropies: Float[np.ndarray, " examples"] | None = None
    out_of_fold_logits: Float[np.ndarray, "examples classes"] | None = None
    given: Mapping[str, np.ndarray] = field(default_factory=dict)

    def take(self, rows: np.ndarray) -> "Trace":
        """Return the trace of the examples `rows`, in that order."""
        return _mapped([self], lambda parts, axis: np.take(parts[0], rows, axis))


def join(traces: Sequence[Trace]) -> Trace:
    """Return one trace of the examples of all traces, one after another."""
    return _mapped(traces, np.concatenate)


def save_trace(trace: Trace, path: Path) -> None:
    """Write `trace` atomically as one file; floats become 32-bit."""
    tensors = {"ids": _pack(trace.ids), "labels": trace.labels.astype(np.int64)}
    for name in OPTIONAL:
        if (array := getattr(trace, name)) is not None:
            tensors[name] = _storable(array)
    tensors |= {f"given/{name}": _storable(values) for name, values in trace.given.items()}
    for place, run in enumerate(trace.runs):
        tensors |= {f"{place}/{name}": _storable(array) for name, array in _flatten(run)}
    runs = [{"seed": run.seed, "checkpoints": _rows(run.checkpoints)} for run in trace.runs]
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={"runs": json.dumps(runs)})


def load_trace(path: Path) -> Trace:
    """Read what save_trace wrote."""
    with safe_open(path, framework="np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        runs = json.loads(file.metadata()["runs"])
    ids = _unpack(tensors.pop("ids"))
    labels, optional = tensors.pop("labels"), {name: tensors.pop(name, None) for name in OPTIONAL}
    read = tuple(_run(i, run, tensors) for i, run in enumerate(runs))
    given = {name[6:]: values for name, values in tensors.items() if name.startswith("given/")}
    return Trace(ids, labels, read, **optional, given=given)


def _mapped(traces: Sequence[Trace], make: Callable[[list[np.ndarray], int], np.ndarray]) -> Trace:
    """Apply `make` to the parts of every array that has a row per example, along that axis."""

    def both(get: Callable[[Any], Any]) -> Any:
        first = get(traces[0])
        return None if first is None else make([get(trace) for trace in traces], 0)

    def run_of(number: int) -> RunTrace:
        first = traces[0].runs[number]
        at = {
            name: {
                step: value
                if name == "null_logits"  # one row for all examples
                else both(lambda t, name=name, step=step: t.runs[number].at[name][step])
                for step, value in steps.items()
            }
            for name, steps in first.at.items()
        }
        over = {
            name: {k: both(lambda t, name=name, k=k: t.runs[number].over[name][k]) for k in keys}
            for name, keys in first.over.items()
        }
        whole = {
            name: make([t.runs[number].whole[name] for t in traces], 1) for name in first.whole
        }
        return replace(first, at=at, over=over, whole=whole)

    return Trace(
        both(lambda trace: trace.ids),
        both(lambda trace: trace.labels),
        tuple(run_of(number) for number in range(len(traces[0].runs))),
        **{name: both(lambda trace, name=name: getattr(trace, name)) for name in OPTIONAL},
        given={name: both(lambda t, name=name: t.given[name]) for name in traces[0].given},
    )


def _flatten(run):
    """Yield (path, array) for every array of a run; `_run` puts it back by that path."""
    for quantity, steps in run.at.items():
        yield from ((f"at/{quantity}/{step}", array) for step, array in steps.items())
    for quantity, windows in run.over.items():
        yield from ((f"over/{quantity}/{window}", array) for window, array in windows.items())
    yield from ((f"whole/{quantity}", array) for quantity, array in run.whole.items())


def _run(place, record, tensors) -> RunTrace:
    """Rebuild the run at `place` from the tensors that `_flatten` yielded."""
    at, over, whole = {}, {}, {}
    for name in (name for name in tensors if name.startswith(f"{place}/")):
        _, kind, quantity, *key = name.split("/")
        if kind == "at":
            at.setdefault(quantity, {})[int(key[0])] = tensors[name]
        elif kind == "over":
            over.setdefault(quantity, {})[key[0]] = tensors[name]
        else:
            whole[quantity] = tensors[name]
    checkpoints = tuple(
        Checkpoint(step, epoch, frozenset(series), rate)
        for step, epoch, series, rate in record["checkpoints"]
    )
    return RunTrace(record["seed"], checkpoints, at, over, whole)


def _rows(checkpoints):
    return [[c.step, c.epoch, sorted(c.series), c.learning_rate] for c in checkpoints]


def _storable(array: np.ndarray) -> np.ndarray:
    # The file format stores the raw buffer: a strided view would be written in the wrong order.
    floating = np.issubdtype(array.dtype, np.floating)
    return np.ascontiguousarray(array, dtype=np.float32 if floating else None)


def _pack(ids: np.ndarray) -> np.ndarray:
    # The format has no strings: ids are stored as the bytes of a JSON list, in the same file.
    return np.frombuffer(json.dumps(ids.tolist()).encode(), dtype=np.uint8)


def _unpack(packed: np.ndarray) -> np.ndarray:
    return np.array(json.loads(packed.tobytes()), dtype=str)
