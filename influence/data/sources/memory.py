"""Tables in memory become a folder of Parquet files, which every process reads like any other."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from influence.errors import InputError
from influence.runtime import store

SPLIT = re.compile(r"\w[\w.-]{0,99}")  # what a split may be called: its file has that name
TAKEN = "a folder, a pandas.DataFrame, a datasets.Dataset, or a mapping of splits to these"


def splits(data: Any) -> dict[str, pa.Table]:
    """Return the splits of data in memory, by name; a single table is train.

    A datasets.Dataset keeps the names of its classes. Raises InputError for anything but tables,
    and for columns that Parquet cannot hold.
    """
    tables = dict(data) if isinstance(data, Mapping) else {"train": data}
    if not tables:
        raise InputError(f"the dataset is an empty mapping; give {TAKEN}")
    for name in tables:
        if not (isinstance(name, str) and SPLIT.fullmatch(name)):
            raise InputError(
                f"a split cannot be called {str(name)[:40]!r}; name it train, validation or test"
            )
    return {name: _table(name, table) for name, table in tables.items()}


def write(tables: Mapping[str, pa.Table], workdir: Path) -> Path:
    """Write a file per split into `inputs/<digest>/dataframe-<digest>/`, once; return that folder.

    The digest is over everything in them, so that equal data is the same folder in every session.
    """
    digest = _digest(tables)
    directory = Path(workdir).absolute() / "inputs" / digest
    name = f"dataframe-{digest[:8]}"  # the name under which the dataset is shown
    if directory.is_dir():
        return directory / name
    try:
        with store.replacing(directory) as temporary:
            (temporary / name).mkdir(parents=True)
            for split, table in tables.items():
                pq.write_table(table, temporary / name / f"{split}.parquet")
    except (NotADirectoryError, FileNotFoundError, PermissionError) as error:
        raise InputError(
            f"{directory.parent} cannot be written ({error.strerror}); choose another workdir"
        ) from None
    return directory / name


def _is_dataset(data: Any) -> bool:
    """Tell whether this is a `datasets.Dataset`, without importing that library."""
    return hasattr(data, "features") and hasattr(data, "with_format")


def _table(split: str, data: Any) -> pa.Table:
    if _is_dataset(data):
        if not hasattr(data, "__len__"):
            raise InputError(f"{split} is a stream ({type(data).__name__}); load it as a Dataset")
        table = data.with_format("arrow")[:]
        features = {"info": {"features": data.features.to_dict()}}
        return table.replace_schema_metadata({"huggingface": json.dumps(features)})
    if not isinstance(data, pd.DataFrame):
        raise InputError(f"{split} is not a table but a {type(data).__name__}; give {TAKEN}")
    named = data.set_axis([str(name) for name in data.columns], axis=1)
    if named.columns.has_duplicates:
        twice = named.columns[named.columns.duplicated()][0]
        raise InputError(f"{split} has two columns named {twice!r}; rename one")
    try:
        return pa.Table.from_pandas(_plain(named), preserve_index=False).replace_schema_metadata()
    except (pa.ArrowException, TypeError, ValueError) as error:
        reason = " ".join(map(str, error.args)).rstrip(".")
        raise InputError(f"{split} cannot be written as Parquet: {reason}") from None


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose categories are the values that they stand for."""
    categories = [n for n, kind in frame.dtypes.items() if isinstance(kind, pd.CategoricalDtype)]
    return frame.assign(**{name: _values(frame[name]) for name in categories})


def _values(column: pd.Series) -> pd.Series:
    """Return the values of a categorical column; whole numbers stay so beside missing ones."""
    kind = column.cat.categories.dtype
    if pd.api.types.is_integer_dtype(kind) and column.isna().any():
        return column.astype("Int64")
    return column.astype(kind)


def _digest(tables: Mapping[str, pa.Table]) -> str:
    """Return 32 hex digits over names, types, class names and rows of all splits."""
    digest = hashlib.blake2b(digest_size=16)
    for split, table in sorted(tables.items()):
        digest.update(split.encode())
        sink = pa.BufferOutputStream()
        whole = table.combine_chunks()
        with pa.ipc.new_stream(sink, whole.schema) as writer:
            writer.write_table(whole)
        digest.update(np.frombuffer(sink.getvalue(), dtype=np.uint8))
    return digest.hexdigest()
