"""Datasets are cut and capped by their ids, and open as they were saved."""

import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influence.data import storage
from influence.errors import InputError
from tests.helpers.tables import SPLITS, examples, labelled, load, load_error, three_splits, write

# the validation split


def test_a_missing_validation_split_is_cut_from_train_only(tmp_path):
    path = write(tmp_path, train=examples(40, classes=4), test=examples(8, classes=4, offset=90))
    dataset = load(path, validation_fraction=0.2)
    assert len(dataset.test) == 8 and len(dataset.train) == 32
    assert Counter(dataset.validation["label"]) == {0: 2, 1: 2, 2: 2, 3: 2}
    texts = set(dataset.train["text"]) | set(dataset.validation["text"])
    assert texts == set(examples(40)["text"])
    assert dataset.notes == ("8 validation rows were cut from train",)
    assert dataset.train.index.tolist() == list(range(32))


def test_validation_is_cut_from_train_where_test_takes_its_place(tmp_path):
    path = write(tmp_path, train=examples(40), validation=examples(6, offset=100))
    dataset = load(path, test_split="validation")
    assert set(dataset.test["text"]) == set(examples(6, offset=100)["text"])
    assert [len(rows) for rows in dataset.splits.values()] == [36, 4, 6]


def test_the_cut_follows_ids_and_seed_and_not_the_order_of_rows(tmp_path):
    rows, test = examples(60, classes=3), examples(6, classes=3)
    path = write(tmp_path / "a", train=rows, test=test)
    shuffled = write(tmp_path / "b", train=rows.sample(frac=1, random_state=1), test=test)
    chosen = {
        (name, seed): set(load(name, data_seed=seed).validation["id"])
        for name in (path, shuffled)
        for seed in (0, 1)
    }
    assert chosen[path, 0] == chosen[shuffled, 0]
    assert chosen[path, 1] == chosen[shuffled, 1]
    assert chosen[path, 0] != chosen[path, 1]


def test_one_table_is_cut_into_three_splits_whatever_its_order(tmp_path):
    rows = examples(50, classes=5)
    path = write(tmp_path, train=rows)
    dataset = load(path)
    assert [len(split) for split in dataset.splits.values()] == [36, 4, 10]
    assert dataset.notes[:2] == (
        "10 test rows were cut from train",
        "4 validation rows were cut from train",
    )
    assert set(Counter(dataset.test["label"]).values()) == {2}
    assert len(load(path, test_fraction=0.4).test) == 20
    shuffled = load(write(tmp_path / "b", train=rows.sample(frac=1, random_state=1)))
    assert set(shuffled.test["id"]) == set(dataset.test["id"])


def test_a_table_without_two_rows_of_a_class_cannot_be_cut(tmp_path):
    path = write(tmp_path, train=examples(5, classes=5))
    assert "so that no test can be cut from it" in load_error(path)


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_a_file_is_a_dataset_as_a_folder_of_it_alone_is(tmp_path, ending):
    folder = write(tmp_path / "folder", ending, train=examples(30))
    file = Path(folder) / f"train.{ending}"
    alone = file.rename(file.with_stem("tickets"))
    dataset = load(str(alone))
    alone.rename(file)
    assert dataset.digest == load(folder).digest
    assert dataset.name == "tickets" and "tickets." in dataset.source


def test_a_file_has_neither_other_splits_nor_a_configuration(tmp_path):
    write(tmp_path, "csv", train=examples(30))
    path = str(tmp_path / "train.csv")
    assert "has no split 'dev', only train" in load_error(path, test_split="dev")
    assert "has no split 'dev'" in load_error(path, validation_split="dev")
    assert "is for hub ids only" in load_error(path, dataset_config="en")
    other = tmp_path / "train.xlsx"
    other.write_bytes(b"PK")
    assert "train.xlsx does not end in .parquet" in load_error(str(other))


