"""A dataset on disk, written and read in parts.

What is not asked for is not in memory: a column, a few rows, or one part of a split after another.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from influence.data.dataset import HASHED, SPLITS, Dataset, Digest, digest_of
from influence.errors import InputError
from influence.runtime.store import NOT_JSON, file_digest, link, replacing, write_json

FACTS = ("name", "label_names", "digest", "dropped", "notes", "source")
PART = 16384  # rows that are in memory at a time
Add = Callable[[pa.Table], None]  # adds rows to a file


@dataclass(frozen=True, eq=False)
class Saved:
    """A dataset on disk, as `open_saved` found it; files: sha256 of each split."""

    directory: Path
    name: str
    label_names: tuple[str, ...]
    digest: str
    dropped: dict[str, int]
    notes: tuple[str, ...]
    files: dict[str, str]
    source: str = ""

    def count(self, split: str) -> int:
        """Return the number of rows of a split."""
        return pq.ParquetFile(self._path(split)).metadata.num_rows

    def columns(self, split: str) -> list[str]:
        """Return the names of the columns of a split."""
        return pq.ParquetFile(self._path(split)).schema_arrow.names

    def hashed(self, split: str) -> list[str]:
        """Return the columns of a split that its digest is made of."""
        return [name for name in HASHED if name in self.columns(split)]

    def read(self, split: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return all rows of a split, with these columns or all."""
        wanted = None if columns is None else list(columns)
        return pq.read_table(self._path(split), columns=wanted).to_pandas(ignore_metadata=True)

    def array(self, split: str, column: str) -> np.ndarray:
        """Return one column of a split, such as the labels."""
        return self.read(split, [column])[column].to_numpy()

    def parts(
        self, split: str, columns: Sequence[str] | None = None, part: int = PART
    ) -> Iterator[pd.DataFrame]:
        """Yield a split in parts of at most `part` rows; the index counts the rows of the split.

        None of them is empty, except the only one of a split without rows.
        """
        for start, table in self.tables(split, columns, part):
            rows = table.to_pandas(ignore_metadata=True)
            yield rows.set_axis(pd.RangeIndex(start, start + len(rows)))

    def tables(
        self, split: str, columns: Sequence[str] | None = None, part: int = PART
    ) -> Iterator[tuple[int, pa.Table]]:
        """Yield the number of its first row and the rows of each part, see `parts`.

        All have the types of the file. In pandas, those of a part depend on what is in it: where a
        column holds nothing, it has no type at all.
        """
        wanted = None if columns is None else list(columns)
        with pq.ParquetFile(self._path(split)) as file:
            start = 0
            for group in range(file.metadata.num_row_groups):  # of any size: files are replaced
                rows = file.read_row_group(group, wanted)
                for first in range(0, len(rows), part):
                    yield start + first, rows.slice(first, part)
                start += len(rows)
            if not start:
                yield 0, file.read(wanted)

    def take(
        self,
        split: str,
        rows: np.ndarray,
        columns: Sequence[str] | None = None,
        part: int = PART,
    ) -> pd.DataFrame:
        """Return the rows of a split at these places, in their order."""
        rows = np.asarray(rows, dtype=np.int64)
        wanted = np.unique(rows)
        found = [chosen(some, wanted) for some in self.tables(split, columns, part)]
        table = pa.concat_tables(found).unify_dictionaries()
        return table.take(np.searchsorted(wanted, rows)).to_pandas(ignore_metadata=True)

    def dataset(self) -> Dataset:
        """Return all of it in memory."""
        facts = {name: getattr(self, name) for name in FACTS}
        return Dataset(**{split: self.read(split) for split in SPLITS}, **facts)

    def _path(self, split: str) -> Path:
        return self.directory / f"{split}.parquet"


def open_saved(directory: Path) -> Saved:
    """Open what `save` wrote; raises InputError if it is incomplete or its files have changed."""
    manifest = directory / "dataset.json"
    if not manifest.is_file():
        raise InputError(f"no complete dataset in {directory.absolute()}: dataset.json is missing")
    facts: Any = None
    try:
        facts = json.loads(manifest.read_text(encoding="utf-8"))
        facts |= {field: tuple(facts[field]) for field in ("label_names", "notes")}
        found, digests = (
            Saved(directory, **facts),
            {split: facts["files"][split] for split in SPLITS},
        )
    except (*NOT_JSON, KeyError, TypeError) as error:
        if isinstance(facts, dict) and {"label_names", "digest", "dropped"} <= facts.keys():
            raise InputError(
                f"{manifest.absolute()} was written by another version of this package; run the "
                "step that wrote it again, or load the dataset again from its own files"
            ) from None
        raise InputError(
            f"{manifest.absolute()} describes no saved dataset ({error}); save it again, or rename "
            "it if it is something else"
        ) from None
    for split, digest in digests.items():
        path = directory / f"{split}.parquet"
        if not path.is_file() or file_digest(path) != digest:
            raise InputError(f"{path.absolute()} is not the file that was saved; load it again")
    return found


