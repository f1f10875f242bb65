"""train: from a dataset to checkpoints and training observations."""

import json
import shutil
import time
from collections.abc import Callable, Generator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from influence import (
    batches,
    data,
    evaluation,
    models,
    nlu,
    planning,
    specs,
    store,
    training,
)
from influence.cluster import Engine, has_bf16, settled
from influence.config import DataConfig, FitConfig, TrainConfig, TrainStep, names
from influence.errors import InputError
from influence.saved import Dataset, Saved, open_saved, save
from influence.steps import adopt as adopting
from influence.steps.inputs import HELD_OUT, TRAINING, open_inputs, read_checkpoints
from influence.steps.step import Record, Steps, Task, perform, say

CODE = (
    *TRAINING,
    *("adoption", "assistant", "assistant_grammar", "columns", "data", "dynamics", "examples"),
    *("perturb", "templates"),
    "steps/adopt",
    "steps/train",
)
# of a run, in the manifest
KEPT = ("seed", "checkpoints", "observations", "null", "epochs", "seconds", "weights", "given")


def train(
    config: TrainStep,
    engine: Engine,
    score: str = "",
    check: Callable[[Dataset], None] | None = None,
) -> Steps:
    """Fine-tune `config.runs` seeds in `train-<fingerprint>/`, with checkpoints and observations.

    Holds `data/` (the dataset as used), `tokenizer/`, and per run `runs/<n>/step-<s>/` (config and
    weights), `observations.npy` (bool, observations x examples) and `null.json` (the logits that
    the null model gives at each epoch's end: on its one possible input it is nothing but these).
    With `folds` also `held_out.npy`, what models that have not seen an example say of it.
    With `stack` (task nlu) also `stack/`, which `nlu.open_saved` opens.
    Raises InputError before any training if it could not give one of the scores in `score`; `check`
    is called with the dataset and may raise it too.
    """
    config = replace(config, precision=settled(config.precision, engine.device))
    dataset = data.load(**config.knobs(DataConfig))
    for count, what in ((number, name) for name, number in dataset.dropped.items()):
        say(f"train: dropped {count} {what}")
    for note in dataset.notes:
        say(f"train: {note}")
    if config.stack and config.task != "nlu":
        raise InputError("stack=true is for task=nlu: a classifier has no intents and slots")
    if config.folds == 1 or (config.folds and config.adopt):
        why = (
            "what is adopted is not trained" if config.adopt else "one fold leaves nothing to train"
        )
        raise InputError(f"folds={config.folds} gives no held-out predictions: {why}; give 0 or 5")
    if config.precision == "bf16" and not has_bf16(engine.device):
        say("train: this CPU has no bf16 and emulates it, many times slower than precision=fp32")
    planning.plan(
        [specs.parse_spec(name) for name in names(score) if name != "all"],
        expected(config, len(dataset.train)),
    )
    if check is not None:
        check(dataset)
    known = {field.name for field in fields(DataConfig)}
    knobs = {name: value for name, value in config.knobs(TrainConfig).items() if name not in known}
    inputs = {"dataset": dataset.digest, "model": models.identity(config)}
    if config.adopt:
        adopting.check(config, dataset)
        inputs["adopted"] = adopting.identity(config)
    knobs |= {"dataset": dataset.name, "task": config.task}
    task = Task("train", knobs, inputs, CODE)
    return (
        yield from perform(task, config.workdir, lambda at: _train(config, dataset, engine, at))
    )


def expected(config: TrainConfig, examples: int) -> tuple[planning.RunInfo, ...]:
    """Return what a training of this config will hold, before it is done."""
    if config.adopt:
        return (adopting.expected(config, examples),)
    infos = []
    for run in range(config.runs):
        plan = training.schedule(config, examples, first=run == 0)
        epoch = training.steps_per_epoch(examples, config.batch_size)
        at = [
            _checkpoint(training.Progress(step, step / epoch, 0.0, 0.0), plan)
            for step in plan.checkpoints
        ]
        null = training.schedule(config, examples, first=False).epochs if config.null_model else ()
        observed, trails = bool(plan.observations), config.task == "nlu"
        infos.append(
            planning.RunInfo(
                config.seed + run, read_checkpoints(at), observed, null, trails, config.folds > 0
            )
        )
    return tuple(infos)


