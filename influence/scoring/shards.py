"""A pass over a split in shards: each is measured anywhere, into a file of its own."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file
from torch import nn

from influence.data.splits import reserved
from influence.data.storage import Saved
from influence.data.tags import slots
from influence.errors import InputError
from influence.jobs.engine import Engine, hold, one_at_a_time
from influence.models import classifier
from influence.models.fitting import probe
from influence.models.inputs import open_tokens
from influence.runtime import store
from influence.runtime.devices import free_memory
from influence.runtime.step import say
from influence.scores import PRODUCTS
from influence.scoring import measurable
from influence.scoring.plan import RunPlan
from influence.trace import directions
from influence.trace.input_gradients import WITHOUT_GRADIENTS
from influence.trace.meter import Measured, Meter, Resident
from influence.trace.probing.quantities import Examples, ProbeMeter, Reading
from influence.trace.self_check import MISMATCH, rank_correlations, self_check, slowdown
from influence.trace.trace import RunTrace, Trace
from influence.training.result import Training

COMPARED = 256  # examples that tf32 or bf16, and fp32, rank both
SHARDS = 16  # where the sizes that are sensible allow: work for all workers, and for their number
SMALLEST, LARGEST = 256, 4096  # examples of a shard


@dataclass(frozen=True)
class Pass:
    """What every shard of a pass needs to know."""

    training: Training
    plans: tuple[RunPlan, ...]  # one per run
    tracin_layers: str
    device: str
    batch_tokens: int
    self_check: int  # examples
    shards: Path  # the folder of the files
    cache: Path  # of tokens
    split: str = "train"
    streamed: bool = False  # the checkpoints do not fit into memory together
    precision: str = "fp32"

    def mean_gradients(self, run: int, step: int) -> Path:
        """Return the folder of the mean gradients of validation under a checkpoint."""
        return self.shards.parent / f"gradients/{run}-{step:06d}"


@dataclass(frozen=True)
class Checked:
    """How a pass compares with plain autograd, and with fp32."""

    error: float  # the largest relative one
    correlations: dict[str, float]  # Spearman's with fp32, the lowest of each quantity


def with_mean_gradients(work: Pass, engine: Engine) -> tuple[Pass, float]:
    """Measure the mean gradients of validation that are not there yet, and see what fits.

    Returns the pass as it is to be run, and the seconds of all mean gradients added up.
    """
    jobs = [
        (work, run, step, quantities & {*PRODUCTS})
        for run, plan in enumerate(work.plans)
        for step, quantities in sorted(plan.at.items())
        if quantities & {*PRODUCTS} and work.training.has_weights
    ]
    for _ in engine.run(measure_mean_gradients, jobs, "validation"):
        pass
    folders = [work.mean_gradients(run, step) for _, run, step, _ in jobs]
    seconds = sum((directions.seconds_of(folder) for folder in folders), 0.0)
    return replace(work, streamed=do_not_fit(work, folders, engine)), seconds


def measure_mean_gradients(work: Pass, run: int, step: int, quantities: frozenset[str]) -> None:
    """Leave the mean gradients of the `reserved` examples of validation, unless they are there."""
    folder, training = work.mean_gradients(run, step), work.training
    if directions.are_there(folder):
        return
    with one_at_a_time:  # each takes the memory of a training
        rows = reserved(training.data.read("validation", ["id", "label"]))
        given = (training.tokenizer, training.config, work.cache)
        tokens = open_tokens(training.data, "validation", *given).take(rows)
        labels = training.data.array("validation", "label")[rows]
        path, classes = training.checkpoint(step, run), len(training.label_names)
        model = _open_checkpoint(path, work.device, classes)
        how = (work.batch_tokens, directions.BY_CLASS in quantities)
        directions.write_mean_gradients(folder, model, work.tracin_layers, (tokens, labels), *how)


def do_not_fit(work: Pass, folders: Sequence[Path], engine: Engine) -> bool:
    """Tell whether all checkpoints, and what lies in `folders`, take too much memory, and say so.

    That is more than half of what is free.
    """
    paths = [
        path
        for run, plan in enumerate(work.plans)
        for path in _checkpoints(work.training, run, plan).values()
    ]
    files = [file for path in (*paths, *folders) for file in path.glob("*.safetensors")]
    size = sum(file.stat().st_size for file in files)
    needed = size * engine.holders
    if len(paths) < 2 or needed <= engine.ask(free_memory, engine.device) / 2:
        return False
    say(
        f"score: {len(paths)} checkpoints, for each process, take {needed / 2**30:.1f} GiB, "
        "more than half of the memory that is free: each is read again for every few batches"
    )
    return True


def bounds_of(examples: int, size: int = 0) -> list[tuple[int, int]]:
    """Return first row and end of each shard of `size` examples; 0: of a size that is sensible."""
    size = size or min(max(math.ceil(examples / SHARDS), SMALLEST), LARGEST)
    return [(start, min(start + size, examples)) for start in range(0, examples, size)]


def run_pass(
    work: Pass, bounds: Sequence[tuple[int, int]], engine: Engine
) -> tuple[Checked, float]:
    """Measure the shards of a split that are not there yet, and check the pass.

    `bounds`: first row and end of each shard. Returns what the check found, and the seconds of all
    shards added up. Raises RuntimeError, so that no score is made, if the pass differs from plain
    autograd.
    """
    jobs = [(work, start, end) for start, end in bounds]
    checks = [check for _, check in engine.run(measure_shard, jobs, "score")]
    (checked,) = [check for check in checks if check is not None]
    if checked.error > MISMATCH:
        raise RuntimeError(
            f"this pass differs from plain autograd by {checked.error:.1e}; no score was written"
        )
    return checked, sum(_seconds(_file(work, *ends)) for ends in bounds)


def measure_shard(work: Pass, start: int, end: int) -> Checked | None:
    """Measure examples start..end, unless that is done; the first shard also checks the pass."""
    with one_at_a_time:  # threads share the models of the meter, and its hooks
        return _measure_shard(work, start, end)


def _measure_shard(work: Pass, start: int, end: int) -> Checked | None:
    if work.training.is_probe:
        heads = hold(_open_probe, work)
        _keep_shard(work, start, end, partial(heads.measure, start, end))
        return Checked(heads.check(work.self_check), {}) if start == 0 else None
    meter, training, labels = hold(_open, work)
    given = (training.tokenizer, training.config, work.cache)
    tokens = open_tokens(training.data, work.split, *given)  # anew: it is a map
    checked = _check(work, meter, tokens, labels) if start == 0 else None
    rows = np.arange(start, end)
    _keep_shard(work, start, end, partial(meter.measure, tokens, labels, rows, work.batch_tokens))
    return checked


def _keep_shard(work: Pass, start: int, end: int, measure: Callable[[], Measured]) -> None:
    """Leave what `measure` returns in the file of a shard, unless that is there."""
    path = _file(work, start, end)
    if not _is_whole(path):
        began = time.perf_counter()
        measured = measure()
        spent = {"seconds": str(time.perf_counter() - began)}
        arrays = {f"at/{run}/{name}/{step}": a for (run, name, step), a in measured.at.items()}
        arrays |= {f"over/{run}/{name}/{key}": a for (run, name, key), a in measured.over.items()}
        with store.replacing(path) as temporary:
            save_file(arrays, temporary, metadata=spent)


def traces(work: Pass, bounds: Sequence[tuple[int, int]]) -> Iterator[tuple[int, Trace]]:
    """Yield the first row and the trace of each shard, with what is known besides weights."""
    training, own = work.training, work.split == "train"
    source = training.data
    entropies = _trail_entropies(source, work.split) if training.task == "nlu" else None
    given = training.given_scores if own else {}
    out_of_fold = training.out_of_fold_logits if own else None
    known = _cut(source.parts(work.split, ["id", "label"]), bounds)
    for (start, end), some in zip(bounds, known, strict=True):
        rows = slice(start, end)
        measured = load_file(_file(work, start, end))
        runs = [_run_trace(work, number, measured, rows) for number in range(len(work.plans))]
        yield (
            start,
            Trace(
                some["id"].to_numpy(dtype=str),
                some["label"].to_numpy(),
                tuple(runs),
                None if entropies is None else entropies[rows],
                None if out_of_fold is None else np.array(out_of_fold[rows]),
                {name: values[rows] for name, values in given.items()},
            ),
        )


def _cut(
    parts: Iterator[pd.DataFrame], bounds: Sequence[tuple[int, int]]
) -> Iterator[pd.DataFrame]:
    """Yield rows in pieces with these bounds, each from where the last ended; parts have others."""
    held = next(parts)
    for start, end in bounds:
        while len(held) < end - start:
            held = pd.concat([held, next(parts)])
        yield held.iloc[: end - start]
        held = held.iloc[end - start :]


def _trail_entropies(source: Saved, split: str) -> np.ndarray:
    rows = source.read(split, ["text", "slots", "label", "intent"])
    texts = zip(rows["text"], rows["slots"], strict=True)
    trails = [slots.trail(*slots.read(text, tags)) for text, tags in texts]
    return slots.trail_entropies(list(zip(rows["label"], rows["intent"], strict=True)), trails)


def _check(work: Pass, meter: Meter, tokens, labels) -> Checked:
    error = self_check(meter, tokens, labels, work.self_check)
    if error > MISMATCH and meter.residents:  # is it the model's doing, or a mistake of ours?
        model, name = meter.opened(0).model, f"the training {work.training.directory}"
        if notes := measurable.note(name, model.cpu(), measurable.two_texts(tokens)):
            raise InputError(f"{notes[0]}; {WITHOUT_GRADIENTS}")
    if any(meter.slow):
        say(
            f"score: this model has a layer without a closed form: gradients take one example "
            f"at a time, {slowdown(meter, tokens, labels):.0f} times a forward pass"
        )
    correlations = {}
    if work.precision != "fp32":
        correlations = rank_correlations(meter, tokens, labels, COMPARED)
        shown = ", ".join(f"{name} {value:.3f}" for name, value in correlations.items())
        say(
            f"score: {work.precision} ranks the first {COMPARED} examples nearly as fp32, "
            f"Spearman's: {shown}"
        )
    return Checked(error, correlations)


def _open(work: Pass) -> tuple[Meter, Training, np.ndarray]:
    """Return the meter of every checkpoint that the plans name, the training and the labels."""
    residents = [
        resident for run, plan in enumerate(work.plans) for resident in _residents(work, run, plan)
    ]
    labels = work.training.data.array(work.split, "label")
    meter = Meter(residents, work.tracin_layers, work.streamed, work.precision, work.device)
    return meter, work.training, labels


def _residents(work: Pass, run: int, plan: RunPlan) -> Sequence[Resident]:
    windows, classes = _windows(plan), len(work.training.label_names)
    residents = []
    for step, path in _checkpoints(work.training, run, plan).items():
        model = partial(_open_checkpoint, path, work.device, classes)
        within = tuple(key for key, steps in windows.items() if step in steps)
        quantities = plan.at.get(step, frozenset())
        folder, products = work.mean_gradients(run, step), quantities & {*PRODUCTS}
        opened = partial(directions.open_directions, folder, work.device, products, classes)
        residents.append(Resident(run, step, model, quantities, within, opened))
    return residents


def _open_probe(work: Pass) -> ProbeMeter:
    """Return the meter of every head that the plans name."""
    training = work.training
    vectors = probe.standardised(training.vectors("train"))
    train = Examples(vectors, training.data.array("train", "label"))
    rows = reserved(training.data.read("validation", ["id", "label"]))
    others = vectors.standardised_alike(training.vectors("validation")[rows])
    validation = Examples(others, training.data.array("validation", "label")[rows])
    readings = []
    for run, plan in enumerate(work.plans):
        windows, read = _windows(plan), sorted({*plan.at, *plan.varied})
        for step, weights in training.heads(read, run).items():
            within = tuple(key for key, steps in windows.items() if step in steps)
            head, quantities = probe.opened(weights, work.device), plan.at.get(step, frozenset())
            readings.append(Reading(run, step, head, quantities, within))
    return ProbeMeter(readings, train, validation, work.tracin_layers)


def _checkpoints(training: Training, run: int, plan: RunPlan) -> dict[int, Path]:
    """Return the directories that a run's part of the pass reads, by step."""
    if not training.has_weights:
        return {}
    steps = {*plan.at, *(step for steps in _windows(plan).values() for step in steps)}
    return {step: training.checkpoint(step, run) for step in sorted(steps)}


