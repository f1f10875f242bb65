"""Load a dataset (built in, local files, hub) into one frozen record whose ids are its content."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from influence.errors import InputError
from influence.store import replacing, write_json

Rows = tuple[pd.DataFrame, dict[str, list[str]]]  # with the names of integer classes per column
Reader = Callable[[], Rows]

PAIRS = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("text_a", "text_b"),
    ("text1", "text2"),
    ("text", "text_pair"),
)
TEXTS = ("text", "sentence", "utterance", "utt", "content", "question", "review", "query", "title")
LABELS = (
    *("label", "labels", "gold_label", "intent", "coarse_label", "category", "class", "target"),
    *("domain", "topic", "sentiment"),
)
RESERVED = ("id", "text", "text_pair", "label")
POSSIBLE = (
    "assistant, assistant:N, a hub id, or a directory with"
    " {train,validation,test}.{parquet,csv,jsonl}"
)
FACTS = ("name", "label_names", "digest", "dropped", "notes")
WITHOUT_LABEL = ("", "-1", "-")  # "-" is how the original SNLI files say "no majority"


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

    @property
    def is_pair(self) -> bool:
        """Say whether an example is a pair of texts (then there is a column text_pair)."""
        return "text_pair" in self.train.columns

    @property
    def splits(self) -> dict[str, pd.DataFrame]:
        """Return the three splits by name, in the order train, validation, test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def load(
    dataset: str,
    *,
    dataset_config: str = "",
    text_column: str = "",
    pair_column: str = "",
    label_column: str = "",
    train_split: str = "train",
    validation_split: str = "validation",
    test_split: str = "test",
    validation_fraction: float = 0.1,
    max_train: int = 0,
    max_test: int = 0,
    seed: int = 0,
) -> Dataset:
    """Load `assistant`, `assistant:N`, a directory of {train,validation,test} files or a hub id.

    An id is 16 hexadecimal characters that depend on text, pair and label as the source has it,
    with -1, -2 ... for repeats inside a split: it survives another row order, file format or
    column. Labels become 0..C-1 in the order of `label_names`, which are those of train. Rows
    without a label (missing, empty, -1) or without text are left out and counted in `dropped`.
    A validation split that is missing is cut from train, stratified by label, never from test.
    `max_test` caps validation and test each; a cap of 0 takes all rows. What is cut and capped
    depends on the ids and `seed` only, and no class disappears from a split.

    Raises InputError if anything named is not there or the rest is no classification task.
    """
    _check_sizes(validation_fraction, max_train, max_test)
    readers = _readers(dataset, dataset_config, seed)
    roles = _roles(dataset, readers, train_split, validation_split, test_split)
    sources = {role: readers[split]() for role, split in roles.items()}
    if dataset.partition(":")[0] == "assistant":
        label_column = label_column or "domain"
    columns = _columns(sources["train"][0], text_column, pair_column, label_column)
    splits, label_names, dropped = _examples(sources, columns)
    splits, notes = _with_validation(splits, validation_fraction, seed)
    caps = {"train": max_train, "validation": max_test, "test": max_test}
    splits = {role: _subset(splits[role], role, cap, seed) for role, cap in caps.items()}
    return Dataset(
        name="/".join(filter(None, [_name(dataset), dataset_config])),
        **splits,
        label_names=label_names,
        digest=_digest(splits, label_names),
        dropped=dropped,
        notes=(*notes, *_missing_classes(splits, label_names)),
    )


def save(dataset: Dataset, directory: Path) -> None:
    """Write {train,validation,test}.parquet, then dataset.json: its presence means complete."""
    (directory / "dataset.json").unlink(missing_ok=True)
    for split, rows in dataset.splits.items():
        with replacing(directory / f"{split}.parquet") as temporary:
            pq.write_table(_table(rows, dataset.label_names), temporary)
    facts = {field: getattr(dataset, field) for field in FACTS}
    facts["digest"] = _digest(dataset.splits, dataset.label_names)  # of a subset: its own
    write_json(directory / "dataset.json", facts)


