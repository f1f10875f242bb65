"""Checkpoints made elsewhere: folders that `save_pretrained` wrote, such as a Trainer's output."""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from influence.errors import InputError
from influence.store import NOT_JSON, file_digest

STATE = "trainer_state.json"  # what a Trainer leaves beside each of its checkpoints
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
    """Return a digest of all weights and configs, and of what is known of each checkpoint."""
    facts = [(one.step, one.epoch, one.learning_rate, _digests(one.path)) for one in found]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def check_labels(found: Sequence[Adopted], label_names: Sequence[str]) -> None:
    """Raise InputError if the checkpoints number the classes in another way than the dataset."""
    path = found[0].path
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        given = {int(number): str(name) for number, name in config.get("id2label", {}).items()}
    except (*NOT_JSON, TypeError, AttributeError) as error:
        raise InputError(f"{path / 'config.json'} is no config of a model ({error})") from None
    check_numbers(str(path), given, label_names)


def check_numbers(model: str, id2label: Mapping[int, str], label_names: Sequence[str]) -> None:
    """Raise InputError if `model`, a name for the message, numbers its classes in another way."""
    classes = max(id2label, default=1) + 1
    if classes != len(label_names) and id2label:
        raise InputError(
            f"{model} tells {classes} classes apart, but the dataset has "
            f"{len(label_names)}: {', '.join(label_names)}"
        )
    own = [id2label.get(number, "") for number in range(len(label_names))]
    named = not all(name == f"LABEL_{number}" for number, name in enumerate(own))
    if id2label and named and own != list(label_names):
        raise InputError(
            f"{model} numbers its classes {', '.join(own)}, the dataset "
            f"{', '.join(label_names)}; give id2label and the labels the same order"
        )


def _adopted(path: Path, step: int, epoch: float, learning_rate: float) -> Adopted:
    if (path / STATE).is_file():
        try:
            state = json.loads((path / STATE).read_text(encoding="utf-8"))
            epoch = float(state.get("epoch") or epoch)
            rates = [row for row in state.get("log_history", []) if "learning_rate" in row]
            before = [row["learning_rate"] for row in rates if row["step"] <= step]
            learning_rate = float(before[-1] if before else learning_rate)
        except (*NOT_JSON, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise InputError(f"{path / STATE} is no state of a Trainer ({error})") from None
        if not math.isfinite(epoch) or not math.isfinite(learning_rate):
            raise InputError(f"{path / STATE} holds an epoch or a learning rate that is not finite")
    return Adopted(path, step, epoch, learning_rate)


def _digests(path: Path) -> dict[str, str]:
    files = [path / "config.json", *sorted(path.glob("*.safetensors"))]
    return {file.name: file_digest(file) for file in files}