def _windows(plan: RunPlan) -> dict[str, tuple[int, ...]]:
    return {key: steps for by_key in plan.over.values() for key, steps in by_key.items()}


def _open_checkpoint(path: Path, device: str, classes: int) -> nn.Module:
    model = classifier.open_checkpoint(path).to(device)
    if model.config.num_labels != classes:
        raise InputError(
            f"the checkpoint {path} has {model.config.num_labels} classes, but its dataset "
            f"has {classes}; it belongs to another training"
        )
    return model


def _run_trace(work: Pass, number: int, measured: dict, rows: slice) -> RunTrace:
    at: dict[str, dict[int, np.ndarray]] = {}
    over: dict[str, dict[str, np.ndarray]] = {}
    for name, array in measured.items():
        kind, run, quantity, where = name.split("/", 3)
        if int(run) == number and kind == "at":
            at.setdefault(quantity, {})[int(where)] = array
        elif int(run) == number:
            over.setdefault(quantity, {})[where] = array
    training, plan, whole = work.training, work.plans[number], {}
    if null := training.null_logits(number):
        at["null_logits"] = null
    if not training.has_weights and not training.is_probe:
        at["logits"] = training.given_logits(plan.at, rows, number)
    if "observations" in plan.whole:
        whole["observations"] = np.array(training.observations(number)[:, rows])
    run = training.runs[number]
    return RunTrace(run.seed, run.checkpoints, at, over, whole)


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
