"""A dataset: loaded from anywhere into one frozen record, cut, capped and perturbed."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from influence.data import cleaning, columns, corruption
from influence.data.dataset import Dataset, digest_of
from influence.data.sources import resolve
from influence.data.storage import open_saved
from influence.data.tags import slots, tagging
from influence.errors import InputError, listed

LONGEST = 60  # characters of the name of a class in a sentence


def load(
    dataset: str,
    *,
    dataset_config: str = "",
    text_column: str = "",
    pair_column: str = "",
    label_column: str = "",
    task: str = "classify",
    intent_column: str = "",
    slots_column: str = "",
    train_split: str = "train",
    validation_split: str = "validation",
    test_split: str = "test",
    validation_fraction: float = 0.1,
    max_train: int = 0,
    max_test: int = 0,
    label_noise: float = 0.0,
    imbalance: float = 1.0,
    data_seed: int = 0,
    unlabelled: str = "auto",
) -> Dataset:
    """Load `assistant`, `assistant:N`, a directory of {train,validation,test} files or a hub id.

    An id is 16 hexadecimal characters that depend on text, pair and label as the source has it,
    with -1, -2 ... for repeats inside a split: it survives another row order, file format or
    column. Labels become 0..C-1 in the order of `label_names`, which are those of train. Rows
    without a label or without text are left out and counted in `dropped`. A missing or blank label
    is none; what else is none follows from evidence, or is listed in `unlabelled`, see `labels`.
    `source` and `notes` say what was read and decided.
    A validation split that is missing is cut from train, stratified by label, never from test.
    `max_test` caps validation and test each; a cap of 0 takes all rows. What is cut and capped
    depends on the ids and `data_seed` only, and no class disappears from a split. A directory that
    `save` wrote, such as a kept subset, is taken as it is, with the ids that it had. With task nlu
    the label is the domain, and the columns intent and slots (BIO tags) are there and checked.
    `label_noise` and `imbalance` change train alone, at the very end, see `perturb`.

    Raises InputError if anything named is not there or the rest is no classification task.
    """
    _check_sizes(validation_fraction, max_train, max_test)
    dataset = os.path.expanduser(dataset)  # a shell leaves the ~ of name=~/folder as it is
    if task == "nlu" and pair_column:
        raise InputError(f"pair_column={pair_column!r} is for task=classify: a request is one text")
    for parameter, name in {"intent_column": intent_column, "slots_column": slots_column}.items():
        if name and task != "nlu":
            raise InputError(f"{parameter}={name!r} is for task=nlu")
    named = any((dataset_config, text_column, pair_column, label_column, unlabelled != "auto"))
    usual = (train_split, validation_split, test_split) == ("train", "validation", "test")
    if (Path(dataset) / "dataset.json").is_file() and usual and not named:
        whole = _checked(open_saved(Path(dataset)).dataset(), task)
        capped = _capped(whole, max_train, max_test, data_seed)
        return _perturbed(capped, task, label_noise, imbalance, data_seed)
    found = resolve.read(
        dataset, dataset_config, data_seed, train_split, validation_split, test_split
    )
    if dataset.partition(":")[0] == "assistant":
        label_column = label_column or "domain"
    train = found.rows["train"].table
    if task == "nlu":
        roles = columns.find_nlu(train, text_column, label_column, intent_column, slots_column)
        joined = {split: tagging.joined(one, roles) for split, one in found.rows.items()}
        found = replace(found, rows=joined)
    else:
        roles = columns.find(train, text_column, pair_column, label_column)
    usable = cleaning.from_sources(found.rows, roles, unlabelled)
    splits, notes = _with_validation(usable.splits, validation_fraction, data_seed)
    whole = Dataset(
        "/".join(filter(None, [resolve.name_of(dataset), dataset_config])),
        **splits,
        label_names=usable.label_names,
        digest="",
        dropped=usable.dropped,
        notes=(*resolve.notes(found), *usable.notes, *notes),
        source=_source(found, roles | _flags(splits["train"])),
    )
    whole = _checked(whole, task)
    capped = _capped(whole, max_train, max_test, data_seed)
    return _perturbed(capped, task, label_noise, imbalance, data_seed)


def _flags(train: pd.DataFrame) -> dict[str, str]:
    """Return the column that is read as known wrong labels, as a role, where there is one."""
    return {"known wrong labels": cleaning.MISLABELED} if cleaning.MISLABELED in train else {}


def _source(found: resolve.Found, roles: dict[str, str]) -> str:
    """Say which columns of which files are used, and what was left aside that looks alike."""
    named = {"text_pair": "second text", "label": "label"}
    used = [f"{named.get(role, role)} {column!r}" for role, column in roles.items()]
    files = [
        origin if origin.removeprefix("data/").startswith(role) else f"{origin} (as {role})"
        for role, origin in found.origins.items()
    ]
    parts = [f"reads {listed(used)} of {listed(files)}"]
    aside = columns.left_aside(found.rows["train"].table, roles.values())
    parts += [f"leaves aside {listed(aside)}"] if aside else []
    parts += [f"does not use {listed(found.unused)}"] if found.unused else []
    return "; ".join(parts)


def _checked(dataset: Dataset, task: str) -> Dataset:
    """Return the dataset if it is one of the task, with the tags of a voice assistant as BIO."""
    if task != "nlu":
        return dataset
    for split, rows in dataset.splits.items():
        missing = [name for name in ("intent", "slots") if name not in rows]
        if missing:
            raise InputError(f"task=nlu needs the column {missing[0]}, which {split} lacks")
    splits, notes = tagging.to_bio(dataset.splits)
    for split, rows in splits.items():
        slots.check(rows, dataset.label_names, split)
    return replace(dataset, **splits, notes=(*dataset.notes, *notes))


def _check_sizes(validation_fraction: float, max_train: int, max_test: int) -> None:
    if not 0 < validation_fraction < 1:
        raise InputError(f"validation_fraction={validation_fraction} is not between 0 and 1")
    for parameter, value in {"max_train": max_train, "max_test": max_test}.items():
        if value < 0:
            raise InputError(
                f"{parameter}={value} is negative; give a number of rows, or 0 for all"
            )


# Cutting and capping by id.


def _spread(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Rank the rows of each class in a seeded order of their ids.

    Repeats share a key and so stay neighbours: hardly any is in both train and validation.
    `position` in (0, 1) is the rank relative to the class size: the rows below a threshold are
    a stratified sample.
    """
    keys = [cleaning.digest_of(f"{seed} {name[:16]}") for name in rows["id"]]
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


