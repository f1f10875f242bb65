"""Single trainings of the train step, each a job: a run, and a model that has not seen a fold.

One that is cut off resumes at its last checkpoint: until it is finished, its files and its state
lie in `unfinished/`.
"""

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from influence.config.parameters import TrainConfig
from influence.data.result import DATA, TOKENIZER
from influence.data.storage import Saved, open_saved
from influence.errors import InputError
from influence.jobs.engine import one_at_a_time
from influence.models import classifier, fit, tokenizers
from influence.models.fit import Progress, Schedule, steps_per_epoch
from influence.models.fitting import probe
from influence.models.fitting.course import Course, Examples, of_classifier, part
from influence.models.fitting.trainers import trained
from influence.models.inputs import open_inputs
from influence.models.metrics import metrics_of
from influence.models.tokens import Tokens, empty_inputs
from influence.runtime import store
from influence.runtime.locks import held
from influence.trace.representations import mean_first_max, represent
from influence.trace.trace import Checkpoint
from influence.training import resume, run_files
from influence.training.run_files import RunFacts

LOGITS, FOLD = "logits.npy", "fold.json"  # what is kept of a fold until all are there


@dataclass(frozen=True, eq=False)
class Inputs:
    """What single trainings read of the directory of their step."""

    directory: Path
    config: TrainConfig
    tokenizer: Any
    dataset: Saved
    tokens: Tokens
    labels: np.ndarray
    device: str

    def course(self, tokens: Tokens | None = None) -> Course:
        """Return the trainings on train, or on other tokens with its labels."""
        data = (
            self.dataset.files["train"],
            tokenizers.tokenizer_digest(self.tokenizer),
            self.config.max_length,
            "" if tokens is None else "other tokens",
        )
        examples = Examples(self.tokens if tokens is None else tokens, self.labels)
        names = self.dataset.label_names
        return of_classifier(self.config, self.tokenizer, names, examples, data, self.device)

    def unfinished(self, name: str) -> Path:
        """Return where the parts of a training lie until it is finished."""
        return self.directory / store.UNFINISHED / name


def check_folds(folds: int, examples: int) -> None:
    """Raise InputError for more folds than there are train examples: some would be empty."""
    if folds > examples:
        raise InputError(
            f"folds={folds} is more than the {examples} train examples; give at most {examples}, "
            "such as folds=5"
        )


def train_run(directory: Path, config: TrainConfig, run: int, device: str) -> int:
    """Train one seed into `runs/<run>/`, unless that is finished; return `run`."""
    final = run_files.run_folder(directory, run)
    if run_files.is_run(final):
        return run
    inputs = _open(directory, config, device)
    plan = fit.schedule(config, len(inputs.tokens), first=run == 0)
    kept = inputs.unfinished(f"runs/{run}")
    (files := kept / "files").mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    noted = _train(inputs, plan, run, kept)
    observed = [np.load(_observation(kept, step)) for step in plan.observations]
    noted["seconds"] += time.perf_counter() - began
    null, spent = _null_logits(inputs, run) if config.null_model else ({}, 0.0)
    facts = RunFacts(
        seed=config.seed + run,
        epochs=plan.stops[-1] / steps_per_epoch(len(inputs.tokens), config.batch_size),
        **noted | {"seconds": noted["seconds"] + spent},
    )
    whole = np.array(observed, dtype=bool).reshape(-1, len(inputs.tokens))
    run_files.write_run(files, facts, whole, null)
    final.parent.mkdir(exist_ok=True)
    os.replace(files, final)
    shutil.rmtree(kept)
    return run


def null_run(directory: Path, config: TrainConfig, run: int, device: str) -> None:
    """Train the null model of one seed beside `train_run`, which finds its logits."""
    if not run_files.is_run(run_files.run_folder(directory, run)):
        _null_logits(_open(directory, config, device), run)


def checkpoint(progress: Progress, plan: Schedule) -> Checkpoint:
    """Return what a run's list of checkpoints says of this one."""
    series = [name for name in ("spread", "epochs") if progress.step in getattr(plan, name)]
    return Checkpoint(progress.step, progress.epoch, frozenset(series), progress.learning_rate)