def test_every_class_with_two_rows_keeps_one_in_train(tmp_path):
    rows = pd.DataFrame({"text": list("abcdefg"), "label": list("wwxxyzz")})
    path = write(tmp_path, train=rows, test=rows)
    dataset = load(path, validation_fraction=0.99)
    assert sorted(dataset.train["label"]) == [0, 1, 2, 3]
    assert len(dataset.validation) == 3
    assert load(path, validation_fraction=0.01).validation.shape[0] == 1


def test_repeats_of_a_row_are_on_one_side_of_the_cut(tmp_path):
    texts = [number // 5 for number in range(500)]
    rows = pd.DataFrame({"text": [f"t{n}" for n in texts], "label": [n % 2 for n in texts]})
    dataset = load(write(tmp_path, train=rows, test=rows), validation_fraction=0.2)
    assert len(dataset.validation) == 100
    assert not set(dataset.train["text"]) & set(dataset.validation["text"])


def test_a_class_of_equal_rows_stays_in_train_as_a_whole(tmp_path):
    texts = ["same"] * 10 + [f"text {number}" for number in range(10)]
    rows = pd.DataFrame({"text": texts, "label": ["a"] * 10 + ["b"] * 10})
    dataset = load(write(tmp_path, train=rows))
    assert (dataset.train["text"] == "same").sum() == 10
    assert set(dataset.test["label"]) == set(dataset.validation["label"]) == {1}


@pytest.mark.parametrize("texts", [["a", "b"], ["a", "b"] * 30])
def test_a_train_split_of_single_or_equal_rows_cannot_be_cut(tmp_path, texts):
    rows = pd.DataFrame({"text": texts, "label": [f"class {text}" for text in texts]})
    message = load_error(write(tmp_path, train=rows, test=rows))
    assert f"no class of train has two of its {len(rows)} rows that differ" in message


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_fraction_outside_0_to_1_is_an_error(tmp_path, fraction):
    assert "validation_fraction" in load_error(str(tmp_path), validation_fraction=fraction)


def test_a_folder_may_be_given_from_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    storage.save(load(three_splits(tmp_path / "plain")), tmp_path / "kept")
    assert load("~/kept").train["id"].tolist() == load(str(tmp_path / "kept")).train["id"].tolist()
    assert "source_id" not in load("~/kept").train


def test_parameters_of_the_other_task_are_refused(tmp_path):
    path = three_splits(tmp_path)
    assert "intent_column='x' is for task=nlu" in load_error(path, intent_column="x")
    assert "slots_column='x' is for task=nlu" in load_error(path, slots_column="x")
    assert "pair_column='x' is for task=classify" in load_error(path, pair_column="x", task="nlu")


# caps


def test_caps_take_a_stratified_subset_in_source_order(tmp_path):
    rows = examples(200)
    rows["label"] = [0] * 150 + [1] * 49 + [2]
    path = write(tmp_path, train=rows, validation=rows, test=rows)
    dataset = load(path, max_train=40, max_test=12)
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
        set(load(name, max_train=30, data_seed=seed).train["text"])
        for name, seed in ((path, 0), (shuffled, 0), (path, 1))
    )
    assert first == again and first != other
    assert first != set(rows["text"][:30])


def test_no_class_disappears_under_a_cap(tmp_path):
    rows = pd.DataFrame({"text": [f"t{n}" for n in range(60)], "label": [0] * 51 + [*range(1, 10)]})
    path = write(tmp_path, train=rows, validation=rows, test=rows)
    dataset = load(path, max_train=10, max_test=11)
    assert dataset.train["label"].nunique() == 10 and dataset.test["label"].nunique() == 10
    assert "max_train=9 cannot hold the 10 classes" in load_error(path, max_train=9)
    assert "max_test=3 cannot hold the 10 classes" in load_error(path, max_test=3)


