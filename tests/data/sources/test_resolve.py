"""Rows come from files, the hub or the generator, or one sentence says why they do not."""

import csv
import json
import logging
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from influence.data.dataset import Dataset
from influence.errors import InputError
from tests.helpers.tables import SPLITS, examples, load, load_error, three_splits, write


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "json"])
def test_a_directory_gives_the_same_record_in_every_format(tmp_path, ending):
    frame = pd.DataFrame({"Sentence": ["a", 'b, "c"\nd', "é"], "Label": [1, 0, 1], "more": "x"})
    dataset = load(write(tmp_path / ending, ending, train=frame, validation=frame, test=frame))
    expected = load(write(tmp_path / "p", train=frame, validation=frame, test=frame))
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
    dataset = load(write(tmp_path, ending, train=frame, validation=frame, test=frame))
    assert dataset.test["text"].tolist() == texts
    assert dataset.dropped == {}


def test_a_csv_may_start_with_a_byte_order_mark_and_hold_blank_lines(tmp_path):
    for split in SPLITS:
        (tmp_path / f"{split}.csv").write_bytes(b"\xef\xbb\xbftext,label\r\na,x\r\n\r\nb,y\r\n")
    assert load(str(tmp_path)).test["text"].tolist() == ["a", "b"]


def test_a_json_text_may_hold_unicode_line_separators(tmp_path):
    line = '{"text": "one\u2028two\x85", "label": %d}\n'
    for split in SPLITS:
        (tmp_path / f"{split}.jsonl").write_text(line % 0 + "\n" + line % 1, encoding="utf-8")
    assert load(str(tmp_path)).train["text"].tolist() == ["one\u2028two\x85"] * 2


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
        ("train.jsonl", b'{"text": "\\ud83d", "label": 0}\n', "surrogates are not allowed"),
        ("train.jsonl", b'{"text": 1, "label": "\\uD83D"}\n', "surrogates are not allowed"),
        ("train.jsonl", b"[" * 100_000, "line 1 is not JSON"),
        ("train.jsonl", b'{"text": "a", "label": ' + b"9" * 5000 + b"}", "line 1 is not JSON"),
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


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_text_may_be_long(tmp_path, ending):
    frame = pd.DataFrame({"text": ["a" * 200_000, "b"], "label": [0, 1]})
    dataset = load(write(tmp_path, ending, train=frame, validation=frame, test=frame))
    assert dataset.train["text"].str.len().tolist() == [200_000, 1]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_flags_of_wrong_labels_are_truths_in_every_format(tmp_path, ending):
    frame = pd.DataFrame(
        {"text": list("abc"), "label": [0, 1, 1], "mislabeled": [True, False, None]}
    )
    dataset = load(write(tmp_path, ending, train=frame, validation=frame, test=frame))
    assert dataset.train["mislabeled"].tolist() == [True, False, False]
    assert (
        "reads text 'text', label 'label' and known wrong labels 'mislabeled' of" in dataset.source
    )


@pytest.mark.parametrize("metadata", [b"{", b"[]", b'{"info": []}', b'{"info": {"features": 3}}'])
def test_metadata_that_cannot_be_read_is_damage(tmp_path, metadata):
    path = three_splits(tmp_path)
    table = pa.table({"text": ["a", "b"], "label": [0, 1]})
    table = table.replace_schema_metadata({b"huggingface": metadata})
    pq.write_table(table, tmp_path / "train.parquet")
    assert "metadata 'huggingface' is damaged" in load_error(path)


def test_a_parquet_text_that_is_no_unicode_is_damage(tmp_path):
    path = three_splits(tmp_path)
    ends, letters = pa.array([0, 1, 2], pa.int32()).buffers()[1], pa.py_buffer(b"a\xff")
    text = pa.Array.from_buffers(pa.string(), 2, [None, ends, letters])
    pq.write_table(pa.table({"text": text, "label": [0, 1]}), tmp_path / "train.parquet")
    assert "cannot read" in load_error(path)


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
    assert len(load(path).train) == 20


def test_the_index_of_a_parquet_file_is_a_column_like_any_other(tmp_path):
    for split in SPLITS:
        examples(6).set_index("text").to_parquet(tmp_path / f"{split}.parquet")
    assert load(str(tmp_path)).train["text"].tolist() == examples(6)["text"].tolist()


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


