"""One retraining: a model trained on what was kept, measured on one split, and never done twice."""

import hashlib
import json
import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from influence.config.lists import changed
from influence.config.parameters import Budget, FitConfig, RetrainConfig
from influence.data.dataset import SPLITS, texts_of
from influence.data.result import Result
from influence.evaluation.result import OUTCOMES, Point
from influence.jobs.engine import Engine, hold
from influence.models import classifier, pretrained, tokenizers
from influence.models.fit import steps_of, steps_per_epoch, with_epochs
from influence.models.fitting.course import Course, Examples, of_classifier, part
from influence.models.fitting.trainers import trained
from influence.models.inputs import cache_of, open_tokens
from influence.models.metrics import metrics_of
from influence.models.tokens import Tokens
from influence.nlu import metrics as nlu_metrics
from influence.nlu import stack
from influence.nlu.words import Words, check_tokenizer, read_words
from influence.runtime import store
from influence.runtime.devices import settled
from influence.runtime.locks import locked
from influence.sampling.order import percent_of

Split = Literal["validation", "test"]
CODE = ("data", "models", "nlu", "training", "evaluation/retraining")
PREDICTIONS = "predictions.npy"  # class numbers (examples of the measured split,)
# Retrainings share no seed with the runs that were scored, and those that a search looks at while
# choosing share none with those that it reports: luck in choosing is no luck in the report.
FIRST_SEED: dict[Split, int] = {"test": 1000, "validation": 2000}


@dataclass(frozen=True)
class Place:
    """Where retrainings come from, and where they are kept.

    source: a finished step with `data/` and `tokenizer/`, as scores and samples are; split: the
    only one besides train that is opened, unless `sealed`: then a point also holds the metrics on
    test, for whoever reports once everything is chosen; fit: the model that is retrained and how.
    """

    source: Result
    split: Split
    fit: FitConfig
    budget: Budget
    threshold: float  # of confidence, below which a request counts as unrecoverable (task nlu)
    device: str
    kept: Path
    sealed: bool = False

    def steps(self, kept: int) -> int:
        """Return the optimiser steps of a retraining on so many examples."""
        return _steps(self.budget, self.fit, self.source, kept)


def place(
    config: RetrainConfig, source: Result, split: Split, engine: Engine, sealed: bool = False
) -> Place:
    """Return the place of the retrainings that `config` asks for.

    A voice assistant's are never sealed: its requests would have to be read twice.
    """
    kept = Path(config.workdir).absolute() / "retrainings"
    fit = retrained(source, config)
    fit = replace(fit, precision=engine.ask(settled, fit.precision, engine.device))
    sealed = sealed and source.task != "nlu"
    return Place(source, split, fit, config.budget, config.threshold, engine.device, kept, sealed)


def retrained(source: Result, config: RetrainConfig) -> FitConfig:
    """Return how to retrain: as the scored model was trained, unless `retrain_with` differs."""
    fit, data = changed(source.fit, config.retrain_with), source.data
    return with_epochs(fit, data.count("train"), len(data.label_names))


def on_subset(source: Result, config: RetrainConfig, kept: int) -> FitConfig:
    """Return how a subset of so many examples is retrained: for the epochs that it takes."""
    fit = retrained(source, config)
    steps = _steps(config.budget, fit, source, kept)
    return replace(fit, epochs=math.ceil(steps / steps_per_epoch(kept, fit.batch_size)))


def share(source: Result, config: RetrainConfig, kept: int) -> float:
    """Return the optimiser steps of a retraining as a share of those on the full train set."""
    fit = retrained(source, config)
    own, whole = (
        _steps(config.budget, fit, source, count) for count in (kept, source.data.count("train"))
    )
    return own / whole


def _steps(budget: Budget, fit: FitConfig, source: Result, kept: int) -> int:
    data = source.data
    return steps_of(budget, fit, kept, data.count("train"), len(data.label_names))


def check(config: RetrainConfig, source: Result) -> list[str]:
    """Return what is worth saying of the model that is retrained on what `source` holds.

    Raises InputError, before anything is retrained, if it does not belong with its tokenizer and
    the texts.
    """
    fit, dataset = retrained(source, config), source.data
    if fit.model in pretrained.SCRATCH:
        return classifier.started(fit, None, dataset.label_names, {})[1]
    tokenizer = _tokenizer(source, fit)
    if source.task == "nlu":
        check_tokenizer(fit.model, tokenizer)
    read = [name for name in ("text", "text_pair", "label") if name in dataset.columns("train")]
    splits = {split: dataset.read(split, read) for split in SPLITS}
    return classifier.started(fit, tokenizer, dataset.label_names, splits)[1]


