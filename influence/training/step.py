"""train: from a dataset to checkpoints and training observations."""

from collections.abc import Callable, Generator
from concurrent.futures import wait
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import numpy as np

from influence.config.lists import changed
from influence.config.parameters import DataConfig, FitConfig, ModelConfig, TrainConfig, narrow
from influence.config.steps import TrainStep
from influence.data import load
from influence.data.dataset import Dataset
from influence.data.result import DATA, TOKENIZER
from influence.data.splits import validated
from influence.data.storage import digest_of_rest, remarks, save
from influence.errors import InputError
from influence.jobs.engine import Engine
from influence.models import fit as training
from influence.models import pretrained, tokenizers
from influence.models.classifier import Start, open_checkpoint, started
from influence.nlu import stack as nlu
from influence.nlu import words
from influence.runtime import store
from influence.runtime.devices import has_bf16, settled
from influence.runtime.step import Record, Steps, Task, perform, say
from influence.trace.trace import EARLY
from influence.training import imported, result, run_files
from influence.training.runs import (
    checkpoint,
    encode_texts,
    null_run,
    probe_fold,
    probe_run,
    probed,
    read_fold,
    train_fold,
    train_run,
)

CODE = ("data", "models", "nlu", "trace/representations", "trace/trace", "training")
Trial = Callable[[Start], list[str]]  # tries a model and returns what to say about it


@dataclass(frozen=True)
class Request:
    """A training that was checked: nothing that can be known beforehand speaks against it."""

    config: TrainStep
    dataset: Dataset
    task: Task
    notes: tuple[str, ...]  # to be said before the work

    @property
    def is_finished(self) -> bool:
        """Tell whether it was done before."""
        return store.is_finished(self.task.directory(self.config.workdir))


def open_dataset(config: TrainStep) -> Dataset:
    """Load the dataset of a training and say what is worth knowing about it.

    Raises InputError if it does not fit the task.
    """
    _check_proxy(config)
    dataset = load.load(config)
    for sentence in remarks(dataset):
        say(f"train: {sentence}")
    if config.stack and config.task != "nlu":
        raise InputError("stack=true is for task=nlu: a classifier has no intents and slots")
    if config.folds == 1 or (config.folds and config.import_from):
        why = (
            "what is imported is not trained"
            if config.import_from
            else "one fold leaves nothing to train"
        )
        raise InputError(
            f"folds={config.folds} gives no out-of-fold predictions: {why}; give 0 or 5"
        )
    return dataset


def request(
    config: TrainStep,
    dataset: Dataset,
    engine: Engine,
    paired: bool = False,
    trial: Trial = lambda start: [],
) -> Request:
    """Check a training before any work and give it its place.

    `paired`: what is imported is known to have been trained on this dataset with the tokenizer
    beside it; `trial`: what else to try with the model that was opened for the check, unless the
    training is finished. Raises InputError if dataset, model and what is imported do not belong
    together.
    """
    config = training.with_epochs(config, len(dataset.train), len(dataset.label_names))
    config = replace(config, precision=engine.ask(settled, config.precision, engine.device))
    notes = []
    if config.precision == "bf16" and not engine.ask(has_bf16, engine.device):
        notes.append("this CPU has no bf16 and emulates it, many times slower than precision=fp32")
    known = {field.name for field in fields(DataConfig)}
    parameters = {
        name: value for name, value in config.parameters(TrainConfig).items() if name not in known
    }
    inputs = {"dataset": dataset.digest, "rest": digest_of_rest(dataset)}
    inputs["model"] = pretrained.identity(config)
    if config.import_from:
        notes += imported.check(config, dataset)
        inputs["imported"] = imported.identity(config)
    if config.proxy == "probe":
        own = ("checkpoints", "checkpoint_every", "observe_every", "observe_epochs")
        notes += imported.ignored(config, own, "a probe is kept and observed after every epoch")
    parameters |= {"dataset": dataset.name, "task": config.task}
    checked = Request(config, dataset, Task("train", parameters, inputs, CODE), tuple(notes))
    if checked.is_finished:
        return checked
    start, more = _check_model(config, dataset, paired)
    # Of a probe only the head is differentiated, which gives every gradient.
    tried = [] if start is None or config.proxy == "probe" else trial(start)
    return replace(checked, notes=(*notes, *more, *tried))