def test_retries_of_the_hub_are_hidden_and_the_rest_of_what_it_says_is_not(monkeypatch, caplog):
    client = logging.getLogger("huggingface_hub.utils._http")

    def load_dataset(dataset, config):
        client.warning("'timed out' thrown while requesting HEAD https://huggingface.co/README.md")
        client.warning("Retrying in 1s [Retry 1/5].")
        client.warning("Rate limited. Waiting 60s before retry [Retry 1/5].")
        raise ConnectionError("no route to the hub")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    monkeypatch.setattr(client, "handlers", [caplog.handler])
    monkeypatch.setattr(client, "propagate", False)
    assert "no route to the hub" in load_error("some-body/some.data")
    assert [record.getMessage()[:12] for record in caplog.records] == ["Rate limited"]
    client.warning("Retrying in 1s [Retry 1/5].")
    assert len(caplog.records) == 2


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
    dataset = load("some/data")
    assert load("some/data", dataset_config="de").name == "some/data/de"
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
    monkeypatch.setattr("influence.data.sources.assistant", assistant, raising=False)
    monkeypatch.setitem(sys.modules, "influence.data.sources.assistant", assistant)
    dataset = load("assistant:50", data_seed=3)
    assert sum(map(len, dataset.splits.values())) == 50
    assert dataset.label_names == ("alarm", "music")
    assert list(dataset.train.columns) == ["id", "text", "label", "intent", "slots", "source_row"]
    assert dataset.train["text"][0] == "seed 3 text 0"
    assert len(load("assistant").train) == 60
    assert "have the label 'x'" in load_error("assistant:50", label_column="intent")
    for size in ("0", "-3", "many", "1.5"):
        assert f"'assistant:{size}'" in load_error(f"assistant:{size}")


# splits


def test_a_missing_test_split_is_an_error_that_shows_the_way_out(tmp_path):
    path = write(tmp_path, train=examples(9), validation=examples(4))
    message = load_error(path)
    assert "'test'" in message and "train, validation" in message
    assert "test_split=validation" in message
    message = load_error(write(tmp_path / "b", train=examples(9), more=examples(9)))
    assert "has no split 'test', only more, train" in message and "test_split=" not in message


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
    dataset = load(path, train_split="a", validation_split="b", test_split="c")
    assert [len(rows) for rows in dataset.splits.values()] == [5, 3, 4]


# layouts


def sizes(path, **parameters):
    dataset = load(str(path), **parameters)
    assert len(pd.concat(dataset.splits.values())["text"].unique()) == sum(
        len(rows) for rows in dataset.splits.values()
    )
    return [len(rows) for rows in dataset.splits.values()], dataset.source


def parts(count, sizes=(5, 7, 3, 2)):
    """Return tables of different rows."""
    starts = np.cumsum([0, *sizes])
    return [examples(size, offset=int(starts[n])) for n, size in enumerate(sizes[:count])]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("train", "dev", "test"), "train.csv, dev.csv (as validation) and test.csv"),
        (("train", "val", "test"), "val.csv (as validation)"),
        (("train", "valid", "test"), "valid.csv"),
        (("training", "development", "testing"), "development.csv (as validation)"),
        (("Train", "Val", "Test"), "Train.csv (as train), Val.csv (as validation) and"),
        (("train", "dev", "eval"), "eval.csv (as test)"),
        (("snli_1.0_train", "snli_1.0_dev", "snli_1.0_test"), "snli_1.0_dev.csv (as validation)"),
        (
            ("train-data", "valid-data", "test-data"),
            "train-data.csv, valid-data.csv (as validation) and",
        ),
    ],
)
def test_splits_are_found_under_the_names_that_others_give_them(tmp_path, names, said):
    train, validation, test = parts(3)
    path = write(tmp_path, "csv", **dict(zip(names, (train, validation, test), strict=True)))
    found, source = sizes(path)
    assert found == [5, 7, 3] and said in source


def test_the_usual_name_wins_and_the_others_are_said_to_be_unused(tmp_path):
    one, two, three, four = parts(4)
    path = write(tmp_path, train=one, validation=two, test=three, dev=four, more=four)
    (tmp_path / "notes.xlsx").write_bytes(b"")
    (tmp_path / "README.md").write_text("")
    (tmp_path / ".hidden.csv").write_text("")
    found, source = sizes(path)
    assert found == [5, 7, 3]
    assert source.endswith("does not use dev.parquet, more.parquet and notes.xlsx")
    assert sizes(path, validation_split="dev")[0] == [5, 2, 3]


