"""Checkpoints made elsewhere: folders that `save_pretrained` wrote, such as a Trainer's output."""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from scipy.optimize import linear_sum_assignment

from influence.errors import InputError, first_line
from influence.labels import plain
from influence.store import NOT_JSON, file_digest

STATE = "trainer_state.json"  # what a Trainer leaves beside each of its checkpoints
TOKENIZER = (  # a folder with one of these holds a tokenizer
    *("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "spiece.model"),
    *("sentencepiece.bpe.model", "tokenizer.model"),
)
BEYOND_CHANCE = 1.645  # standard errors: 5 % of the models that know nothing come so far
FAR = 3.0  # standard errors: more than luck, also if looked for
WHOLE = 1e-6  # how far from a whole number the end of an epoch may be


@dataclass(frozen=True)
class Adopted:
    """One checkpoint: its folder, its optimiser step, epochs completed, and the learning rate."""

    path: Path
    step: int
    epoch: float
    learning_rate: float

    @property
    def series(self) -> list[str]:
        """Say what scores may read it for: all are spread, some are at the end of an epoch."""
        whole = self.epoch > 0 and abs(self.epoch - round(self.epoch)) < WHOLE
        return ["spread", *(["epochs"] if whole else [])]


def find(folder: Path, epochs: int, learning_rate: float) -> tuple[Adopted, ...]:
    """Return the checkpoints below `folder` (checkpoint-500, step-000100, ...) by their steps.

    Epoch and learning rate are those that a Trainer noted beside them; without such a note the last
    is taken to be at the end of `epochs`, and the rate to be `learning_rate` throughout. Raises
    InputError if there is none, if one has no safetensors, or if two have the same step.
    """
    if not folder.is_dir():
        raise InputError(f"there is no directory {folder}; adopt names a folder of checkpoints")
    paths = [path for path in folder.iterdir() if (path / "config.json").is_file()]
    numbered = {path: re.search(r"(\d+)$", path.name) for path in paths}
    steps = {path: int(found[1]) for path, found in numbered.items() if found}
    if not steps:
        if adapters := sorted(folder.glob("*/adapter_config.json")):
            raise InputError(
                f"{adapters[0].parent} holds an adapter, which is no model by itself; merge each "
                "into the model that it was trained on (merge_and_unload of peft) and save that"
            )
        raise InputError(
            f"{folder} holds no checkpoints: it needs folders such as checkpoint-500, each with a "
            "config.json and a model.safetensors"
        )
    for path in steps:
        if not list(path.glob("*.safetensors")):
            raise InputError(
                f"{path} has no weights as safetensors, and other formats are not opened; save it "
                "with save_pretrained of transformers 5"
            )
    if len(set(steps.values())) < len(steps):
        raise InputError(f"two checkpoints in {folder} have the same step; keep one of them")
    last = max(steps.values())
    ordered = sorted(steps.items(), key=lambda pair: pair[1])
    return tuple(
        _adopted(path, step, epochs * step / max(last, 1), learning_rate) for path, step in ordered
    )


def identity(found: Sequence[Adopted]) -> str:
    """Return a digest of weights, configs, tokenizers and of what is known of each checkpoint."""
    facts: list[Any] = [
        (one.step, one.epoch, one.learning_rate, _digests(one.path, "*.safetensors"))
        for one in found
    ]
    facts.append(_digests(found[0].path.parent))
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def check_labels(found: Sequence[Adopted], label_names: Sequence[str]) -> list[str]:
    """Return how the classes are called in the checkpoints, if otherwise than in the dataset.

    Raises InputError if they are numbered in another way.
    """
    told: dict[str, None] = {}
    for one in found:
        config = _read(one.path / "config.json", "config of a model")
        try:
            names = {int(number): str(name) for number, name in config.get("id2label", {}).items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{one.path / 'config.json'} is no config of a model ({error})"
            ) from None
        check_numbers(str(one.path), names, label_names)
        own = [names.get(number, "") for number in range(len(label_names))]
        saying = [f"LABEL_{number}" for number in range(len(own))] != own and any(own)
        if saying and list(map(plain, own)) != list(map(plain, label_names)):
            told[f"{', '.join(own)} of the checkpoints are {', '.join(label_names)} here"] = None
    return list(told)


def check_numbers(model: str, id2label: Mapping[int, str], label_names: Sequence[str]) -> None:
    """Raise InputError if `model`, a name for the message, numbers its classes in another way.

    Names that the dataset does not have (LABEL_0, or negative where it has 0) say nothing: what the
    model predicts does, see `check_order`.
    """
    classes = max(id2label, default=1) + 1
    if classes != len(label_names) and id2label:
        raise InputError(
            f"{model} tells {classes} classes apart, but the dataset has "
            f"{len(label_names)}: {', '.join(label_names)}"
        )
    own = [id2label.get(number, "") for number in range(len(label_names))]
    number_of = {plain(name): number for number, name in enumerate(label_names)}
    if any(number_of.get(plain(name), number) != number for number, name in enumerate(own)):
        raise InputError(
            f"{model} numbers its classes {', '.join(own)}, the dataset "
            f"{', '.join(label_names)}; give id2label and the labels the same order"
        )


def check_same(found: Sequence[Adopted]) -> None:
    """Raise InputError if the checkpoints cannot be of one training.

    They need weights of the same names and shapes, and where a Trainer has noted the losses of its
    steps, those of a later checkpoint begin with those of an earlier one.
    """
    last = found[-1]
    shapes, losses = _shapes(last.path), _losses(last.path)
    for one in found[:-1]:
        own = _shapes(one.path)
        if other := sorted(name for name in {*own, *shapes} if own.get(name) != shapes.get(name)):
            name = other[0]
            raise InputError(
                f"{one.path} and {last.path} are not of one training: {name} is "
                f"{own.get(name, 'missing')} there and {shapes.get(name, 'missing')} here; keep "
                "those of one"
            )
        noted = _losses(one.path)
        for step in sorted(noted.keys() & losses.keys()):
            if noted[step] != losses[step]:
                raise InputError(
                    f"{one.path} and {last.path} are not of one training: their {STATE} note a "
                    f"loss of {noted[step]} and of {losses[step]} at step {step}; keep those of one"
                )


def tokenizer_folders(folder: Path, found: Sequence[Adopted]) -> list[Path]:
    """Return where tokenizers are saved, beside the last checkpoint first, `folder` last."""
    places = [*(one.path for one in reversed(found)), folder]
    return [place for place in places if any((place / name).is_file() for name in TOKENIZER)]


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Return how many examples of each class (rows) are predicted as each class (columns)."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (labels, predicted), 1)
    return counts


def by_chance(counts: np.ndarray) -> float:
    """Return the accuracy of guesses that have nothing to do with the labels, in these shares."""
    return float(counts.sum(0) @ counts.sum(1)) / float(counts.sum()) ** 2


def beats_chance(counts: np.ndarray) -> bool:
    """Tell whether predictions have something to do with the labels: a one-sided test at 5 %."""
    chance, examples = by_chance(counts), counts.sum()
    error = math.sqrt(chance * (1 - chance) / examples)
    return bool(np.trace(counts) / examples - chance > BEYOND_CHANCE * error)


def keeps_its_word(counts: np.ndarray, sure: float, share: float = 0.5) -> bool:
    """Tell whether predictions are right about as often as the model says that they are.

    That is, as far beyond chance as this share of it at least, or no further off than by luck.

    `sure`: the mean probability of the predicted classes, which on the examples that a model was
    trained on is no more than its accuracy. Through the tokenizer of another model it is far more:
    a word is then always read as the same other one, so that even chance may be beaten a little.
    """
    right, chance = np.trace(counts) / counts.sum(), by_chance(counts)
    error = math.sqrt(max(sure * (1 - sure), 0.0) / counts.sum())
    return bool(right - chance >= share * (sure - chance) or sure - right <= FAR * error)


def check_order(
    model: str | Path, counts: np.ndarray, sure: float, label_names: Sequence[str]
) -> None:
    """Raise InputError if the predictions fit the labels far better with classes in another order.

    That is so if, among the examples of the classes that change places in the best order, most are
    right then, and more than before by three standard errors; and if the model is then right about
    as often as it says. `counts` as `confusion` gives them, `sure` as for `keeps_its_word`.
    """
    order = _best_order(counts)  # of each label its class number in the model
    moved = order != np.arange(len(order))
    before, after = np.diag(counts)[moved].sum(), counts[moved, order[moved]].sum()
    fits = beats_chance(counts[:, order]) and keeps_its_word(counts[:, order], sure, 0.75)
    most = fits and after > counts[moved].sum() / 2
    if most and after - before > FAR * math.sqrt(before + after):
        right, otherwise = np.trace(counts), counts[np.arange(len(order)), order].sum()
        read = ", ".join(label_names[label] for label in np.argsort(order))
        raise InputError(
            f"{model} fits the labels of {right / counts.sum():.0%} of {counts.sum()} train "
            f"examples as numbered, but of {otherwise / counts.sum():.0%} with its classes read as "
            f"{read} (the dataset has {', '.join(label_names)}); give the labels the order of the "
            "checkpoint, as by numbers"
        )


def _best_order(counts: np.ndarray) -> np.ndarray:
    """Return for each row a column of its own so that the sum of the entries is largest.

    Among equals a row keeps the column of its number.
    """
    size = len(counts)
    _, order = linear_sum_assignment(counts * (size + 1) + np.eye(size), maximize=True)
    return order


def _adopted(path: Path, step: int, epoch: float, learning_rate: float) -> Adopted:
    if (path / STATE).is_file():
        try:
            state = _read(path / STATE, "state of a Trainer")
            epoch = float(state.get("epoch") or epoch)
            rates = [row for row in state.get("log_history", []) if "learning_rate" in row]
            before = [row["learning_rate"] for row in rates if row["step"] <= step]
            learning_rate = float(before[-1] if before else learning_rate)
        except (*NOT_JSON, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise InputError(f"{path / STATE} is no state of a Trainer ({error})") from None
        if not math.isfinite(epoch) or not math.isfinite(learning_rate):
            raise InputError(f"{path / STATE} holds an epoch or a learning rate that is not finite")
    return Adopted(path, step, epoch, learning_rate)


def _read(path: Path, what: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except NOT_JSON as error:
        raise InputError(f"{path} is no {what} ({error})") from None


def _shapes(path: Path) -> dict[str, list[int]]:
    shapes = {}
    for file in sorted(path.glob("*.safetensors")):
        try:
            with safe_open(file, "np") as weights:
                names = weights.keys()
                shapes |= {name: weights.get_slice(name).get_shape() for name in names}
        except (OSError, SafetensorError) as error:
            raise InputError(f"{file} is no file of weights: {first_line(error)}") from None
    return shapes


def _losses(path: Path) -> dict[int, Any]:
    """Return the loss of each step that a Trainer has noted beside a checkpoint."""
    if not (path / STATE).is_file():
        return {}
    rows = _read(path / STATE, "state of a Trainer").get("log_history", [])
    return {row["step"]: row["loss"] for row in rows if "loss" in row and "step" in row}


def _digests(path: Path, weights: str = "") -> dict[str, str]:
    kept = [path / name for name in ("config.json", *TOKENIZER) if (path / name).is_file()]
    files = [*kept, *(sorted(path.glob(weights)) if weights else ())]
    return {file.name: file_digest(file) for file in files}
