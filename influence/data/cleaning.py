"""From the rows of a source to examples: usable rows, ids that are their content, class numbers."""

import hashlib
import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from influence.data import labels
from influence.data.columns import NAMED_BY, rename
from influence.data.columns import names as names_of
from influence.data.sources.files import ROW, Rows
from influence.errors import InputError

MISLABELED = "mislabeled"  # the column that says which labels are known to be wrong
TRUTHS = {"true", "1", "1.0", "false", "0", "0.0", "", "nan", "none", "<na>"}


class Examples(NamedTuple):
    """The splits as in a Dataset, the class names, rows left out and why, and what to say."""

    splits: dict[str, pd.DataFrame]
    label_names: tuple[str, ...]
    dropped: dict[str, int]
    notes: tuple[str, ...]


def from_sources(
    sources: Mapping[str, Rows], columns: dict[str, str], unlabelled: str = labels.AUTO
) -> Examples:
    """Return the examples of all splits.

    `sources` has the rows of each split, `columns` maps text and label, and where a task has them
    text_pair, or intent and slots, to source columns; `unlabelled` lists the labels that mean that
    there is none, see `labels.without_label`. Raises InputError if a split lacks a column, if
    nothing usable is left of it, and for labels that are no classes or that train lacks.
    """
    given = _given_names(sources, columns["label"])
    renamed = {role: _renamed(rows, columns, role) for role, rows in sources.items()}
    texts = {role: rows["label"] for role, rows in renamed.items()}
    meant, notes = labels.without_label(texts, given, unlabelled)
    dropped: dict[str, int] = {}
    splits = {role: _usable(rows, columns, role, meant, dropped) for role, rows in renamed.items()}
    classes = labels.ordered(splits["train"]["label"])
    by_number = {str(number): name for number, name in enumerate(given)}
    names = [by_number.get(text, text) for text in classes]
    sizes = splits["train"]["label"].value_counts()
    named_sizes = {name: int(sizes[text]) for name, text in zip(names, classes, strict=True)}
    notes += [*labels.alike(names, named_sizes), *labels.fractions(names)]
    splits = {role: _encoded(rows, role, classes) for role, rows in splits.items()}
    return Examples(splits, tuple(names), dropped, tuple(notes))


def digest_of(content: str, size: int = 8) -> str:
    """Return `size` bytes of a hash of `content`, in hexadecimal."""
    return hashlib.blake2b(content.encode(), digest_size=size).hexdigest()


def _renamed(source: Rows, columns: dict[str, str], split: str) -> pd.DataFrame:
    """Return the columns under the names of their roles, with labels and texts as texts."""
    rows = source.table
    for name in columns.values():
        if name not in rows.columns:
            other = "" if split == "train" else f"; name another split with {split}_split"
            raise InputError(f"{split} lacks the column {name!r}, it has {names_of(rows)}{other}")
    rows = rename(rows, columns)
    if ROW not in rows:
        rows[ROW] = np.arange(len(rows))
    if MISLABELED in rows:
        said = rows[MISLABELED].astype("str").str.lower()  # of a CSV: "False", which is true
        if set(said.dropna()) <= TRUTHS:
            rows[MISLABELED] = said.isin(("true", "1", "1.0"))
        else:  # a column of the user's own
            rows = rows.rename(columns={MISLABELED: f"source_{MISLABELED}"})
    rows["label"] = labels.label_texts(rows["label"], columns["label"])
    for role in _texts(columns):
        names = source.class_names.get(columns[role], [])
        rows[role] = _as_texts(rows[role], columns[role], role, names)
    return rows


