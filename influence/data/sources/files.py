"""One file becomes a table: Parquet, CSV, TSV or JSON, compressed or not, as it stands.

pandas would guess types, take a surplus column for an index, fill short lines and turn texts that
look like dates or missing values into those; here a text stays as it is in the file.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from influence.errors import InputError
from influence.runtime.store import NOT_JSON

ROW = "source_row"  # the column that says from which row of its file, from 0, an example is
SURROGATE = re.compile("[\ud800-\udfff]")
SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "vertical bars", ",": "commas"}
MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}  # how a file in another encoding begins
DAMAGED = (OSError, ValueError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


class Rows(NamedTuple):
    """A table, the names of integer classes per column, and what had to be decided to read it."""

    table: pd.DataFrame
    class_names: dict[str, list[str]]
    notes: tuple[str, ...] = ()


def read_file(path: Path) -> Rows:
    """Read one Parquet, CSV, TSV or JSON file; raises InputError, with the line, if it is damaged.

    CSV and TSV have a header line; JSON is an object per line, an array of objects, or an object
    of columns.
    """
    _, ending = split_name(path.name)
    try:
        rows = FORMATS[ending](path)
    except (*DAMAGED, csv.Error, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
        raise InputError(f"cannot read {path.absolute()} as {ending[1:]}: {reason}") from error
    if rows.table.columns.has_duplicates:
        twice = rows.table.columns[rows.table.columns.duplicated()][0]
        raise InputError(f"{path.absolute()} has two columns named {twice!r}; rename one")
    return rows


def split_name(name: str) -> tuple[str, str]:
    """Return the stem and the ending of a file that can be read, "" and "" for any other."""
    path = Path(name)
    if path.suffix.lower() in COMPRESSED:
        path = path.with_suffix("")
    ending = path.suffix.lower()
    return (path.name[: -len(ending)], ending) if ending in FORMATS else ("", "")


def class_names(features: dict[str, Any]) -> dict[str, list[str]]:
    """Return the names of integer classes, by column, of features as the hub's library notes them.

    Of a column of lists they are those of its elements.
    """
    found = {}
    for column, kind in features.items():
        inner = kind.get("feature", kind) if isinstance(kind, dict) else kind
        if isinstance(inner, dict) and isinstance(inner.get("names"), list):
            found[column] = list(map(str, inner["names"]))
    return found


def _read_parquet(path: Path) -> Rows:
    if path.suffix.lower() in COMPRESSED:
        with _open(path) as file:
            table = pq.read_table(io.BytesIO(file.read()))
    else:
        table = pq.read_table(path)
    table.validate(full=True)  # texts may be no UTF-8
    metadata = (table.schema.metadata or {}).get(b"huggingface", b"{}")
    try:
        names = class_names(dict(json.loads(metadata).get("info", {}).get("features", {})))
    except (*NOT_JSON, TypeError, AttributeError):
        raise ValueError("its metadata 'huggingface' is damaged") from None
    # Whole numbers beside nulls stay whole: as floats, 7 would become the text or label 7.0.
    return Rows(table.to_pandas(ignore_metadata=True, integer_object_nulls=True), names)


def _read_csv(path: Path) -> Rows:
    table = _Delimited(path, ",").table()
    long = [f"lines {first} to {last}" for first, last in table.swallowed[:3]]
    notes = [
        f"{path.name}: {lines} are read as one row, because a quote that opens in the first of "
        "them closes in the last"
        for lines in long
    ]
    return Rows(table.frame, {}, tuple(notes))


def _read_tsv(path: Path) -> Rows:
    """Read a table separated by tabs, in which a quote may be an ordinary character.

    A quote that merely begins a text would swallow all lines up to the next one. Where quotes do
    not fit, and every line by itself has all its fields, they are read literally.
    """
    try:
        table = _Delimited(path, "\t").table()
        error = None
    except (csv.Error, ValueError) as refused:
        table, error = None, refused
    if table is not None and not table.swallowed:
        return Rows(table.frame, {})
    try:
        plain = _Delimited(path, "\t", csv.QUOTE_NONE).table()
    except (csv.Error, ValueError):
        if table is None:
            raise error from None  # type: ignore[misc]
        return Rows(table.frame, {})
    note = (
        f"{path.name}: quotes are read as ordinary characters, because they do not enclose whole "
        "fields"
    )
    return Rows(plain.frame, {}, (note,))


class _Table(NamedTuple):
    frame: pd.DataFrame
    swallowed: list[tuple[int, int]]  # rows of several lines each of which could be a row itself


class _Delimited:
    """A text file of fields with a separator, and where in it the reading is."""

    def __init__(self, path: Path, separator: str, quoting: int = csv.QUOTE_MINIMAL) -> None:
        self.path, self.separator, self.quoting = path, separator, quoting
        self.lines: list[str] = []  # of the row being read

    def table(self) -> _Table:
        csv.field_size_limit(2**31 - 1)  # by default a text of 131,072 characters is an error
        with _open_text(self.path, newline="") as file:
            header = next(csv.reader(file, delimiter=self.separator), [])
            blanks = any(field.startswith(" ") for field in header[1:])  # label, text
        with _open_text(self.path, newline="") as file:
            reader = csv.reader(
                self._remembered(file),
                strict=True,
                delimiter=self.separator,
                quoting=self.quoting,
                skipinitialspace=blanks,
            )
            try:
                return self._rows(reader)
            except csv.Error as error:
                raise ValueError(self._reason(error, reader.line_num)) from None

    def _rows(self, reader) -> _Table:
        header = next(reader, None)
        if header == ["sep=", ""]:  # a spreadsheet's note to itself
            header = next(reader, None)
        if not header:
            raise ValueError("the file has no header line")
        self._check(header)
        rows, swallowed = [], []
        self.lines.clear()
        for row in reader:
            if row and len(row) != len(header):
                raise ValueError(
                    f"line {reader.line_num} has {len(row)} fields, the header {len(header)}"
                )
            if row:
                rows.append(row)
                if len(self.lines) > 1 and self._could_be_rows(len(header)):
                    swallowed.append((reader.line_num - len(self.lines) + 1, reader.line_num))
            self.lines.clear()
        frame = pd.DataFrame(rows, columns=header, dtype="str")
        named = [bool(name) or (frame.iloc[:, at] != "").any() for at, name in enumerate(header)]
        return _Table(frame.loc[:, named], swallowed)  # a spreadsheet's empty columns have no names

    def _check(self, header: list[str]) -> None:
        """Raise ValueError for a header that indicates another encoding or separator."""
        if "\0" in "".join(header):
            raise ValueError("it holds zero bytes, as UTF-16 does; save it as UTF-8")
        inside = [mark for mark in SEPARATORS if len(header) == 1 and mark in header[0]]
        if inside:
            raise ValueError(
                f"its header is one field, {header[0]!r}, so it seems to be separated by "
                f"{SEPARATORS[inside[0]]}, not by {SEPARATORS[self.separator]}; save it as .csv "
                "with commas or as .tsv with tabs"
            )

    def _could_be_rows(self, fields: int) -> bool:
        plain = csv.reader(self.lines, delimiter=self.separator, quoting=csv.QUOTE_NONE)
        return all(len(row) == fields for row in plain)

    def _remembered(self, file: IO[str]) -> Iterator[str]:
        for line in file:
            self.lines.append(line)
            yield line

    def _reason(self, error: csv.Error, last: int) -> str:
        first = last - len(self.lines) + 1
        where = f"line {first}" if first >= last else f"the row that begins in line {first}"
        hint = '; double a quote inside a text ("")'
        if any('\\"' in line for line in self.lines):
            hint += ", and put no backslash before it"
        return f"{where}: {error}{hint}"


def _read_json(path: Path) -> Rows:
    with _open_text(path) as file:
        first = next(filter(str.strip, file), "")
        is_array = first.lstrip().startswith("[")
        text = first + file.read() if is_array or not _is_json(first) else ""
    if is_array:
        records = _arrays(text)
    elif text and _is_json(text):  # one object over several lines
        records = _of_object(json.loads(text))
    else:
        records = list(_lines(path))
        if len(records) == 1 and all(isinstance(v, list | dict) for v in records[0].values()):
            records = _of_object(records[0])
    return Rows(_framed(records), {})


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except NOT_JSON:
        return False
    return True


def _lines(path: Path) -> Iterator[dict]:
    """Yield the object of each line."""
    with _open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except NOT_JSON as error:
                reason = getattr(error, "msg", error)
                raise ValueError(f"line {number} is not JSON ({reason})") from error
            yield _checked(record, f"line {number}", "\\ud" in line.lower())


def _arrays(text: str) -> list[dict]:
    """Return the objects of an array, or of one array after another, as appended batches are."""
    decoder, elements, at = json.JSONDecoder(), [], 0
    while at < len(text):
        try:
            found, at = decoder.raw_decode(text, at)
        except NOT_JSON as error:
            line = text.count("\n", 0, getattr(error, "pos", 0)) + 1
            raise ValueError(f"line {line} is not JSON ({getattr(error, 'msg', error)})") from error
        if not isinstance(found, list):
            raise ValueError(
                f"line {text.count(chr(10), 0, at) + 1} is not an array, although the first is"
            )
        elements += found
        at = next((place for place in range(at, len(text)) if not text[place].isspace()), len(text))
    suspect = "\\ud" in text.lower()
    for number, element in enumerate(elements, start=1):
        if not isinstance(element, dict):
            raise ValueError(
                "line 1 is not a JSON object, nor does it begin an array of objects: element "
                f"{number} is {type(element).__name__}"
            )
        _checked(element, f"element {number}", suspect)
    return elements


def _checked(record: Any, where: str, suspect: bool) -> dict:
    if not isinstance(record, dict):
        raise ValueError(f"{where} is not a JSON object")
    if suspect and SURROGATE.search(json.dumps(record, ensure_ascii=False)):
        raise ValueError(f"{where} holds half of a surrogate pair; surrogates are not allowed")
    return record


def _of_object(whole: dict) -> list[dict]:
    """Return the records of a file that is one object; raises ValueError if it holds none.

    It holds columns, each a list or an object of values by row, as `DataFrame.to_json` writes them,
    an object for each example, or one list of these.
    """
    values = list(whole.values())
    if len(values) == 1 and isinstance(values[0], list) and {*map(type, values[0])} == {dict}:
        return values[0]
    if values and all(isinstance(value, list) for value in values):
        if len({len(value) for value in values}) == 1:
            return [dict(zip(whole, row, strict=True)) for row in zip(*values, strict=True)]
    elif values and all(isinstance(value, dict) for value in values):
        rows = dict.fromkeys(key for value in values for key in value)
        if not all(row.isdecimal() for row in rows):
            return values
        return [{name: column.get(row) for name, column in whole.items()} for row in rows]
    keys = ", ".join(map(repr, list(whole)[:5]))
    raise ValueError(
        f"it holds one object with the keys {keys}, not examples; write one object per line, or an "
        "array of objects"
    )


def _framed(records: Sequence[dict]) -> pd.DataFrame:
    """Return a table; whole numbers stay whole where other records lack them."""
    table = pd.DataFrame(records)
    for name in table.select_dtypes(float).columns:
        values = [record.get(name) for record in records]
        if any(type(value) is int for value in values):
            table[name] = pd.Series(values, index=table.index, dtype=object)
    return table


def _open_zip(path: Path) -> IO[bytes]:
    archive = zipfile.ZipFile(path)
    names = [name for name in archive.namelist() if not name.endswith("/")]
    names = [name for name in names if not name.startswith("__MACOSX")]
    if len(names) != 1:
        raise ValueError(f"the archive holds {len(names)} files; it must hold one")
    return archive.open(names[0])


COMPRESSED: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": lambda path: pa.input_stream(str(path), compression="zstd"),
    ".zip": _open_zip,
}
FORMATS: dict[str, Callable[[Path], Rows]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_json,
    ".ndjson": _read_json,
    ".json": _read_json,
}


def _open(path: Path) -> IO[bytes]:
    return COMPRESSED.get(path.suffix.lower(), lambda path: path.open("rb"))(path)


@contextmanager
def _open_text(path: Path, newline: str | None = None) -> Iterator[IO[str]]:
    """Open a file of UTF-8; an invalid byte raises ValueError with its line."""
    with io.TextIOWrapper(_open(path), "utf-8-sig", newline=newline) as file:
        try:
            yield file
        except UnicodeDecodeError as error:
            raise ValueError(_not_utf8(path, error)) from error


def _not_utf8(path: Path, error: UnicodeDecodeError) -> str:
    with _open(path) as file:
        if encoding := MARKS.get(file.read(2)):
            return f"it is {encoding}, not UTF-8 ({error}); save it as UTF-8"
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as found:
                return (
                    f"line {number} is not UTF-8 ({found}), but perhaps Windows-1252 or Latin-1; "
                    "save the file as UTF-8"
                )
    return str(error)