def inputs(config: RetrainConfig, source: Result) -> dict[str, str]:
    """Return digests of the model that is retrained and of the tokenizer that `source` holds.

    A tokenizer that comes with another model, or is made from the texts, follows from those.
    """
    fit = retrained(source, config)
    saved = _saved_tokenizer(source) if _is_scored(source, fit) else None
    digest = "" if saved is None else tokenizers.tokenizer_digest(saved)
    return {"model": pretrained.identity(fit), "tokenizer": digest}


def retrain(place: Place, kept: np.ndarray, number: int) -> Point:
    """Retrain on the rows `kept` of the train set under seed `number`, unless it was done before.

    The result is kept under a name made of all that it depends on: the rows, the seed, the
    parameters, the model, the tokenizer, the code; beside it lie the predicted classes. A process
    that wants one that is being made waits for it.
    """
    cache = cache_of(place.kept)
    also = ("test",) if place.sealed else ()
    opened = hold(_open, place.source, (place.split, *also), place.fit, place.device, cache)
    steps = place.steps(len(kept))
    seed = opened.fit.seed + FIRST_SEED[place.split] + number
    rows = np.sort(kept)
    key = _key(opened, place, rows, seed, steps)
    path = place.kept / key / "point.json"
    with locked(path.parent):
        if not _is_whole(path):
            kind = _stack if opened.task == "nlu" else _classifier
            seconds, metrics, logits = kind(opened, place, rows, seed, steps, path.parent)
            with store.replacing(path.parent / PREDICTIONS) as temporary, temporary.open("wb") as f:
                np.save(f, logits.argmax(1).astype(np.int32))
            point = {"kept": len(rows), "steps": steps, "seconds": seconds, "metrics": metrics}
            store.write_json(path, point)
    percent = percent_of(1 - len(rows) / len(opened.course.examples))
    return Point(percent, seed, **json.loads(path.read_text(encoding="utf-8")), key=key)


def predictions(place: Place, point: Point) -> np.ndarray:
    """Return the classes that a retraining predicts, (examples of the split of `place`,)."""
    return np.load(place.kept / point.key / PREDICTIONS)


@dataclass(frozen=True, eq=False)
class _Opened:
    """A source, tokenised: train, and what is measured; the first of these is looked at."""

    task: str
    fit: FitConfig
    tokenizer: object
    label_names: tuple[str, ...]
    inputs: dict[str, str]  # digests of dataset, model and tokenizer
    course: Course  # of classifiers, on train
    measured: dict[str, tuple[Tokens, np.ndarray]]
    requests: "_Requests | None"  # task nlu


@dataclass(frozen=True, eq=False)
class _Requests:
    """What a stack reads: both splits with their words, and what the measured one means."""

    train: pd.DataFrame
    words: Words
    measured: Words
    gold: nlu_metrics.Parses


def _open(
    source: Result, measured: tuple[Split, ...], fit: FitConfig, device: str, cache: Path
) -> _Opened:
    task, dataset, tokenizer = source.task, source.data, _tokenizer(source, fit)
    splits, names = ("train", *measured), dataset.label_names
    requests = None
    if task == "nlu":
        frames = [dataset.read(name) for name in splits]
        words, measured_words = (
            read_words(tokenizer, frame["text"].tolist(), fit.max_length) for frame in frames
        )
        requests = _Requests(frames[0], words, measured_words, stack.gold(frames[1], names))
        tokens = (words.tokens, measured_words.tokens)
    else:
        tokens = tuple(open_tokens(dataset, name, tokenizer, fit, cache) for name in splits)
    labels = [dataset.array(name, "label") for name in splits]
    digest = tokenizers.tokenizer_digest(tokenizer)
    inputs = {"dataset": dataset.digest, "model": pretrained.identity(fit), "tokenizer": digest}
    data = (*inputs.values(), fit.max_length)
    examples = Examples(tokens[0], labels[0])
    looked_at = dict(zip(measured, zip(tokens[1:], labels[1:], strict=True), strict=True))
    course = of_classifier(fit, tokenizer, names, examples, data, device)
    return _Opened(task, fit, tokenizer, names, inputs, course, looked_at, requests)


def _tokenizer(source: Result, fit: FitConfig):
    """Open the tokenizer of the scored model; another model has one of its own."""
    if _is_scored(source, fit):
        return _saved_tokenizer(source)
    return tokenizers.load_tokenizer(fit, texts_of(source.data.read("train")))


