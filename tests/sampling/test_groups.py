"""Columns by whose values pruning is judged: what they may be called and hold."""

import datetime

import numpy as np
import pandas as pd
import pytest

from influence.config.steps import SampleStep
from influence.errors import InputError
from influence.report.artifacts import _file_name
from influence.sampling.groups import groups_of
from influence.sampling.step import check_sample, minimums_of
from tests.helpers import tiny
from tests.helpers.mains import ODD
from tests.helpers.runs import logged, of_step, table
from tests.helpers.tables import load

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")


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
    return load(str(tmp_path / "data"))


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


def test_a_column_that_reads_like_the_value_of_another_is_refused():
    rows = pd.DataFrame({"city": ["Rome=yes", "Bern"], "city=Rome": ["yes", "no"]})
    assert groups_of(rows, "test", ["city=Rome"])["city=Rome"].tolist() == ["yes", "no"]
    with pytest.raises(InputError, match="cannot tell in test whose value 'city=Rome=yes' is"):
        groups_of(rows, "test", ["city", "city=Rome"])
    rows["city"] = ["Rome", "Bern"]
    assert list(groups_of(rows, "test", ["city", "city=Rome"])) == ["city", "city=Rome"]


def test_groups_of_any_name_are_judged_each_by_its_own_values(grouped):
    judged = table(grouped.top, "by_class")
    labels = {group: set(own["label"]) for group, own in judged.groupby("group")}
    assert labels.pop("class") == set(tiny.WORDS)
    assert labels.pop("speaker") == {"ann", "bob", "missing"}
    assert labels == {name: {f"v{number}", "x=y"} for number, name in enumerate(ODD)}
    assert judged["kept_share"].notna().all() and (judged["before"] > 0).all()


def test_groups_of_any_name_have_each_a_picture_of_its_own(grouped):
    for sample in of_step(grouped.runs, "sample"):
        plots = [path.name for path in logged(sample, "plots").glob("*.png")]
        assert len(plots) == 1 + len(("speaker", *ODD))
        assert {"class_shares.png", "shares_by_city.png", "shares_by_a-b.png"} <= set(plots)
        assert max(len(name.encode()) for name in plots) < 120


def test_a_name_of_a_file_says_what_it_can():
    assert _file_name("shares_by_speaker") == "shares_by_speaker"
    assert _file_name("a b") != _file_name("a/b") and _file_name("a b").startswith("a-b-")
    long = [_file_name("ü" * 200 + end) for end in ("", "x")]
    assert len(set(long)) == 2 and all(name.startswith("ü" * 50 + "-") for name in long)


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


@pytest.mark.parametrize("kind", ["int64", "Int64", "float64", "Float64", "float32", "object"])
def test_a_number_has_the_same_name_in_every_split(kind):
    rows = pd.DataFrame({"speaker": pd.Series([0, 1, 2000000], dtype=kind)})
    found = groups_of(rows, "train", ["speaker"])
    assert found["speaker"].tolist() == ["0", "1", "2000000"]


def test_numbers_that_are_not_whole_or_missing_stay_what_they_are():
    rows = pd.DataFrame({"share": [0.1, -0.0, np.nan, np.inf, 1e16, -2.5]})
    found = groups_of(rows, "test", ["share"])["share"].tolist()
    assert found == ["0.1", "0", "missing", "inf", "10000000000000000", "-2.5"]


def test_a_column_of_numbers_of_which_test_misses_some_is_one_group(tmp_path):
    splits = dataset(tmp_path, speaker=[1, 2, 3]).splits
    splits["test"] = splits["test"].assign(speaker=splits["test"]["speaker"].where(lambda n: n < 3))
    found = [set(groups_of(splits[s], s, ["speaker"])["speaker"]) for s in ("train", "test")]
    assert found == [{"1", "2", "3"}, {"1", "2", "missing"}]


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
    (min_per_class,) = minimums_of(SampleStep(min_per_class=2), read.train, "classify")
    assert (min_per_class.name, min_per_class.count) == ("min_per_class", 2)
    with pytest.raises(InputError, match="min_per_intent is for task=nlu"):
        check_sample(SampleStep(min_per_intent=1), read, "classify")


def test_a_minimum_of_intents_is_one_of_a_voice_assistant():
    rows = pd.DataFrame({"label": [0, 0, 1], "intent": ["a", "b", "c"]})
    classes, intents = minimums_of(SampleStep(min_per_class=1, min_per_intent=2), rows, "nlu")
    assert (classes.count, intents.count, intents.name) == (1, 2, "min_per_intent")
    assert intents.groups.tolist() == [0, 1, 2]
