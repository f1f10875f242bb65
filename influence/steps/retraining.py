"""One retraining: a model trained on what was kept, measured on one split, and never done twice."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from influence import batches, data, evaluation, models, store
from influence.cluster import Engine, hold
from influence.config import EvaluateConfig, FitConfig
from influence.evaluation import Point
from influence.steps.inputs import encode
from influence.training import steps_per_epoch

Split = Literal["validation", "test"]
CODE = (
    "batches",
    "data",
    "evaluation",
    "layers",
    "models",
    "sources",
    "steps/inputs",
    "steps/retraining",
    "training",
)
# Retrainings share no seed with the runs that were scored, and those that are looked at while
# choosing share none with those that are reported: luck in choosing is no luck in the report.
FIRST_SEED: dict[Split, int] = {"test": 1000, "validation": 2000}


@dataclass(frozen=True)
class Place:
    """Where retrainings come from, and where they are kept.

    source: a finished step directory with `data/` and `tokenizer/`; split: the only one besides
    train that is opened.
    """

    source: Path
    step: str
    split: Split
    budget: str
    device: str
    kept: Path


def place(config: EvaluateConfig, source: Path, step: str, split: Split, engine: Engine) -> Place:
    """Return the place of the retrainings that `config` asks for."""
    kept = Path(config.workdir).absolute() / "retrainings"
    return Place(source, step, split, config.budget, engine.device, kept)


def retrain(place: Place, kept: np.ndarray, number: int) -> Point:
    """Retrain on the rows `kept` of the train set under seed `number`, unless it was done before.

    The result is kept under a name made of all that it depends on: the ids, the seed, the knobs,
    the model, the code. A process that wants one that is being made waits for it.
    """
    opened = hold(_open, place.source, place.step, place.split)
    examples, batch = len(opened.train[1]), opened.fit.batch_size
    counted = examples if place.budget == "steps" else len(kept)
    steps = opened.fit.epochs * steps_per_epoch(counted, batch)
    seed = opened.fit.seed + FIRST_SEED[place.split] + number
    rows = np.sort(kept)
    path = place.kept / _key(opened, place.split, rows, seed, steps) / "point.json"
    with store.locked(path.parent):
        if not path.exists():
            _, seconds, metrics = evaluation.retrain(
                opened.fit,
                opened.tokenizer,
                opened.label_names,
                (opened.train[0].take(rows), opened.train[1][rows]),
                {place.split: opened.measured},
                seed,
                steps,
                place.device,
            )
            point = {"kept": len(rows), "steps": steps, "seconds": seconds, "metrics": metrics}
            store.write_json(path, point)
    percent = round(100 * (1 - len(rows) / examples), 6)
    return Point(percent, seed, **json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True, eq=False)
class _Opened:
    """A source, tokenised: the ids and rows of train, and one other split."""

    fit: FitConfig
    tokenizer: object
    label_names: tuple[str, ...]
    digest: str
    ids: np.ndarray
    train: tuple[batches.Tokens, np.ndarray]
    measured: tuple[batches.Tokens, np.ndarray]


def _open(source: Path, step: str, split: Split) -> _Opened:
    fit = FitConfig(**store.read_manifest(source, step)["fit"])
    dataset = data.open_saved(source / "data")
    tokenizer = models.open_tokenizer(source / "tokenizer")
    train, measured = (
        (encode(tokenizer, frame, fit), frame["label"].to_numpy())
        for frame in (dataset.train, dataset.splits[split])
    )
    ids = dataset.train["id"].to_numpy()
    names = dataset.label_names
    return _Opened(fit, tokenizer, names, dataset.digest, ids, train, measured)


def _key(opened: _Opened, split: Split, rows: np.ndarray, seed: int, steps: int) -> str:
    """Name a retraining by all that it depends on."""
    ids = hashlib.sha256("\n".join(opened.ids[rows]).encode()).hexdigest()
    knobs = {**asdict(opened.fit), "seed": seed, "steps": steps, "split": split}
    inputs = {"dataset": opened.digest, "kept": ids, "model": models.identity(opened.fit)}
    return store.fingerprint("retraining", knobs, inputs, CODE)