def _train(inputs: Inputs, plan: Schedule, run: int, kept: Path) -> dict[str, Any]:
    """Train to the last stop of `plan`, from where an attempt before was cut off.

    Leaves checkpoints in `kept/files` and observations in `kept`. Returns checkpoints, history,
    recall and the seconds of the attempts before.
    """
    config, tokens = inputs.config, inputs.tokens
    validation = open_inputs(inputs.directory, "validation", config)
    nothing = {"checkpoints": [], "history": [], "recall": {}, "seconds": 0.0}
    begun, noted = resume.read(kept / "run.safetensors", nothing)
    before, began = noted["seconds"], time.perf_counter()
    first, seed = begun.step if begun else 0, config.seed + run
    course = inputs.course()
    whole = part(course, None, seed, plan.stops, begun=begun)
    bar = tqdm(total=plan.stops[-1], initial=first, desc=f"train run {run}", unit="step", delay=1)
    state = resume.kept(kept / "run.safetensors")
    with bar, state as keep, trained(course, whole) as training:
        for progress in training.stops:
            bar.update(progress.step - bar.n)
            metrics = {"train/loss": progress.loss, "epoch": progress.epoch}
            noted["history"].append([progress.step, metrics])
            if progress.step in plan.observations:
                right = training.predict(tokens).argmax(1) == inputs.labels
                np.save(_observation(kept, progress.step), right)
                metrics["train/accuracy"] = float(right.mean())
            if progress.step in plan.epochs and run == 0:
                logits = training.predict(validation[0])
                metrics |= _validated(logits, validation[1], inputs.dataset, noted["recall"])
            if progress.step in plan.checkpoints:
                run_files.write_checkpoint(
                    training.model, progress.step, kept / "files", inputs.directory
                )
                noted["checkpoints"].append(run_files.listed(checkpoint(progress, plan)))
                noted["seconds"] = before + time.perf_counter() - began
                keep(progress, noted)
    return noted | {"seconds": before}


def train_fold(directory: Path, config: TrainConfig, fold: int, device: str) -> None:
    """Train on all but one fold and keep what that says of it, unless that is there.

    It is kept in `unfinished/folds/<n>/`. Examples whose texts are equal may be in different folds.
    """
    final = _fold(directory, fold)
    if (final / FOLD).exists():
        return
    inputs = _open(directory, config, device)
    tokens, labels = inputs.tokens, inputs.labels
    unseen = fit.folds(labels, config.folds, config.seed) == fold
    rows = np.flatnonzero(~unseen)
    state = final.with_name(f"{fold}.safetensors")
    begun, spent = resume.read(state, 0.0)
    began = time.perf_counter() - spent
    epoch = steps_per_epoch(len(rows), config.batch_size)
    ends = range(epoch, config.epochs * epoch + 1, epoch)
    course = inputs.course()
    seen = part(course, rows, config.seed, ends, begun=begun)
    with resume.kept(state) as keep, trained(course, seen) as training:
        for progress in training.stops:
            keep(progress, time.perf_counter() - began)
        # In fp32, whatever the training is in: examples are ranked by these, and logits in bf16,
        # with three digits, would make many equal.
        logits = classifier.predict(training.model, tokens.take(np.flatnonzero(unseen)))
    _keep_fold(final, logits, time.perf_counter() - began)
    state.unlink(missing_ok=True)


def encode_texts(directory: Path, config: TrainConfig, device: str) -> None:
    """Run the texts of train and validation once through the frozen encoder, unless that is done.

    The vectors are what a probe reads: mean, first and largest of the last hidden states.
    """
    if run_files.seconds_of_vectors(directory) >= 0:
        return
    began = time.perf_counter()
    tokenizer = tokenizers.open_tokenizer(directory / TOKENIZER)
    names = open_saved(directory / DATA).label_names
    model = classifier.build(config, tokenizer, names, config.seed, head=False).to(device)
    splits = {
        split: represent(model, open_inputs(directory, split, config)[0], pool=mean_first_max)
        for split in ("train", "validation")
    }
    run_files.write_vectors(directory, splits, time.perf_counter() - began)


def probe_run(directory: Path, config: TrainConfig, run: int, device: str) -> int:
    """Train the head of one seed into `runs/<run>/`, unless that is finished; return `run`."""
    if not run_files.is_run(run_files.run_folder(directory, run)):
        with one_at_a_time:  # dropout draws from a generator that threads share
            _probe_run(directory, config, run, device)
    return run


def _probe_run(directory: Path, config: TrainConfig, run: int, device: str) -> None:
    began, seed = time.perf_counter(), config.seed + run
    source = open_saved(directory / DATA)
    labels, others = (source.array(split, "label") for split in ("train", "validation"))
    train = probe.standardised(run_files.read_vectors(directory, "train"))
    validation = train.standardised_alike(run_files.read_vectors(directory, "validation"))
    rows, classes = np.arange(len(labels)), len(source.label_names)
    history, heads, right, recall = [], {}, [], {}
    for end, head in probe.train(train, labels, rows, classes, config.epochs, seed, device):
        right.append(probe.predict(head, train).argmax(1) == labels)
        shown = {"epoch": float(end.number), "train/accuracy": float(right[-1].mean())}
        shown |= _validated(probe.predict(head, validation), others, source, recall)
        history.append([end.step, {"train/loss": end.loss, **shown}])
        heads[end.step] = probe.weights_of(head)
    encoding = run_files.seconds_of_vectors(directory) if run == 0 else 0.0
    facts = RunFacts(
        seed=seed,
        checkpoints=[run_files.listed(one) for one in probed(len(labels), config.epochs)],
        history=history,
        recall=recall,
        epochs=config.epochs,
        seconds=encoding + time.perf_counter() - began,
        weights=False,
        heads=True,
    )
    null = dict.fromkeys(heads, _prior(labels, classes)) if config.null_model else {}
    final = run_files.run_folder(directory, run)
    final.parent.mkdir(exist_ok=True)
    with store.replacing(final) as at:
        at.mkdir()
        run_files.write_heads(at, heads)
        run_files.write_run(at, facts, np.array(right), null)