def _capped(dataset: Dataset, max_train: int, max_test: int, seed: int) -> Dataset:
    caps = {"train": max_train, "validation": max_test, "test": max_test}
    splits = {role: _subset(dataset.splits[role], role, cap, seed) for role, cap in caps.items()}
    missing = _missing_classes(splits, dataset.label_names)
    return replace(
        dataset,
        **splits,
        digest=digest_of(splits, dataset.label_names),
        notes=tuple(dict.fromkeys([*dataset.notes, *missing])),
    )


def _perturbed(
    dataset: Dataset, task: str, label_noise: float, imbalance: float, seed: int
) -> Dataset:
    train, notes = dataset.train, []
    if imbalance > 1:
        train = corruption.make_long_tail(train, imbalance, seed)
        sizes = train["label"].value_counts()
        notes.append(
            f"imbalance={imbalance:g} left {len(train)} of {len(dataset.train)} train rows, "
            f"classes of {sizes.max()} to {sizes.min()}"
        )
    if label_noise and task == "nlu":
        raise InputError("label_noise is for task=classify: a new domain would have no such intent")
    if label_noise:
        clean, train = (
            train,
            corruption.add_label_noise(train, len(dataset.label_names), label_noise, seed),
        )
        wrong = float((train["label"] != clean["label"]).mean())
        notes.append(
            f"label_noise={label_noise:g} redrew {round(label_noise * len(train))} train labels, "
            f"{100 * wrong:.2f} % of all are now wrong"
        )
    if not notes:
        return dataset
    digest = digest_of(dataset.splits | {"train": train}, dataset.label_names)
    return replace(dataset, train=train, digest=digest, notes=(*dataset.notes, *notes))


def _subset(rows: pd.DataFrame, split: str, maximum: int, seed: int) -> pd.DataFrame:
    classes = rows["label"].nunique()
    if not maximum or maximum >= len(rows):
        return rows
    if maximum < classes:
        parameter = "max_train" if split == "train" else "max_test"
        raise InputError(
            f"{parameter}={maximum} cannot hold the {classes} classes of {split}; give at least"
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
            first = [name[:LONGEST] if name.isprintable() else repr(name) for name in missing[:5]]
            shown = ", ".join(first) + (", ..." if len(missing) > 5 else "")
            notes.append(f"{len(missing)} of {len(names)} classes have no {split} rows: {shown}")
    return notes