def _usable(
    rows: pd.DataFrame,
    columns: dict[str, str],
    split: str,
    without: set[str],
    dropped: dict[str, int],
) -> pd.DataFrame:
    """Leave out and count rows without a label or a text, add the ids."""
    texts = [name for name in ("text", "text_pair") if name in columns]
    reasons = {"without a label": rows["label"].isin({"", *without})}
    reasons["with an empty text"] = ~rows[texts].map(_is_text).all(axis=1)
    for name in (name for name in ("intent", "slots") if name in columns):
        reasons[f"without {name}"] = ~rows[name].map(_is_text)
    keep = np.ones(len(rows), bool)
    for reason, unusable in reasons.items():
        if count := int((keep & unusable).sum()):
            dropped[f"{split} rows {reason}"] = count
        keep &= ~unusable.to_numpy(bool)
    if not keep.any():
        raise InputError(_nothing_left(split, len(rows), columns, dropped))
    rows = rows[keep].reset_index(drop=True).astype(dict.fromkeys(_texts(columns), "str"))
    rows.insert(0, "id", _ids(rows, texts))
    return rows


def _texts(columns: dict[str, str]) -> list[str]:
    """Return the roles whose columns hold texts."""
    return [role for role in ("text", "text_pair", "intent", "slots") if role in columns]


def _as_texts(column: pd.Series, name: str, role: str, class_names: list[str]) -> pd.Series:
    """Return a column of texts: numbers, truths and dates as a CSV writes them, missing as None.

    Numbers of named classes, such as intents, are their names. Raises InputError for bytes, lists
    and objects.
    """
    if isinstance(column.dtype, pd.StringDtype):
        return column

    def as_text(value: object) -> str | None:
        if isinstance(value, str):
            return value
        if isinstance(value, bytes | bytearray | memoryview):
            raise InputError(f"column {name!r} holds bytes, not texts; decode them as UTF-8")
        if isinstance(value, list | tuple | np.ndarray | dict):
            kind = "objects" if isinstance(value, dict) else "lists"
            raise InputError(
                f"column {name!r} holds {kind}, not texts; join them to texts, or name another "
                f"column with {NAMED_BY[role]}"
            )
        return None if pd.isna(value) else str(as_name(value))

    def as_name(value: object) -> object:
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        return class_names[value] if whole and 0 <= value < len(class_names) else value

    return column.astype(object).map(as_text).astype("str")


def _nothing_left(split: str, count: int, columns: dict[str, str], dropped: dict) -> str:
    reasons = [f"{number} {key}" for key, number in dropped.items() if key.startswith(split)]
    why = f" ({', '.join(reasons)})" if reasons else ""
    return (
        f"none of the {count} rows of {split} has both a text and a label{why} in the columns"
        f" {', '.join(map(repr, columns.values()))}; name others, or another split ({split}_split)"
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _ids(rows: pd.DataFrame, texts: list[str]) -> pd.Series:
    contents = zip(*(rows[name].tolist() for name in [*texts, "label"]), strict=True)
    ids = pd.Series([digest_of(json.dumps(content)) for content in contents], dtype="str")
    repeats = ids.groupby(ids).cumcount()
    return ids.where(repeats == 0, ids + "-" + repeats.astype("str"))


def _encoded(rows: pd.DataFrame, split: str, texts: list[str]) -> pd.DataFrame:
    unknown = rows["label"][~rows["label"].isin(texts)].value_counts()
    if len(unknown):
        like = labels.like(unknown.index[0], texts)
        raise InputError(
            f"{unknown.iloc[0]} {split} rows have the label {unknown.index[0]!r}, which no train"
            f" row has{like} ({len(unknown)} such labels, {unknown.sum()} rows); remove these rows,"
            f" leave them out with unlabelled={unknown.index[0]}, or add such examples to train"
        )
    codes = rows["label"].map({text: code for code, text in enumerate(texts)})
    return rows.assign(label=codes.astype(np.int64))


def _given_names(sources: Mapping[str, Rows], column: str) -> list[str]:
    """Return the class names that the sources carry for integer labels, [] if they carry none."""
    given = [one.class_names[column] for one in sources.values() if column in one.class_names]
    if any(names != given[0] for names in given):
        raise InputError(f"the splits number the classes of {column!r} differently: {given}")
    return given[0] if given else []
