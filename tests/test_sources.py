"""Rows come from files, the hub or the generator, or one sentence says why they do not."""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from influence import data
from tests.tables import SPLITS, examples, load_error, three_splits, write


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "json"])
def test_a_directory_gives_the_same_record_in_every_format(tmp_path, ending):
    frame = pd.DataFrame({"Sentence": ["a", 'b, "c"\nd', "é"], "Label": [1, 0, 1], "more": "x"})
    dataset = data.load(write(tmp_path / ending, ending, train=frame, validation=frame, test=frame))
    expected = data.load(write(tmp_path / "p", train=frame, validation=frame, test=frame))
    for split in SPLITS:
        pd.testing.assert_frame_equal(dataset.splits[split], expected.splits[split])
    assert dataset.digest == expected.digest
    assert list(dataset.train.columns) == ["id", "text", "label", "more", "source_row"]
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
    dataset = data.load("assistant:50", data_seed=3)
    assert sum(map(len, dataset.splits.values())) == 50
    assert dataset.label_names == ("alarm", "music")
    assert list(dataset.train.columns) == ["id", "text", "label", "intent", "slots", "source_row"]
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
