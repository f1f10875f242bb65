"""Where the rows of a dataset come from: a folder of files, the hub, the built-in generator."""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from influence.errors import InputError
from influence.readers import FORMATS, Rows, read_file, split_name

# What the three splits are called; the first is their name here, the others those of other tools.
NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    "test": ("test", "testing", "eval", "evaluation"),
}
POSSIBLE = (
    "assistant, assistant:N, a hub id, or a directory with"
    " {train,validation,test}.{parquet,csv,jsonl}"
)
# One file of several of a split: train-00000-of-00002.parquet, train_1.csv, train.0.jsonl.
PART = re.compile(r"(?P<name>.+?)-(?P<number>\d+)-of-(?P<count>\d+)(-[0-9a-f]{8,})?")
NUMBERED = re.compile(r"(?P<name>.+?)[-_.](?P<number>\d+)")
# What the hub's library and this package leave beside the data.
BESIDE = ("dataset.json", "dataset_dict.json", "dataset_info.json", "dataset_infos.json")
BESIDE = (*BESIDE, "state.json")
TEXTS = (".md", ".gitattributes", ".py", ".yaml", ".yml", ".lock")  # beside data, and never data
SHOWN = 5  # names in a sentence


@dataclass(frozen=True, eq=False)
class Found:
    """The rows of the splits in use, by role, with what they were read from.

    `origins`: the file or split of each role; `unused`: files or splits that no role uses.
    """

    rows: dict[str, Rows]
    origins: dict[str, str]
    unused: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Split:
    """A split that there is: what it is read from, and how."""

    origins: tuple[str, ...]
    read: Callable[[], Rows]  # so that only the splits in use are read


def read(dataset: str, config: str, seed: int, train: str, validation: str, test: str) -> Found:
    """Return the rows of the splits train, validation (where there is one) and test.

    `dataset` is `assistant`, `assistant:N`, a directory or a hub id; `config` is that of a hub id,
    `seed` that of the assistant; `train`, `validation` and `test` are the splits' own names, of
    which the usual ones also stand for dev, val and the like. Raises InputError for what is not
    there or cannot be read.
    """
    splits, everything = _splits(dataset, config, seed)
    roles = _roles(dataset, list(splits), train, validation, test)
    used = {origin for name in roles.values() for origin in splits[name].origins}
    return Found(
        {role: splits[name].read() for role, name in roles.items()},
        {role: listed(splits[name].origins) for role, name in roles.items()},
        tuple(origin for origin in everything if origin not in used),
    )


def notes(found: Found) -> list[str]:
    """Return what had to be decided to read the files, without repeats."""
    return list(dict.fromkeys(note for rows in found.rows.values() for note in rows.notes))


def listed(names: Iterable[str]) -> str:
    """Return names as a sentence shows them, the first few of many."""
    names = [name if name.isprintable() else repr(name) for name in names]
    more = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN + 1 else []
    shown = [*(names[:SHOWN] if more else names), *more]
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))


def name_of(dataset: str) -> str:
    """Return the name of a dataset: that of the directory, else as given."""
    path = Path(os.path.expanduser(dataset))
    return path.resolve().name if path.is_dir() else dataset


def _splits(dataset: str, config: str, seed: int) -> tuple[Mapping[str, Split], list[str]]:
    """Return the splits by name, and the origins of all that is there, used or not."""
    name, _, size = dataset.partition(":")
    path = Path(os.path.expanduser(dataset))
    is_directory = bool(dataset) and path.is_dir()
    if config and (name == "assistant" or is_directory):
        raise InputError(f"dataset_config={config!r} is for hub ids only, not for {dataset!r}")
    if name == "assistant":
        return _of_rows(_assistant(size, seed))
    if is_directory:
        return _directory(path.resolve())
    if path.exists() or not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", dataset):
        given = f"{path.absolute()}{' (a file)' if path.is_file() else ''}" if dataset else "''"
        raise InputError(f"dataset {given} is no directory; give {POSSIBLE}")
    return _of_rows(_hub(dataset, config))


def _of_rows(readers: Mapping[str, Callable[[], Rows]]) -> tuple[dict[str, Split], list[str]]:
    return {name: Split((name,), reader) for name, reader in readers.items()}, list(readers)


def _assistant(size: str, seed: int) -> dict[str, Callable[[], Rows]]:
    from influence import assistant

    if size and not (size.isdecimal() and int(size)):
        raise InputError(f"dataset 'assistant:{size}': {size!r} is no number of examples above 0")
    frames = assistant.generate(**({"size": int(size)} if size else {}), seed=seed)
    return {split: lambda rows=rows: Rows(rows, {}) for split, rows in frames.items()}


# The hub's library.


