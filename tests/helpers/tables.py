"""Datasets as files, for the tests of everything that reads one."""

import pandas as pd
import pytest

from influence.config.parameters import DataConfig
from influence.data import load as loading
from influence.data.dataset import Dataset
from influence.errors import InputError

SPLITS = ("train", "validation", "test")


def examples(count, classes=2, offset=0):
    return pd.DataFrame(
        {
            "text": [f"text {offset + number}" for number in range(count)],
            "label": [number % classes for number in range(count)],
        }
    )


def write(directory, ending="parquet", **splits):
    directory.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        path = directory / f"{split}.{ending}"
        if ending == "parquet":
            rows.to_parquet(path, index=False)
        elif ending == "csv":
            rows.to_csv(path, index=False)
        else:
            rows.to_json(path, orient="records", lines=True)
    return str(directory)


def three_splits(directory, ending="parquet", **splits):
    usual = {
        "train": examples(20),
        "validation": examples(6, offset=100),
        "test": examples(8, offset=200),
    }
    return write(directory, ending, **(usual | splits))


def load(dataset, **parameters) -> Dataset:
    return loading.load(DataConfig(dataset=str(dataset), **parameters))


def load_error(dataset, **parameters):
    with pytest.raises(InputError) as error:
        load(dataset, **parameters)
    message = str(error.value)
    assert "\n" not in message and len(message) < 700
    return message


def labelled(directory, labels, test=None, ending="parquet"):
    def rows(values):
        return pd.DataFrame({"text": [f"t{n}" for n in range(len(values))], "label": values})

    other = rows(labels if test is None else test)
    return write(directory, ending, train=rows(labels), validation=rows(labels), test=other)
