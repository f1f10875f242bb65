"""Datasets from files, the hub and the built-in generator become one record with stable ids."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from influence import data
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


def load_error(dataset, **knobs):
    with pytest.raises(InputError) as error:
        data.load(dataset, **knobs)
    message = str(error.value)
    assert "\n" not in message and len(message) < 700
    return message


# sources


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "json"])
def test_a_directory_gives_the_same_record_in_every_format(tmp_path, ending):
    frame = pd.DataFrame({"Sentence": ["a", 'b, "c"\nd', "é"], "Label": [1, 0, 1], "more": "x"})
    dataset = data.load(write(tmp_path / ending, ending, train=frame, validation=frame, test=frame))
    expected = data.load(write(tmp_path / "p", train=frame, validation=frame, test=frame))
    for split in SPLITS:
        pd.testing.assert_frame_equal(dataset.splits[split], expected.splits[split])
    assert dataset.digest == expected.digest
    assert list(dataset.train.columns) == ["id", "text", "label", "more"]
    assert dataset.train["text"].tolist() == ["a", 'b, "c"\nd', "é"]
    assert dataset.train["label"].tolist() == [1, 0, 1]
    assert dataset.train["label"].dtype == np.int64
    assert dataset.name == ending


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_texts_that_look_like_missing_values_numbers_or_dates_stay_texts(tmp_path, ending):
    texts = ["null", "NA", "1", "007", "2020-01-01", "nan", "True", "1e5"]
    frame = pd.DataFrame({"text": texts, "label": list("abababab")})
    dataset = data.load(write(tmp_path, ending, train=frame, validation=frame, test=frame))
    assert dataset.test["text"].tolist() == texts
    assert dataset.dropped == {}


def test_a_csv_may_start_with_a_byte_order_mark_and_hold_blank_lines(tmp_path):
    for split in SPLITS:
        (tmp_path / f"{split}.csv").write_bytes(b"\xef\xbb\xbftext,label\r\na,x\r\n\r\nb,y\r\n")
    assert data.load(str(tmp_path)).test["text"].tolist() == ["a", "b"]


def test_a_json_text_may_hold_unicode_line_separators(tmp_path):
    line = '{"text": "one\u2028two\x85", "label": %d}\n'
    for split in SPLITS:
        (tmp_path / f"{split}.jsonl").write_text(line % 0 + "\n" + line % 1, encoding="utf-8")
    assert data.load(str(tmp_path)).train["text"].tolist() == ["one\u2028two\x85"] * 2


def test_columns_that_parquet_cannot_hold_become_json_text(tmp_path):
    lines = [
        '{"text": "a", "label": 0, "mixed": 1, "meta": {}, "tokens": ["x", "y"]}',
        '{"text": "b", "label": 1, "mixed": "one", "tokens": []}',
    ]
    for split in SPLITS:
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    dataset = data.load(str(tmp_path))
    assert dataset.train["mixed"].tolist() == ["1", '"one"']
    assert dataset.train["meta"][0] == "{}" and pd.isna(dataset.train["meta"][1])
    assert dataset.train["tokens"].tolist() == [["x", "y"], []]
    data.save(dataset, tmp_path / "saved")
    assert data.open_saved(tmp_path / "saved").train["meta"][0] == "{}"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("train.csv", b"", "no header"),
        ("train.csv", b"text,label\na,0,more\n", "line 2 has 3 fields, the header 2"),
        ("train.csv", b"text,label\na\n", "line 2 has 1 fields, the header 2"),
        ("train.csv", b'text,label\n"a,0\nb,1\n', "unexpected end of data"),
        ("train.csv", b"text,label\n\xff,0\n", "can't decode byte 0xff"),
        ("train.csv", b"text,label,label\na,0,0\n", "two columns named 'label'"),
        ("train.jsonl", b'{"text": "a"}\n{"text": \n', "line 2 is not JSON"),
        ("train.jsonl", b"[1]\n", "line 1 is not a JSON object"),
        ("train.jsonl", b"\xff\n", "can't decode byte 0xff"),
        ("train.jsonl", b'{"text": "\\ud83d", "label": 0}\n', "surrogates not allowed"),
        ("train.parquet", b"", "0 bytes"),
        ("train.parquet", b"no parquet at all", "Parquet"),
    ],
)
def test_a_damaged_file_is_named_in_one_sentence(tmp_path, name, content, said):
    three_splits(tmp_path)
    (tmp_path / "train.parquet").unlink()
    (tmp_path / name).write_bytes(content)
    message = load_error(str(tmp_path))
    assert str(tmp_path / name) in message and said in message


def test_empty_files_are_errors(tmp_path):
    three_splits(tmp_path, "jsonl")
    (tmp_path / "test.jsonl").write_text("")
    assert "test lacks the column 'text'" in load_error(str(tmp_path))
    (tmp_path / "test.jsonl").unlink()
    (tmp_path / "test.csv").write_text("text,label\n")
    assert "none of the 0 rows of test" in load_error(str(tmp_path))


def test_only_the_splits_in_use_are_read(tmp_path):
    path = three_splits(tmp_path)
    (tmp_path / "extra.csv").write_bytes(b"\xff")
    assert len(data.load(path).train) == 20


def test_the_index_of_a_parquet_file_is_a_column_like_any_other(tmp_path):
    for split in SPLITS:
        examples(6).set_index("text").to_parquet(tmp_path / f"{split}.parquet")
    assert data.load(str(tmp_path)).train["text"].tolist() == examples(6)["text"].tolist()


def test_two_files_for_one_split_are_ambiguous(tmp_path):
    path = three_splits(tmp_path)
    write(tmp_path, "csv", **{"train": examples(4), "train.d": examples(4)})
    assert "train.csv and train.parquet" in load_error(path)


def test_a_configuration_is_for_the_hub_only(tmp_path):
    for dataset in (three_splits(tmp_path), "assistant"):
        assert "dataset_config='de'" in load_error(dataset, dataset_config="de")


def test_an_unknown_directory_is_named_by_its_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    for dataset in ("./nowhere", "file", "a/b/c", "~no-such-user/x", ""):
        message = load_error(dataset)
        assert "assistant" in message and "hub id" in message and ".{parquet,csv,jsonl}" in message
    assert str(tmp_path / "nowhere") in load_error("./nowhere")
    assert str(tmp_path / "file") in load_error("file")
    assert str(tmp_path) in load_error(str(tmp_path))


def test_a_hub_id_that_does_not_load_is_one_sentence(monkeypatch):
    def load_dataset(dataset, config):
        raise ConnectionError("no route\nto the hub, " + 1000 * "x")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    message = load_error("some-body/some.data")
    assert "'some-body/some.data'" in message and "ConnectionError: no route to the hub" in message


def test_hub_rows_keep_their_class_names(monkeypatch):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"utt": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes", "?"])}
    )
    rows = {"utt": ["a", "b", "c"], "label": [1, 0, -1]}
    split = datasets.Dataset.from_dict(rows, features=features)
    asked = []

    def load_dataset(dataset, config):
        asked.append((dataset, config))
        return datasets.DatasetDict({"train": split, "test": split, "validation": split})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    dataset = data.load("some/data")
    assert data.load("some/data", dataset_config="de").name == "some/data/de"
    assert asked == [("some/data", None), ("some/data", "de")]
    assert dataset.label_names == ("no", "yes")
    assert dataset.train["label"].tolist() == [1, 0]
    assert dataset.dropped == {f"{name} rows without a label": 1 for name in SPLITS}


def generated(size=80, seed=0):
    def rows(count, start):
        texts = [f"seed {seed} text {number}" for number in range(start, start + count)]
        domains = [("music", "alarm")[number % 2] for number in range(count)]
        return pd.DataFrame({"text": texts, "domain": domains, "intent": "x", "slots": "O O"})

    return {"train": rows(size - 20, 0), "validation": rows(10, 1000), "test": rows(10, 2000)}


def test_the_assistant_gives_domains_as_labels_and_the_asked_number_of_examples(monkeypatch):
    assistant = SimpleNamespace(generate=generated)
    monkeypatch.setattr("influence.assistant", assistant, raising=False)
    monkeypatch.setitem(sys.modules, "influence.assistant", assistant)
    dataset = data.load("assistant:50", seed=3)
    assert sum(map(len, dataset.splits.values())) == 50
    assert dataset.label_names == ("alarm", "music")
    assert list(dataset.train.columns) == ["id", "text", "label", "intent", "slots"]
    assert dataset.train["text"][0] == "seed 3 text 0"
    assert len(data.load("assistant").train) == 60
    assert "have the label 'x'" in load_error("assistant:50", label_column="intent")
    for size in ("0", "-3", "many", "1.5"):
        assert f"'assistant:{size}'" in load_error(f"assistant:{size}")


# splits


def test_a_missing_test_split_is_an_error_that_shows_the_way_out(tmp_path):
    path = write(tmp_path, train=examples(9), validation=examples(4))
    message = load_error(path)
    assert "'test'" in message and "train, validation" in message
    assert "test_split=validation" in message
    assert "test_split=validation" not in load_error(write(tmp_path / "b", train=examples(9)))


def test_named_splits_must_be_there_and_differ_from_train(tmp_path):
    path = three_splits(tmp_path)
    assert "'dev' (validation_split), only test, train, validation" in load_error(
        path, validation_split="dev"
    )
    assert "'all' (train_split)" in load_error(path, train_split="all")
    assert "'other'" in load_error(path, test_split="other")
    assert "train_split='test'" in load_error(path, train_split="test")
    assert "train_split='train'" in load_error(path, validation_split="train")


def test_named_splits_are_used(tmp_path):
    path = write(tmp_path, a=examples(5), b=examples(3), c=examples(4))
    dataset = data.load(path, train_split="a", validation_split="b", test_split="c")
    assert [len(rows) for rows in dataset.splits.values()] == [5, 3, 4]


def test_a_missing_validation_split_is_cut_from_train_only(tmp_path):
    path = write(tmp_path, train=examples(40, classes=4), test=examples(8, classes=4, offset=90))
    dataset = data.load(path, validation_fraction=0.2)
    assert len(dataset.test) == 8 and len(dataset.train) == 32
    assert Counter(dataset.validation["label"]) == {0: 2, 1: 2, 2: 2, 3: 2}
    texts = set(dataset.train["text"]) | set(dataset.validation["text"])
    assert texts == set(examples(40)["text"])
    assert dataset.notes == ("8 validation rows were cut from train",)
    assert dataset.train.index.tolist() == list(range(32))


def test_validation_is_cut_from_train_where_test_takes_its_place(tmp_path):
    path = write(tmp_path, train=examples(40), validation=examples(6, offset=100))
    dataset = data.load(path, test_split="validation")
    assert set(dataset.test["text"]) == set(examples(6, offset=100)["text"])
    assert [len(rows) for rows in dataset.splits.values()] == [36, 4, 6]


def test_the_cut_follows_ids_and_seed_and_not_the_order_of_rows(tmp_path):
    rows, test = examples(60, classes=3), examples(6, classes=3)
    path = write(tmp_path / "a", train=rows, test=test)
    shuffled = write(tmp_path / "b", train=rows.sample(frac=1, random_state=1), test=test)
    chosen = {
        (name, seed): set(data.load(name, seed=seed).validation["id"])
        for name in (path, shuffled)
        for seed in (0, 1)
    }
    assert chosen[path, 0] == chosen[shuffled, 0]
    assert chosen[path, 1] == chosen[shuffled, 1]
    assert chosen[path, 0] != chosen[path, 1]


def test_every_class_with_two_rows_keeps_one_in_train(tmp_path):
    rows = pd.DataFrame({"text": list("abcdefg"), "label": list("wwxxyzz")})
    path = write(tmp_path, train=rows, test=rows)
    dataset = data.load(path, validation_fraction=0.99)
    assert sorted(dataset.train["label"]) == [0, 1, 2, 3]
    assert len(dataset.validation) == 3
    assert data.load(path, validation_fraction=0.01).validation.shape[0] == 1


def test_repeats_of_a_row_are_on_one_side_of_the_cut(tmp_path):
    texts = [number // 5 for number in range(500)]
    rows = pd.DataFrame({"text": [f"t{n}" for n in texts], "label": [n % 2 for n in texts]})
    dataset = data.load(write(tmp_path, train=rows, test=rows), validation_fraction=0.2)
    assert len(dataset.validation) == 100
    assert len(set(dataset.train["text"]) & set(dataset.validation["text"])) <= 2


def test_a_train_split_of_single_rows_cannot_be_cut(tmp_path):
    rows = pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]})
    assert "no class of train has two" in load_error(write(tmp_path, train=rows, test=rows))


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_fraction_outside_0_to_1_is_an_error(tmp_path, fraction):
    assert "validation_fraction" in load_error(str(tmp_path), validation_fraction=fraction)


# columns


@pytest.mark.parametrize("pair", data.PAIRS)
def test_pairs_are_found_by_their_usual_names(tmp_path, pair):
    first, second = pair
    rows = pd.DataFrame({"Label": [0, 1], second.upper(): ["c", "d"], first: ["a", "b"]})
    dataset = data.load(write(tmp_path, train=rows, validation=rows, test=rows))
    assert dataset.is_pair
    assert list(dataset.train.columns) == ["id", "text", "text_pair", "label"]
    assert dataset.train["text"].tolist() == ["a", "b"]
    assert dataset.train["text_pair"].tolist() == ["c", "d"]


@pytest.mark.parametrize("text", data.TEXTS)
@pytest.mark.parametrize("label", data.LABELS)
def test_texts_and_labels_are_found_by_their_usual_names(text, label):
    rows = pd.DataFrame({"other": ["x"], label.title(): ["y"], text.upper(): ["a"]})
    assert data._columns(rows, "", "", "") == {"text": text.upper(), "label": label.title()}


def test_named_columns_win_over_usual_ones(tmp_path):
    rows = pd.DataFrame(
        {"text": ["a", "b"], "label": [0, 1], "body": ["c", "d"], "kind": ["x", "y"], "id": [7, 8]}
    )
    path = write(tmp_path, train=rows, validation=rows, test=rows)
    dataset = data.load(path, text_column="body", label_column="kind")
    assert list(dataset.train.columns) == [
        *("id", "text", "label", "source_text", "source_label", "source_id")
    ]
    assert dataset.train["text"].tolist() == ["c", "d"]
    assert dataset.train["source_text"].tolist() == ["a", "b"]
    assert dataset.train["source_id"].tolist() == [7, 8]
    assert dataset.label_names == ("x", "y")
    pair = data.load(path, text_column="body", pair_column="text")
    assert pair.train["text_pair"].tolist() == ["a", "b"]


def test_a_renamed_column_never_takes_the_name_of_another():
    rows = pd.DataFrame({"text": ["a"], "label": ["b"], "source_id": [1], "id": [2]})
    renamed = data._renamed(rows, {"text": "text", "label": "label"})
    assert renamed.to_dict("list") == {
        **{"text": ["a"], "label": ["b"]},
        **{"source_id": [1], "source_source_id": [2]},
    }


def test_one_text_of_a_pair_can_be_used_alone_and_one_name_completes_a_pair(tmp_path):
    rows = pd.DataFrame({"premise": ["a", "b"], "hypothesis": ["c", "d"], "label": [0, 1]})
    path = write(tmp_path, train=rows, validation=rows, test=rows)
    alone = data.load(path, text_column="hypothesis")
    assert not alone.is_pair and list(alone.train.columns) == ["id", "text", "label", "premise"]
    both = data.load(path, pair_column="hypothesis")
    assert both.train[["text", "text_pair"]].to_numpy().tolist() == [["a", "c"], ["b", "d"]]


def test_a_wrong_or_missing_column_is_named_beside_those_there(tmp_path):
    rows = pd.DataFrame({"words": ["a", "b"], "kind": [0, 1]})
    path = write(tmp_path, train=rows, validation=rows, test=rows.rename(columns={"kind": "sort"}))
    assert "give text_column, one of 'words', 'kind'" in load_error(path, label_column="kind")
    assert "give label_column, one of 'words', 'kind'" in load_error(path, text_column="words")
    for knob in ("text_column", "pair_column", "label_column"):
        assert f"{knob}='wrong' is not among the columns 'words', 'kind'" in load_error(
            path, **{knob: "wrong"}
        )
    both = {"text_column": "words", "label_column": "kind"}
    assert "test lacks the column 'kind', it has 'words', 'sort'" in load_error(path, **both)
    assert "different columns" in load_error(path, text_column="words", label_column="words")


# labels


def labelled(directory, labels, test=None, ending="parquet"):
    def rows(values):
        return pd.DataFrame({"text": [f"t{n}" for n in range(len(values))], "label": values})

    other = rows(labels if test is None else test)
    return write(directory, ending, train=rows(labels), validation=rows(labels), test=other)


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
    ],
)
def test_labels_are_numbered_in_numeric_order_else_alphabetically(tmp_path, labels, names, codes):
    dataset = data.load(labelled(tmp_path, labels))
    assert dataset.label_names == names
    assert dataset.train["label"].tolist() == codes
    assert dataset.train["label"].dtype == np.int64


@pytest.mark.parametrize(
    "labels",
    [
        [0, 1, -1, None],
        [0.0, 1.0, -1.0, float("nan")],
        ["a", "b", "", None],
        ["a", "b", "-1", "-"],
        pd.array([0, 1, -1, None], "Int64"),
    ],
)
def test_rows_without_a_label_are_dropped_and_counted(tmp_path, labels):
    dataset = data.load(labelled(tmp_path, labels))
    assert dataset.train["text"].tolist() == ["t0", "t1"]
    assert dataset.dropped == {f"{split} rows without a label": 2 for split in SPLITS}


def test_rows_without_a_text_are_dropped_and_counted_once(tmp_path):
    texts = ["a", "", " \t\n", None, None, "b"]
    rows = pd.DataFrame({"text": texts, "label": [0, 1, 1, 1, None, 1]})
    path = three_splits(tmp_path, test=rows)
    assert data.load(path).dropped == {
        "test rows without a label": 1,
        "test rows with an empty text": 3,
    }
    assert data.load(path).test["text"].tolist() == ["a", "b"]


def test_texts_that_are_not_strings_and_empty_second_texts_are_dropped(tmp_path):
    lines = [{"premise": text, "hypothesis": "h", "label": n} for n, text in enumerate(["a", "b"])]
    wrong = [{"premise": 3, "hypothesis": "h"}, {"premise": "a", "hypothesis": " "}, {}]
    lines += [row | {"label": 1} for row in wrong]
    for split in SPLITS:
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    dataset = data.load(str(tmp_path))
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
    dataset = data.load(str(tmp_path))
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


def test_a_class_without_test_rows_is_noted(tmp_path):
    dataset = data.load(labelled(tmp_path, list("abcdefgh"), test=list("ab")))
    assert dataset.notes == ("6 of 8 classes have no test rows: c, d, e, f, g, ...",)


def test_labels_that_are_no_classes_are_errors(tmp_path):
    assert "all 3 train rows have the label '4'" in load_error(
        labelled(tmp_path / "one", [4, 4, 4])
    )
    assert "label_column" in load_error(labelled(tmp_path / "float", [0.5, 1.5]))
    assert "holds 0.5" in load_error(labelled(tmp_path / "float", [0.5, 1.5]))
    assert "has one label" in load_error(labelled(tmp_path / "list", [[1, 2], [3]]))


# ids


def ids_of(directory, rows, ending="parquet", **knobs):
    dataset = data.load(write(directory, ending, train=rows, validation=rows, test=rows), **knobs)
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
    dataset = data.load(write(tmp_path, train=rows, validation=rows, test=rows))
    assert dataset.train["id"].str.len().tolist() == [16] * 4
    assert dataset.train["id"].is_unique


def test_two_equal_rows_get_different_ids(tmp_path):
    rows = pd.DataFrame({"text": list("aabaa"), "label": [0, 0, 0, 0, 1]})
    ids = data.load(write(tmp_path, train=rows, validation=rows, test=rows)).train["id"].tolist()
    assert [ids[1], ids[3]] == [f"{ids[0]}-1", f"{ids[0]}-2"]
    assert len(set(ids)) == 5 and len(ids[4]) == 16


def test_an_id_is_a_fixed_function_of_the_row(tmp_path):
    rows = pd.DataFrame({"text": ["play", "stop"], "label": ["music", "alarm"]})
    assert ids_of(tmp_path, rows) == {"play": "9780e03f3bae2d3f", "stop": "6365fe08bec38548"}


# caps


def test_caps_take_a_stratified_subset_in_source_order(tmp_path):
    rows = examples(200)
    rows["label"] = [0] * 150 + [1] * 49 + [2]
    path = write(tmp_path, train=rows, validation=rows, test=rows)
    dataset = data.load(path, max_train=40, max_test=12)
    assert Counter(dataset.train["label"]) == {0: 29, 1: 10, 2: 1}
    assert [len(dataset.validation), len(dataset.test)] == [12, 12]
    assert dataset.train["label"].is_monotonic_increasing
    assert dataset.train.index.tolist() == list(range(40))


def test_caps_are_random_by_seed_and_independent_of_the_order_of_rows(tmp_path):
    rows = examples(100)
    path = write(tmp_path / "a", train=rows, validation=rows, test=rows)
    mixed = rows.sample(frac=1, random_state=0)
    shuffled = write(tmp_path / "b", train=mixed, validation=rows, test=rows)
    first, again, other = (
        set(data.load(name, max_train=30, seed=seed).train["text"])
        for name, seed in ((path, 0), (shuffled, 0), (path, 1))
    )
    assert first == again and first != other
    assert first != set(rows["text"][:30])


def test_no_class_disappears_under_a_cap(tmp_path):
    rows = pd.DataFrame({"text": [f"t{n}" for n in range(60)], "label": [0] * 51 + [*range(1, 10)]})
    path = write(tmp_path, train=rows, validation=rows, test=rows)
    dataset = data.load(path, max_train=10, max_test=11)
    assert dataset.train["label"].nunique() == 10 and dataset.test["label"].nunique() == 10
    assert "max_train=9 cannot hold the 10 classes" in load_error(path, max_train=9)
    assert "max_test=3 cannot hold the 10 classes" in load_error(path, max_test=3)


def test_a_cap_above_the_number_of_rows_changes_nothing_and_below_0_is_an_error(tmp_path):
    path = three_splits(tmp_path)
    assert data.load(path, max_train=20, max_test=99).digest == data.load(path).digest
    assert "max_train=-1" in load_error(path, max_train=-1)
    assert "max_test=-5" in load_error(path, max_test=-5)


# digest, saving


def test_the_digest_sees_rows_order_splits_and_names_and_fits_36_characters(tmp_path):
    rows, test = examples(6), examples(4, offset=50)
    changed = rows.assign(text=["other", *rows["text"][1:]])
    named = rows.assign(label=rows["label"] + 1)
    variants = [
        {"train": rows, "validation": test, "test": test},
        {"train": rows.iloc[::-1], "validation": test, "test": test},
        {"train": changed, "validation": test, "test": test},
        {"train": rows, "validation": rows, "test": test},
        {"train": named, "validation": test.assign(label=1), "test": test.assign(label=2)},
    ]
    digests = [
        data.load(write(tmp_path / str(number), **splits)).digest
        for number, splits in enumerate(variants)
    ]
    assert len(set(digests)) == 5
    assert max(map(len, digests)) <= 36
    assert data.load(write(tmp_path / "again", **variants[0])).digest == digests[0]


def test_a_saved_dataset_opens_as_it_was(tmp_path):
    rows = examples(20).assign(more=[None, *"abcdefghijklmnopqrs"], label=["x", "y"] * 10)
    rows.loc[3, "label"] = None
    dataset = data.load(write(tmp_path / "source", train=rows, test=rows))
    data.save(dataset, tmp_path / "deep" / "saved")
    opened = data.open_saved(tmp_path / "deep" / "saved")
    for split in SPLITS:
        pd.testing.assert_frame_equal(opened.splits[split], dataset.splits[split])
    for field in ("name", "label_names", "digest", "dropped", "notes", "is_pair"):
        assert getattr(opened, field) == getattr(dataset, field)
    names = sorted(path.name for path in (tmp_path / "deep" / "saved").iterdir())
    assert names == ["dataset.json", "test.parquet", "train.parquet", "validation.parquet"]


def test_a_saved_dataset_loads_like_any_directory_and_keeps_its_class_names(tmp_path):
    dataset = data.load(labelled(tmp_path / "source", ["b", "a", "b"]))
    data.save(dataset, tmp_path / "saved")
    again = data.load(str(tmp_path / "saved"))
    assert again.label_names == dataset.label_names == ("a", "b")
    assert again.train["label"].tolist() == [1, 0, 1]
    assert list(again.train.columns) == ["id", "text", "label", "source_id"]
    assert "only test, train, validation" in load_error(str(tmp_path / "saved"), train_split="x")


def test_a_saved_dataset_opens_in_datasets_with_its_class_names(tmp_path):
    datasets = pytest.importorskip("datasets")
    train = pd.DataFrame({"text": ["x", "y"], "label": ["b", "a"], "slots": [None, None]})
    test = train.assign(slots=["O", "O O"])
    source = write(tmp_path / "source", train=train, validation=test, test=test)
    data.save(data.load(source), tmp_path / "saved")
    opened = datasets.load_dataset(
        "parquet",
        data_files={split: str(tmp_path / "saved" / f"{split}.parquet") for split in SPLITS},
        cache_dir=str(tmp_path / "cache"),
    )
    assert opened["train"].features["label"].names == ["a", "b"]
    assert opened["test"]["slots"][:] == ["O", "O O"]
    assert opened["train"]["slots"][:] == [None, None]


def test_a_subset_is_saved_under_a_digest_of_its_own(tmp_path):
    dataset = data.load(three_splits(tmp_path / "source"))
    data.save(replace(dataset, train=dataset.train[:7]), tmp_path / "subset")
    opened = data.open_saved(tmp_path / "subset")
    assert len(opened.train) == 7 and opened.digest != dataset.digest


def test_a_save_that_was_cut_off_is_not_opened(tmp_path, monkeypatch):
    dataset = data.load(three_splits(tmp_path / "source"))
    data.save(dataset, tmp_path / "saved")

    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(data, "write_json", stop)
        with pytest.raises(KeyboardInterrupt):
            data.save(dataset, tmp_path / "saved")
    with pytest.raises(InputError, match=r"dataset\.json is missing"):
        data.open_saved(tmp_path / "saved")
    with pytest.raises(InputError, match=str(tmp_path / "nothing")):
        data.open_saved(tmp_path / "nothing")


def test_a_saved_dataset_whose_rows_changed_is_not_opened(tmp_path):
    dataset = data.load(three_splits(tmp_path / "source"))
    data.save(dataset, tmp_path / "saved")
    dataset.test.iloc[::-1].to_parquet(tmp_path / "saved" / "test.parquet", index=False)
    with pytest.raises(InputError, match="not those saved"):
        data.open_saved(tmp_path / "saved")


def test_the_module_imports_without_datasets_and_torch():
    code = "import sys, influence.data; print({'datasets', 'torch', 'mlflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
