"""A pass over a split in shards: each is measured anywhere, into a file of its own."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from influence import models, slots, store
from influence.cluster import Engine, hold
from influence.config import TrainConfig
from influence.errors import InputError
from influence.planning import RunPlan
from influence.records import RunTrace, Trace
from influence.saved import Saved, open_saved
from influence.steps.inputs import (
    GIVEN_LOGITS,
    GIVEN_SCORES,
    HELD_OUT,
    open_tokens,
    read_checkpoints,
)
from influence.steps.step import say
from influence.trace import MISMATCH, Meter, Resident, self_check, slowdown


@dataclass(frozen=True)
class Pass:
    """What every shard of a pass needs to know."""

    training: Path
    plans: tuple[RunPlan, ...]  # one per run
    tracin_layers: str
    device: str
    batch_tokens: int
    self_check: int  # examples
    shards: Path  # the folder of the files
    cache: Path  # of tokens
    split: str = "train"


def run_pass(work: Pass, bounds: Sequence[tuple[int, int]], engine: Engine) -> tuple[float, float]:
    """Measure the shards of a split that are not there yet, and check the pass.

    `bounds`: first row and end of each shard. Returns the largest relative error found, and the
    seconds of all shards added up. Raises RuntimeError, so that no score is made, if the pass
    differs from plain autograd.
    """
    jobs = [(work, start, end) for start, end in bounds]
    error = max(error for _, error in engine.run(measure_shard, jobs, "score"))
    if error > MISMATCH:
        raise RuntimeError(
            f"this pass differs from plain autograd by {error:.1e}; no score was written"
        )
    return error, sum(_seconds(_file(work, *ends)) for ends in bounds)


def measure_shard(work: Pass, start: int, end: int) -> float:
    """Measure examples start..end, unless that is done; return the error of the check."""
    meter, tokenizer, labels, config = hold(_open, work)
    source = open_saved(work.training / "data")
    tokens = open_tokens(source, work.split, tokenizer, config, work.cache)  # anew: it is a map
    error = _check(work, meter, tokens, labels) if start == 0 and work.self_check else 0.0
    path = _file(work, start, end)
    if not _is_whole(path):
        began = time.perf_counter()
        measured = meter.measure(tokens, labels, np.arange(start, end), work.batch_tokens)
        spent = {"seconds": str(time.perf_counter() - began)}
        arrays = {f"at/{run}/{name}/{step}": a for (run, name, step), a in measured.at.items()}
        arrays |= {f"over/{run}/{name}/{key}": a for (run, name, key), a in measured.over.items()}
        with store.replacing(path) as temporary:
            save_file(arrays, temporary, metadata=spent)
    return error


def traces(
    work: Pass, manifest: dict, source: Saved, bounds: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, Trace]]:
    """Yield the first row and the trace of each shard, with what is known besides weights."""
    own = work.split == "train"
    entropies = _trail_entropies(source, work.split) if manifest["task"] == "nlu" else None
    given_path = work.training / "runs/0" / GIVEN_SCORES
    given = load_file(given_path) if own and given_path.exists() else {}
    has_folds = own and manifest["folds"]
    held_out = np.load(work.training / HELD_OUT, mmap_mode="r") if has_folds else None
    known = _cut(source.parts(work.split, ["id", "label"]), bounds)
    for (start, end), some in zip(bounds, known, strict=True):
        rows = slice(start, end)
        measured = load_file(_file(work, start, end))
        runs = [
            _run_trace(work, manifest, number, measured, rows) for number in range(len(work.plans))
        ]
        yield (
            start,
            Trace(
                some["id"].to_numpy(dtype=str),
                some["label"].to_numpy(),
                tuple(runs),
                None if entropies is None else entropies[rows],
                None if held_out is None else np.array(held_out[rows]),
                {name: values[rows] for name, values in given.items()},
            ),
        )


def _cut(
    parts: Iterator[pd.DataFrame], bounds: Sequence[tuple[int, int]]
) -> Iterator[pd.DataFrame]:
    """Yield rows in pieces with these bounds, from parts with others."""
    held = next(parts)
    for start, end in bounds:
        while held.index[-1] < end - 1:
            held = pd.concat([held, next(parts)])
        yield held.loc[start : end - 1]
        held = held.loc[end:] if held.index[-1] >= end else held.iloc[-1:]


def _trail_entropies(source: Saved, split: str) -> np.ndarray:
    rows = source.read(split, ["text", "slots", "label", "intent"])
    texts = zip(rows["text"], rows["slots"], strict=True)
    trails = [slots.trail(*slots.read(text, tags)) for text, tags in texts]
    return slots.trail_entropies(list(zip(rows["label"], rows["intent"], strict=True)), trails)


def _check(work: Pass, meter: Meter, tokens, labels) -> float:
    error = self_check(meter, tokens, labels, work.self_check)
    if any(meter.slow):
        say(
            f"score: this model has a layer without a closed form: gradient norms take one example "
            f"at a time, {slowdown(meter, tokens, labels):.0f} times a forward pass"
        )
    return error


def _open(work: Pass):
    """Open every checkpoint that the plans name, the tokenizer and the labels of the split."""
    residents = [
        resident for run, plan in enumerate(work.plans) for resident in _residents(work, run, plan)
    ]
    manifest = store.read_manifest(work.training, "train")
    _check_classes(residents, manifest["label_names"], work.training)
    labels = open_saved(work.training / "data").array(work.split, "label")
    tokenizer = models.open_tokenizer(work.training / "tokenizer")
    config = TrainConfig(**manifest["knobs"])
    return Meter(residents, work.tracin_layers), tokenizer, labels, config


def _residents(work: Pass, run: int, plan: RunPlan) -> Sequence[Resident]:
    windows = {key: steps for by_key in plan.over.values() for key, steps in by_key.items()}
    residents = []
    if (work.training / f"runs/{run}" / GIVEN_LOGITS).exists():
        return residents  # there are no weights
    for step in sorted({*plan.at, *(step for steps in windows.values() for step in steps)}):
        path = work.training / f"runs/{run}/step-{step:06d}"
        model = models.open_checkpoint(path).to(work.device)
        within = tuple(key for key, steps in windows.items() if step in steps)
        residents.append(Resident(run, step, model, plan.at.get(step, frozenset()), within))
    return residents


def _check_classes(residents: Sequence[Resident], names: Sequence[str], training: Path) -> None:
    for resident in residents:
        if resident.model.config.num_labels != len(names):
            raise InputError(
                f"the checkpoint of step {resident.step} in {training} tells "
                f"{resident.model.config.num_labels} classes apart, but its dataset has "
                f"{len(names)}; it belongs to another training"
            )


def _run_trace(work: Pass, manifest: dict, number: int, measured: dict, rows: slice) -> RunTrace:
    at: dict[str, dict[int, np.ndarray]] = {}
    over: dict[str, dict[str, np.ndarray]] = {}
    for name, array in measured.items():
        kind, run, quantity, where = name.split("/", 3)
        if int(run) == number and kind == "at":
            at.setdefault(quantity, {})[int(where)] = array
        elif int(run) == number:
            over.setdefault(quantity, {})[where] = array
    folder, whole = work.training / f"runs/{number}", {}
    null = json.loads((folder / "null.json").read_text(encoding="utf-8"))
    if null:
        at["null_logits"] = {int(step): np.array(v, dtype=np.float32) for step, v in null.items()}
    if (folder / GIVEN_LOGITS).exists():
        with safe_open(folder / GIVEN_LOGITS, framework="np") as file:
            steps = work.plans[number].at
            at["logits"] = {step: file.get_slice(str(step))[rows] for step in steps}
    if "observations" in work.plans[number].whole:
        seen = np.load(folder / "observations.npy", mmap_mode="r")
        whole["observations"] = np.array(seen[:, rows])
    run = manifest["runs"][number]
    return RunTrace(run["seed"], read_checkpoints(run["checkpoints"]), at, over, whole)


def _is_whole(path: Path) -> bool:
    """Tell whether a shard is there and was not cut off, as when a machine goes down."""
    try:
        return path.exists() and _seconds(path) >= 0
    except SafetensorError:
        return False


def _seconds(path: Path) -> float:
    with safe_open(path, framework="np") as file:
        return float(file.metadata()["seconds"])


def _file(work: Pass, start: int, end: int) -> Path:
    return work.shards / f"{start:010d}-{end:010d}.safetensors"
