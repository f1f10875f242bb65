"""Training dynamics in the files of other tools: Dataset Cartography's JSON lines and AUM's CSV.

Cartography (Swayamdipta et al. 2020, https://github.com/allenai/cartography) leaves a folder with
`dynamics_epoch_<k>.jsonl`, k from 0: one object per example with its name `guid`, its logits
`logits_epoch_<k>` and its class number `gold`. AUM (Pleiss et al. 2020,
https://github.com/asappresearch/aum) leaves `aum_values.csv` with the columns sample_id and aum.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from influence.data.columns import listed
from influence.data.sources.files import read_file
from influence.errors import InputError
from influence.scores import REGISTRY
from influence.shapes import Float, Int, Shaped

FOLDER = "training_dynamics"
FILE = re.compile(r"dynamics_epoch_(\d+)\.jsonl?")
VALUES = "aum_values.csv"
NAMES = ("guid", "pairID", "pair_id", "source_id", "idx", "index", "sample_id", "uid", "uuid")
NAMING = ("id", *NAMES, "source_row")  # columns by which examples may be known elsewhere
SHOWN = 3  # names in a message

Logits = Float[np.ndarray, "epochs examples classes"]


@dataclass(frozen=True, eq=False)
class Dynamics:
    """Logits at every epoch of a training made elsewhere, in the order of its own names."""

    names: tuple[str, ...]
    gold: Int[np.ndarray, " examples"]
    logits: Logits


def is_cartography(folder: Path) -> bool:
    """Tell whether a folder holds Cartography's files, itself or in `training_dynamics`."""
    return bool(_files(folder))


def read_cartography(folder: Path) -> Dynamics:
    """Read the dynamics of all epochs; raises InputError for files that do not fit together."""
    files = _files(folder)
    if sorted(files) != list(range(len(files))):
        raise InputError(
            f"{folder} holds the dynamics of epochs {', '.join(map(str, sorted(files)))}, but they "
            "must be those from 0 on without a gap"
        )
    tables = [_read_epoch(files[epoch], epoch) for epoch in range(len(files))]
    first = tables[0]
    gold = first["gold"].to_numpy()
    for epoch, table in enumerate(tables):
        same = len(table) == len(first) and (table.index == first.index).all()
        tables[epoch] = table if same else _reordered(table, first, files[epoch])
        if (tables[epoch]["gold"].to_numpy() != gold).any():
            raise InputError(f"{files[epoch]} has other gold classes than the epoch before it")
    widths = {len(row) for table in tables for row in table["logits"]}
    if len(widths) != 1 or gold.min() < 0 or gold.max() >= max(widths):
        raise InputError(
            f"{folder}: every example needs one logit per class and a gold class among them"
        )
    whole = np.stack([np.array(table["logits"].tolist()) for table in tables])
    with np.errstate(over="ignore"):
        logits = whole.astype(np.float32)
    if not np.isfinite(logits).all():
        raise InputError(f"{folder} holds logits that are not finite in 32 bits")
    return Dynamics(tuple(first.index), gold, logits)


def write_cartography(
    folder: Path, parts: Iterable[tuple[Sequence[str], Int[np.ndarray, " examples"], Logits]]
) -> None:
    """Write `training_dynamics/dynamics_epoch_<k>.jsonl` as Cartography's scripts read them.

    `parts`: names, gold classes and logits of some examples after others.
    """
    (folder / FOLDER).mkdir(parents=True)
    for names, gold, logits in parts:
        for epoch, rows in enumerate(logits):
            path = folder / FOLDER / f"dynamics_epoch_{epoch}.jsonl"
            with open(path, "a", encoding="utf-8") as file:
                for name, row, label in zip(names, rows.tolist(), gold.tolist(), strict=True):
                    line = {"guid": name, f"logits_epoch_{epoch}": row, "gold": label}
                    file.write(json.dumps(line) + "\n")


def read_values(path: Path) -> pd.DataFrame:
    """Read scores made elsewhere: a CSV with a column of names and columns named as scores.

    The names are in `sample_id`, as AUM writes them, or in another usual column, the first without
    repeats. Returns one column per score, by name. Raises InputError if there is no such column or
    no known score.
    """
    table = read_file(path).table
    usual = [name for name in ("sample_id", *NAMES, "id") if name in table.columns]
    scores = [name for name in table.columns if name in REGISTRY and name not in usual]
    if not usual or not scores:
        raise InputError(
            f"{path} has the columns {listed(table)}; it needs sample_id and "
            f"a column named as a score, such as aum; there is {', '.join(sorted(REGISTRY))}"
        )
    values = table[scores].apply(pd.to_numeric, errors="coerce").astype(np.float64)
    named = next((name for name in usual if _names_all(table[name])), usual[0])
    values.index = pd.Index(table[named].astype(str))
    if (wrong := ~(values.abs() <= np.finfo(np.float32).max).all(axis=1)).any():
        raise InputError(
            f"{path}: the scores of {int(wrong.sum())} examples are not finite in 32 bits, "
            f"the first that of {values.index[wrong][0]!r}"
        )
    _check_different(values.index, path)
    return values


