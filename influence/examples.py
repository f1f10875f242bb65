"""From the rows of a source to examples: usable rows, ids that are their content, class numbers."""

import hashlib
import json
import re
from collections.abc import Hashable

import numpy as np
import pandas as pd

from influence.columns import listed, rename
from influence.errors import InputError
from influence.sources import Rows

ROW = "source_row"  # the column that says from which row of its file, from 0, an example is
FLIPPED = "flipped"  # the column that says which labels are known to be wrong
EXACT = 2**53  # from here on, different whole numbers are the same float
WITHOUT_LABEL = ("", "-1", "-")  # "-" is how the original SNLI files say "no majority"


def from_sources(
    sources: dict[str, Rows], columns: dict[str, str]
) -> tuple[dict[str, pd.DataFrame], tuple[str, ...], dict[str, int]]:
    """Return the splits as in a Dataset, the class names, and how many rows were dropped and why.

    `sources` has the rows of each split, `columns` maps text and label, and where a task has them
    text_pair, or intent and slots, to source columns. Raises InputError if a split lacks one, if
    nothing usable is left of it, and for labels that are no classes or that train lacks.
    """
    dropped: dict[str, int] = {}
    splits = {role: _usable(rows, columns, role, dropped) for role, (rows, _) in sources.items()}
    texts = _label_set(splits["train"]["label"])
    splits = {role: _encoded(rows, role, texts) for role, rows in splits.items()}
    given = _given_names(sources, columns["label"])
    by_number = {str(number): name for number, name in enumerate(given)}
    return splits, tuple(by_number.get(text, text) for text in texts), dropped


def digest_of(content: str, size: int = 8) -> str:
    """Return `size` bytes of a hash of `content`, in hexadecimal."""
    return hashlib.blake2b(content.encode(), digest_size=size).hexdigest()


def _usable(
    rows: pd.DataFrame, columns: dict[str, str], split: str, dropped: dict[str, int]
) -> pd.DataFrame:
    """Rename the columns, leave out and count rows without a label or a text, add the ids."""
    for name in columns.values():
        if name not in rows.columns:
            raise InputError(f"{split} lacks the column {name!r}, it has {listed(rows)}")
    rows = rename(rows, columns)
    if ROW not in rows:
        rows[ROW] = np.arange(len(rows))
    if FLIPPED in rows:  # from a CSV: "False", which is true
        rows[FLIPPED] = rows[FLIPPED].astype("str").str.lower().isin(("true", "1", "1.0"))
    rows["label"] = _label_texts(rows["label"], columns["label"])
    texts = [name for name in ("text", "text_pair") if name in rows.columns]
    reasons = {"without a label": rows["label"].isin(WITHOUT_LABEL)}
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
    strings = [*texts, *(name for name in ("intent", "slots") if name in columns)]
    rows = rows[keep].reset_index(drop=True).astype(dict.fromkeys(strings, "str"))
    rows.insert(0, "id", _ids(rows, texts))
    return rows


def _nothing_left(split: str, count: int, columns: dict[str, str], dropped: dict) -> str:
    reasons = [f"{number} {key}" for key, number in dropped.items() if key.startswith(split)]
    why = f" ({', '.join(reasons)})" if reasons else ""
    return (
        f"none of the {count} rows of {split} has both a text and a label{why} in the columns"
        f" {', '.join(map(repr, columns.values()))}; name others, or another split ({split}_split)"
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _label_texts(column: pd.Series, name: str) -> pd.Series:
    """Write each label as the source has it, 1.0 as 1; missing becomes the empty string."""
    if column.dtype == object:  # of several types, where True would be counted among the 1
        column = column.map(lambda value: _label_text(value, name), na_action="ignore")
    codes, values = pd.factorize(column)
    texts = [_label_text(value, name) for value in values]
    return pd.Series(np.array([*texts, ""], dtype=object)[codes], index=column.index, dtype="str")


def _label_text(value: object, name: str) -> str:
    if not isinstance(value, Hashable):
        raise InputError(
            f"label column {name!r} holds {type(value).__name__} values, but an example"
            " has one label; name a column of integers or strings with label_column"
        )
    if isinstance(value, float | np.floating):
        if not float(value).is_integer() or abs(value) >= EXACT:
            raise InputError(
                f"label column {name!r} holds {value}, no class; name a column of integers or"
                " strings with label_column"
            )
        value = int(value)
    text = str(value)
    return "" if not text.strip() else re.sub(r"^(-?\d+)\.0+$", r"\1", text)


def _ids(rows: pd.DataFrame, texts: list[str]) -> pd.Series:
    contents = zip(*(rows[name].tolist() for name in [*texts, "label"]), strict=True)
    ids = pd.Series([digest_of(json.dumps(content)) for content in contents], dtype="str")
    repeats = ids.groupby(ids).cumcount()
    return ids.where(repeats == 0, ids + "-" + repeats.astype("str"))


def _label_set(labels: pd.Series) -> list[str]:
    texts = sorted(set(labels))
    if len(texts) < 2:
        raise InputError(
            f"all {len(labels)} train rows have the label {texts[0]!r}, but a classifier needs two"
            " classes; name another column with label_column"
        )
    if all(re.fullmatch("-?[0-9]{1,999}", text) for text in texts):
        texts.sort(key=int)
    return texts


def _encoded(rows: pd.DataFrame, split: str, texts: list[str]) -> pd.DataFrame:
    unknown = rows["label"][~rows["label"].isin(texts)].value_counts()
    if len(unknown):
        raise InputError(
            f"{unknown.iloc[0]} {split} rows have the label {unknown.index[0]!r}, which no train"
            f" row has ({len(unknown)} such labels, {unknown.sum()} rows); remove these rows or"
            " add such examples to train"
        )
    codes = rows["label"].map({text: code for code, text in enumerate(texts)})
    return rows.assign(label=codes.astype(np.int64))


def _given_names(sources: dict[str, Rows], column: str) -> list[str]:
    """Return the class names that the sources carry for integer labels, [] if they carry none."""
    given = [names[column] for _, names in sources.values() if column in names]
    if any(names != given[0] for names in given):
        raise InputError(f"the splits number the classes of {column!r} differently: {given}")
    return given[0] if given else []
