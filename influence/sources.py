"""Where the rows of a dataset come from: files, the hub, the built-in generator."""

import csv
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from influence.errors import InputError
from influence.store import NOT_JSON

Rows = tuple[pd.DataFrame, dict[str, list[str]]]  # with the names of integer classes per column
Reader = Callable[[], Rows]  # one per split, so that only the splits in use are read

SURROGATE = re.compile("[\ud800-\udfff]")
POSSIBLE = (
    "assistant, assistant:N, a hub id, or a directory with"
    " {train,validation,test}.{parquet,csv,jsonl}"
)


def read(
    dataset: str, config: str, seed: int, train: str, validation: str, test: str
) -> dict[str, Rows]:
    """Return the rows of the splits train, validation (where there is one) and test.

    `dataset` is `assistant`, `assistant:N`, a directory or a hub id; `config` is that of a hub id,
    `seed` that of the assistant; `train`, `validation` and `test` are the splits' own names.
    Raises InputError for what is not there or cannot be read.
    """
    readers = _readers(dataset, config, seed)
    roles = _roles(dataset, readers, train, validation, test)
    return {role: readers[split]() for role, split in roles.items()}


def read_file(path: Path) -> Rows:
    """Read one Parquet, CSV or JSON Lines file; raises InputError if it is damaged."""
    try:
        rows, names = FORMATS[path.suffix](path)
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise InputError(f"cannot read {path.absolute()} as {path.suffix[1:]}: {reason}") from error
    if rows.columns.has_duplicates:
        twice = rows.columns[rows.columns.duplicated()][0]
        raise InputError(f"{path.absolute()} has two columns named {twice!r}; rename one")
    return rows, names


def name_of(dataset: str) -> str:
    """Return the name of a dataset: that of the directory, else as given."""
    path = Path(os.path.expanduser(dataset))
    return path.resolve().name if path.is_dir() else dataset


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
    return {path.stem: lambda path=path: read_file(path) for path in paths}


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
    names = {
        column: getattr(getattr(feature, "feature", feature), "names", None)  # of a list: its items
        for column, feature in split.features.items()
    }
    return split.to_pandas(), {column: given for column, given in names.items() if given}


def _read_parquet(path: Path) -> Rows:
    table = pq.read_table(path)
    table.validate(full=True)  # texts may be no UTF-8
    names = _class_names((table.schema.metadata or {}).get(b"huggingface", b"{}"))
    return table.to_pandas(ignore_metadata=True), names


def _class_names(metadata: bytes) -> dict[str, list[str]]:
    """Return the names that the hub's library left for the classes of integer columns."""
    try:
        features = dict(json.loads(metadata).get("info", {}).get("features", {}))
    except (*NOT_JSON, TypeError, AttributeError):
        raise ValueError("its metadata 'huggingface' is damaged") from None
    kinds = {
        column: kind.get("feature", kind)  # of a list: its items
        for column, kind in features.items()
        if isinstance(kind, dict)
    }
    return {
        column: list(map(str, kind["names"]))
        for column, kind in kinds.items()
        if isinstance(kind, dict) and isinstance(kind.get("names"), list)
    }


def _read_csv(path: Path) -> Rows:
    # Not pandas: it guesses types, takes a surplus column for an index and fills short lines.
    csv.field_size_limit(2**31 - 1)  # by default a text of 131,072 characters is an error
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
    except NOT_JSON as error:
        raise ValueError(f"line {number} is not JSON ({getattr(error, 'msg', error)})") from error
    if not isinstance(record, dict):
        raise ValueError(f"line {number} is not a JSON object")
    if "\\ud" in line.lower() and SURROGATE.search(json.dumps(record, ensure_ascii=False)):
        raise ValueError(
            f"line {number} holds half of a pair of surrogates, surrogates not allowed"
        )
    return record


FORMATS = {".parquet": _read_parquet, ".csv": _read_csv, ".jsonl": _read_json, ".json": _read_json}


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
