"""Where the rows of a dataset come from: files, the hub, the built-in generator."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from influence.config.parameters import DataConfig
from influence.data.sources import folders
from influence.data.sources.files import FORMATS, Rows, read_file, split_name
from influence.data.sources.folders import NAMES, Split
from influence.errors import InputError, listed
from influence.runtime import environment

POSSIBLE = (
    "assistant, assistant:N, a hub id, a file of one table, or a directory with"
    " {train,validation,test}.{parquet,csv,jsonl}"
)


@dataclass(frozen=True, eq=False)
class Source:
    """The rows of the splits in use, by role, with what they were read from.

    `origins`: the file or split of each role; `unused`: files or splits that no role uses.
    """

    rows: dict[str, Rows]
    origins: dict[str, str]
    unused: tuple[str, ...]


def read(config: DataConfig) -> Source:
    """Return the rows of the splits train, validation and test, of the last two if they are there.

    One table alone, which is train, may be all that there is; otherwise test has to be there.
    `dataset` is `assistant`, `assistant:N`, a file, a directory or a hub id; `dataset_config` is
    that of a hub id, `data_seed` that of the assistant; `train_split`, `validation_split` and
    `test_split` are the splits' own names, of which the usual ones also stand for dev, val and the
    like. Raises InputError for what is not there or cannot be read.
    """
    dataset = os.path.expanduser(config.dataset)
    splits, everything = _splits(
        dataset, config.dataset_config, config.data_seed, config.train_split
    )
    roles = _roles(
        dataset, list(splits), config.train_split, config.validation_split, config.test_split
    )
    used = {origin for name in roles.values() for origin in splits[name].names}
    return Source(
        {role: splits[name].read() for role, name in roles.items()},
        {role: splits[name].said for role, name in roles.items()},
        tuple(origin for origin in everything if origin not in used),
    )


def notes(source: Source) -> list[str]:
    """Return what had to be decided to read the files, without repeats."""
    return list(dict.fromkeys(note for rows in source.rows.values() for note in rows.notes))


def name_of(dataset: str) -> str:
    """Return the name of a dataset: that of the directory or file, else as given."""
    path = Path(os.path.expanduser(dataset))
    if path.is_file():
        return split_name(path.name)[0]
    return path.resolve().name if path.is_dir() else dataset


def _splits(
    dataset: str, config: str, seed: int, train: str
) -> tuple[Mapping[str, Split], list[str]]:
    """Return the splits by name, and the origins of all that is there, used or not."""
    name, _, size = dataset.partition(":")
    path = Path(os.path.expanduser(dataset))
    is_directory = bool(dataset) and path.is_dir()
    is_file = path.is_file()
    if config and (name == "assistant" or is_directory or is_file):
        raise InputError(f"dataset_config={config!r} is for hub ids only, not for {dataset!r}")
    if name == "assistant":
        return _of_rows(_assistant(size, seed))
    if is_directory and folders.is_saved_to_disk(path):
        return _of_rows(_saved_to_disk(path.resolve()))
    if is_directory:
        return _directory(path.resolve(), train)
    if is_file and split_name(path.name)[0]:
        return {train: Split((path.name,), path.name, lambda: read_file(path))}, [path.name]
    if path.exists() or not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", dataset):
        given = str(path.absolute()) if dataset else "''"
        if is_file:
            raise InputError(f"{given} does not end in {', '.join(FORMATS)}; give {POSSIBLE}")
        raise InputError(f"dataset {given} is not a directory; give {POSSIBLE}")
    return _of_rows(_hub(dataset, config))


def _of_rows(readers: Mapping[str, Callable[[], Rows]]) -> tuple[dict[str, Split], list[str]]:
    return {name: Split((name,), name, reader) for name, reader in readers.items()}, list(readers)


def _directory(directory: Path, train: str) -> tuple[Mapping[str, Split], list[str]]:
    """Return the splits of a folder, or, of a snapshot of the hub, those of its folder `data`.

    All are taken from one place: the folder itself if it has the train split, else `data`.
    """
    found, everything = folders.splits(directory)
    there, inner = list(found), directory / "data"
    name = str(directory)
    if _named(name, "train", train, there) or _with_one_affix(name, there).get(train):
        return found, everything
    others, names = folders.splits(inner, "data/") if inner.is_dir() else ({}, [])
    if others:
        return others, [*names, *(one for one in everything if one.split("/")[0] != "data")]
    if not found:
        raise InputError(folders.nothing(directory))
    return found, everything


def _assistant(size: str, seed: int) -> dict[str, Callable[[], Rows]]:
    from influence.data.sources import assistant

    if size and not (size.isdecimal() and int(size)):
        raise InputError(
            f"dataset 'assistant:{size}': {size!r} is not a number of examples above 0"
        )
    frames = assistant.generate(**({"size": int(size)} if size else {}), seed=seed)
    return {split: lambda rows=rows: Rows(rows, {}) for split, rows in frames.items()}


# The hub's library.


def _hub(dataset: str, config: str) -> dict[str, Callable[[], Rows]]:
    try:
        import datasets

        with environment.without_retries():
            splits = datasets.load_dataset(dataset, config or None)
    except Exception as error:  # the hub's client raises a dozen types without a common parent
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise InputError(
            f"dataset {dataset!r} is not a directory ({Path(dataset).absolute()}) and did not load"
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
    alone = len(there) == 1
    if alone and train == "train" and not any(roles.values()):
        roles["train"] = there[0]
    if not roles["test"] and not (alone and roles["train"] and test == "test"):
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
    if roles["validation"] == roles["test"]:
        del roles["validation"]
    return {role: name for role, name in roles.items() if name}


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