def _hub(dataset: str, config: str) -> dict[str, Callable[[], Rows]]:
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


def _saved_to_disk(directory: Path) -> dict[str, Callable[[], Rows]]:
    """Return what `datasets.Dataset.save_to_disk` wrote; one that is no dictionary is train."""
    try:
        import datasets

        found = datasets.load_from_disk(str(directory))
    except Exception as error:  # as above
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise InputError(
            f"{directory} was written by save_to_disk and does not load ({type(error).__name__}: "
            f"{reason}); save it again, or give files of Parquet, CSV or JSON"
        ) from error
    splits = found if isinstance(found, dict) else {"train": found}
    return {name: lambda split=split: _hub_rows(split) for name, split in splits.items()}


def _hub_rows(split) -> Rows:
    """Return the rows of a split of the hub's library with the names of its classes."""
    names = {}
    for column, feature in split.features.items():
        given = getattr(getattr(feature, "feature", feature), "names", None)
        names |= {column: given} if given else {}
    # Through Arrow: whole numbers beside nulls would become floats.
    table = split.with_format("arrow")[:]
    return Rows(table.to_pandas(ignore_metadata=True, integer_object_nulls=True), names)


# A folder of files.


def _directory(directory: Path) -> tuple[Mapping[str, Split], list[str]]:
    if any((directory / name).is_file() for name in ("dataset_dict.json", "state.json")):
        return _of_rows(_saved_to_disk(directory))
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
    splits = {
        name: Split(
            tuple(path.name for path in ways[0]),
            lambda name=name, ways=ways: _read_split(directory, name, ways),
        )
        for name, ways in named.items()
    }
    if has_inner:
        found, names = _directory(inner)
        return {**found, **splits}, [*names, *(n for n in _data_names(there) if n != inner.name)]
    return splits, _data_names(there)


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


# Which split is which.


def _roles(
    dataset: str, there: Sequence[str], train: str, validation: str, test: str
) -> dict[str, str]:
    """Return the name that each role's split has here; raises InputError if one is missing."""
    if train in (validation, test):
        raise InputError(f"train_split={train!r} is also named as validation_split or test_split")
    wanted = {"train": train, "validation": validation, "test": test}
    roles = {role: _named(dataset, role, name, there) for role, name in wanted.items()}
    if train == "train" and not roles["train"]:
        shared = _with_one_affix(dataset, there)
        roles = {role: name or shared.get(wanted[role], "") for role, name in roles.items()}
    shown = ", ".join(there)
    if not roles["test"]:
        hint = ""
        if roles["validation"]:
            name = roles["validation"]
            hint = f" (test_split={name} tests on {name} and cuts another one from train)"
        raise InputError(
            f"dataset {dataset!r} has no split {test!r}, only {shown}; name one with test_split"
            + hint
        )
    for role in ("train", "validation"):
        if not roles[role] and wanted[role] != "validation":
            raise InputError(
                f"dataset {dataset!r} has no split {wanted[role]!r} ({role}_split), only {shown}"
            )
    if roles["train"] in (roles["validation"], roles["test"]):
        raise InputError(
            f"dataset {dataset!r} has {roles['train']!r} for more than one split; name others with "
            "train_split, validation_split and test_split"
        )
    if roles["validation"] in ("", roles["test"]):
        del roles["validation"]
    return roles


def _named(dataset: str, role: str, wanted: str, there: Sequence[str]) -> str:
    """Return the split that is called `wanted`, or as other tools call it; "" if there is none."""
    if wanted in there:
        return wanted
    found = [name for name in there if name.lower() in NAMES.get(wanted, ())]
    if len(found) > 1:
        raise InputError(
            f"dataset {dataset!r} has {listed(found)} for {wanted}; name one with {role}_split"
        )
    return found[0] if found else ""


def _with_one_affix(dataset: str, there: Sequence[str]) -> dict[str, str]:
    """Return the splits by their usual names if what surrounds these is the same in all of them.

    Such are snli_1.0_train, snli_1.0_dev and snli_1.0_test.
    """
    usual = {word: name for name, words in NAMES.items() for word in words}
    groups: dict[str, dict[str, str]] = {}
    for name in there:
        for match in re.finditer("[A-Za-z]+", name):
            if split := usual.get(match[0].lower()):
                affix = f"{name[: match.start()]}*{name[match.end() :]}"
                groups.setdefault(affix, {})[split] = name
    whole = {affix: names for affix, names in groups.items() if {"train", "test"} <= set(names)}
    if len(whole) > 1:
        raise InputError(
            f"dataset {dataset!r} has splits named {listed(whole)}; name those to use with "
            "train_split, validation_split and test_split"
        )
    return next(iter(whole.values()), {})
