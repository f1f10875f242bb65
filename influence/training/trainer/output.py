"""Checkpoints made elsewhere: folders that `save_pretrained` wrote, such as a Trainer's output."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from influence.data.class_order import check_numbers
from influence.data.labels import plain
from influence.errors import InputError, first_line
from influence.runtime.store import NOT_JSON, file_digest
from influence.training.trainer import folders, notes
from influence.training.trainer.notes import STATE, Origin, State

TOKENIZER = (  # a folder with one of these holds a tokenizer
    *("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "spiece.model"),
    *("sentencepiece.bpe.model", "tokenizer.model"),
)
SHOWN = 5  # names in a sentence
WHOLE = 1e-6  # how far from a whole number the end of an epoch may be
SCALES = (1, 2, 4, 5, 10, 20, 100, 1000, 1_000_000)  # steps of an epoch that make all steps whole


@dataclass(frozen=True)
class Imported:
    """One checkpoint: its folder, its optimiser step, epochs completed, and the learning rate."""

    path: Path
    step: int
    epoch: float
    learning_rate: float
    rate_is: Origin = "noted"
    named_by_epoch: bool = False  # its name is all that is known of its epoch, its step is not

    @property
    def series(self) -> list[str]:
        """The series it belongs to: all are spread, some are at the end of an epoch."""
        whole = self.epoch > 0 and abs(self.epoch - round(self.epoch)) < WHOLE
        return ["spread", *(["epochs"] if whole else [])]


def find(folder: Path, epochs: int, learning_rate: float) -> tuple[Imported, ...]:
    """Return the checkpoints below `folder` (checkpoint-500, step-000100, ...) by their steps.

    Steps, epochs and learning rates are those that a Trainer noted beside them. Without such a note
    the number at the end of a name is the step, or the epoch for names such as epoch-1.5; the last
    is taken to be at the end of `epochs` unless names say otherwise, and the rate to be
    `learning_rate` throughout. Raises InputError if there is none, if one has no safetensors, if
    two have the same step, and if names and notes contradict one another.
    """
    if not folder.is_dir():
        raise InputError(
            f"there is no directory {folder}; import_from names a folder of checkpoints"
        )
    states = folders.chosen(folder)
    if not states:
        if adapters := sorted(folder.glob("*/adapter_config.json")):
            raise InputError(
                f"{adapters[0].parent} holds an adapter, not a whole model; merge each "
                "into the model that it was trained on (merge_and_unload of peft) and save that"
            )
        raise InputError(
            f"{folder} holds no checkpoints: it needs folders such as checkpoint-500, each with a "
            "config.json and a model.safetensors"
        )
    for path in states:
        if not list(path.glob("*.safetensors")):
            raise InputError(
                f"{path} has no safetensors weights, and other formats are not opened; save it "
                "with save_pretrained of transformers 5"
            )
    steps = _steps(states)
    if len(set(steps.values())) < len(steps):
        raise InputError(f"two checkpoints in {folder} have the same step; keep one of them")
    ordered = {path: states[path] for path in sorted(steps, key=steps.__getitem__)}
    checkpoints = _described(ordered, steps, epochs, learning_rate)
    for one, other in zip(checkpoints, checkpoints[1:], strict=False):
        if other.epoch <= one.epoch:
            raise InputError(
                f"{one.path} and {other.path} are not from one training: step {other.step} is of "
                f"epoch {other.epoch:g}, but step {one.step} of {one.epoch:g}; keep those of one "
                "training"
            )
    return checkpoints


def describe(folder: Path, checkpoints: Sequence[Imported]) -> list[str]:
    """Return what to say about the checkpoints that `find` returned, and what it ignored."""
    said, taken = [], {one.path for one in checkpoints}
    if aside := [path.name for path in folders.models_in(folder) if path not in taken]:
        said.append(
            f"{_some(aside)} in {folder} {'are' if len(aside) > 1 else 'is'} ignored: only "
            f"{checkpoints[0].path.name} and those named like it are read"
        )
    if checkpoints[0].named_by_epoch:
        read = _some([f"{one.epoch:g}" for one in checkpoints])
        said.append(f"the numbers in the names are read as epochs completed: {read}")
    if guessed := [one for one in checkpoints if one.rate_is in ("line", "nearest")]:
        nearest = any(one.rate_is == "nearest" for one in guessed)
        said.append(
            "no learning rate, by which TracIn weights checkpoints, is recorded at step "
            f"{_some([str(one.step) for one in guessed])}: it is taken from "
            f"{'the nearest of' if nearest else 'a line through'} those recorded at other steps"
        )
    if all(one.rate_is == "given" for one in checkpoints):
        said.append(
            f"no learning rate is recorded beside any checkpoint: TracIn weights all equally, by "
            f"{checkpoints[0].learning_rate:g}"
        )
    return said


def identity(checkpoints: Sequence[Imported]) -> str:
    """Return a digest of weights, configs, tokenizers and of what is known of each checkpoint."""
    facts: list[Any] = [
        (one.step, one.epoch, one.learning_rate, _digests(one.path, "*.safetensors"))
        for one in checkpoints
    ]
    facts.append(_digests(checkpoints[0].path.parent))
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def check_labels(checkpoints: Sequence[Imported], label_names: Sequence[str]) -> list[str]:
    """Return the class names of the checkpoints, where they differ from the dataset's.

    Raises InputError if they are numbered differently.
    """
    named: dict[str, None] = {}
    for one in checkpoints:
        config = _read(one.path / "config.json", "model config")
        try:
            names = {int(number): str(name) for number, name in config.get("id2label", {}).items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{one.path / 'config.json'} is not a model config ({error})"
            ) from None
        check_numbers(str(one.path), names, label_names)
        own = [names.get(number, "") for number in range(len(label_names))]
        saying = [f"LABEL_{number}" for number in range(len(own))] != own and any(own)
        if saying and list(map(plain, own)) != list(map(plain, label_names)):
            named[f"{', '.join(own)} of the checkpoints are {', '.join(label_names)} here"] = None
    return list(named)


def check_same(checkpoints: Sequence[Imported]) -> None:
    """Raise InputError if the checkpoints cannot be of one training.

    They need weights of the same names and shapes. Where a Trainer has noted losses and rates of
    its steps, those of a later checkpoint begin with those of an earlier one; where no losses tell,
    both planned to train as long, on batches of the same size.
    """
    last = checkpoints[-1]
    shapes, state = _shapes(last.path), notes.read(last.path)
    for one in checkpoints[:-1]:
        own = _shapes(one.path)
        if other := sorted(name for name in {*own, *shapes} if own.get(name) != shapes.get(name)):
            name = other[0]
            raise InputError(
                f"{one.path} and {last.path} are not from one training: {name} is "
                f"{own.get(name, 'missing')} there and {shapes.get(name, 'missing')} here; keep "
                "those of one training"
            )
        noted = notes.read(one.path)
        if noted and state and (difference := _difference(noted, state)):
            raise InputError(
                f"{one.path} and {last.path} are not from one training: their {STATE} note "
                f"{difference}; keep those of one training"
            )


def check_finite(checkpoints: Sequence[Imported]) -> None:
    """Raise InputError for a checkpoint whose weights are NaN or infinite."""
    for one in checkpoints:
        for file in sorted(one.path.glob("*.safetensors")):
            try:
                with safe_open(file, "pt") as weights:
                    names = weights.keys()
                    wrong = [name for name in names if not _is_finite(weights.get_tensor(name))]
            except (OSError, SafetensorError) as error:
                raise InputError(f"{file} is not a file of weights: {first_line(error)}") from None
            if wrong:
                raise InputError(
                    f"{one.path} holds weights that are NaN or infinite, in {wrong[0]}: its "
                    "training diverged; leave out this checkpoint and all later ones"
                )


def tokenizer_folders(folder: Path, checkpoints: Sequence[Imported]) -> list[Path]:
    """Return where tokenizers are saved, beside the last checkpoint first, `folder` last.

    Of those whose files are the same, byte by byte, only the first.
    """
    different: dict[tuple, Path] = {}
    for place in (*(one.path for one in reversed(checkpoints)), folder):
        if files := [place / name for name in TOKENIZER if (place / name).is_file()]:
            different.setdefault(tuple((f.name, file_digest(f)) for f in files), place)
    return list(different.values())


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _steps(states: Mapping[Path, State | None]) -> dict[Path, int]:
    """Return the steps as noted or else named; those named by epochs count parts of epochs."""
    numbers = [folders.number(path) for path in states]
    scale = 1.0
    if any(map(folders.is_epoch, states)):
        fitting = (n for n in SCALES if all(abs(number * n % 1) < WHOLE for number in numbers))
        scale = _per_epoch(states.values()) or next(fitting, SCALES[-1])
    return {
        path: state.step if state and state.step >= 0 else round(number * scale)
        for (path, state), number in zip(states.items(), numbers, strict=True)
    }


def _per_epoch(states: Iterable[State | None]) -> float:
    """Return the optimiser steps of an epoch, 0 if no Trainer notes them."""
    known = [state for state in states if state and state.step > 0 and state.epoch]
    return max((state.step / state.epoch for state in known), default=0.0)


def _described(
    states: Mapping[Path, State | None], steps: Mapping[Path, int], epochs: int, usual: float
) -> tuple[Imported, ...]:
    """Return the checkpoints, of ascending steps, with what is noted of all or else assumed."""
    noted = [state for state in states.values() if state]
    rates = {step: rate for state in noted for step, rate in state.rates.items()}
    end = max((state.plan.get("max_steps", 0.0) for state in noted), default=0.0)
    per_epoch, last = _per_epoch(noted), max(steps.values())
    by_epoch = not per_epoch and any(map(folders.is_epoch, states))
    checkpoints = []
    for path, state in states.items():
        step, named = steps[path], False
        epoch = step / per_epoch if per_epoch else epochs * step / max(last, 1)
        if state and state.epoch:
            epoch = state.epoch
        elif by_epoch:
            epoch, named = folders.number(path), True
        rate, origin = notes.rate_at(step, rates, end) if rates else (usual, "given")
        checkpoints.append(Imported(path, step, epoch, rate, origin, named))
    return tuple(checkpoints)


def _difference(one: State, other: State) -> str:
    """Return how two states contradict one training, "" for nothing."""
    shared = sorted(one.losses.keys() & other.losses.keys())
    for step in shared:
        if str(one.losses[step]) != str(other.losses[step]):  # nan is the same as nan here
            return f"a loss of {one.losses[step]} and of {other.losses[step]} at step {step}"
    for step in sorted(one.rates.keys() & other.rates.keys()):
        if one.rates[step] != other.rates[step]:
            return f"a rate of {one.rates[step]} and of {other.rates[step]} at step {step}"
    for name in sorted(one.plan.keys() & other.plan.keys()):
        if one.plan[name] != other.plan[name] and not shared:
            return f"{name}={one.plan[name]:g} and {other.plan[name]:g}"
    return ""


def _is_finite(weights: torch.Tensor) -> bool:
    # A sum costs no copy; where it is not finite, all of them may still be.
    return bool(weights.float().sum().isfinite() or weights.float().isfinite().all())


def _read(path: Path, what: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except NOT_JSON as error:
        raise InputError(f"{path} is not a {what} ({error})") from None


def _shapes(path: Path) -> dict[str, list[int]]:
    shapes = {}
    for file in sorted(path.glob("*.safetensors")):
        try:
            with safe_open(file, "np") as weights:
                names = weights.keys()
                shapes |= {name: weights.get_slice(name).get_shape() for name in names}
        except (OSError, SafetensorError) as error:
            raise InputError(f"{file} is not a file of weights: {first_line(error)}") from None
    return shapes


def _digests(path: Path, weights: str = "") -> dict[str, str]:
    kept = [path / name for name in ("config.json", *TOKENIZER) if (path / name).is_file()]
    files = [*kept, *(sorted(path.glob(weights)) if weights else ())]
    return {file.name: file_digest(file) for file in files}