def train(request: Request, engine: Engine) -> Steps:
    """Fine-tune `config.runs` seeds in `train-<fingerprint>/`, which `result.Training` opens.

    It holds the dataset as used, the tokenizer, and per run the checkpoints, what was observed and
    the logits of the null model; with `folds` also what models that have not seen an example
    predict for it, and with `stack` (task nlu) the stack, which `nlu.open_saved` opens.
    """
    for note in request.notes:
        say(f"train: {note}")
    config, dataset = request.config, request.dataset
    work = partial(_train, config, dataset, engine)
    return (yield from perform(request.task, config.workdir, work))


def expected(config: TrainConfig, dataset: Dataset) -> tuple[result.RunInfo, ...]:
    """Return what a training of this config will hold, before it is done.

    Any of its checkpoints may turn out to be EARLY.
    """
    return tuple(
        replace(
            info,
            checkpoints=tuple(replace(c, series=c.series | {EARLY}) for c in info.checkpoints),
        )
        for info in _expected(config, dataset)
    )


def _expected(config: TrainConfig, dataset: Dataset) -> tuple[result.RunInfo, ...]:
    labels, examples = (dataset.train["label"], dataset.validation["label"]), len(dataset.train)
    validation = validated(*labels, dataset.label_names)
    if config.import_from:
        return (replace(imported.expected(config, examples), validation=validation),)
    config, infos = training.with_epochs(config, examples, len(dataset.label_names)), []
    if config.proxy == "probe":
        return tuple(
            _expected_probe(config, run, examples, validation) for run in range(config.runs)
        )
    for run in range(config.runs):
        plan = training.schedule(config, examples, first=run == 0)
        epoch = training.steps_per_epoch(examples, config.batch_size)
        checkpoints = tuple(
            checkpoint(training.Progress(step, step / epoch, 0.0, 0.0), plan)
            for step in plan.checkpoints
        )
        null = training.schedule(config, examples, first=False).epochs if config.null_model else ()
        observed, trails = bool(plan.observations), config.task == "nlu"
        infos.append(
            result.RunInfo(config.seed + run, checkpoints, observed, null, trails, config.folds > 0)
        )
    return tuple(replace(info, validation=validation) for info in infos)


def _expected_probe(
    config: TrainConfig, run: int, examples: int, validation: dict[str, int]
) -> result.RunInfo:
    ends = probed(examples, config.epochs)
    return result.RunInfo(
        config.seed + run,
        ends,
        observations=True,
        null=tuple(end.step for end in ends) if config.null_model else (),
        trails=config.task == "nlu",
        out_of_fold=config.folds > 0,
        measurable=result.PROBED,
        validation=validation,
    )


def check_retraining(config: TrainConfig, retrain_with: str, dataset: Dataset) -> None:
    """Raise InputError if the model to retrain afterwards does not fit its tokenizer and the texts.

    The trained model itself is checked by `request`.
    """
    fit = changed(narrow(config, FitConfig), retrain_with)
    if not config.import_from and fit.parameters(ModelConfig) == config.parameters(ModelConfig):
        return
    tokenizer = None  # one made for a model from scratch belongs to it
    if fit.model not in pretrained.SCRATCH:
        own = (fit.model, fit.vocabulary) == (config.model, config.vocabulary)
        tokenizer = (
            imported.tokenizer_of(config, dataset) if own else tokenizers.load_tokenizer(fit, [])
        )
        if config.task == "nlu":
            words.check_tokenizer(fit.model, tokenizer)
    started(fit, tokenizer, dataset.label_names, dataset.splits)


def _check_proxy(config: TrainConfig) -> None:
    """Raise InputError for what a probe cannot read or leave."""
    if config.proxy == "none":
        return
    if config.import_from:
        raise InputError(
            f"proxy=probe trains a head here, but import_from={config.import_from} takes a "
            "training made elsewhere; give one of the two"
        )
    if config.model in pretrained.SCRATCH:
        raise InputError(
            f"proxy=probe reads a pretrained encoder, but model={config.model} is trained from "
            "scratch; name a pretrained one, such as model=minilm, or give proxy=none"
        )
    if config.stack:
        raise InputError(
            "stack=true completes the last checkpoint, but proxy=probe leaves none; give "
            "stack=false or proxy=none"
        )


