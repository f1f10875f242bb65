"""What a step directory offers to later steps: tokens and labels of its splits, checkpoints."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from influence import batches, data, models
from influence.config import ModelConfig
from influence.records import Checkpoint

# The modules that every training depends on, the scored one and each retraining.
TRAINING = (
    *("batches", "data", "evaluation", "joint", "layers", "models", "nlu", "nlu_metrics"),
    *("slots", "sources", "steps/inputs", "training", "vocabulary"),
)


def open_inputs(
    directory: Path, split: str, config: ModelConfig
) -> tuple[batches.Tokens, np.ndarray]:
    """Return tokens and labels (examples,) of one split of a step directory."""
    frame = getattr(data.open_saved(directory / "data"), split)
    tokenizer = models.open_tokenizer(directory / "tokenizer")
    return encode(tokenizer, frame, config), frame["label"].to_numpy()


def recall_of(manifest: Mapping[str, Any]) -> np.ndarray:
    """Return the validation recall of every class (classes,), 0 for one without examples."""
    return np.array([manifest["recall"].get(name, 0.0) for name in manifest["label_names"]])


def encode(tokenizer, frame: pd.DataFrame, config: ModelConfig) -> batches.Tokens:
    """Tokenise a split as the model reads it."""
    types = "token_type_ids" in tokenizer.model_input_names
    return batches.encode(tokenizer, frame, config.max_length, types)


def read_checkpoints(entries: Sequence[dict]) -> tuple[Checkpoint, ...]:
    """Return the checkpoints of a run as the manifest lists them."""
    return tuple(Checkpoint(**{**entry, "series": frozenset(entry["series"])}) for entry in entries)
