"""A folder of files: which of them make which split.

A split is a file, several files that are numbered, or a folder of files.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from influence.errors import InputError, listed
from influence.readers import FORMATS, Rows, read_file, split_name

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


@dataclass(frozen=True, eq=False)
class Split:
    """A split that there is: what it is read from, and how."""

    origins: tuple[str, ...]
    read: Callable[[], Rows]  # so that only the splits in use are read


def is_saved_to_disk(directory: Path) -> bool:
    """Tell whether `datasets.Dataset.save_to_disk` wrote a folder."""
    return any((directory / name).is_file() for name in ("dataset_dict.json", "state.json"))


def splits(directory: Path) -> tuple[Mapping[str, Split], list[str]]:
    """Return the splits of a folder by name, and the names of all that is there, used or not.

    Of a snapshot of a hub's repository it is its folder `data` that holds them. Raises InputError
    if there is nothing that can be read.
    """
    there = sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    files = [path for path in there if split_name(path.name)[0] and path.name not in BESIDE]
    folders = [path for path in there if path.is_dir() and _is_split(path)]
    named = _by_name([path for path in files if not path.is_dir()])
    for folder in folders:  # such as train/part-0.csv, or Spark's train.parquet/
        named.setdefault(split_name(folder.name)[0] or folder.name, []).append([folder])
    inner = directory / "data"  # of a snapshot of the hub
    has_inner = not any(name in named for name in NAMES["train"]) and inner.is_dir()
    if not named and not has_inner:
        raise InputError(_nothing(directory, there))
    found = {
        name: Split(
            tuple(path.name for path in ways[0]),
            lambda name=name, ways=ways: _read_split(directory, name, ways),
        )
        for name, ways in named.items()
    }
    if has_inner:
        others, names = splits(inner)
        return {**others, **found}, [*names, *(n for n in _data_names(there) if n != inner.name)]
    return found, _data_names(there)


def _data_names(paths: Sequence[Path]) -> list[str]:
    """Return the names of what may hold data, whether it can be read or not."""
    kept = [path for path in paths if not path.is_dir() or _inside(path)]
    names = [path.name for path in kept if path.suffix not in TEXTS and path.name not in BESIDE]
    return [name for name in names if not name.isupper()]  # LICENSE, README


def _by_name(files: Sequence[Path]) -> dict[str, list[list[Path]]]:
    """Return the ways in which files make splits, by the names of these splits.

    A file is a split by its stem; files that are numbered without a gap are one together, under the
    name that they share, unless a file has that name for itself.
    """
    named: dict[str, list[list[Path]]] = {}
    for path in files:
        named.setdefault(split_name(path.name)[0], []).append([path])
    for pattern in (PART, NUMBERED):
        groups: dict[tuple[str, str], dict[int, Path]] = {}
        for path in files:
            stem, ending = split_name(path.name)
            if match := pattern.fullmatch(stem):
                key = (match["name"], match.groupdict().get("count") or ending)
                groups.setdefault(key, {})[int(match["number"])] = path
        for (name, count), parts in groups.items():
            if pattern is PART and len(parts) != int(count):
                lacking = next(n for n in range(int(count)) if n not in parts)
                raise InputError(
                    f"{files[0].parent} holds {len(parts)} of {int(count)} files of {name}: "
                    f"number {lacking} is missing"
                )
            numbers = sorted(parts)
            whole = numbers in ([*range(len(parts))], [*range(1, len(parts) + 1)])
            if whole and (name not in named or pattern is PART):
                named.setdefault(name, []).append([parts[number] for number in numbers])
    return named


def _is_split(folder: Path) -> bool:
    """Tell whether the files of a folder are one split, and not a dataset of their own."""
    names = {name.lower() for name in _by_name(inside)} if (inside := _inside(folder)) else set()
    splits = [usual for usual in NAMES.values() if names & set(usual)]
    return bool(inside) and len(splits) < 2


def _inside(folder: Path) -> list[Path]:
    """Return the files of a folder that hold rows, in the order of the numbers in their names."""

    def numbers(path: Path) -> list:
        return [int(t) if t.isdecimal() else t for t in re.split(r"(\d+)", path.name)]

    files = [path for path in folder.iterdir() if path.is_file() and path.name not in BESIDE]
    kept = [path for path in files if split_name(path.name)[0] and path.name[0] not in "._"]
    return sorted(kept, key=numbers)


def _read_split(directory: Path, name: str, ways: Sequence[Sequence[Path]]) -> Rows:
    if len(ways) > 1:
        names = " and ".join(path.name for path in sorted(way[0] for way in ways))
        raise InputError(f"{directory} holds {names}: keep one of them")
    paths = [path for one in ways[0] for path in (_inside(one) if one.is_dir() else [one])]
    parts = [read_file(path) for path in paths]
    first = parts[0]
    for path, part in zip(paths, parts, strict=True):
        if set(part.table.columns) != set(first.table.columns):
            raise InputError(
                f"{path} and {paths[0].name} are parts of {name} with different columns: "
                f"{listed(map(str, part.table.columns))} and "
                f"{listed(map(str, first.table.columns))}"
            )
        if part.class_names != first.class_names:
            raise InputError(f"{path} and {paths[0].name} number the classes of {name} differently")
    if len(parts) == 1:
        return first
    table = pd.concat([part.table for part in parts], ignore_index=True)
    return Rows(table, first.class_names, tuple(note for part in parts for note in part.notes))


def _nothing(directory: Path, there: Sequence[Path]) -> str:
    """Say that a folder holds no file that can be read, and what it holds instead."""
    inner = [path for path in there if path.is_dir() and any(map(_inside, _folders(path)))]
    hint = ""
    if inner:
        hint = f"; give one of its folders, such as {inner[0]}"
    elif there:
        hint = f", only {listed([path.name for path in there])}"
    return f"{directory} holds no file that ends in {', '.join(FORMATS)}{hint}"


def _folders(path: Path) -> list[Path]:
    return [path, *(inner for inner in path.iterdir() if inner.is_dir())]