def _check_model(
    config: TrainStep, dataset: Dataset, paired: bool
) -> tuple[Start | None, list[str]]:
    if config.import_from:
        return imported.check_model(config, dataset, paired)
    tokenizer = None
    if config.model not in pretrained.SCRATCH:
        tokenizer = tokenizers.load_tokenizer(config, [])
        if config.task == "nlu":
            words.check_tokenizer(config.model, tokenizer)
    unseen = config.stack  # a stack that is kept reads texts that come later
    return started(config, tokenizer, dataset.label_names, dataset.splits, unseen)


def _train(
    config: TrainStep, dataset: Dataset, engine: Engine, directory: Path
) -> Generator[Record, None, dict]:
    save(dataset, directory / DATA)
    run_files.write_tokenizer(imported.tokenizer_of(config, dataset), directory)
    parameters = TrainConfig(**config.parameters(TrainConfig))
    count = 1 if config.import_from else config.runs
    if config.import_from:
        imported.leave_run(directory, config, dataset)
    is_probe = config.proxy == "probe"
    if is_probe:
        for _ in engine.run(encode_texts, [(directory, parameters, engine.device)], "encode"):
            pass
    jobs = [(directory, parameters, run, engine.device) for run in range(count)]
    # A single run leaves the other cores to its null model.
    aside = jobs if config.null_model and not is_probe and not config.import_from else []
    begun = [engine.submit(null_run, *job) for job in aside]
    for _, run in engine.run(probe_run if is_probe else train_run, jobs, "train"):
        history = run_files.read_run(run_files.run_folder(directory, run))["history"]
        prefix = "" if run == 0 else f"run-{run}/"
        for step, metrics in history:
            yield Record(step, {prefix + name: value for name, value in metrics.items()})
    wait(begun)
    runs = [run_files.read_run(run_files.run_folder(directory, run)) for run in range(count)]
    folds = _train_folds(directory, parameters, dataset, engine) if config.folds else {}
    if config.stack:
        last = runs[0]["checkpoints"][-1]["step"]
        _train_stack(directory, parameters, dataset, last, engine.device)
    return result.described(config, dataset, config.task, runs, folds)


def _train_stack(
    directory: Path, config: TrainConfig, dataset: Dataset, last: int, device: str
) -> None:
    """Add the joint models to the first run's last checkpoint, in `stack/`."""
    tokenizer = tokenizers.open_tokenizer(directory / TOKENIZER)
    fit = FitConfig(**config.parameters(FitConfig))
    names = dataset.label_names
    run = run_files.run_folder(directory, 0)
    classifier = open_checkpoint(run_files.checkpoint_folder(run, last))
    kept = directory / store.UNFINISHED / "joint"
    setup = nlu.Setup(fit, tokenizer, names, device)
    stack = nlu.complete(setup, classifier, dataset.train, config.seed, kept)
    with store.replacing(directory / run_files.STACK) as at:
        nlu.save(stack, at)


def _train_folds(
    directory: Path, config: TrainConfig, dataset: Dataset, engine: Engine
) -> dict[str, float]:
    """Leave the logits (examples, classes) that models trained on the other folds give."""
    jobs = [(directory, config, fold, engine.device) for fold in range(config.folds)]
    job = probe_fold if config.proxy == "probe" else train_fold
    for _ in engine.run(job, jobs, "folds"):
        pass
    labels = dataset.train["label"].to_numpy()
    place = training.folds(labels, config.folds, config.seed)
    logits, seconds = np.empty((len(labels), len(dataset.label_names)), dtype=np.float32), 0.0
    for fold in range(config.folds):
        logits[place == fold], spent = read_fold(directory, fold)
        seconds += spent
    run_files.write_out_of_fold(logits, directory)
    return {"count": config.folds, "epochs": config.epochs, "seconds": seconds}