def write_aum(path: Path, names: Sequence[str], aum: Float[np.ndarray, " examples"]) -> None:
    """Write the values as AUM does, the largest first."""
    table = pd.DataFrame({"sample_id": names, "aum": aum})
    table.sort_values("aum", ascending=False, kind="stable").to_csv(path, index=False)


def places(train: pd.DataFrame, names: Sequence[str], source: Path) -> Int[np.ndarray, " examples"]:
    """Return where in `names` each train example is, by the first column of `matches`."""
    return next(iter(matches(train, names, source).values()))


def matches(
    train: pd.DataFrame, names: Sequence[str], source: Path
) -> dict[str, Int[np.ndarray, " examples"]]:
    """Return where in `names` each train example is, by each column that names them all.

    A column does if it has no repeats and its values are all among `names`. In order: `id`, the
    usual columns of names (guid, pairID, ...), `source_row`, the number of the row in its file.
    Where none does, whole numbers count as the same in any form: 7, 7.0 and 007. Raises InputError
    if there is none.
    """
    for form in (_text, _number):
        index = pd.Index([form(name) for name in names])
        columns = {name: pd.Index([form(v) for v in train[name]]) for name in _naming(train)}
        places_by = {
            name: index.get_indexer(values)
            for name, values in columns.items()
            if index.is_unique and values.is_unique and not _counts_from_one(name, values, index)
        }
        if whole := {name: at for name, at in places_by.items() if (at >= 0).all()}:
            return whole
    raise InputError(_no_column(train, pd.Index([str(name) for name in names]), source))


def matched(columns: Mapping[str, np.ndarray], column: str, names: int, source: Path) -> str:
    """Return a sentence on which column the examples were found by, of all that `matches` gives."""
    at = columns[column]
    others = [name for name in columns if (columns[name] != at).any()]
    sentence = f"{len(at)} examples are matched to {source} by the column {column!r}"
    if others:
        sentence += f" ({', '.join(map(repr, others))} would match them otherwise)"
    return sentence + (f"; it names {names - len(at)} others too" if names > len(at) else "")


def names_of(train: pd.DataFrame) -> Shaped[np.ndarray, " examples"]:
    """Return what to call the train examples in other tools' files.

    That is the first usual column of names without repeats, else the row of the source file, else
    the id.
    """
    *usual, row = [name for name in _naming(train) if name != "id"] or [""]
    for column in (*usual, row):
        if column and _names_all(train[column]):
            return train[column].astype(str).to_numpy(dtype=str)
    return train["id"].to_numpy(dtype=str)


def by_gold(
    columns: Mapping[str, np.ndarray], dynamics: Dynamics, labels: Int[np.ndarray, " examples"]
) -> str:
    """Return the first of `columns` by which the gold classes are the labels, else the first."""
    fitting = [name for name, at in columns.items() if not _differ(dynamics.gold[at], labels)]
    return (fitting or list(columns))[0]


def by_label(dynamics: Dynamics, at: np.ndarray, labels: Int[np.ndarray, " examples"]) -> Logits:
    """Return the logits of the examples at the places `at`, with the classes in our order.

    Classes of which the dataset has no example are left out, see `surplus`. Raises InputError if
    the gold classes are not the labels under other numbers.
    """
    gold, classes = dynamics.gold[at], dynamics.logits.shape[-1]
    pairs = np.unique(np.stack([labels, gold]), axis=1)
    if classes <= labels.max() or _differ(gold, labels) == "labels":
        raise InputError(
            f"the dynamics have {classes} classes, and their gold classes are not the labels "
            "of this dataset under other numbers; were they made from other labels?"
        )
    if _differ(gold, labels):
        raise InputError("the dynamics give two labels of this dataset one gold class")
    order = np.full(classes, -1)
    order[pairs[0]] = pairs[1]
    order[order < 0] = np.setdiff1d(np.arange(classes), pairs[1])  # of classes without examples
    return np.ascontiguousarray(dynamics.logits[:, at][:, :, order[: labels.max() + 1]])