def test_a_cap_above_the_number_of_rows_changes_nothing_and_below_0_is_an_error(tmp_path):
    path = three_splits(tmp_path)
    assert load(path, max_train=20, max_test=99).digest == load(path).digest
    assert "max_train must be at least 0, not -1" in load_error(path, max_train=-1)
    assert "max_test must be at least 0, not -5" in load_error(path, max_test=-5)


CLASSES = st.lists(st.integers(0, 3), min_size=2, max_size=30).filter(lambda c: len(set(c)) > 1)


@settings(max_examples=settings().max_examples // 3)  # each writes many files
@given(CLASSES, st.integers(0, 40), st.floats(0.01, 0.99), st.integers(0, 9), st.booleans())
def test_whatever_is_cut_and_capped_is_exact_and_leaves_every_class(
    classes, maximum, fraction, seed, repeats
):
    texts = [str(number // 2 if repeats else number) for number in range(len(classes))]
    rows = pd.DataFrame({"text": texts, "label": classes})
    with tempfile.TemporaryDirectory() as name:
        path = write(Path(name), train=rows, test=rows)
        parameters = {"validation_fraction": fraction, "data_seed": seed}
        try:
            whole = load(path, **parameters)
        except InputError as error:
            assert "no class of train has two" in str(error)
            assert repeats or max(Counter(classes).values()) == 1
            return
        ids = [*whole.train["id"], *whole.validation["id"]]
        assert sorted(ids) == sorted(whole.test["id"])
        spare = len(classes) - len(set(classes))
        asked = min(max(1, round(fraction * len(classes))), spare)
        # A pair of equal rows is on one side: that of the last row of a class in train, and the
        # first pair in validation even where one row was asked for.
        kept, least = (len(set(classes)), 2) if repeats else (0, 1)
        assert asked - kept <= len(whole.validation) <= max(asked, least)
        contents = [
            set(split["id"].str.split("-").str[0]) for split in (whole.train, whole.validation)
        ]
        assert not contents[0] & contents[1]
        assert set(whole.train["label"]) == set(range(len(set(classes))))
        if 0 < maximum < whole.train["label"].nunique():
            assert "cannot hold" in load_error(path, max_train=maximum, **parameters)
            return
        capped = load(path, max_train=maximum, **parameters)
        assert len(capped.train) == min(maximum or len(whole.train), len(whole.train))
        assert set(capped.train["label"]) == set(whole.train["label"])
        places = [whole.train["id"].tolist().index(name) for name in capped.train["id"]]
        assert places == sorted(places)


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
        load(write(tmp_path / str(number), **splits)).digest
        for number, splits in enumerate(variants)
    ]
    assert len(set(digests)) == 5
    assert max(map(len, digests)) <= 36
    assert load(write(tmp_path / "again", **variants[0])).digest == digests[0]


def test_a_saved_dataset_opens_as_it_was(tmp_path):
    rows = examples(20).assign(more=[None, *"abcdefghijklmnopqrs"], label=["x", "y"] * 10)
    rows.loc[3, "label"] = None
    dataset = load(write(tmp_path / "source", train=rows, test=rows))
    storage.save(dataset, tmp_path / "deep" / "saved")
    opened = storage.open_saved(tmp_path / "deep" / "saved").dataset()
    for split in SPLITS:
        pd.testing.assert_frame_equal(opened.splits[split], dataset.splits[split])
    for field in ("name", "label_names", "digest", "dropped", "notes", "is_pair"):
        assert getattr(opened, field) == getattr(dataset, field)
    names = sorted(path.name for path in (tmp_path / "deep" / "saved").iterdir())
    assert names == ["dataset.json", "test.parquet", "train.parquet", "validation.parquet"]


def test_a_saved_dataset_loads_with_the_ids_that_it_had(tmp_path):
    dataset = load(three_splits(tmp_path / "source"))
    storage.save(replace(dataset, train=dataset.train[:7]), tmp_path / "subset")
    again = load(str(tmp_path / "subset"))
    assert again.train["id"].tolist() == dataset.train["id"].tolist()[:7]
    assert again.label_names == dataset.label_names
    capped = load(str(tmp_path / "subset"), max_train=4)
    assert len(capped.train) == 4 and set(capped.train["id"]) < set(again.train["id"])
    assert capped.digest != again.digest


def test_a_saved_dataset_is_one_of_the_hubs_library(tmp_path):
    import datasets

    dataset = load(labelled(tmp_path / "source", ["b", "a", "b"]))
    storage.save(dataset, tmp_path / "saved")
    part = replace(dataset, train=dataset.train.iloc[:2])
    whole = storage.open_saved(tmp_path / "saved")
    storage.save_subsets(whole, {tmp_path / "part": np.arange(2)})
    found = datasets.load_dataset(str(tmp_path / "part"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in found.items()} == {
        split: len(rows) for split, rows in part.splits.items()
    }
    assert found["train"].features["label"].names == ["a", "b"]
    assert found["train"]["text"][:] == part.train["text"].tolist()
    assert storage.open_saved(tmp_path / "part").digest != dataset.digest


def test_a_saved_dataset_read_by_named_columns_keeps_its_class_names(tmp_path):
    dataset = load(labelled(tmp_path / "source", ["b", "a", "b"]))
    storage.save(dataset, tmp_path / "saved")
    again = load(str(tmp_path / "saved"), label_column="label")
    assert again.label_names == dataset.label_names == ("a", "b")
    assert again.train["label"].tolist() == [1, 0, 1]
    assert list(again.train.columns) == ["id", "text", "label", "source_id", "source_row"]
    assert "only test, train, validation" in load_error(str(tmp_path / "saved"), train_split="x")


def test_a_saved_dataset_opens_in_datasets_with_its_class_names(tmp_path):
    datasets = pytest.importorskip("datasets")
    train = pd.DataFrame({"text": ["x", "y"], "label": ["b", "a"], "slots": [None, None]})
    test = train.assign(slots=["O", "O O"])
    source = write(tmp_path / "source", train=train, validation=test, test=test)
    storage.save(load(source), tmp_path / "saved")
    opened = datasets.load_dataset(
        "parquet",
        data_files={split: str(tmp_path / "saved" / f"{split}.parquet") for split in SPLITS},
        cache_dir=str(tmp_path / "cache"),
    )
    assert opened["train"].features["label"].names == ["a", "b"]
    assert opened["test"]["slots"][:] == ["O", "O O"]
    assert opened["train"]["slots"][:] == [None, None]


def test_a_subset_is_saved_under_a_digest_of_its_own(tmp_path):
    dataset = load(three_splits(tmp_path / "source"))
    storage.save(replace(dataset, train=dataset.train[:7]), tmp_path / "subset")
    opened = storage.open_saved(tmp_path / "subset").dataset()
    assert len(opened.train) == 7 and opened.digest != dataset.digest


def test_a_save_that_was_cut_off_is_not_opened(tmp_path, monkeypatch):
    dataset = load(three_splits(tmp_path / "source"))
    storage.save(dataset, tmp_path / "saved")

    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write_json", stop)
        with pytest.raises(KeyboardInterrupt):
            storage.save(dataset, tmp_path / "saved")
    with pytest.raises(InputError, match=r"dataset\.json is missing"):
        storage.open_saved(tmp_path / "saved")
    with pytest.raises(InputError, match=str(tmp_path / "nothing")):
        storage.open_saved(tmp_path / "nothing")


def test_a_saved_dataset_whose_rows_changed_is_not_opened(tmp_path):
    dataset = load(three_splits(tmp_path / "source"))
    storage.save(dataset, tmp_path / "saved")
    dataset.test.iloc[::-1].to_parquet(tmp_path / "saved" / "test.parquet", index=False)
    with pytest.raises(InputError, match="is not the file that was saved"):
        storage.open_saved(tmp_path / "saved")


def test_the_module_imports_without_datasets_and_torch():
    code = (
        "import sys, influence.data.load; print({'datasets', 'torch', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def nlu_rows(count, offset=0):
    return pd.DataFrame(
        {
            "text": [f"play song {offset + n}" for n in range(count)],
            "label": [f"intent {n % 4}" for n in range(count)],
            "domain": [f"domain {n % 2}" for n in range(count)],
            "slots": ["O B-title I-title"] * count,
        }
    )


def test_a_voice_assistant_s_label_is_its_domain(tmp_path):
    splits = {"train": nlu_rows(20), "validation": nlu_rows(8, 100), "test": nlu_rows(8, 200)}
    dataset = load(write(tmp_path / "talk", **splits), task="nlu")
    assert dataset.label_names == ("domain 0", "domain 1")
    assert set(dataset.train["intent"]) == {f"intent {n}" for n in range(4)}
    assert set(dataset.train["slots"]) == {"O B-title I-title"}
    storage.save(dataset, tmp_path / "saved")
    again = load(str(tmp_path / "saved"), task="nlu")
    pd.testing.assert_frame_equal(again.train, dataset.train)


def test_rows_without_intent_or_slots_are_dropped_and_counted(tmp_path):
    train = nlu_rows(20)
    train.loc[0, "slots"] = None
    train.loc[1, "label"] = " "
    splits = {"train": train, "validation": nlu_rows(8, 100), "test": nlu_rows(8, 200)}
    dataset = load(write(tmp_path / "talk", **splits), task="nlu")
    assert dataset.dropped == {"train rows without intent": 1, "train rows without slots": 1}


def test_tags_may_be_lists_of_names_or_of_numbers_of_named_classes(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = {"train": nlu_rows(20), "validation": nlu_rows(8, 100), "test": nlu_rows(8, 200)}
    expected = load(write(tmp_path / "talk", **rows), task="nlu")
    lists = {name: own.assign(slots=own["slots"].str.split()) for name, own in rows.items()}
    found = load(write(tmp_path / "lists" / "talk", **lists), task="nlu")
    pd.testing.assert_frame_equal(found.train, expected.train)
    tags = ["O", "B-title", "I-title"]
    for name, own in lists.items():
        numbered = own.assign(slots=own["slots"].map(lambda row: [tags.index(tag) for tag in row]))
        features = {column: datasets.Value("string") for column in own.columns}
        features["slots"] = datasets.Sequence(datasets.ClassLabel(names=tags))
        made = datasets.Dataset.from_dict(
            numbered.to_dict("list"), features=datasets.Features(features)
        )
        (tmp_path / "numbers" / "talk").mkdir(parents=True, exist_ok=True)
        made.to_parquet(str(tmp_path / "numbers" / "talk" / f"{name}.parquet"))
    found = load(str(tmp_path / "numbers" / "talk"), task="nlu")
    pd.testing.assert_frame_equal(found.train, expected.train)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"slots": "O O"}, "2 tags"),
        ({"slots": "O B-title artist"}, "unknown tag 'artist'"),
        ({"label": "intent 1"}, "'intent 1' is under the domains"),
    ],
)
def test_annotation_that_does_not_fit_is_told(tmp_path, change, expected):
    train = nlu_rows(20)
    for column, value in change.items():
        train.loc[0, column] = value
    splits = {"train": train, "validation": nlu_rows(8, 100), "test": nlu_rows(8, 200)}
    message = load_error(write(tmp_path / "talk", **splits), task="nlu")
    assert expected in message


def test_tags_that_continue_nothing_begin_a_slot_and_this_is_said(tmp_path):
    train = nlu_rows(20)
    train.loc[0, "slots"] = "O B-title I-artist"
    train.loc[[1, 2], "slots"] = "I-title O I-title"
    splits = {"train": train, "validation": nlu_rows(8, 100), "test": nlu_rows(8, 200)}
    dataset = load(write(tmp_path / "talk", **splits), task="nlu")
    assert dataset.notes == ("train: 5 tags I-x begin a slot, as after O; they are read as B-x",)
    first = dataset.train["slots"].tolist()[:4]
    assert first == ["O B-title B-artist", *["B-title O B-title"] * 2, "O B-title I-title"]
    storage.save(dataset, tmp_path / "saved")
    again = load(str(tmp_path / "saved"), task="nlu")
    assert (again.notes, again.digest) == (dataset.notes, dataset.digest)
    assert again.train["slots"].tolist()[:4] == first


def test_lists_of_words_and_numbered_tags_are_read_by_the_names_of_the_tags(tmp_path):
    import datasets

    names = ["O", "B-title", "I-title", "B-time of day"]
    features = datasets.Features(
        {
            "tokens": datasets.List(datasets.Value("string")),
            "ner_tags": datasets.List(datasets.ClassLabel(names=names)),
            "intent": datasets.Value("string"),
            "domain": datasets.Value("string"),
        }
    )
    (tmp_path / "talk").mkdir()
    for split, offset in {"train": 0, "validation": 50, "test": 90}.items():
        rows = {
            "tokens": [["play", "hey\xa0jude", f"{offset + n}", "now"] for n in range(8)],
            "ner_tags": [[0, 1, 2, 3]] * 8,
            "intent": [f"intent {n % 4}" for n in range(8)],
            "domain": [f"domain {n % 2}" for n in range(8)],
        }
        made = datasets.Dataset.from_dict(rows, features)
        made.to_parquet(tmp_path / f"talk/{split}.parquet")
    found = load(str(tmp_path / "talk"), task="nlu", text_column="tokens")
    assert found.train["text"].tolist()[1] == "play hey\xa0jude 1 now"
    assert set(found.train["slots"]) == {"O B-title I-title I-title B-time_of_day"}
    assert [note.split(":")[0] for note in found.notes] == ["train", "validation", "test"]


def test_one_column_for_two_roles_of_a_voice_assistant_is_refused(tmp_path):
    splits = {
        split: nlu_rows(8, offset).drop(columns="domain")
        for split, offset in (("train", 0), ("validation", 50), ("test", 90))
    }
    path = write(tmp_path / "talk", **splits)
    given = {"label_column": "label", "intent_column": "label", "slots_column": "slots"}
    different = "text, label, intent and slots must be different columns"
    assert different in load_error(path, task="nlu", **given)
    given["intent_column"] = "text"
    assert different in load_error(path, task="nlu", text_column="text", **given)


def test_a_dataset_without_slots_is_no_voice_assistant_s(tmp_path):
    assert "needs slots_column" in load_error(
        write(
            tmp_path / "talk",
            **{
                split: nlu_rows(8, offset).drop(columns="slots")
                for split, offset in (("train", 0), ("validation", 50), ("test", 90))
            },
        ),
        task="nlu",
    )
    plain = three_splits(tmp_path / "plain")
    assert "needs label_column" in load_error(plain, task="nlu")
    storage.save(load(plain), tmp_path / "saved")
    assert "needs the column intent" in load_error(str(tmp_path / "saved"), task="nlu")


def test_columns_of_a_voice_assistant_may_be_named(tmp_path):
    renamed = {"label": "goal", "domain": "field", "slots": "marks"}
    splits = {
        split: nlu_rows(8, offset).rename(columns=renamed)
        for split, offset in (("train", 0), ("validation", 50), ("test", 90))
    }
    path = write(tmp_path / "talk", **splits)
    parameters = {"label_column": "field", "intent_column": "goal", "slots_column": "marks"}
    dataset = load(path, task="nlu", **parameters)
    assert list(dataset.train.columns) == ["id", "text", "label", "intent", "slots", "source_row"]
    assert "intent_column='aim'" in load_error(
        path, task="nlu", **{**parameters, "intent_column": "aim"}
    )
