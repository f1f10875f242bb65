"""What a step directory offers to later steps: tokens and labels of its splits, checkpoints."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from influence import batches, data, models, store
from influence.config import ModelConfig
from influence.errors import InputError
from influence.planning import RunInfo
from influence.records import Checkpoint

# The modules that every training depends on, the scored one and each retraining.
TRAINING = (
    *("batches", "data", "evaluation", "joint", "layers", "models", "nlu", "nlu_metrics"),
    *("slots", "sources", "steps/inputs", "training", "vocabulary"),
)


HELD_OUT = "held_out.npy"  # logits (examples, classes) of models that have not seen the example
# What a run holds that was made elsewhere and left no weights.
GIVEN_LOGITS, GIVEN_SCORES = "logits.safetensors", "scores.safetensors"


def open_inputs(
    directory: Path, split: str, config: ModelConfig
) -> tuple[batches.Tokens, np.ndarray]:
    """Return tokens and labels (examples,) of one split of a step directory."""
    frame = getattr(data.open_saved(directory / "data"), split)
    tokenizer = models.open_tokenizer(directory / "tokenizer")
    return encode(tokenizer, frame, config), frame["label"].to_numpy()


def recall_of(manifest: Mapping[str, Any]) -> np.ndarray | None:
    """Return the validation recall of every class (classes,), 0 for one without examples.

    None where no model was there to be validated.
    """
    if not manifest["recall"]:
        return None
    return np.array([manifest["recall"].get(name, 0.0) for name in manifest["label_names"]])


def encode(tokenizer, frame: pd.DataFrame, config: ModelConfig) -> batches.Tokens:
    """Tokenise a split as the model reads it."""
    types = "token_type_ids" in tokenizer.model_input_names
    return batches.encode(tokenizer, frame, config.max_length, types)


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


def read_checkpoints(entries: Sequence[dict]) -> tuple[Checkpoint, ...]:
    """Return the checkpoints of a run as the manifest lists them."""
    return tuple(Checkpoint(**{**entry, "series": frozenset(entry["series"])}) for entry in entries)
