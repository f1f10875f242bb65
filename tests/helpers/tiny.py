"""A dataset of CSV files small enough to train on in a second, and settings to go with it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

WORDS = {
    "music": ("play", "song", "album", "radio", "louder"),
    "weather": ("rain", "sunny", "forecast", "snow", "degrees"),
    "timer": ("minutes", "alarm", "wake", "countdown", "stop"),
}
FILLER = ("please", "the", "now", "a", "today", "again", "for", "me")
SIZES = {"train": 121, "validation": 30, "test": 36}  # no multiple of a batch, nor of the classes
FAST: dict[str, Any] = {
    "model": "tiny",
    "layers": 1,
    "vocabulary": 100,
    "max_length": 16,
    "epochs": 2,
    "schedule": "constant",  # a rate that decays has no time to teach anything
    "warmup": 0.0,
    "batch_size": 16,
    "checkpoints": 4,
    "observe_every": 4,
}


def frames(seed: int = 0) -> dict[str, pd.DataFrame]:
    """Return three splits of short texts whose words tell three classes apart, mostly."""
    generator = np.random.default_rng(seed)
    return {split: _rows(generator, size) for split, size in SIZES.items()}


def write(directory: Path, splits: dict[str, pd.DataFrame]) -> Path:
    """Write the splits as CSV files into a new directory."""
    directory.mkdir(parents=True)
    for split, rows in splits.items():
        rows.to_csv(directory / f"{split}.csv", index=False)
    return directory


def as_pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Cut each text in two and number the labels."""
    words = rows["text"].str.split()
    return pd.DataFrame(
        {
            "premise": words.str[:3].str.join(" "),
            "hypothesis": words.str[3:].str.join(" "),
            "label": pd.factorize(rows["label"], sort=True)[0],
        }
    )


def _rows(generator: np.random.Generator, size: int) -> pd.DataFrame:
    names = generator.permutation(np.resize(list(WORDS), size))
    rows = [(" ".join(_words(generator, name)), str(name)) for name in names]
    return pd.DataFrame(rows, columns=["text", "label"])


def _words(generator: np.random.Generator, name: str) -> list[str]:
    own = generator.choice(WORDS[name], 2)
    other = generator.choice(WORDS[str(generator.choice(list(WORDS)))], 1)
    filler = generator.choice(FILLER, generator.integers(1, 6))
    return [str(word) for word in generator.permutation([*own, *other, *filler])]