def _train(
    config: TrainStep, dataset: Dataset, engine: Engine, directory: Path
) -> Generator[Record, None, dict]:
    save(dataset, directory / "data")
    with store.replacing(directory / "tokenizer") as temporary:
        adopting.tokenizer_of(config, dataset).save_pretrained(temporary)
    knobs = TrainConfig(**config.knobs(TrainConfig))
    count = 1 if config.adopt else config.runs
    if config.adopt:
        adopting.leave_run(directory, config, dataset)
    jobs = [(directory, knobs, run, engine.device) for run in range(count)]
    for _, run in engine.run(train_run, jobs, "train"):
        history = _read(directory / f"runs/{run}/run.json")["history"]
        prefix = "" if run == 0 else f"run-{run}/"
        for step, metrics in history:
            yield Record(step, {prefix + name: value for name, value in metrics.items()})
    runs = [_read(directory / f"runs/{run}/run.json") for run in range(count)]
    folds = _hold_out(directory, knobs, dataset, engine) if config.folds else {}
    if config.stack:
        _train_stack(directory, knobs, dataset, runs[0]["checkpoints"][-1]["step"], engine.device)
    return {
        "dataset": {"name": dataset.name, "digest": dataset.digest},
        "label_names": dataset.label_names,
        "recall": runs[0]["recall"],
        "task": config.task,
        "fit": config.knobs(FitConfig),
        "runs": [{name: run[name] for name in KEPT} for run in runs],
        "folds": folds,
    }


def _train_stack(
    directory: Path, config: TrainConfig, dataset: Dataset, last: int, device: str
) -> None:
    """Add the joint models to the first run's last checkpoint, in `stack/`."""
    tokenizer = models.open_tokenizer(directory / "tokenizer")
    fit = FitConfig(**config.knobs(FitConfig))
    names = dataset.label_names
    classifier = models.open_checkpoint(directory / f"runs/0/step-{last:06d}")
    with store.replacing(directory / "stack") as at:
        frame, seed = dataset.train, config.seed
        stack = nlu.complete(fit, tokenizer, names, classifier, frame, seed, device)
        nlu.save(stack, at)


def _hold_out(
    directory: Path, config: TrainConfig, dataset: Dataset, engine: Engine
) -> dict[str, float]:
    """Leave `held_out.npy` (examples, classes): logits of models trained on the other folds."""
    jobs = [(directory, config, fold, engine.device) for fold in range(config.folds)]
    for _ in engine.run(train_fold, jobs, "folds"):
        pass
    labels = dataset.train["label"].to_numpy()
    place = training.folds(labels, config.folds, config.seed)
    logits, seconds = np.empty((len(labels), len(dataset.label_names)), dtype=np.float32), 0.0
    for fold in range(config.folds):
        logits[place == fold] = np.load(directory / f"folds/{fold}/logits.npy")
        seconds += _read(directory / f"folds/{fold}/fold.json")["seconds"]
    np.save(directory / HELD_OUT, logits)
    shutil.rmtree(directory / "folds")
    return {"count": config.folds, "epochs": config.epochs, "seconds": seconds}


def train_fold(directory: Path, config: TrainConfig, fold: int, device: str) -> None:
    """Train on all but one fold and keep in `folds/<n>/` what that says of it, unless it is there.

    Examples whose texts are equal may be in different folds.
    """
    final = directory / f"folds/{fold}"
    if (final / "fold.json").exists():
        return
    tokens, labels = open_inputs(directory, "train", config)
    names = open_saved(directory / "data").label_names
    tokenizer, began = models.open_tokenizer(directory / "tokenizer"), time.perf_counter()
    unseen = training.folds(labels, config.folds, config.seed) == fold
    rows = np.flatnonzero(~unseen)
    model = models.build(config, tokenizer, names, config.seed).to(device)
    steps = config.epochs * training.steps_per_epoch(len(rows), config.batch_size)
    for _ in training.fit(model, tokens.take(rows), labels[rows], config, config.seed, (steps,)):
        pass
    with store.replacing(final) as at:
        at.mkdir()
        np.save(at / "logits.npy", models.predict(model, tokens.take(np.flatnonzero(unseen))))
        store.write_json(at / "fold.json", {"seconds": time.perf_counter() - began})


