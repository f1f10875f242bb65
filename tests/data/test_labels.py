"""A class is a class whatever it is called; what means no label follows from evidence."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.helpers.tables import SPLITS, labelled, load, load_error


def repeated(*counts):
    """Return labels with their counts, as (label, count)."""
    return [label for label, count in counts for _ in range(count)]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([-1, 0, 1] * 10, ("-1", "0", "1")),
        ([-1.0, 0.0, 1.0] * 10, ("-1", "0", "1")),
        (["-1", "0", "1"] * 10, ("-1", "0", "1")),
        ([-1, 1] * 10, ("-1", "1")),
        (["+1", "-1"] * 10, ("+1", "-1")),
        (["-", "+"] * 10, ("+", "-")),
        (["-", "+", "0"] * 10, ("+", "-", "0")),
        (["none", "some"] * 10, ("none", "some")),
        (["nan", "None", "null", "NA", "n/a", "?"] * 5, ("?", "NA", "None", "n/a", "nan", "null")),
        ([0.0, 1.0] * 10, ("0", "1")),
        (["0.0", "-0.0", "1.0"] * 10, ("0", "1")),
        ([False, True] * 10, ("False", "True")),
        ([-2, -1, 0, 1, 2] * 10, ("-2", "-1", "0", "1", "2")),
        (repeated((-1, 1), (1, 60)), ("-1", "1")),  # classes 1 and -1, however rare one is
        (repeated((-1, 1), (1, 30), (2, 30)), ("-1", "1", "2")),  # not numbered from 0
        (repeated((-1, 7), (0, 60), (1, 60)), ("-1", "0", "1")),  # 5.5 %: no longer few
        ([-1, *range(60)] * 3, ("-1", *map(str, range(60)))),  # as frequent as the others
    ],
)
@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_class_is_a_class_whatever_it_is_called(tmp_path, labels, names, ending):
    dataset = load(labelled(tmp_path, labels, ending=ending))
    assert dataset.label_names == names
    assert len(dataset.train) == len(labels)
    assert dataset.dropped == {}


def test_a_class_that_looks_like_no_label_is_pointed_out(tmp_path):
    dataset = load(labelled(tmp_path, repeated(("none", 3), ("some", 9)), ending="csv"))
    assert dataset.notes == (
        "label 'none' is a class like any other: 3 of 12 train rows, 3 of 12 validation rows, "
        "3 of 12 test rows; unlabelled=none leaves these rows out",
    )
    left = load(
        labelled(tmp_path, repeated(("none", 3), ("some", 9), ("all", 3)), ending="csv"),
        unlabelled="none",
    )
    assert left.label_names == ("all", "some") and left.notes == ()
    assert left.dropped == {f"{split} rows without a label": 3 for split in SPLITS}


def test_minus_one_on_few_rows_beside_numbered_classes_is_no_label(tmp_path):
    labels = repeated((0, 50), (1, 40), (2, 30), (-1, 2))
    dataset = load(labelled(tmp_path, labels))
    assert dataset.label_names == ("0", "1", "2") and len(dataset.train) == 120
    assert dataset.dropped == {f"{split} rows without a label": 2 for split in SPLITS}
    assert dataset.notes == (
        "label '-1' counts as no label (the classes are 0 to 2 and few rows have it): 2 of 122 "
        "train rows, 2 of 122 validation rows, 2 of 122 test rows; unlabelled= (empty) keeps it as "
        "a class",
    )
    kept = load(labelled(tmp_path, labels), unlabelled="")
    assert kept.label_names == ("-1", "0", "1", "2") and kept.dropped == {}
    assert len(kept.train) == 122


def test_minus_one_in_test_alone_is_no_label_on_few_rows_and_else_a_label_that_train_lacks(
    tmp_path,
):
    train, test = repeated((0, 50), (1, 50)), repeated((0, 50), (1, 50), (-1, 3))
    dataset = load(labelled(tmp_path / "few", train, test=test))
    assert dataset.dropped == {"test rows without a label": 3}
    many = labelled(tmp_path / "many", train, test=repeated((0, 5), (1, 5), (-1, 5)))
    message = load_error(many)
    assert "5 test rows have the label '-1', which no train row has" in message
    assert "unlabelled=-1" in message
    assert len(load(many, unlabelled="-1").test) == 10


@pytest.mark.parametrize("count", [1, 40])
def test_a_number_that_the_class_names_exclude_is_no_label_on_however_many_rows(tmp_path, count):
    named(tmp_path, repeated((0, 30), (1, 30), (-1, count)), ["no", "yes"])
    dataset = load(str(tmp_path))
    assert dataset.label_names == ("no", "yes") and len(dataset.train) == 60
    assert dataset.dropped["train rows without a label"] == count
    assert "(the file's class names exclude it)" in dataset.notes[0]


def test_a_class_named_minus_one_is_kept(tmp_path):
    named(tmp_path, repeated((0, 3), (1, 3)), ["-1", "+1"])
    assert load(str(tmp_path)).label_names == ("-1", "+1")
    assert load(str(tmp_path)).dropped == {}


def test_a_number_beyond_the_class_names_is_refused_and_can_be_left_out(tmp_path):
    named(tmp_path, repeated((0, 3), (1, 3), (2, 1)), ["no", "yes"])
    message = load_error(str(tmp_path))
    assert "label 2 has no class name: the file names 2 classes, 'no' (0) to 'yes' (1)" in message
    assert "unlabelled=2" in message
    assert len(load(str(tmp_path), unlabelled="2").train) == 6


def test_the_dash_of_snli_is_no_majority_among_its_classes_alone(tmp_path):
    labels = repeated(("entailment", 9), ("neutral", 9), ("contradiction", 9), ("-", 9))
    dataset = load(labelled(tmp_path / "snli", labels, ending="jsonl"))
    assert dataset.label_names == ("contradiction", "entailment", "neutral")
    assert dataset.dropped["train rows without a label"] == 9
    assert "no majority in SNLI and MultiNLI" in dataset.notes[0]
    labels = repeated(("agree", 9), ("neutral", 9), ("-", 1))
    other = load(labelled(tmp_path / "other", labels, ending="jsonl"))
    assert other.label_names == ("-", "agree", "neutral")


def test_labels_that_mean_no_label_can_be_listed(tmp_path):
    labels = repeated(("-", 2), ("?", 3), ("a", 4), ("b", 5), (None, 1))
    path = labelled(tmp_path, labels)
    assert load(path).label_names == ("-", "?", "a", "b")
    dataset = load(path, unlabelled="-, ?")
    assert dataset.label_names == ("a", "b")
    assert dataset.dropped["train rows without a label"] == 6
    message = load_error(path, unlabelled="-,c")
    assert (
        "unlabelled='c' is not the label of any row; the labels are '-', '?', 'a', 'b'" in message
    )


def test_the_name_of_a_class_goes_before_the_number_of_another(tmp_path):
    stars = ["1", "2", "3", "4", "5"]
    named(tmp_path, [0, 1, 2, 3, 4] * 3, stars)
    assert load(str(tmp_path), unlabelled="3").label_names == ("1", "2", "4", "5")
    named(tmp_path, [0, 1, 2, 3, 4, 6] * 3, stars)
    assert "label 6 has no class name" in load_error(str(tmp_path), unlabelled="3")


def test_a_label_with_a_comma_can_be_left_out(tmp_path):
    assert load(labelled(tmp_path, ["a,b", "c", "d"] * 3), unlabelled="a,b").label_names == (
        "c",
        "d",
    )


def test_measurements_as_labels_are_pointed_out(tmp_path):
    grades = [f"{n / 10:.1f}" for n in range(51)] * 2
    (note,) = load(labelled(tmp_path, grades, ending="csv")).notes
    assert note.startswith("the labels are 51 fractional numbers, such as 0 and 0.1")
    assert load(labelled(tmp_path / "b", ["0.5", "1.0"] * 3, ending="csv")).notes == ()


def test_very_many_labels_that_look_alike_are_a_few_sentences(tmp_path):
    labels = [f"{letter}{n}" for n in range(40) for letter in "aA"] * 2
    notes = load(labelled(tmp_path, labels, ending="csv")).notes
    assert len(notes) == 6 and notes[-1] == "35 more groups of labels differ in the same way"


def test_a_class_can_be_left_out_by_its_name(tmp_path):
    named(tmp_path, repeated((0, 3), (1, 3), (2, 3)), ["no", "yes", "unsure"])
    assert load(str(tmp_path), unlabelled="unsure").label_names == ("no", "yes")
    assert load(str(tmp_path), unlabelled="2").label_names == ("no", "yes")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (("Sports", "sports ", "news"), "labels 'Sports' and 'sports ' differ only by"),
        (("a b", "a  b", "c"), "labels 'a  b' and 'a b' differ only by"),
        (("é", "e\u0301", "c"), "labels 'e\u0301' and 'é' differ only by"),
        (("A", "a", " A"), "labels ' A' and 'A' and 'a' differ only by"),
    ],
)
def test_labels_that_look_alike_are_pointed_out(tmp_path, labels, said):
    dataset = load(labelled(tmp_path, [*labels] * 2, ending="jsonl"))
    assert len(dataset.label_names) == 3
    (note,) = dataset.notes
    assert note.startswith(said) and note.endswith("train rows) and are different classes")


def test_labels_as_bytes_are_named_as_such(tmp_path):
    message = load_error(labelled(tmp_path, [b"a", b"b"] * 3))
    assert "label column 'label' holds bytes" in message


def test_large_numbers_beside_missing_ones_are_classes_of_their_own(tmp_path):
    labels = [2**60, 2**60 + 1, None]
    for ending in ("parquet", "jsonl"):
        rows = [{"text": f"t{n}", "label": label} for n, label in enumerate(labels)]
        directory = tmp_path / ending
        directory.mkdir()
        for split in SPLITS:
            if ending == "parquet":
                pq.write_table(pa.Table.from_pylist(rows), directory / f"{split}.parquet")
            else:
                (directory / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        dataset = load(str(directory))
        assert dataset.label_names == (str(2**60), str(2**60 + 1))
        assert dataset.dropped["train rows without a label"] == 1


def named(directory, labels, names):
    """Write the splits with the class names that the hub's library would leave."""
    info = {"info": {"features": {"label": {"_type": "ClassLabel", "names": names}}}}
    rows = pd.DataFrame({"text": [f"t{n}" for n in range(len(labels))], "label": labels})
    table = pa.Table.from_pandas(rows).replace_schema_metadata({"huggingface": json.dumps(info)})
    for split in SPLITS:
        pq.write_table(table, directory / f"{split}.parquet")
