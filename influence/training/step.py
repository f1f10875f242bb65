"""train: from a dataset to checkpoints and training observations."""

import json
from collections.abc import Generator
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import numpy as np

from influence.config.parameters import (
    DataConfig,
    FitConfig,
    ModelConfig,
    TrainConfig,
    TrainStep,
    changed,
    narrow,
)
from influence.data import load
from influence.data.dataset import Dataset
from influence.data.storage import digest_of_rest, remarks, save
from influence.errors import InputError
from influence.models import fit as training
from influence.models import pretrained, tokenizers
from influence.models.classifier import check_start, open_checkpoint
from influence.nlu import stack as nlu
from influence.nlu import words
from influence.runtime import store
from influence.runtime.devices import has_bf16, settled
from influence.runtime.engine import Engine
from influence.runtime.step import Record, Steps, Task, perform, say
from influence.training import imported as imported
from influence.training import result
from influence.training.result import OUT_OF_FOLD, read_checkpoints
from influence.training.runs import checkpoint, train_fold, train_run

CODE = ("data", "models", "nlu", "training")
# of a run, in the manifest
KEPT = ("seed", "checkpoints", "observations", "null", "epochs", "seconds", "weights", "given")


@dataclass(frozen=True)
class Request:
    """A training that was checked: nothing that can be known of it beforehand stands against it."""

    config: TrainStep
    dataset: Dataset
    task: Task
    notes: tuple[str, ...]  # what is worth saying before the work

    @property
    def is_finished(self) -> bool:
        """Tell whether it was done before."""
        return store.is_finished(self.task.directory(self.config.workdir))


def open_dataset(config: TrainStep) -> Dataset:
    """Load the dataset of a training and say what is worth knowing of it.

    Raises InputError if it does not go with the task.
    """
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
        raise InputError(f"folds={config.folds} gives no held-out predictions: {why}; give 0 or 5")
    return dataset


def request(config: TrainStep, dataset: Dataset, engine: Engine, paired: bool = False) -> Request:
    """Check a training before any work and give it its place.

    `paired`: what is imported is known to have been trained on this dataset with the tokenizer
    beside it. Raises InputError if dataset, model and what is imported do not belong together.
    """
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
    parameters |= {"dataset": dataset.name, "task": config.task}
    made = Request(config, dataset, Task("train", parameters, inputs, CODE), tuple(notes))
    if made.is_finished:
        return made
    return replace(made, notes=(*notes, *_check_model(config, dataset, paired)))


def train(request: Request, engine: Engine) -> Steps:
    """Fine-tune `config.runs` seeds in `train-<fingerprint>/`, with checkpoints and observations.

    Holds `data/` (the dataset as used), `tokenizer/`, and per run `runs/<n>/step-<s>/` (config and
    weights), `observations.npy` (bool, observations x examples) and `null.json` (the logits that
    the null model gives at each epoch's end: on its one possible input it is nothing but these).
    With `folds` also `out_of_fold.npy`, what models that have not seen an example say of it.
    With `stack` (task nlu) also `stack/`, which `nlu.open_saved` opens.
    """
    for note in request.notes:
        say(f"train: {note}")
    config, dataset = request.config, request.dataset
    work = partial(_train, config, dataset, engine)
    return (yield from perform(request.task, config.workdir, work))


def expected(config: TrainConfig, examples: int) -> tuple[result.RunInfo, ...]:
    """Return what a training of this config will hold, before it is done."""
    if config.import_from:
        return (imported.expected(config, examples),)
    infos = []
    for run in range(config.runs):
        plan = training.schedule(config, examples, first=run == 0)
        epoch = training.steps_per_epoch(examples, config.batch_size)
        at = [
            checkpoint(training.Progress(step, step / epoch, 0.0, 0.0), plan)
            for step in plan.checkpoints
        ]
        null = training.schedule(config, examples, first=False).epochs if config.null_model else ()
        observed, trails = bool(plan.observations), config.task == "nlu"
        infos.append(
            result.RunInfo(
                config.seed + run, read_checkpoints(at), observed, null, trails, config.folds > 0
            )
        )
    return tuple(infos)