def save(dataset: Dataset, directory: Path, part: int = PART) -> None:
    """Write {train,validation,test}.parquet, then dataset.json: its presence means complete.

    The hub's `datasets.load_dataset(directory)` reads it too, with the class names.
    """
    (directory / "dataset.json").unlink(missing_ok=True)
    for split, rows in dataset.splits.items():
        with replacing(directory / f"{split}.parquet") as temporary:
            pq.write_table(_table(rows, dataset.label_names), temporary, row_group_size=part)
    facts = {name: getattr(dataset, name) for name in FACTS}
    facts["digest"] = digest_of(dataset.splits, dataset.label_names)
    write_json(directory / "dataset.json", {**facts, "files": _files(directory)})


def save_subsets(whole: Saved, kept: Mapping[Path, np.ndarray], part: int = PART) -> None:
    """Write a dataset per directory: the train rows given, and the whole's validation and test.

    `kept`: ascending rows of train for each. The train set goes by once, in parts.
    """
    hashed, columns = {directory: Digest() for directory in kept}, whole.hashed("train")
    with ExitStack() as stack:
        written: dict[Path, Add] = {}
        for directory in kept:
            (directory / "dataset.json").unlink(missing_ok=True)
            file = rows_file(directory / "train.parquet", part)
            written[directory] = stack.enter_context(file)
        for some in whole.tables("train", part=part):
            for directory, rows in kept.items():
                own = chosen(some, rows)
                digested = own.select(columns).to_pandas(ignore_metadata=True)
                hashed[directory].add("train", digested)
                written[directory](own)
    others = Digest()
    for split in SPLITS[1:]:
        others.add(split, whole.read(split, whole.hashed(split)))
    for directory in kept:
        for split in SPLITS[1:]:
            link(whole.directory / f"{split}.parquet", directory / f"{split}.parquet")
            hashed[directory].share(split, others)
        facts = {name: getattr(whole, name) for name in FACTS}
        facts["digest"] = hashed[directory].of(whole.label_names)  # of a subset: its own
        write_json(directory / "dataset.json", {**facts, "files": _files(directory)})


def remarks(dataset: Dataset | Saved) -> list[str]:
    """Return what there is to say of a dataset: what was read, left out, cut and decided."""
    dropped = [f"left out {count} {what}" for what, count in dataset.dropped.items()]
    return [*filter(None, [dataset.source]), *dropped, *dataset.notes]


def chosen(part: tuple[int, pa.Table], rows: np.ndarray) -> pa.Table:
    """Return those of ascending `rows` of a split that are in this part of `Saved.tables`."""
    start, table = part
    first, end = np.searchsorted(rows, [start, start + len(table)])
    return table.take(pa.array(rows[first:end] - start, pa.int64()))


@contextmanager
def rows_file(path: Path, part: int = PART) -> Iterator[Add]:
    """Give a function that adds rows to a Parquet file, which is there whole or not at all.

    The rows lie in groups of `part`, however many come at a time. The first ones, which may be
    none, say which columns there are.
    """
    with replacing(path) as temporary, ExitStack() as stack:
        writers: list[pq.ParquetWriter] = []
        waiting: list[pa.Table] = []

        def add(rows: pa.Table) -> None:
            if not writers:
                writers.append(stack.enter_context(pq.ParquetWriter(temporary, rows.schema)))
            waiting.append(rows)
            if sum(map(len, waiting)) >= part:
                table = pa.concat_tables(waiting)
                whole = len(table) // part * part
                writers[0].write_table(table.slice(0, whole), row_group_size=part)
                waiting[:] = [table.slice(whole)]

        yield add
        if sum(map(len, waiting)):
            writers[0].write_table(pa.concat_tables(waiting))


def digest_of_rest(dataset: Dataset, part: int = PART) -> str:
    """Return a digest of all that `digest_of` leaves out: other columns, and what there is to say.

    No training depends on it, but what is kept beside a training does, such as the groups by which
    pruning is judged.
    """
    hashed = hashlib.blake2b(json.dumps(remarks(dataset)).encode(), digest_size=16)
    for split, rows in dataset.splits.items():
        for name in sorted(set(rows.columns) - {*HASHED, "text", "text_pair"}, key=str):
            hashed.update(f"{split} {name}".encode())
            for start in range(0, len(rows), part):  # as texts, rows are large
                texts = rows[name].iloc[start : start + part].astype("str").fillna("")
                hashed.update(pd.util.hash_array(texts.to_numpy(dtype=object)).tobytes())
    return hashed.hexdigest()


def _files(directory: Path) -> dict[str, str]:
    return {split: file_digest(directory / f"{split}.parquet") for split in SPLITS}


def _table(rows: pd.DataFrame, label_names: Sequence[str]) -> pa.Table:
    """Add the class names in the form that `load` and the hub's `datasets` read."""
    table = pa.Table.from_pandas(rows, preserve_index=False)
    features = {"label": {"names": list(label_names), "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata})
