"""Single trainings of the train step, each a job: a run, and a model that has not seen a fold.

One that is cut off goes on from its last checkpoint: until it is finished its files and its state
lie in `unfinished/`.
"""

import os
import shutil
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from influence.config.parameters import TrainConfig
from influence.data.storage import Saved, open_saved
from influence.models import classifier, fit, tokenizers
from influence.models.fit import Progress, Schedule, steps_per_epoch
from influence.models.inputs import open_inputs
from influence.models.metrics import metrics_of
from influence.models.tokens import empty_inputs
from influence.runtime import store
from influence.training import resume


def train_run(directory: Path, config: TrainConfig, run: int, device: str) -> int:
    """Train one seed into `runs/<run>/`, unless that is finished; return `run`."""
    final = directory / f"runs/{run}"
    if (final / "run.json").exists():
        return run
    tokens, labels = open_inputs(directory, "train", config)
    validation = open_inputs(directory, "validation", config)
    dataset = open_saved(directory / "data")
    tokenizer = tokenizers.open_tokenizer(directory / "tokenizer")
    plan = fit.schedule(config, len(tokens), first=run == 0)
    kept = directory / store.UNFINISHED / f"runs/{run}"
    (files := kept / "files").mkdir(parents=True, exist_ok=True)
    nothing = {"checkpoints": [], "history": [], "recall": {}, "seconds": 0.0}
    begun, noted = resume.read(kept / "run.safetensors", nothing)
    first = begun.step if begun else 0
    seed, began = config.seed + run, time.perf_counter() - noted["seconds"]
    model = classifier.build(config, tokenizer, dataset.label_names, seed).to(device)
    steps = config.epochs * steps_per_epoch(len(tokens), config.batch_size)
    bar = tqdm(total=plan.stops[-1], initial=first, desc=f"train run {run}", unit="step", delay=1)
    for progress in fit.fit(model, tokens, labels, config, seed, plan.stops, steps, begun):
        bar.update(progress.step - bar.n)
        metrics = {"train/loss": progress.loss, "epoch": progress.epoch}
        noted["history"].append([progress.step, metrics])
        if progress.step in plan.observations:
            right = fit.correctness(model, tokens, labels)
            np.save(_observation(kept, progress.step), right)
            metrics["train/accuracy"] = float(right.mean())
        if progress.step in plan.epochs and run == 0:
            metrics |= _validate(model, *validation, dataset, noted["recall"])
        if progress.step in plan.checkpoints:
            classifier.save(model, files / f"step-{progress.step:06d}")
            noted["checkpoints"].append(checkpoint(progress, plan))
            noted["seconds"] = time.perf_counter() - began
            resume.keep(kept / "run.safetensors", progress, noted)
    bar.close()
    observed = [np.load(_observation(kept, step)) for step in plan.observations]
    np.save(files / "observations.npy", np.array(observed, dtype=bool).reshape(-1, len(tokens)))
    given = (config, tokenizer, dataset, labels, seed, device, kept)
    null = _null_logits(*given) if config.null_model else {}
    store.write_json(files / "null.json", null)
    facts = {
        "seed": seed,
        "observations": bool(observed),
        "null": sorted(null),  # the steps at which it was read
        "epochs": plan.stops[-1] / steps_per_epoch(len(tokens), config.batch_size),
        "weights": True,
        "given": [],
    }
    facts |= noted | {"seconds": time.perf_counter() - began}
    store.write_json(files / "run.json", facts)
    final.parent.mkdir(exist_ok=True)
    os.replace(files, final)
    shutil.rmtree(kept)
    return run


def checkpoint(progress: Progress, plan: Schedule) -> dict:
    """Return what a run's list of checkpoints says of this one."""
    series = [name for name in ("spread", "epochs") if progress.step in getattr(plan, name)]
    return {
        "step": progress.step,
        "epoch": progress.epoch,
        "series": series,
        "learning_rate": progress.learning_rate,
    }


def train_fold(directory: Path, config: TrainConfig, fold: int, device: str) -> None:
    """Train on all but one fold and keep what that says of it, unless that is there.

    It is kept in `unfinished/folds/<n>/`. Examples whose texts are equal may be in different folds.
    """
    final = directory / store.UNFINISHED / f"folds/{fold}"
    if (final / "fold.json").exists():
        return
    tokens, labels = open_inputs(directory, "train", config)
    names = open_saved(directory / "data").label_names
    tokenizer = tokenizers.open_tokenizer(directory / "tokenizer")
    unseen = fit.folds(labels, config.folds, config.seed) == fold
    rows = np.flatnonzero(~unseen)
    state = final.with_name(f"{fold}.safetensors")
    begun, spent = resume.read(state, 0.0)
    began = time.perf_counter() - spent
    model = classifier.build(config, tokenizer, names, config.seed).to(device)
    epoch = steps_per_epoch(len(rows), config.batch_size)
    ends = range(epoch, config.epochs * epoch + 1, epoch)
    given = (model, tokens.take(rows), labels[rows], config, config.seed, ends)
    for progress in fit.fit(*given, begun=begun):
        resume.keep(state, progress, time.perf_counter() - began)
    with store.replacing(final) as at:
        at.mkdir()
        np.save(at / "logits.npy", classifier.predict(model, tokens.take(np.flatnonzero(unseen))))
        store.write_json(at / "fold.json", {"seconds": time.perf_counter() - began})
    state.unlink()


def _observation(kept: Path, step: int) -> Path:
    """Return the file of who was classified correctly at a step, bool (examples,)."""
    return kept / f"observed-{step}.npy"


def _validate(model, tokens, labels: np.ndarray, dataset: Saved, recall: dict) -> dict:
    """Return the metrics on validation, and put the recall of every class into `recall`."""
    found = metrics_of(classifier.predict(model, tokens), labels, dataset.label_names)
    recalls = {name for name in found if name.startswith("recall/")}
    recall |= {name.removeprefix("recall/"): found[name] for name in sorted(recalls)}
    return {f"validation/{name}": value for name, value in found.items() if name not in recalls}


def _null_logits(
    config: TrainConfig,
    tokenizer,
    dataset: Saved,
    labels: np.ndarray,
    seed: int,
    device: str,
    kept: Path,
) -> dict[int, list[float]]:
    """Train on empty inputs during the observed epochs; return its logits at the end of each."""
    types = "token_type_ids" in tokenizer.model_input_names
    pair = "text_pair" in dataset.columns("train")
    tokens = empty_inputs(tokenizer, len(labels), pair, types)
    model = classifier.build(config, tokenizer, dataset.label_names, seed).to(device)
    stops = fit.schedule(config, len(labels), first=False).epochs
    one = empty_inputs(tokenizer, 1, pair, types)
    steps = config.epochs * steps_per_epoch(len(labels), config.batch_size)
    begun, found = resume.read(kept / "null.safetensors", [])
    given = (model, tokens, labels, config, seed, stops, steps, begun)
    for progress in fit.fit(*given):
        found.append([progress.step, classifier.predict(model, one)[0].tolist()])
        resume.keep(kept / "null.safetensors", progress, found)
    return dict(found)