def check_retraining(config: TrainConfig, retrain_with: str, dataset: Dataset) -> None:
    """Raise InputError if what shall be retrained afterwards does not belong together.

    That the trained model does is checked as it is trained.
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
    check_start(fit, tokenizer, dataset.label_names, dataset.splits)


def _check_model(config: TrainStep, dataset: Dataset, paired: bool) -> list[str]:
    if config.import_from:
        return imported.check_model(config, dataset, paired)
    tokenizer = None
    if config.model not in pretrained.SCRATCH:
        tokenizer = tokenizers.load_tokenizer(config, [])
        if config.task == "nlu":
            words.check_tokenizer(config.model, tokenizer)
    unseen = config.stack  # a stack that is kept reads what it is told later
    return check_start(config, tokenizer, dataset.label_names, dataset.splits, unseen)


def _train(
    config: TrainStep, dataset: Dataset, engine: Engine, directory: Path
) -> Generator[Record, None, dict]:
    save(dataset, directory / "data")
    with store.replacing(directory / "tokenizer") as temporary:
        imported.tokenizer_of(config, dataset).save_pretrained(temporary)
    parameters = TrainConfig(**config.parameters(TrainConfig))
    count = 1 if config.import_from else config.runs
    if config.import_from:
        imported.leave_run(directory, config, dataset)
    jobs = [(directory, parameters, run, engine.device) for run in range(count)]
    for _, run in engine.run(train_run, jobs, "train"):
        history = _read(directory / f"runs/{run}/run.json")["history"]
        prefix = "" if run == 0 else f"run-{run}/"
        for step, metrics in history:
            yield Record(step, {prefix + name: value for name, value in metrics.items()})
    runs = [_read(directory / f"runs/{run}/run.json") for run in range(count)]
    folds = _hold_out(directory, parameters, dataset, engine) if config.folds else {}
    if config.stack:
        _train_stack(
            directory, parameters, dataset, runs[0]["checkpoints"][-1]["step"], engine.device
        )
    return {
        "dataset": {"name": dataset.name, "digest": dataset.digest},
        "label_names": dataset.label_names,
        "recall": runs[0]["recall"],
        "task": config.task,
        "fit": config.parameters(FitConfig),
        "runs": [{name: run[name] for name in KEPT} for run in runs],
        "folds": folds,
    }


def _train_stack(
    directory: Path, config: TrainConfig, dataset: Dataset, last: int, device: str
) -> None:
    """Add the joint models to the first run's last checkpoint, in `stack/`."""
    tokenizer = tokenizers.open_tokenizer(directory / "tokenizer")
    fit = FitConfig(**config.parameters(FitConfig))
    names = dataset.label_names
    classifier = open_checkpoint(directory / f"runs/0/step-{last:06d}")
    kept = directory / store.UNFINISHED / "joint"
    setup = nlu.Setup(fit, tokenizer, names, device)
    stack = nlu.complete(setup, classifier, dataset.train, config.seed, kept)
    with store.replacing(directory / "stack") as at:
        nlu.save(stack, at)


def _hold_out(
    directory: Path, config: TrainConfig, dataset: Dataset, engine: Engine
) -> dict[str, float]:
    """Leave `out_of_fold.npy` (examples, classes): logits of models trained on the other folds."""
    jobs = [(directory, config, fold, engine.device) for fold in range(config.folds)]
    for _ in engine.run(train_fold, jobs, "folds"):
        pass
    labels, kept = dataset.train["label"].to_numpy(), directory / store.UNFINISHED / "folds"
    place = training.folds(labels, config.folds, config.seed)
    logits, seconds = np.empty((len(labels), len(dataset.label_names)), dtype=np.float32), 0.0
    for fold in range(config.folds):
        logits[place == fold] = np.load(kept / f"{fold}/logits.npy")
        seconds += _read(kept / f"{fold}/fold.json")["seconds"]
    np.save(directory / OUT_OF_FOLD, logits)
    return {"count": config.folds, "epochs": config.epochs, "seconds": seconds}


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))