def _saved_tokenizer(source: Result):
    return tokenizers.open_tokenizer(source.directory / "tokenizer")


def _is_scored(source: Result, fit: FitConfig) -> bool:
    """Tell whether what is retrained reads the tokens that the scored model does."""
    return (fit.model, fit.vocabulary) == (source.fit.model, source.fit.vocabulary)


def _classifier(
    opened: _Opened, place: Place, rows: np.ndarray, seed: int, steps: int, at: Path
) -> tuple[float, dict[str, float], np.ndarray]:
    """Retrain a classifier; return seconds, metrics and logits."""
    course, splits = opened.course, opened.measured
    seconds, metrics, logits = train_and_measure(course, rows, splits, seed, steps)
    return seconds, metrics, logits[place.split]


def _stack(
    opened: _Opened, place: Place, rows: np.ndarray, seed: int, steps: int, at: Path
) -> tuple[float, dict[str, float], np.ndarray]:
    """Retrain a stack and leave `outcomes.parquet`, a row per request; return as `_classifier`."""
    requests = opened.requests
    assert requests is not None
    data = opened.course.data
    setup = stack.Setup(opened.fit, opened.tokenizer, opened.label_names, place.device, data)
    train = (requests.train, requests.words)
    seconds, logits, parses = stack.retrain(setup, train, rows, requests.measured, seed, steps)
    outcomes = nlu_metrics.outcomes(requests.gold, parses, place.threshold)
    outcomes["domain"] = requests.gold.domains
    outcomes["tail"] = nlu_metrics.tail(requests.gold.intents.tolist())
    with store.replacing(at / OUTCOMES) as temporary:
        outcomes.to_parquet(temporary, index=False)
    metrics = metrics_of(logits, opened.measured[place.split][1], opened.label_names)
    metrics |= nlu_metrics.rates(outcomes)
    metrics["frame_accuracy"] = 1 - metrics["irer"]
    tail = nlu_metrics.rates(outcomes[outcomes["tail"]])
    metrics |= {f"tail_{name}": value for name, value in tail.items()}
    return seconds, {f"{place.split}/{name}": value for name, value in metrics.items()}, logits


def _is_whole(path: Path) -> bool:
    """Tell whether a retraining is there and was not cut off, as when a machine goes down."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
        np.load(path.with_name(PREDICTIONS), mmap_mode="r")
    except (FileNotFoundError, ValueError, EOFError):
        return False
    return True


def _key(opened: _Opened, place: Place, rows: np.ndarray, seed: int, steps: int) -> str:
    """Name a retraining by all that it depends on; the dataset's digest says what the rows are.

    Also by the tokenizer: that of an import is another than a training of the same model makes.
    """
    parameters = {**asdict(opened.fit), "seed": seed, "steps": steps}
    parameters["split"] = ",".join(opened.measured)
    if opened.task == "nlu":
        parameters |= {"task": "nlu", "threshold": place.threshold}
    inputs = {**opened.inputs, "kept": kept_digest(rows)}
    return store.fingerprint("retraining", parameters, inputs, CODE)


def kept_digest(rows: np.ndarray) -> str:
    """Return a digest of the rows of the train set (kept,) that are retrained on, in any order."""
    return hashlib.sha256(np.sort(rows).astype(np.int64).tobytes()).hexdigest()


def train_and_measure(
    course: Course,
    rows: np.ndarray,
    splits: dict[str, tuple[Tokens, np.ndarray]],
    seed: int,
    steps: int = 0,
) -> tuple[float, dict[str, float], dict[str, np.ndarray]]:
    """Train from the starting weights on `rows` and measure on each of `splits`.

    `steps` 0: as many epochs as the course says. Returns seconds of training, the metrics of every
    split under "<split>/<metric>", and its logits (examples, classes). `splits` is all that can be
    looked at: a caller that must choose without the test split does not pass it.
    """
    start = time.perf_counter()
    with trained(course, part(course, rows, seed, steps=steps)) as training:
        for _ in training.stops:
            pass
        seconds = time.perf_counter() - start
        logits = {split: training.predict(some) for split, (some, _) in splits.items()}
        names = tuple(training.model.config.id2label.values())
    metrics: dict[str, float] = {}
    for split, (_, split_labels) in splits.items():
        values = metrics_of(logits[split], split_labels, names)
        metrics |= {f"{split}/{name}": value for name, value in values.items()}
    return seconds, metrics, logits
