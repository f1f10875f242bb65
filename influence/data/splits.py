"""Which rows of a source are used: what is cut from train, and the caps, by id."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from influence.config.parameters import DataConfig
from influence.data import cleaning
from influence.data.dataset import SPLITS, Dataset, digest_of
from influence.errors import InputError

LONGEST = 60  # characters of the name of a class in a sentence


def whole(
    splits: dict[str, pd.DataFrame], config: DataConfig
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Cut the splits that are missing from train: test, then validation; no class leaves train.

    Returns the three splits and what to say of it.
    """
    notes = []
    for role, share in (("test", config.test_fraction), ("validation", config.validation_fraction)):
        if role not in splits:
            train, cut = _cut(splits["train"], role, share, config.data_seed)
            splits = splits | {"train": train, role: cut}
            notes.append(f"{len(cut)} {role} rows were cut from train")
    return {role: splits[role] for role in SPLITS}, notes


def _cut(
    train: pd.DataFrame, role: str, share: float, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return train without a stratified share of it, and that share; repeats stay together."""
    order = _spread(train, seed)
    repeats = order.groupby("key").agg(
        size=("key", "size"), position=("position", "max"), is_last=("is_last", "any")
    )
    whole = repeats[~repeats["is_last"]].sort_values(["position", "key"])
    if whole.empty:
        raise InputError(
            f"no class of train has two of its {len(train)} rows that differ, so that no {role} can"
            f" be cut from it; add examples, or give a {role} split"
        )
    fit = (whole["size"].cumsum() <= round(share * len(train))).sum()
    keys = order["key"].loc[train.index]
    cut = keys.isin(whole.index[: max(1, fit)]).to_numpy()
    return tuple(train[rows].reset_index(drop=True) for rows in (~cut, cut))


def capped(dataset: Dataset, config: DataConfig) -> Dataset:
    """Return at most `max_train` and `max_test` rows of the splits, with every class that is there.

    Raises InputError for a cap below the number of classes.
    """
    caps = {
        "train": config.max_train,
        "validation": config.max_test,
        "test": config.max_test,
    }
    splits = {
        role: _subset(dataset.splits[role], role, cap, config.data_seed)
        for role, cap in caps.items()
    }
    missing = _missing_classes(splits, dataset.label_names)
    return replace(
        dataset,
        **splits,
        digest=digest_of(splits, dataset.label_names),
        notes=tuple(dict.fromkeys([*dataset.notes, *missing])),
    )


def reserved(validation: pd.DataFrame) -> np.ndarray:
    """Return the rows of validation that gradients are taken of, half of each class, ascending.

    Of an odd number it is the larger half. They have the smallest ids, which are hashes of the
    texts: a random half, that depends on nothing else. What is chosen on validation by such
    gradients is chosen on the others. `validation` has the columns id and label.
    """
    order = validation[["id", "label"]].sort_values("id", kind="stable")
    classes = order.groupby("label")["id"]
    return np.sort(order.index[2 * classes.cumcount() < classes.transform("size")].to_numpy())


def validated(train: pd.Series, validation: pd.Series, names: Sequence[str]) -> dict[str, int]:
    """Count the validation examples of every class of train, by name."""
    counts = validation.value_counts()
    return {names[label]: int(counts.get(label, 0)) for label in sorted(train.unique())}


def _spread(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Rank the rows of each class in a seeded order of their ids; repeats share a `key`.

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
