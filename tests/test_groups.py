"""Columns by whose values pruning is judged: what they may be called and hold."""

import datetime

import numpy as np
import pandas as pd
import pytest

from influence import data
from influence.config import SampleStep
from influence.errors import InputError
from influence.steps import check_sample
from influence.steps.sample import floors_of, groups_of
from tests import tiny


def dataset(tmp_path, **columns):
    """Read a dataset of JSON lines whose splits have more columns: the values go round."""
    (tmp_path / "data").mkdir()
    for split, rows in tiny.frames().items():
        more = {
            name: [values[row % len(values)] for row in range(len(rows))]
            for name, values in columns.items()
        }
        more_rows = pd.DataFrame(more, index=rows.index)
        path = tmp_path / "data" / f"{split}.jsonl"
        pd.concat([rows, more_rows], axis=1).to_json(path, orient="records", lines=True)
    return data.load(str(tmp_path / "data"))


def refusal(groups: str, read) -> str:
    with pytest.raises(InputError) as error:
        check_sample(SampleStep(groups=groups), read)
    return str(error.value)


# Names


def test_a_column_that_is_called_as_the_classes_are_is_refused(tmp_path):
    read = dataset(tmp_path, **{"class": ["A", "B"], "source": ["web", "phone"]})
    check_sample(SampleStep(groups="source"), read)  # the column alone does no harm
    assert refusal("source,class", read) == (
        "groups names 'class', which is what the classes are called, by which pruning is judged "
        "anyway; rename the column"
    )


def test_the_classes_need_not_be_named_as_a_group(tmp_path):
    assert refusal("class", dataset(tmp_path)).endswith("judged anyway; leave it out")


# Values


@pytest.mark.parametrize(
    "values",
    [[["a", "b"], ["c"]], [{"a": 1}, {"b": 2}], [None, ["a"]], [[], []]],
    ids=["lists", "objects", "nulls and lists", "empty lists"],
)
def test_a_column_of_lists_or_objects_is_no_group(tmp_path, values):
    said = refusal("tags", dataset(tmp_path, tags=values))
    assert said.startswith("groups names 'tags', whose values in train are lists or objects; name")


@pytest.mark.parametrize("values", [[np.array([1, 2]), np.array([3])], ["a", ["a"]], [{1}, None]])
def test_values_that_are_no_single_ones_are_no_group_however_they_came(values):
    rows = pd.DataFrame({"vector": pd.Series(values, dtype=object)})
    with pytest.raises(InputError, match="'vector', whose values in test are lists or objects"):
        groups_of(rows, "test", ["vector"])


def test_whatever_has_one_value_per_example_is_a_group():
    rows = pd.DataFrame(
        {
            "yes": [True, False, None],
            "number": [1, 2, 2],
            "day": [datetime.date(2020, 1, 1), None, datetime.date(2020, 1, 2)],
            "kind": pd.Categorical(["a", None, "b"]),
            "text": pd.Series([" a ", "", None], dtype="str"),
        }
    )
    found = groups_of(rows, "train", list(rows))
    assert found["yes"].tolist() == ["True", "False", "missing"]
    assert found["number"].tolist() == ["1", "2", "2"]
    assert found["day"].tolist() == ["2020-01-01", "missing", "2020-01-02"]
    assert found["kind"].tolist() == ["a", "missing", "b"]
    assert found["text"].tolist() == ["a", "missing", "missing"]


# Intents


INTENTS = {
    "nulls": ["buy", None],
    "lists": [["buy"], ["sell", "buy"]],
    "objects": [{"name": "buy"}, {"name": "sell"}],
    "texts": ["buy", "sell"],
}


@pytest.mark.parametrize("values", INTENTS.values(), ids=INTENTS)
def test_a_column_of_intents_is_nothing_to_a_classifier(tmp_path, values):
    read = dataset(tmp_path, intent=values)
    check_sample(SampleStep(), read)
    (floor,) = floors_of(SampleStep(floor=2), read.train, "classify")
    assert (floor.name, floor.count) == ("floor", 2)
    with pytest.raises(InputError, match="intent_floor is for task=nlu"):
        check_sample(SampleStep(intent_floor=1), read, "classify")


def test_a_floor_of_intents_is_one_of_a_voice_assistant():
    rows = pd.DataFrame({"label": [0, 0, 1], "intent": ["a", "b", "c"]})
    classes, intents = floors_of(SampleStep(floor=1, intent_floor=2), rows, "nlu")
    assert (classes.count, intents.count, intents.name) == (1, 2, "intent_floor")
    assert intents.groups.tolist() == [0, 1, 2]
