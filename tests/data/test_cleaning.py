"""Rows become examples: labels are classes, what is unusable is counted, an id is the content."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.helpers.tables import SPLITS, labelled, load, load_error, three_splits, write

# labels


@pytest.mark.parametrize(
    ("labels", "names", "codes"),
    [
        (np.array([10, 9, 2], np.int8), ("2", "9", "10"), [2, 1, 0]),
        ([10.0, 9.0, 2.0], ("2", "9", "10"), [2, 1, 0]),
        (["10", "9", "2"], ("2", "9", "10"), [2, 1, 0]),
        (["10", "9", "b"], ("10", "9", "b"), [0, 1, 2]),
        ([True, False, True], ("False", "True"), [1, 0, 1]),
        (pd.Categorical(["b", "a", "b"], ["b", "a"]), ("a", "b"), [1, 0, 1]),
        (pd.array([3, 1, 3], "Int64"), ("1", "3"), [1, 0, 1]),
        ([-0.0, 0.0, 1.0], ("0", "1"), [0, 0, 1]),
        (["9" * 5000, "1", "1"], ("1", "9" * 5000), [1, 0, 0]),
    ],
)
def test_labels_are_numbered_in_numeric_order_else_alphabetically(tmp_path, labels, names, codes):
    dataset = load(labelled(tmp_path, labels))
    assert dataset.label_names == names
    assert dataset.train["label"].tolist() == codes
    assert dataset.train["label"].dtype == np.int64


@pytest.mark.parametrize(
    "labels",
    [
        [0, 1, None, None],
        [0.0, 1.0, float("nan"), None],
        ["a", "b", "", None],
        ["a", "b", " ", "\t"],
        pd.array([0, 1, None, None], "Int64"),
    ],
)
def test_rows_without_a_label_are_dropped_and_counted(tmp_path, labels):
    dataset = load(labelled(tmp_path, labels))
    assert dataset.train["text"].tolist() == ["t0", "t1"]
    assert dataset.dropped == {f"{split} rows without a label": 2 for split in SPLITS}


def test_a_truth_and_a_one_are_two_labels_in_whatever_order(tmp_path):
    for place, labels in {"a": (True, 1, "x"), "b": (1, True, "x")}.items():
        (tmp_path / place).mkdir()
        lines = [json.dumps({"text": str(label), "label": label}) for label in labels]
        for split in SPLITS:
            (tmp_path / place / f"{split}.jsonl").write_text("\n".join(lines))
        dataset = load(str(tmp_path / place))
        assert dataset.label_names == ("1", "True", "x")
        assert sorted(zip(dataset.train["text"], dataset.train["label"], strict=True)) == [
            ("1", 0),
            ("True", 1),
            ("x", 2),
        ]


def test_rows_without_a_text_are_dropped_and_counted_once(tmp_path):
    texts = ["a", "", " \t\n", None, None, "b"]
    rows = pd.DataFrame({"text": texts, "label": [0, 1, 1, 1, None, 1]})
    path = three_splits(tmp_path, test=rows)
    assert load(path).dropped == {
        "test rows without a label": 1,
        "test rows with an empty text": 3,
    }
    assert load(path).test["text"].tolist() == ["a", "b"]


def test_missing_and_empty_second_texts_are_dropped(tmp_path):
    lines = [{"premise": text, "hypothesis": "h", "label": n} for n, text in enumerate(["a", "b"])]
    wrong = [{"premise": None, "hypothesis": "h"}, {"premise": "a", "hypothesis": " "}, {}]
    lines += [row | {"label": 1} for row in wrong]
    for split in SPLITS:
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    dataset = load(str(tmp_path))
    assert dataset.train["text"].tolist() == ["a", "b"]
    assert dataset.dropped["train rows with an empty text"] == 3


def test_a_split_of_which_nothing_is_left_says_why(tmp_path):
    message = load_error(labelled(tmp_path, [0, 1, 1], test=[-1, -1, -1]))
    assert "3 test rows without a label" in message and "test_split" in message


def test_class_names_come_from_the_metadata_of_a_parquet_file(tmp_path):
    kind = {"_type": "ClassLabel", "names": ["zero", "one", "two"]}
    features = {"label": kind, "tokens": [{"names": {"_type": "Value"}}], "text": {}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    for split in SPLITS:
        table = pa.table({"text": ["a", "b", "c"], "label": [2, 0, -1], "tokens": [1, 2, 3]})
        pq.write_table(table.replace_schema_metadata(metadata), tmp_path / f"{split}.parquet")
    dataset = load(str(tmp_path))
    assert dataset.label_names == ("zero", "two")
    assert dataset.train["label"].tolist() == [1, 0]
    kind["names"].reverse()
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "test.parquet")
    assert "number the classes of 'label' differently" in load_error(str(tmp_path))


def test_a_label_that_train_lacks_is_named_with_split_and_count(tmp_path):
    message = load_error(labelled(tmp_path, ["a", "b"], test=["a", "oos", "oos", "new"]))
    assert "2 test rows have the label 'oos'" in message
    assert "2 such labels, 3 rows" in message


def test_a_label_that_differs_from_one_of_train_by_its_look_alone_is_pointed_out(tmp_path):
    message = load_error(labelled(tmp_path, ["Yes", "No"], test=["yes ", "No"]))
    said = "no train row has, though 'Yes' differs only by case or white space"
    assert f"the label 'yes ', which {said}" in message


def test_a_class_without_test_rows_is_noted(tmp_path):
    dataset = load(labelled(tmp_path, list("abcdefgh"), test=list("ab")))
    assert dataset.notes == ("6 of 8 classes have no test rows: c, d, e, f, g, ...",)


def test_labels_that_are_no_classes_are_errors(tmp_path):
    assert "all 3 train rows have the label '4'" in load_error(
        labelled(tmp_path / "one", [4, 4, 4])
    )
    assert "label_column" in load_error(labelled(tmp_path / "float", [0.5, 1.5]))
    assert "holds 0.5" in load_error(labelled(tmp_path / "float", [0.5, 1.5]))
    assert "has one label" in load_error(labelled(tmp_path / "list", [[1, 2], [3]]))
    inexact = [2**60, 2**60 + 1, None]  # are the same float, and have to be floats
    assert "not a class" in load_error(labelled(tmp_path / "huge", inexact, ending="jsonl"))


def test_a_column_mislabeled_that_holds_no_truths_is_the_user_s_own(tmp_path):
    rows = pd.DataFrame(
        {"text": list("abcd"), "label": [0, 1, 0, 1], "mislabeled": ["left", "right"] * 2}
    )
    train = load(write(tmp_path, train=rows, validation=rows, test=rows)).train
    assert (
        "mislabeled" not in train and train["source_mislabeled"].tolist() == ["left", "right"] * 2
    )


# ids


def ids_of(directory, rows, ending="parquet", **parameters):
    dataset = load(write(directory, ending, train=rows, validation=rows, test=rows), **parameters)
    return dict(zip(dataset.train["text"], dataset.train["id"], strict=True))


def test_ids_depend_on_the_content_and_not_on_order_format_or_other_columns(tmp_path):
    rows = pd.DataFrame({"text": ["a", "b", "c"], "label": [0, 1, 0]})
    ids = ids_of(tmp_path / "0", rows)
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in ids.values())
    assert len(set(ids.values())) == 3
    assert ids_of(tmp_path / "1", rows.iloc[::-1]) == ids
    assert ids_of(tmp_path / "2", rows, "csv") == ids
    assert ids_of(tmp_path / "3", rows.assign(more=1)) == ids
    assert ids_of(tmp_path / "4", rows.astype({"label": float}), "csv") == ids
    assert ids_of(tmp_path / "5", rows.astype({"label": "str"}), "jsonl") == ids
    assert ids_of(tmp_path / "6", rows.rename(columns={"text": "utt"}), "csv") == ids


def test_ids_tell_text_pair_and_label_apart(tmp_path):
    rows = pd.DataFrame(
        {
            "premise": ["a b", "a", "a", "a"],
            "hypothesis": ["c", "b c", "c", "c"],
            "label": [1, 1, 1, 2],
        }
    )
    dataset = load(write(tmp_path, train=rows, validation=rows, test=rows))
    assert dataset.train["id"].str.len().tolist() == [16] * 4
    assert dataset.train["id"].is_unique


def test_two_equal_rows_get_different_ids(tmp_path):
    rows = pd.DataFrame({"text": list("aabaa"), "label": [0, 0, 0, 0, 1]})
    ids = load(write(tmp_path, train=rows, validation=rows, test=rows)).train["id"].tolist()
    assert [ids[1], ids[3]] == [f"{ids[0]}-1", f"{ids[0]}-2"]
    assert len(set(ids)) == 5 and len(ids[4]) == 16


def test_an_id_is_a_fixed_function_of_the_row(tmp_path):
    rows = pd.DataFrame({"text": ["play", "stop"], "label": ["music", "alarm"]})
    assert ids_of(tmp_path, rows) == {"play": "9780e03f3bae2d3f", "stop": "6365fe08bec38548"}