def probed(examples: int, epochs: int) -> tuple[Checkpoint, ...]:
    """Return what a probe's list of checkpoints says: the end of every epoch, in both series."""
    return tuple(
        Checkpoint(end.step, float(end.number), frozenset({"epochs", "spread"}), end.learning_rate)
        for end in probe.plan(examples, epochs)
    )


def probe_fold(directory: Path, config: TrainConfig, fold: int, device: str) -> None:
    """Train a head on all but one fold and keep what it says of that, as `train_fold` does."""
    if not (_fold(directory, fold) / FOLD).exists():
        with one_at_a_time:
            _probe_fold(directory, config, fold, device)


def _probe_fold(directory: Path, config: TrainConfig, fold: int, device: str) -> None:
    began, source = time.perf_counter(), open_saved(directory / DATA)
    labels, classes = source.array("train", "label"), len(source.label_names)
    unseen = fit.folds(labels, config.folds, config.seed) == fold
    vectors = probe.standardised(run_files.read_vectors(directory, "train"))
    rows = np.flatnonzero(~unseen)
    ends = probe.train(vectors, labels, rows, classes, config.epochs, config.seed, device)
    *_, (_, head) = ends  # one head, trained on from epoch to epoch
    logits = probe.predict(head, vectors, np.flatnonzero(unseen))
    _keep_fold(_fold(directory, fold), logits, time.perf_counter() - began)


def read_fold(directory: Path, fold: int) -> tuple[np.ndarray, float]:
    """Return what `train_fold` kept: logits (examples of the fold, classes), and seconds."""
    at = _fold(directory, fold)
    return np.load(at / LOGITS), json.loads((at / FOLD).read_text(encoding="utf-8"))["seconds"]


def _open(directory: Path, config: TrainConfig, device: str) -> Inputs:
    tokens, labels = open_inputs(directory, "train", config)
    tokenizer = tokenizers.open_tokenizer(directory / TOKENIZER)
    return Inputs(
        directory, config, tokenizer, open_saved(directory / DATA), tokens, labels, device
    )


def _keep_fold(final: Path, logits: np.ndarray, seconds: float) -> None:
    """Leave what `read_fold` returns."""
    with store.replacing(final) as at:
        at.mkdir()
        np.save(at / LOGITS, logits)
        store.write_json(at / FOLD, {"seconds": seconds})


def _fold(directory: Path, fold: int) -> Path:
    return directory / store.UNFINISHED / f"folds/{fold}"


def _observation(kept: Path, step: int) -> Path:
    """Return the file of who was classified correctly at a step, bool (examples,)."""
    return kept / f"observed-{step}.npy"


def _validated(logits: np.ndarray, labels: np.ndarray, dataset: Saved, recall: dict) -> dict:
    """Return the metrics on validation, and put the recall of every class into `recall`."""
    metrics = metrics_of(logits, labels, dataset.label_names)
    recalls = {name for name in metrics if name.startswith("recall/")}
    recall |= {name.removeprefix("recall/"): metrics[name] for name in sorted(recalls)}
    return {f"validation/{name}": value for name, value in metrics.items() if name not in recalls}


def _null_logits(inputs: Inputs, run: int) -> tuple[dict[int, list[float]], float]:
    """Train on empty inputs during the observed epochs, unless that is done or being done.

    Returns the logits at the end of each, by step, and how many seconds they took.
    """
    kept = inputs.unfinished(f"null/{run}")
    done = kept / "logits.json"
    with held(kept / store.LOCK):
        if not done.exists():
            began = time.perf_counter()
            logits = _null_trained(inputs, inputs.config.seed + run, kept / "state.safetensors")
            store.write_json(done, [logits, time.perf_counter() - began])
    logits, seconds = json.loads(done.read_text(encoding="utf-8"))
    return {int(step): row for step, row in logits.items()}, seconds


def _null_trained(inputs: Inputs, seed: int, path: Path) -> dict[int, list[float]]:
    """Return the logits of one null model; its state is kept in `path`."""
    config, labels, tokenizer = inputs.config, inputs.labels, inputs.tokenizer
    types = "token_type_ids" in tokenizer.model_input_names
    pair = "text_pair" in inputs.dataset.columns("train")
    tokens = empty_inputs(tokenizer, len(labels), pair, types)
    ends = fit.schedule(config, len(labels), first=False).epochs
    one = empty_inputs(tokenizer, 1, pair, types)
    course = inputs.course(tokens)
    begun, read = resume.read(path, [])
    early = part(course, None, seed, ends, begun=begun)
    with resume.kept(path) as keep, trained(course, early) as training:
        for progress in training.stops:
            read.append([progress.step, classifier.predict(training.model, one)[0].tolist()])
            keep(progress, read)
    return dict(read)


def _prior(labels: np.ndarray, classes: int) -> list[float]:
    """Return the logits that a head on one constant vector ends with: the logs of class shares.

    A class without examples counts as half of one.
    """
    counts = np.bincount(labels, minlength=classes)
    return np.log(np.maximum(counts, 0.5) / len(labels)).tolist()
