"""A folder of files: which of them make which split.

A split is a file, several files that are numbered, or a folder of files.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from influence.data.sources.files import FORMATS, Rows, read_file, split_name
from influence.errors import InputError, listed

# What the three splits are called; the first is their name here, the others those of other tools.
NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    "test": ("test", "testing", "eval", "evaluation"),
}
# One file of several of a split: train-00000-of-00002.parquet, train_1.csv, train.0.jsonl.
PART = re.compile(r"(?P<name>.+?)-(?P<number>\d+)-of-(?P<count>\d+)(-[0-9a-f]{8,})?")
NUMBERED = re.compile(r"(?P<name>.+?)[-_.](?P<number>\d+)")
# What the hub's library and this package leave beside the data.
BESIDE = ("dataset.json", "dataset_dict.json", "dataset_info.json", "dataset_infos.json")
BESIDE = (*BESIDE, "state.json")
TEXTS = (".md", ".gitattributes", ".py", ".yaml", ".yml", ".lock")  # beside data, and never data
REPEATED = 0.1  # share of the rows of several files that may appear in more than one of them


@dataclass(frozen=True, eq=False)
class Split:
    """A split that there is, and how to read it.

    `names`: the files, folders or splits that it is made of; `said`: the same as a sentence has it.
    """

    names: tuple[str, ...]
    said: str
    read: Callable[[], Rows]  # so that only the splits in use are read


class Way(NamedTuple):
    """Files that make a split together, or one folder of such.

    `lacking`: the number of a file that is missing; `total`: of how many.
    """

    paths: Sequence[Path]
    lacking: int | None = None
    total: int = 0


def is_saved_to_disk(directory: Path) -> bool:
    """Tell whether `datasets.Dataset.save_to_disk` wrote a folder."""
    return any((directory / name).is_file() for name in ("dataset_dict.json", "state.json"))


def splits(directory: Path, prefix: str = "") -> tuple[dict[str, Split], list[str]]:
    """Return the splits of a folder by name, and the names of all that may be data, used or not.

    `prefix` comes before the names of files. Nothing is read yet.
    """
    there = sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    named = _by_name([path for path in there if not path.is_dir()])
    for folder in filter(_is_split, there):  # such as train/part-0.csv, or Spark's train.parquet/
        named.setdefault(split_name(folder.name)[0] or folder.name, []).append(Way([folder]))
    found = {
        name: Split(
            tuple(prefix + path.name for path in ways[0].paths),
            listed(prefix + _shown(path) for path in ways[0].paths),
            lambda name=name, ways=ways: _read_split(directory, name, ways),
        )
        for name, ways in named.items()
    }
    return found, [prefix + name for name in _data_names(there)]


def nothing(directory: Path) -> str:
    """Say that a folder holds no file that can be read, and what it holds instead."""
    there = sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    inner = [path for path in there if path.is_dir() and any(map(_inside, _folders(path)))]
    hint = ""
    if inner:
        hint = f"; give one of its folders, such as {inner[0]}"
    elif there:
        hint = f", only {listed(path.name for path in there)}"
    return f"{directory} holds no file that ends in {', '.join(FORMATS)}{hint}"


def _data_names(paths: Sequence[Path]) -> list[str]:
    """Return the names of what may hold data, whether it can be read or not."""
    names = []
    for path in paths:
        if not path.is_dir():
            names.append(path.name)
        elif inside := _inside(path):
            names.append(path.name)
            others = sorted(set(path.iterdir()) - set(inside)) if _is_split(path) else []
            names += [f"{path.name}/{other.name}" for other in others if other.name[0] not in "._"]
    kept = [name for name in names if Path(name).suffix not in TEXTS]
    kept = [name for name in kept if Path(name).name not in BESIDE]
    return [name for name in kept if not name.isupper()]  # LICENSE, README


def _by_name(files: Sequence[Path]) -> dict[str, list[Way]]:
    """Return the ways in which files make splits, by the names of these splits.

    A file is a split by its stem; files that are numbered without a gap are one together, under the
    name that they share, unless a file has that name for itself.
    """
    files = [path for path in files if split_name(path.name)[0] and path.name not in BESIDE]
    named: dict[str, list[Way]] = {}
    for path in files:
        if not PART.fullmatch(stem := split_name(path.name)[0]):
            named.setdefault(stem, []).append(Way([path]))
    for (name, count), parts in _numbered(files, PART).items():
        lacking = next((number for number in range(int(count)) if number not in parts), None)
        named.setdefault(name, []).append(
            Way([parts[n] for n in sorted(parts)], lacking, int(count))
        )
    for (name, _), parts in _numbered(files, NUMBERED).items():
        numbers = sorted(parts)
        whole = numbers in ([*range(len(parts))], [*range(1, len(parts) + 1)])
        if whole and name not in named:
            named[name] = [Way([parts[number] for number in numbers])]
    return named


def _numbered(files: Sequence[Path], pattern: re.Pattern) -> dict[tuple[str, str], dict[int, Path]]:
    """Return files by what they share, their name and the count or the ending, and their number."""
    groups: dict[tuple[str, str], dict[int, Path]] = {}
    for path in files:
        stem, ending = split_name(path.name)
        if match := pattern.fullmatch(stem):
            key = (match["name"], match.groupdict().get("count") or ending)
            groups.setdefault(key, {})[int(match["number"])] = path
    return groups


def _is_split(folder: Path) -> bool:
    """Tell whether the files of a folder are one split, and not a dataset of their own."""
    inside = _inside(folder) if folder.is_dir() else []
    names = {name.lower() for name in _by_name(inside)}
    return bool(inside) and len([usual for usual in NAMES.values() if names & set(usual)]) < 2


def _inside(folder: Path) -> list[Path]:
    """Return the files of a folder that hold rows, in the order of the numbers in their names."""

    def numbers(path: Path) -> list:
        return [int(t) if t.isdecimal() else t for t in re.split(r"(\d+)", path.name)]

    files = [path for path in folder.iterdir() if path.is_file() and path.name not in BESIDE]
    kept = [path for path in files if split_name(path.name)[0] and path.name[0] not in "._"]
    return sorted(kept, key=numbers)


def _shown(path: Path) -> str:
    """Return the name of a file, or of a folder with the files in it."""
    if not path.is_dir():
        return path.name
    files = _inside(path)
    return f"{path.name}/ ({len(files)} files: {listed(file.name for file in files)})"


def _read_split(directory: Path, name: str, ways: Sequence[Way]) -> Rows:
    if len(ways) > 1:
        _keep_one(directory, [way.paths[0] for way in ways])
    way = ways[0]
    if way.lacking is not None:
        raise InputError(
            f"{directory} holds {len(way.paths)} of {way.total} files of {name}: number "
            f"{way.lacking} is missing"
        )
    paths = [path for one in way.paths for path in (_inside(one) if one.is_dir() else [one])]
    for stem in {split_name(path.name)[0] for path in paths}:
        same = [path for path in paths if split_name(path.name)[0] == stem]
        if len(same) > 1:
            _keep_one(same[0].parent, same)
    # A writer in parts leaves files without a byte where a part has no rows.
    parts = {path: read_file(path) for path in paths if len(paths) == 1 or path.stat().st_size}
    return _joined(name, parts) if parts else Rows(pd.DataFrame(), {})


def _keep_one(directory: Path, paths: Sequence[Path]) -> None:
    names = " and ".join(sorted(path.name for path in paths))
    raise InputError(f"{directory} holds {names}: keep one of them")


def _joined(name: str, parts: Mapping[Path, Rows]) -> Rows:
    """Return the rows of several files; raises InputError if they are not of one table."""
    (first, one), *others = parts.items()
    for path, part in others:
        # An object of JSON may lack what is missing in it.
        missing = set(part.table.columns) ^ set(one.table.columns)
        if missing and "json" not in split_name(path.name)[1]:
            raise InputError(
                f"{path} and {first.name} are parts of {name} with different columns, one of them "
                f"without {listed(map(repr, sorted(missing, key=str)))}; give both the same columns"
            )
        if part.class_names != one.class_names:
            raise InputError(f"{path} and {first.name} number the classes of {name} differently")
    if not others:
        return one
    notes = [note for part in parts.values() for note in part.notes]
    repeated = _repeated([part.table for part in parts.values()])
    if repeated > REPEATED:
        notes.append(
            f"{repeated:.0%} of the rows of {name} appear in more than one of its {len(parts)} "
            f"files: if these are folds, name one with {name}_split"
        )
    table = pd.concat([part.table for part in parts.values()], ignore_index=True)
    return Rows(table, one.class_names, tuple(notes))


def _repeated(tables: Sequence[pd.DataFrame]) -> float:
    """Return the share of the rows that appear in more than one table."""
    columns = sorted(set.intersection(*(set(table.columns) for table in tables)), key=str)
    hashes = [
        pd.util.hash_pandas_object(table[columns].astype("str"), index=False) for table in tables
    ]
    counts = pd.concat([pd.Series(one.unique()) for one in hashes]).value_counts()
    several = counts.index[counts > 1]
    return float(pd.concat(hashes).isin(several).mean())


def _folders(path: Path) -> list[Path]:
    return [path, *(inner for inner in path.iterdir() if inner.is_dir())]
