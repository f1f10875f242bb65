"""A dataset: loaded from anywhere into one frozen record, cut, capped and perturbed."""

import os
from dataclasses import replace
from pathlib import Path

import pandas as pd

from influence.config.parameters import DataConfig
from influence.data import cleaning, columns, corruption, splits
from influence.data.dataset import Dataset
from influence.data.sources import resolve
from influence.data.storage import open_saved
from influence.data.tags import slots, tagging
from influence.errors import InputError, listed

AS_SAVED = (  # parameters that say how to read a source: a saved dataset has been read already
    *("dataset_config", "text_column", "pair_column", "label_column", "unlabelled"),
    *("train_split", "validation_split", "test_split"),
)


def load(config: DataConfig) -> Dataset:
    """Load `assistant`, `assistant:N`, a file, a directory of such, or a hub id.

    An id is 16 hexadecimal characters that depend on text, pair and label as the source has it,
    with -1, -2 ... for repeats inside a split: it survives another row order, file format or
    column. Labels become 0..C-1 in the order of `label_names`, which are those of train. Rows
    without a label or without text are left out and counted in `dropped`. A missing or blank label
    is none; what else is none follows from evidence, or is listed in `unlabelled`, see `labels`.
    `source` and `notes` say what was read and decided.
    A validation split that is missing is cut from train, stratified by label, never from test; of a
    source that is one table the test split is, too.
    `max_test` caps validation and test each; a cap of 0 takes all rows. What is cut and capped
    depends on the ids and `data_seed` only, and no class disappears from a split. A directory that
    `save` wrote, such as a kept subset, is taken as it is, with the ids that it had. With task nlu
    the label is the domain, and the columns intent and slots (BIO tags) are there and checked.
    `label_noise` and `imbalance` change train alone, at the very end, see `corruption`.

    Raises InputError if anything named is not there or the rest is no classification task.
    """
    path = Path(os.path.expanduser(config.dataset))  # a shell leaves the ~ of name=~/folder as is
    usual = DataConfig()
    named = any(getattr(config, name) != getattr(usual, name) for name in AS_SAVED)
    if (path / "dataset.json").is_file() and not named:
        whole = open_saved(path).dataset()
    else:
        whole = _read(config)
    capped = splits.capped(_checked(whole, config.task), config)
    return corruption.corrupted(capped, config)


def _read(config: DataConfig) -> Dataset:
    """Read all usable rows of a source; the digest is made when it is known what stays."""
    source = resolve.read(config)
    train = source.rows["train"].table
    roles = columns.find(train, _named(config), config.task)
    if config.task == "nlu":
        joined = {split: tagging.joined(rows, roles) for split, rows in source.rows.items()}
        source = replace(source, rows=joined)
    usable = cleaning.from_sources(source.rows, roles, config.unlabelled)
    whole, notes = splits.whole(usable.splits, config)
    return Dataset(
        "/".join(filter(None, [resolve.name_of(config.dataset), config.dataset_config])),
        **whole,
        label_names=usable.label_names,
        digest="",
        dropped=usable.dropped,
        notes=(*resolve.notes(source), *usable.notes, *notes),
        source=_sentence(source, roles | _known_errors(whole["train"])),
    )


def _named(config: DataConfig) -> dict[str, str]:
    """Return the columns that are named, by role; of the built-in dataset, its domains are."""
    named = {role: getattr(config, name) for role, name in columns.NAMED_BY.items()}
    if config.dataset.partition(":")[0] == "assistant":
        named["label"] = named["label"] or "domain"
    return named


def _known_errors(train: pd.DataFrame) -> dict[str, str]:
    """Return the column that is read as known wrong labels, as a role, where there is one."""
    return {"known wrong labels": cleaning.MISLABELED} if cleaning.MISLABELED in train else {}


def _sentence(source: resolve.Source, roles: dict[str, str]) -> str:
    """Say which columns of which files are used, and what was left aside that looks alike."""
    named = {"text_pair": "second text", "label": "label"}
    used = [f"{named.get(role, role)} {column!r}" for role, column in roles.items()]
    files = [
        origin if origin.removeprefix("data/").startswith(role) else f"{origin} (as {role})"
        for role, origin in source.origins.items()
    ]
    parts = [f"reads {listed(used)} of {listed(files)}"]
    aside = columns.left_aside(source.rows["train"].table, roles.values())
    parts += [f"leaves aside {listed(aside)}"] if aside else []
    parts += [f"does not use {listed(source.unused)}"] if source.unused else []
    return "; ".join(parts)


def _checked(dataset: Dataset, task: str) -> Dataset:
    """Return the dataset if it is one of the task, with the tags of a voice assistant as BIO."""
    if task != "nlu":
        return dataset
    for split, rows in dataset.splits.items():
        missing = [name for name in ("intent", "slots") if name not in rows]
        if missing:
            raise InputError(f"task=nlu needs the column {missing[0]}, which {split} lacks")
    tagged, notes = tagging.to_bio(dataset.splits)
    for split, rows in tagged.items():
        slots.check(rows, dataset.label_names, split)
    return replace(dataset, **tagged, notes=(*dataset.notes, *notes))