def test_two_splits_for_one_are_ambiguous_unless_one_is_named(tmp_path):
    one, two, three, four = parts(4)
    path = write(tmp_path, train=one, dev=two, val=four, test=three)
    assert "has dev and val for validation; name one with validation_split" in load_error(path)
    assert sizes(path, validation_split="val")[0] == [5, 2, 3]
    path = write(tmp_path / "b", a_train=one, a_test=two, b_train=three, b_test=four)
    assert "splits named a_* and b_*" in load_error(path)


def test_a_file_never_serves_as_two_splits(tmp_path):
    path = write(tmp_path, train_test=examples(9), more=examples(9))
    assert "has no split 'test'" in load_error(path) or "more than one split" in load_error(path)
    path = write(tmp_path / "b", train=examples(9), dev=examples(4, offset=50))
    found, source = sizes(path, test_split="validation", validation_fraction=0.3)
    assert found == [6, 3, 4] and "dev.parquet (as test)" in source
    assert "(test_split=dev tests on dev" in load_error(path)


@pytest.mark.parametrize(
    "pattern",
    [
        "train-{0:05d}-of-00002.parquet",
        "train-{0:05d}-of-00002-0123456789abcdef.parquet",
        "train_{1}.csv",
        "train.{0}.jsonl",
        "train-{0}.tsv",
        "train/part-{0}.csv",
        "train.parquet/part-{0}.snappy.parquet",
        "train/train-{0:05d}-of-00002.jsonl",
    ],
)
def test_the_files_of_one_split_are_read_in_their_order(tmp_path, pattern):
    first, second, test = parts(3)
    write(tmp_path, "csv", test=test)
    for number, rows in enumerate((first, second)):
        path = tmp_path / pattern.format(number, number + 1)
        path.parent.mkdir(exist_ok=True)
        if path.suffix == ".parquet":
            rows.to_parquet(path)
        elif path.suffix == ".jsonl":
            rows.to_json(path, orient="records", lines=True)
        else:
            rows.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    (path.parent / "_SUCCESS").write_text("")
    dataset = load(str(tmp_path), validation_split="test", test_split="test")
    whole = pd.concat([dataset.train, dataset.validation]).sort_values("source_row")
    assert whole["text"].tolist() == [f"text {number}" for number in range(12)]
    assert whole["source_row"].tolist() == list(range(12))
    assert "/" not in pattern or "does not use" not in dataset.source


def test_ten_parts_come_in_the_order_of_their_numbers(tmp_path):
    for number in range(12):
        write(tmp_path, "csv", **{f"train_{number}": examples(2, offset=2 * number)})
    write(tmp_path, "csv", test=examples(4, offset=90), validation=examples(4, offset=80))
    texts = load(str(tmp_path)).train["text"].tolist()
    assert texts == [f"text {number}" for number in range(24)]


def test_numbers_with_gaps_are_no_parts_of_one_split(tmp_path):
    write(tmp_path, "csv", train_10=examples(3), train_100=examples(6), test=examples(4))
    assert "has no split 'train'" in load_error(str(tmp_path))
    named = load(str(tmp_path), train_split="train_100", validation_split="test")
    assert len(named.train) == 5  # one was cut off for validation


def test_a_link_to_nothing_is_named_where_it_would_be_read(tmp_path):
    path = write(tmp_path, train=examples(9), test=examples(4))
    (tmp_path / "val.csv").symlink_to(tmp_path / "nowhere.csv")
    assert "cannot read" in load_error(path) and "val.csv" in load_error(path)
    assert len(load(path, validation_split="test").test) == 4


def test_a_missing_part_is_named(tmp_path):
    write(tmp_path, **{"train-00000-of-00003": examples(3), "train-00002-of-00003": examples(3)})
    write(tmp_path, test=examples(4), **{"unsupervised-00001-of-00002": examples(3)})
    assert "2 of 3 files of train: number 1 is missing" in load_error(str(tmp_path))
    examples(3).to_parquet(tmp_path / "train-00001-of-00003.parquet")
    assert "does not use unsupervised-00001-of-00002.parquet" in load(str(tmp_path)).source