def open_saved(directory: Path) -> Dataset:
    """Read what `save` wrote; raises InputError if it is incomplete or its rows have changed."""
    manifest = directory / "dataset.json"
    if not manifest.is_file():
        raise InputError(f"no complete dataset in {directory.absolute()}: dataset.json is missing")
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    facts |= {field: tuple(facts[field]) for field in ("label_names", "notes")}
    splits = {
        split: _read_file(directory / f"{split}.parquet")[0]
        for split in ("train", "validation", "test")
    }
    if _digest(splits, facts["label_names"]) != facts["digest"]:
        raise InputError(f"the rows in {directory.absolute()} are not those saved; load them again")
    return Dataset(**splits, **facts)


def _table(rows: pd.DataFrame, label_names: tuple[str, ...]) -> pa.Table:
    """Add the class names in the form that `load` and the hub's `datasets` read."""
    table = pa.Table.from_pandas(rows, preserve_index=False)
    features = {"label": {"names": list(label_names), "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata})


def _check_sizes(validation_fraction: float, max_train: int, max_test: int) -> None:
    if not 0 < validation_fraction < 1:
        raise InputError(f"validation_fraction={validation_fraction} is not between 0 and 1")
    for knob, value in {"max_train": max_train, "max_test": max_test}.items():
        if value < 0:
            raise InputError(f"{knob}={value} is negative; give a number of rows, or 0 for all")


def _name(dataset: str) -> str:
    path = Path(os.path.expanduser(dataset))
    return path.resolve().name if path.is_dir() else dataset


# Where rows come from: one reader per split, so that only the splits in use are read.


def _readers(dataset: str, config: str, seed: int) -> dict[str, Reader]:
    name, _, size = dataset.partition(":")
    path = Path(os.path.expanduser(dataset))
    is_directory = bool(dataset) and path.is_dir()
    if config and (name == "assistant" or is_directory):
        raise InputError(f"dataset_config={config!r} is for hub ids only, not for {dataset!r}")
    if name == "assistant":
        return _assistant(size, seed)
    if is_directory:
        return _directory(path.resolve())
    if path.exists() or not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", dataset):
        given = f"{path.absolute()}{' (a file)' if path.is_file() else ''}" if dataset else "''"
        raise InputError(f"dataset {given} is no directory; give {POSSIBLE}")
    return _hub(dataset, config)


def _assistant(size: str, seed: int) -> dict[str, Reader]:
    from influence import assistant

    if size and not (size.isdecimal() and int(size)):
        raise InputError(f"dataset 'assistant:{size}': {size!r} is no number of examples above 0")
    frames = assistant.generate(**({"size": int(size)} if size else {}), seed=seed)
    return {split: lambda rows=rows: (rows, {}) for split, rows in frames.items()}


def _directory(directory: Path) -> dict[str, Reader]:
    paths = sorted(path for path in directory.iterdir() if path.suffix in FORMATS)
    paths = [path for path in paths if path.name != "dataset.json"]
    if not paths:
        raise InputError(f"{directory} holds no file that ends in {', '.join(FORMATS)}")
    for stem in {path.stem for path in paths}:
        names = [path.name for path in paths if path.stem == stem]
        if len(names) > 1:
            raise InputError(f"{directory} holds {' and '.join(names)}: keep one of them")
    return {path.stem: lambda path=path: _read_file(path) for path in paths}


def _hub(dataset: str, config: str) -> dict[str, Reader]:
    try:
        import datasets

        splits = datasets.load_dataset(dataset, config or None)
    except Exception as error:  # the hub's client raises a dozen types without a common parent
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise InputError(
            f"dataset {dataset!r} is no directory ({Path(dataset).absolute()}) and did not load"
            f" from the hub ({type(error).__name__}: {reason}); check name, dataset_config and"
            f" network, or give {POSSIBLE}"
        ) from error
    return {name: lambda split=split: _hub_rows(split) for name, split in splits.items()}


def _hub_rows(split) -> Rows:
    names = {column: getattr(feature, "names", None) for column, feature in split.features.items()}
    return split.to_pandas(), {column: given for column, given in names.items() if given}


def _read_file(path: Path) -> Rows:
    try:
        rows, names = FORMATS[path.suffix](path)
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise InputError(f"cannot read {path.absolute()} as {path.suffix[1:]}: {reason}") from error
    if rows.columns.has_duplicates:
        twice = rows.columns[rows.columns.duplicated()][0]
        raise InputError(f"{path.absolute()} has two columns named {twice!r}; rename one")
    return rows, names


def _read_parquet(path: Path) -> Rows:
    table = pq.read_table(path)
    metadata = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
    features = metadata.get("info", {}).get("features", {}).items()
    names = {
        column: kind["names"]
        for column, kind in features
        if isinstance(kind, dict) and "names" in kind
    }
    return table.to_pandas(ignore_metadata=True), names


def _read_csv(path: Path) -> Rows:
    # Not pandas: it guesses types, takes a surplus column for an index and fills short lines.
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file, strict=True)
        header = next(lines, None)
        if not header:
            raise ValueError("the file has no header line")
        rows = []
        for row in filter(None, lines):
            if len(row) != len(header):
                raise ValueError(
                    f"line {lines.line_num} has {len(row)} fields, the header {len(header)}"
                )
            rows.append(row)
    return pd.DataFrame(rows, columns=header, dtype="str"), {}


def _read_json(path: Path) -> Rows:
    # Not pandas or pyarrow: both turn a text that looks like a date into one.
    records = []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                records.append(_json_object(line, number))
    return pd.DataFrame(records), {}


def _json_object(line: str, number: int) -> dict:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {number} is not JSON ({error.msg})") from error
    if not isinstance(record, dict):
        raise ValueError(f"line {number} is not a JSON object")
    return record


FORMATS = {".parquet": _read_parquet, ".csv": _read_csv, ".jsonl": _read_json, ".json": _read_json}


# Which splits and columns are in use.


def _roles(
    dataset: str, readers: dict[str, Reader], train: str, validation: str, test: str
) -> dict[str, str]:
    if train in (validation, test):
        raise InputError(f"train_split={train!r} is also named as validation_split or test_split")
    there = ", ".join(readers)
    if test not in readers:
        hint = ""
        if "validation" in readers:
            hint = " (test_split=validation tests on validation and cuts another one from train)"
        raise InputError(
            f"dataset {dataset!r} has no split {test!r}, only {there}; name one with test_split"
            + hint
        )
    for split, knob in {train: "train_split", validation: "validation_split"}.items():
        if split not in readers and split != "validation":
            raise InputError(f"dataset {dataset!r} has no split {split!r} ({knob}), only {there}")
    roles = {"train": train, "validation": validation, "test": test}
    if validation == test or validation not in readers:
        del roles["validation"]
    return roles


def _columns(rows: pd.DataFrame, text: str, pair: str, label: str) -> dict[str, str]:
    """Map text, label and, for pairs, text_pair to source columns, as named or by usual names."""
    for knob, name in {"text_column": text, "pair_column": pair, "label_column": label}.items():
        if name and name not in rows.columns:
            raise InputError(f"{knob}={name!r} is not among the columns {_listed(rows)}")
    usual = {str(name).lower(): name for name in rows.columns}
    label = label or _first(LABELS, usual, {text, pair})
    for first, second in PAIRS:
        pair_is_there = first in usual and usual.get(second, "") not in ("", label)
        if not text and pair_is_there and pair in ("", usual[second]):
            text, pair = usual[first], usual[second]
    text = text or _first(TEXTS, usual, {pair, label})
    for knob, name in {"text_column": text, "label_column": label}.items():
        if not name:
            raise InputError(f"no column has a usual name; give {knob}, one of {_listed(rows)}")
    columns = {"text": text, "text_pair": pair, "label": label}
    columns = {role: name for role, name in columns.items() if name}
    if len(set(columns.values())) < len(columns):
        raise InputError(f"text, pair and label must be different columns, not {columns}")
    return columns


def _first(names: tuple[str, ...], usual: dict[str, str], taken: set[str]) -> str:
    return next((usual[name] for name in names if usual.get(name, "") not in {"", *taken}), "")


def _listed(rows: pd.DataFrame) -> str:
    return ", ".join(map(repr, rows.columns))


# From source rows to examples.


def _examples(
    sources: dict[str, Rows], columns: dict[str, str]
) -> tuple[dict[str, pd.DataFrame], tuple[str, ...], dict[str, int]]:
    dropped: dict[str, int] = {}
    splits = {role: _usable(rows, columns, role, dropped) for role, (rows, _) in sources.items()}
    texts = _label_set(splits["train"]["label"])
    splits = {role: _encoded(rows, role, texts) for role, rows in splits.items()}
    given = _given_names(sources, columns["label"])
    names = tuple(given[int(t)] if t.isdecimal() and int(t) < len(given) else t for t in texts)
    return splits, names, dropped


def _usable(
    rows: pd.DataFrame, columns: dict[str, str], split: str, dropped: dict[str, int]
) -> pd.DataFrame:
    """Rename the columns, leave out and count rows without a label or a text, add the ids."""
    for name in columns.values():
        if name not in rows.columns:
            raise InputError(f"{split} lacks the column {name!r}, it has {_listed(rows)}")
    rows = _renamed(rows, columns)
    rows["label"] = _label_texts(rows["label"], columns["label"])
    texts = [name for name in ("text", "text_pair") if name in rows.columns]
    reasons = {"without a label": rows["label"].isin(WITHOUT_LABEL)}
    reasons["with an empty text"] = ~rows[texts].map(_is_text).all(axis=1)
    keep = np.ones(len(rows), bool)
    for reason, unusable in reasons.items():
        if count := int((keep & unusable).sum()):
            dropped[f"{split} rows {reason}"] = count
        keep &= ~unusable.to_numpy(bool)
    if not keep.any():
        raise InputError(_nothing_left(split, len(rows), columns, dropped))
    rows = rows[keep].reset_index(drop=True).astype(dict.fromkeys(texts, "str"))
    rows.insert(0, "id", _ids(rows, texts))
    return rows


def _nothing_left(split: str, count: int, columns: dict[str, str], dropped: dict) -> str:
    reasons = [f"{number} {key}" for key, number in dropped.items() if key.startswith(split)]
    why = f" ({', '.join(reasons)})" if reasons else ""
    return (
        f"none of the {count} rows of {split} has both a text and a label{why} in the columns"
        f" {', '.join(map(repr, columns.values()))}; name others, or another split ({split}_split)"
    )


def _renamed(rows: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    names = {source: role for role, source in columns.items()}
    others = [name for name in rows.columns if name not in names]
    taken = {*RESERVED, *others} - set(RESERVED).intersection(others)
    for name in others:
        if name in RESERVED:
            new = f"source_{name}"
            while new in taken:
                new = f"source_{new}"
            names[name] = new
    changed = {name: _json(rows[name]) for name in others if not _is_storable(rows[name])}
    return rows.assign(**changed)[[*columns.values(), *others]].rename(columns=names)


def _is_storable(column: pd.Series) -> bool:
    """Say whether Parquet can hold the column, and under a type that other splits can share.

    It cannot if types are mixed or objects empty, and a column of nothing has no type.
    """
    if column.dtype != object:
        return True
    try:
        kind = pa.array(column).type
    except (pa.ArrowException, ValueError, OverflowError):
        return False
    return "struct<>" not in str(kind) and not pa.types.is_null(kind)


def _json(column: pd.Series) -> pd.Series:
    return column.map(lambda value: json.dumps(value, default=str), na_action="ignore").astype(
        "str"
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _label_texts(column: pd.Series, name: str) -> pd.Series:
    """Write each label as the source has it, 1.0 as 1; missing becomes the empty string."""
    try:
        codes, values = pd.factorize(column)
    except TypeError as error:
        raise InputError(
            f"label column {name!r} holds {type(column.iloc[0]).__name__} values, but an example"
            " has one label; name a column of integers or strings with label_column"
        ) from error
    texts = [_label_text(value, name) for value in values]
    return pd.Series(np.array([*texts, ""], dtype=object)[codes], index=column.index, dtype="str")


def _label_text(value: object, name: str) -> str:
    if isinstance(value, float | np.floating) and not float(value).is_integer():
        raise InputError(
            f"label column {name!r} holds {value}, no class; name a column of integers or strings"
            " with label_column"
        )
    text = str(value)
    return "" if not text.strip() else re.sub(r"^(-?\d+)\.0+$", r"\1", text)


def _ids(rows: pd.DataFrame, texts: list[str]) -> pd.Series:
    contents = zip(*(rows[name].tolist() for name in [*texts, "label"]), strict=True)
    ids = pd.Series([_hash(json.dumps(content)) for content in contents], dtype="str")
    repeats = ids.groupby(ids).cumcount()
    return ids.where(repeats == 0, ids + "-" + repeats.astype("str"))


def _hash(content: str, size: int = 8) -> str:
    return hashlib.blake2b(content.encode(), digest_size=size).hexdigest()


def _label_set(labels: pd.Series) -> list[str]:
    texts = sorted(set(labels))
    if len(texts) < 2:
        raise InputError(
            f"all {len(labels)} train rows have the label {texts[0]!r}, but a classifier needs two"
            " classes; name another column with label_column"
        )
    if all(re.fullmatch("-?[0-9]+", text) for text in texts):
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


# Cutting and capping by id.


def _spread(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Rank the rows of each class in a seeded order of their ids.

    Repeats share a key and so stay neighbours: hardly any is in both train and validation.
    `position` in (0, 1) is the rank relative to the class size: the rows below a threshold are
    a stratified sample.
    """
    keys = [_hash(f"{seed} {name[:16]}") for name in rows["id"]]
    order = rows[["id", "label"]].assign(key=keys).sort_values(["key", "id"])
    classes = order.groupby("label")["id"]
    sizes = classes.transform("size")
    order["rank"] = classes.cumcount()
    order["is_last"] = order["rank"] == sizes - 1
    order["position"] = (order["rank"] + 0.5) / sizes
    return order.sort_values(["position", "key", "id"])


def _with_validation(
    splits: dict[str, pd.DataFrame], fraction: float, seed: int
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Cut the validation split from train if there is none; no class leaves train."""
    if "validation" in splits:
        return splits, []
    train = splits["train"]
    order = _spread(train, seed)
    chosen = order.index[~order["is_last"]][: max(1, round(fraction * len(train)))]
    if not len(chosen):
        raise InputError(
            f"no class of train has two of its {len(train)} rows, so that no validation can be cut"
            " from it; add examples or name a validation_split"
        )
    cut = train.index.isin(chosen)
    validation, train = (train[rows].reset_index(drop=True) for rows in (cut, ~cut))
    notes = [f"{len(validation)} validation rows were cut from train"]
    return {"train": train, "validation": validation, "test": splits["test"]}, notes


def _subset(rows: pd.DataFrame, split: str, maximum: int, seed: int) -> pd.DataFrame:
    classes = rows["label"].nunique()
    if not maximum or maximum >= len(rows):
        return rows
    if maximum < classes:
        knob = "max_train" if split == "train" else "max_test"
        raise InputError(
            f"{knob}={maximum} cannot hold the {classes} classes of {split}; give at least"
            f" {classes}, or 0 for all rows"
        )
    order = _spread(rows, seed)
    chosen = order.index[np.argsort(order["rank"] > 0, kind="stable")][:maximum]
    return rows[rows.index.isin(chosen)].reset_index(drop=True)


def _missing_classes(splits: dict[str, pd.DataFrame], names: tuple[str, ...]) -> list[str]:
    notes = []
    for split, rows in splits.items():
        present = set(rows["label"])
        missing = [name for code, name in enumerate(names) if code not in present]
        if missing:
            shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            notes.append(f"{len(missing)} of {len(names)} classes have no {split} rows: {shown}")
    return notes


def _digest(splits: dict[str, pd.DataFrame], label_names: tuple[str, ...]) -> str:
    rows = [
        [splits[split][column].tolist() for column in ("id", "label")]
        for split in ("train", "validation", "test")
    ]
    return _hash(json.dumps([rows, label_names]), size=16)
