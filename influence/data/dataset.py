"""A dataset in memory, and the digest of what it means."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

SPLITS = ("train", "validation", "test")
HASHED = ("id", "label", "intent", "slots")  # an id is the hash of the texts and the label
SINGLE = {str, int, float, bool, type(None)}  # what JSON writes without separators of its own


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three splits with the same columns: id, text, text_pair (pair tasks only), label, others."""

    name: str
    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    label_names: tuple[str, ...]
    digest: str
    dropped: dict[str, int]
    notes: tuple[str, ...] = ()
    source: str = ""  # the files and columns that it was read from, as a sentence

    @property
    def is_pair(self) -> bool:
        """Say whether an example is a pair of texts (then there is a column text_pair)."""
        return "text_pair" in self.train.columns

    @property
    def splits(self) -> dict[str, pd.DataFrame]:
        """Return the three splits by name, in the order train, validation, test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def texts_of(rows: pd.DataFrame) -> list[str]:
    """Return all texts of a split, of pairs the first ones first."""
    columns = [name for name in ("text", "text_pair") if name in rows]
    return [text for name in columns for text in rows[name]]


def digest_of(splits: Mapping[str, pd.DataFrame], label_names: Sequence[str]) -> str:
    """Return a digest of what a dataset means: ids, labels, and the annotation of task nlu."""
    found = Digest()
    for split in SPLITS:
        found.add(split, splits[split])
    return found.of(label_names)


class Digest:
    """The digest of a dataset, of which the rows of a split come in parts."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.columns: dict[tuple[str, str], Any] = {}

    def add(self, split: str, rows: pd.DataFrame) -> None:
        """Take in the next rows of a split."""
        for name in (name for name in HASHED if name in rows):
            column = self.columns.setdefault((split, name), hashlib.blake2b(digest_size=16))
            column.update(_lines(rows[name].tolist()).encode())

    def share(self, split: str, other: "Digest") -> None:
        """Take in the rows of a split that `other` has taken in: they need not be read again."""
        self.columns |= {key: own.copy() for key, own in other.columns.items() if key[0] == split}

    def of(self, label_names: Sequence[str]) -> str:
        """Return the digest of all that was added: 32 hexadecimal digits."""
        columns = [[*key, column.hexdigest()] for key, column in sorted(self.columns.items())]
        text = json.dumps([columns, list(label_names)])
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _lines(values: list) -> str:
    """Return a line of JSON for each value."""
    if not set(map(type, values)) <= SINGLE:  # lists would get this separator too
        return "".join(f"{json.dumps(value, default=_plain)}\n" for value in values)
    return json.dumps(values, separators=("\n", ": "))[1:-1] + "\n" if values else ""


def _plain(value: Any) -> Any:
    """Return what JSON can hold of a value of a column of the user's, such as a list or a date."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