def test_parts_with_other_columns_or_class_names_are_refused(tmp_path):
    write(tmp_path, "csv", test=examples(4), validation=examples(4), train_0=examples(4))
    examples(4).assign(more=1).to_csv(tmp_path / "train_1.csv", index=False)
    message = load_error(str(tmp_path))
    assert "train_1.csv and train_0.csv are parts of train with different columns" in message


def test_a_snapshot_of_the_hub_is_a_dataset(tmp_path):
    train, validation, test = parts(3)
    write(
        tmp_path / "data",
        **{
            "train-00000-of-00001": train,
            "validation-00000-of-00001": validation,
            "test-00000-of-00001": test,
        },
    )
    (tmp_path / "README.md").write_text("---\n---\n")
    found, source = sizes(tmp_path)
    assert found == [5, 7, 3] and "train-00000-of-00001.parquet" in source
    assert load(str(tmp_path)).name == tmp_path.name


def test_all_splits_come_from_one_place(tmp_path):
    one, two, three, four = parts(4)
    write(tmp_path / "data", "csv", train=one, validation=two, test=three)
    write(tmp_path, "csv", test=four)
    found, source = sizes(tmp_path)
    assert found == [5, 7, 3]
    assert "of data/train.csv" in source and "data/test.csv; does not use test.csv" in source
    write(tmp_path, "csv", Train=one, val=two)  # now the folder itself has a train split
    found, source = sizes(tmp_path)
    assert found == [5, 7, 2] and source.endswith("does not use data")


def test_a_folder_named_data_without_any_changes_nothing(tmp_path):
    one, two, three, _ = parts(4)
    write(tmp_path, "csv", snli_train=one, snli_dev=two, snli_test=three)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "vocab.txt").write_text("a")
    assert sizes(tmp_path)[0] == [5, 7, 3]


def test_the_files_of_a_split_s_folder_are_named_and_none_is_read_twice(tmp_path):
    one, two, three, four = parts(4)
    write(tmp_path, "csv", validation=three, test=four)
    write(tmp_path / "train", "csv", clean=one, raw=two)
    (tmp_path / "train" / "more.xlsx").write_text("")
    found, source = sizes(tmp_path)
    assert found == [12, 3, 2]
    assert "of train/ (2 files: clean.csv and raw.csv)" in source
    assert source.endswith("does not use train/more.xlsx")
    write(tmp_path / "train", raw=two)
    message = load_error(str(tmp_path))
    assert f"{tmp_path / 'train'} holds raw.csv and raw.parquet: keep one of them" in message


def test_folds_that_share_their_rows_are_pointed_out(tmp_path):
    rows = examples(50)
    for fold in range(5):
        write(tmp_path, "csv", **{f"train_{fold}": rows[rows.index % 5 != fold]})
        write(tmp_path, "csv", **{f"test_{fold}": rows[rows.index % 5 == fold]})
    (note,) = [note for note in load(str(tmp_path)).notes if "folds" in note]
    assert note.startswith("100% of the rows of train appear in more than one of its 5 files")
    one = load(str(tmp_path), train_split="train_2", test_split="test_2")
    assert len(one.test) == 10 and not any("folds" in note for note in one.notes)


def test_parts_may_be_empty_and_objects_may_lack_what_is_missing(tmp_path):
    write(tmp_path, "csv", validation=examples(4), test=examples(4))
    for folder, ending in (("train.csv", "csv"), ("train.json", "json")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"part-0.{ending}").write_text("")
        if ending == "csv":
            examples(6).to_csv(tmp_path / folder / "part-1.csv", index=False)
            assert len(load(str(tmp_path)).train) == 6
            (tmp_path / folder).rename(tmp_path / ".old")
        else:
            lines = ['{"text": "a", "label": 0, "more": 1}', '{"text": "b", "label": 1}']
            for number, line in enumerate(lines, start=1):
                (tmp_path / folder / f"part-{number}.json").write_text(line)
            assert load(str(tmp_path)).train["text"].tolist() == ["a", "b"]


def test_one_table_alone_is_train_unless_its_name_says_otherwise(tmp_path):
    dataset = load(write(tmp_path / "a", data=examples(10)))
    assert [len(rows) for rows in dataset.splits.values()] == [7, 1, 2]
    assert "of data.parquet (as train)" in dataset.source
    assert "has no split 'train'" in load_error(write(tmp_path / "b", test=examples(9)))
    assert "has no split 'test'" in load_error(write(tmp_path / "c", dev=examples(9)))