def train_run(directory: Path, config: TrainConfig, run: int, device: str) -> int:
    """Train one seed into `runs/<run>/`, unless that is finished; return `run`."""
    final = directory / f"runs/{run}"
    if (final / "run.json").exists():
        return run
    tokens, labels = open_inputs(directory, "train", config)
    validation = open_inputs(directory, "validation", config)
    dataset = open_saved(directory / "data")
    tokenizer = models.open_tokenizer(directory / "tokenizer")
    seed, began = config.seed + run, time.perf_counter()
    plan = training.schedule(config, len(tokens), first=run == 0)
    with store.replacing(final) as at:
        at.mkdir()
        model = models.build(config, tokenizer, dataset.label_names, seed).to(device)
        checkpoints, observed, history, recall = [], [], [], {}
        steps = config.epochs * training.steps_per_epoch(len(tokens), config.batch_size)
        bar = tqdm(total=plan.stops[-1], desc=f"train run {run}", unit="step", delay=1)
        for progress in training.fit(model, tokens, labels, config, seed, plan.stops, steps):
            bar.update(progress.step - bar.n)
            metrics = {"train/loss": progress.loss, "epoch": progress.epoch}
            if progress.step in plan.observations:
                observed.append(training.correctness(model, tokens, labels))
                metrics["train/accuracy"] = float(observed[-1].mean())
            if progress.step in plan.checkpoints:
                models.save(model, at / f"step-{progress.step:06d}")
                checkpoints.append(_checkpoint(progress, plan))
            if progress.step in plan.epochs and run == 0:
                found = evaluation.metrics(
                    models.predict(model, validation[0]), validation[1], dataset.label_names
                )
                recall = {
                    name[7:]: value for name, value in found.items() if name.startswith("recall/")
                }
                metrics |= {
                    f"validation/{n}": v for n, v in found.items() if not n.startswith("recall/")
                }
            history.append([progress.step, metrics])
        bar.close()
        np.save(at / "observations.npy", np.array(observed, dtype=bool).reshape(-1, len(tokens)))
        given = (config, tokenizer, dataset, labels, seed, device)
        null = _null_logits(*given) if config.null_model else {}
        store.write_json(at / "null.json", null)
        store.write_json(
            at / "run.json",
            {
                "seed": seed,
                "checkpoints": checkpoints,
                "observations": bool(observed),
                "null": sorted(null),  # the steps at which it was read
                "history": history,
                "recall": recall,
                "epochs": plan.stops[-1] / training.steps_per_epoch(len(tokens), config.batch_size),
                "seconds": time.perf_counter() - began,
                "weights": True,
                "given": [],
            },
        )
    return run


def _checkpoint(progress: training.Progress, plan: training.Schedule) -> dict:
    series = [name for name in ("spread", "epochs") if progress.step in getattr(plan, name)]
    return {
        "step": progress.step,
        "epoch": progress.epoch,
        "series": series,
        "learning_rate": progress.learning_rate,
    }


def _null_logits(
    config: TrainConfig, tokenizer, dataset: Saved, labels: np.ndarray, seed: int, device: str
) -> dict[int, list[float]]:
    """Train on empty inputs during the observed epochs; return its logits at the end of each."""
    types = "token_type_ids" in tokenizer.model_input_names
    pair = "text_pair" in dataset.columns("train")
    tokens = batches.empty_inputs(tokenizer, len(labels), pair, types)
    model = models.build(config, tokenizer, dataset.label_names, seed).to(device)
    stops = training.schedule(config, len(labels), first=False).epochs
    one = batches.empty_inputs(tokenizer, 1, pair, types)
    steps = config.epochs * training.steps_per_epoch(len(labels), config.batch_size)
    return {
        progress.step: models.predict(model, one)[0].tolist()
        for progress in training.fit(model, tokens, labels, config, seed, stops, steps)
    }


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))
