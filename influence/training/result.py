"""What a step directory offers to later steps: tokens and labels of its splits, checkpoints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from influence.config.parameters import TrainConfig
from influence.errors import InputError, first_line
from influence.models.fit import Checkpoint
from influence.runtime import store

HELD_OUT = "held_out.npy"  # logits (examples, classes) of models that have not seen the example
# What a run holds that was made elsewhere and left no weights.
GIVEN_LOGITS, GIVEN_SCORES = "logits.safetensors", "scores.safetensors"


@dataclass(frozen=True)
class RunInfo:
    """What one finished training run offers beside its checkpoints.

    observations: whether it was observed; null: the steps at which its null model was read, ()
    where there is none; trails: whether its dataset has slots; held_out: whether models that have
    not seen an example were asked about it; measurable: the quantities that a run without weights
    has nevertheless, None for one with weights, which has all; given: scores computed elsewhere.
    """

    seed: int
    checkpoints: tuple[Checkpoint, ...]
    observations: bool
    null: tuple[int, ...]
    trails: bool = False
    held_out: bool = False
    measurable: frozenset[str] | None = None
    given: frozenset[str] = frozenset()


def recall_of(manifest: Mapping[str, Any]) -> np.ndarray | None:
    """Return the validation recall of every class (classes,), 0 for one without examples.

    None where no model was there to be validated.
    """
    if not manifest["recall"]:
        return None
    return np.array([manifest["recall"].get(name, 0.0) for name in manifest["label_names"]])


def read_scored(directory: Path) -> dict[str, Any]:
    """Return the manifest of a finished scoring of the train set.

    Raises InputError if it is none, or one of another split.
    """
    manifest = store.read_manifest(directory, "score")
    if manifest["split"] != "train":
        raise InputError(
            f"{directory} holds scores of the {manifest['split']} split, but only train is pruned; "
            "score again with split=train"
        )
    return manifest


def read_runs(manifest: Mapping[str, Any]) -> tuple[RunInfo, ...]:
    """Return what the runs of a finished training offer to scores."""
    return tuple(
        RunInfo(
            run["seed"],
            read_checkpoints(run["checkpoints"]),
            run["observations"],
            tuple(run["null"]),
            manifest["task"] == "nlu",
            bool(manifest["folds"]),
            None if run["weights"] else frozenset({"logits"} if run["checkpoints"] else ()),
            frozenset(run["given"]),
        )
        for run in manifest["runs"]
    )


def read_config(manifest: Mapping[str, Any]) -> TrainConfig:
    """Return how the training of a manifest was done.

    Raises InputError if it names knobs that there are not, as of another version of this package.
    """
    try:
        return TrainConfig(**manifest["knobs"])
    except TypeError as error:
        raise InputError(
            f"training {manifest['fingerprint']} was done by another version of this package "
            f"({first_line(error)}); run that step again"
        ) from None


def read_checkpoints(entries: Sequence[dict]) -> tuple[Checkpoint, ...]:
    """Return the checkpoints of a run as the manifest lists them."""
    return tuple(Checkpoint(**{**entry, "series": frozenset(entry["series"])}) for entry in entries)