def surplus(dynamics: Dynamics, at: np.ndarray, source: Path) -> list[str]:
    """Return a sentence on the classes that no example at the places `at` has, if any."""
    without = np.setdiff1d(np.arange(dynamics.logits.shape[-1]), dynamics.gold[at])
    if not len(without):
        return []
    some = ", ".join(map(str, without[:SHOWN])) + (", ..." if len(without) > SHOWN else "")
    several = f"classes {some}" if len(without) > 1 else f"class {some}"
    return [f"no example has the gold {several} of {source}: its logits are left out"]


def _files(folder: Path) -> dict[int, Path]:
    """Return the file of each epoch."""
    for place in (folder, folder / FOLDER):
        if place.is_dir():
            matched = {path: FILE.fullmatch(path.name) for path in sorted(place.iterdir())}
            numbered = [(int(match[1]), path) for path, match in matched.items() if match]
            by_epoch = dict(numbered)
            if len(by_epoch) < len(numbered):
                raise InputError(f"{place} holds two files of one epoch; keep one of them")
            if by_epoch:
                return by_epoch
    return {}


def _read_epoch(path: Path, epoch: int) -> pd.DataFrame:
    rows = read_file(path).table
    needed = {"guid": "guid", "gold": "gold", f"logits_epoch_{epoch}": "logits"}
    if lacking := [name for name in needed if name not in rows]:
        raise InputError(f"{path} lacks {lacking[0]!r}; its lines hold {listed(rows)}")
    rows = rows[list(needed)].rename(columns=needed)
    if rows["guid"].isna().any():
        raise InputError(f"{path} holds an example without a guid")
    try:
        gold, logits = map(_class_number, rows["gold"]), map(_numbers, rows["logits"])
        rows = rows.assign(gold=np.fromiter(gold, np.int64), logits=list(logits))
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{path}: gold must be a class number, logits a list of numbers") from None
    rows.index = pd.Index(rows["guid"].astype(str))
    _check_different(rows.index, path)
    return rows


def _class_number(value: Any) -> int:
    if int(value) != float(value):
        raise ValueError(value)
    return int(value)


def _numbers(row: Any) -> list[float]:
    if not isinstance(row, list):  # the letters of a text could be read one by one
        raise TypeError(row)
    return [float(value) for value in row]


def _reordered(table: pd.DataFrame, first: pd.DataFrame, path: Path) -> pd.DataFrame:
    if set(table.index) != set(first.index):
        raise InputError(f"{path} holds other examples than the epoch before it")
    return table.loc[first.index]


def _check_different(names: pd.Index, path: Path) -> None:
    if names.has_duplicates:
        raise InputError(f"{path} holds {names[names.duplicated()][0]!r} twice")


def _names_all(column: pd.Series) -> bool:
    return bool(column.notna().all() and column.is_unique)


def _differ(gold: np.ndarray, labels: np.ndarray) -> str:
    """Return which of the two tells classes apart that are one in the other, "" for neither."""
    pairs = np.unique(np.stack([labels, gold]), axis=1)
    if len(pairs[0]) != len(set(pairs[0])):
        return "labels"
    return "gold" if len(pairs[1]) != len(set(pairs[1])) else ""


def _text(value: Any) -> str:
    return str(value)


def _number(value: Any) -> str:
    """Write a whole number in its shortest form, anything else as it is."""
    match = re.fullmatch(r"(-?)0*(\d+)(\.0*)?", str(value))
    return f"{match[1]}{match[2]}" if match else str(value)


def _counts_from_one(column: str, rows: pd.Index, names: pd.Index) -> bool:
    """Tell whether the names seem to be the numbers of the rows, but counted from 1."""
    both = names.append(rows)
    if column != "source_row" or not len(names) or not both.str.fullmatch(r"\d{1,15}").all():
        return False
    numbers = names.astype(np.int64)
    from_one = numbers.min() == 1 and numbers.max() == len(numbers)
    return bool(from_one and numbers.max() > rows.astype(np.int64).max())


def _no_column(train: pd.DataFrame, index: pd.Index, source: Path) -> str:
    """Say what comes nearest to naming the examples as `source` does, and what is wrong with it."""
    start = f"{source} names its examples {', '.join(index[:SHOWN])}, ..., which "
    missing = {}
    for column in _naming(train):
        values = pd.Index(train[column].astype(str))
        if _counts_from_one(column, values, index):
            return start + "seem to be rows counted from 1; source_row counts them from 0"
        missing[column] = train[column][~values.isin(index)]
    column, absent = min(missing.items(), key=lambda pair: len(pair[1]))
    if not len(absent):
        return start + f"are the values of {column!r}, but that has the same for several examples"
    return (
        f"{start}are the values of no column of train; nearest is {column!r}, of which "
        f"{len(absent)} of {len(train)} are missing, such as {absent.iloc[0]}"
    )


def _naming(train: pd.DataFrame) -> list[str]:
    return [name for name in NAMING if name in train]
