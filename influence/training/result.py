"""What a step directory offers to later steps: tokens and labels of its splits, checkpoints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from influence.config.parameters import TrainConfig
from influence.data.result import Result
from influence.errors import InputError, first_line
from influence.models.fit import Checkpoint
from influence.runtime import store

COSTS = ("seed", "epochs", "seconds", "null")  # of a run
OUT_OF_FOLD = (
    "out_of_fold.npy"  # logits (examples, classes) of models that have not seen the example
)
# What a run holds that was made elsewhere and left no weights.
GIVEN_LOGITS, GIVEN_SCORES = "logits.safetensors", "scores.safetensors"


@dataclass(frozen=True)
class RunInfo:
    """What one finished training run offers beside its checkpoints.

    observations: whether it was observed; null: the steps at which its null model was read, ()
    where there is none; trails: whether its dataset has slots; out_of_fold: whether models that
    have not seen an example were asked about it; measurable: the quantities that a run without
    weights has nevertheless, None for one with weights, which has all; given: scores computed
    elsewhere.
    """

    seed: int
    checkpoints: tuple[Checkpoint, ...]
    observations: bool
    null: tuple[int, ...]
    trails: bool = False
    out_of_fold: bool = False
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

    Raises InputError if it names parameters that there are not, as of another version of this
    package.
    """
    try:
        return TrainConfig(**manifest["parameters"])
    except TypeError as error:
        raise InputError(
            f"training {manifest['fingerprint']} was done by another version of this package "
            f"({first_line(error)}); run that step again"
        ) from None


def read_checkpoints(entries: Sequence[dict]) -> tuple[Checkpoint, ...]:
    """Return the checkpoints of a run as the manifest lists them."""
    return tuple(Checkpoint(**{**entry, "series": frozenset(entry["series"])}) for entry in entries)


class Training(Result):
    """A finished training: checkpoints, observations, and the dataset that it was trained on."""

    step = "train"

    @cached_property
    def config(self) -> TrainConfig:
        """How the training was done.

        Raises InputError if another version of this package wrote it.
        """
        return read_config(self._manifest)

    @cached_property
    def runs(self) -> tuple[RunInfo, ...]:
        """What each run offers to scores, one per training seed."""
        return read_runs(self._manifest)

    @property
    def folds(self) -> dict[str, float]:
        """Count, epochs and seconds of the out-of-fold models, empty where there are none."""
        return self._manifest["folds"]

    @property
    def has_weights(self) -> bool:
        """Tell whether there are checkpoints, and not only what others left of a training."""
        return all(run["weights"] for run in self._manifest["runs"])

    @property
    def costs(self) -> list[dict[str, Any]]:
        """Seed, epochs, seconds and null-model steps of each run."""
        return [{name: run[name] for name in COSTS} for run in self._manifest["runs"]]

    def checkpoint(self, step: int, run: int = 0) -> Path:
        """Return the folder of one checkpoint, which transformers opens."""
        return self.directory / f"runs/{run}/step-{step:06d}"

    @property
    def last_checkpoint(self) -> Path:
        """The folder of the first run's last checkpoint."""
        return self.checkpoint(self.runs[0].checkpoints[-1].step)