def test_a_folder_of_folders_with_data_shows_the_way(tmp_path):
    write(tmp_path / "sst2", train=examples(4), test=examples(4))
    message = load_error(str(tmp_path))
    assert f"give one of its folders, such as {tmp_path / 'sst2'}" in message


@pytest.mark.parametrize("shards", [1, 2])
def test_a_folder_of_save_to_disk_is_a_dataset_with_its_class_names(tmp_path, shards, capfd):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    splits = {
        name: datasets.Dataset.from_dict(rows.to_dict("list"), features=features)
        for name, rows in zip(("train", "dev", "test"), parts(3), strict=True)
    }
    datasets.DatasetDict(splits).save_to_disk(
        str(tmp_path / "all"), num_shards=dict.fromkeys(splits, shards)
    )
    dataset = load(str(tmp_path / "all"))
    assert [len(rows) for rows in dataset.splits.values()] == [5, 7, 3]
    assert dataset.label_names == ("no", "yes")
    assert "train, dev (as validation) and test" in dataset.source
    splits["train"].save_to_disk(str(tmp_path / "one"))
    assert [len(rows) for rows in load(str(tmp_path / "one")).splits.values()] == [3, 1, 1]
    for file in (tmp_path / "all/test").glob("*.arrow"):
        file.write_bytes(b"")
    assert "was written by save_to_disk and does not load" in load_error(str(tmp_path / "all"))


def test_what_is_guessed_is_said_with_what_was_left_aside(tmp_path):
    rows = pd.DataFrame(
        {
            "ID": range(60),
            "Target": ["Climate", "Atheism"] * 30,
            "Tweet": [f"a tweet about number {n}" for n in range(60)],
            "Stance": ["FAVOR", "AGAINST", "NONE"] * 20,
            "Comment": [f"seen by reader {n} today" for n in range(60)],
            "Score": [n / 7 for n in range(60)],
            "Agreed": [True, False] * 30,
        }
    )
    path = write(tmp_path, "csv", train=rows, validation=rows, test=rows)
    dataset = load(path, text_column="Tweet")
    assert dataset.label_names == ("Atheism", "Climate")
    assert dataset.source == (
        "reads text 'Tweet' and label 'Target' of train.csv, validation.csv and test.csv; leaves "
        "aside 'Stance' (3 labels), 'Comment' (texts) and 'Agreed' (2 labels)"
    )
    pair = load(path, text_column="Tweet", pair_column="Comment", label_column="Stance")
    assert "reads text 'Tweet', second text 'Comment' and label 'Stance' of" in pair.source


# Whatever the files hold


def load_or_refuse(directory: Path, **parameters) -> Dataset | None:
    """Return the dataset and see that it is one, None for bad input."""
    try:
        dataset = load(str(directory), **parameters)
    except InputError as error:
        assert "\n" not in str(error)
        return None
    for rows in dataset.splits.values():
        assert len(rows) and rows["id"].is_unique and rows["text"].str.strip().all()
        assert rows["label"].between(0, len(dataset.label_names) - 1).all()
    assert len(set(dataset.label_names)) == len(dataset.label_names) > 1
    return dataset


def write_csv(path: Path, names: list[str], rows: list[list], style: dict) -> None:
    with path.open("w", newline="", encoding="utf-8-sig" if style["mark"] else "utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator=style["end"])
        for row in [names, *rows]:
            writer.writerow(row)
            if style["blank"]:
                file.write(style["end"])


def write_jsonl(path: Path, names: list[str], rows: list[list], style: dict) -> None:
    lines = [
        json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=style["mark"]) for row in rows
    ]
    path.write_text((style["end"] * (1 + style["blank"])).join(lines), encoding="utf-8", newline="")


UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TEXT = st.one_of(
    UNICODE,
    st.none(),
    st.sampled_from(["NA", "1", "007", "1e5", "True", " x ", 'a,"b"\r\nc', "\ufeff"]),
)
LABELS = st.sampled_from(
    [
        st.one_of(st.integers(-2, 3), st.none()),
        st.one_of(st.sampled_from([0.0, 1.0, 2.0, 10.0]), st.none()),
        st.booleans(),
        st.one_of(UNICODE, st.none()),
        st.sampled_from(
            ["1", "01", "1.0", "1.00", "-1", "-", "", " ", "nan", "None", "é", "e\u0301"]
        ),
    ]
)
STYLES = st.fixed_dictionaries(
    {"mark": st.booleans(), "blank": st.booleans(), "end": st.sampled_from(["\n", "\r\n"])}
)


@settings(max_examples=settings().max_examples // 3)  # each writes many files
@given(
    LABELS.flatmap(lambda label: st.lists(st.tuples(TEXT, label), min_size=2, max_size=8)), STYLES
)
def test_every_format_gives_the_same_dataset_or_is_refused_alike(rows, style):
    names = ["Text", "Label"]
    frame = pd.DataFrame(rows, columns=names)
    with tempfile.TemporaryDirectory() as name:
        for ending in ("csv", "jsonl", "parquet"):
            directory = Path(name) / ending / "same"
            directory.mkdir(parents=True)
            for split in SPLITS:
                path = directory / f"{split}.{ending}"
                if ending == "parquet":
                    frame.to_parquet(path, index=False)
                else:
                    (write_csv if ending == "csv" else write_jsonl)(path, names, rows, style)
        csv_one, json_one, parquet_one = (
            load_or_refuse(Path(name) / ending / "same") for ending in ("csv", "jsonl", "parquet")
        )
    if csv_one is None:
        assert json_one is parquet_one is None
        return
    for other in (json_one, parquet_one):
        assert other is not None
        for split in SPLITS:
            pd.testing.assert_frame_equal(other.splits[split], csv_one.splits[split])
        assert (other.digest, other.label_names) == (csv_one.digest, csv_one.label_names)
        assert other.dropped == csv_one.dropped


@settings(max_examples=settings().max_examples // 3)  # each writes many files
@given(
    st.lists(st.tuples(UNICODE, st.sampled_from("abc-")), min_size=2, max_size=12),
    st.randoms(use_true_random=False),
)
def test_a_row_keeps_its_id_and_class_wherever_it_stands(rows, random):
    with tempfile.TemporaryDirectory() as name:
        found = []
        for place in ("one", "other"):
            frame = pd.DataFrame(rows, columns=["text", "label"])
            path = write(Path(name) / place, train=frame, validation=frame, test=frame)
            found.append(load_or_refuse(Path(path)))
            random.shuffle(rows)
    if found[0] is None:
        assert found[1] is None
        return
    first, second = (one.train.set_index("id").sort_index() for one in found)
    assert first[["text", "label"]].equals(second[["text", "label"]])
    usable = [row for row in rows if row[0].strip()]
    assert len(first) == len(usable)
    assert sum(found[0].dropped.values()) == 3 * (len(rows) - len(usable))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)
OBJECTS = st.dictionaries(
    st.sampled_from(["text", "label", "id", "mislabeled", "source_row", "more", ""]),
    st.one_of(VALUES, st.sampled_from(["a", "b", 0, 1])),
)


@given(st.lists(OBJECTS, min_size=1, max_size=5))
def test_any_json_objects_are_a_dataset_or_bad_input(rows):
    with tempfile.TemporaryDirectory() as name:
        content = "\n".join(map(json.dumps, [*rows, {"text": "x", "label": "a"}]))
        for split in SPLITS:
            (Path(name) / f"{split}.jsonl").write_text(content)
        load_or_refuse(Path(name))


@given(
    st.sampled_from(["csv", "jsonl"]),
    st.one_of(
        st.binary(max_size=60), st.text('a1,"\n\r{}:[]\\u \ufeff', max_size=60).map(str.encode)
    ),
)
def test_any_bytes_are_a_dataset_or_bad_input(ending, content):
    start = {"csv": b"text,label\na,0\nb,1\n", "jsonl": b'{"text": "a", "label": 0}\n'}[ending]
    with tempfile.TemporaryDirectory() as name:
        for split in SPLITS:
            (Path(name) / f"{split}.{ending}").write_bytes(start + content)
        load_or_refuse(Path(name))


@given(st.lists(UNICODE, max_size=4), st.text(max_size=3), st.text(max_size=3))
def test_any_column_names_are_found_or_bad_input(names, text, label):
    assume(len(set(names)) == len(names))
    rows = pd.DataFrame([[str(n) for n in range(len(names))]] * 2, columns=names, dtype="str")
    with tempfile.TemporaryDirectory() as name:
        path = write(Path(name), "jsonl", train=rows, validation=rows, test=rows)
        load_or_refuse(Path(path), text_column=text, label_column=label)
