"""Text, pair and label are found, renamed and kept apart from all other columns."""

from itertools import product

import pandas as pd
import pytest

from influence.data import columns, load, storage
from tests.helpers import offenders
from tests.helpers.tables import SPLITS, load_error, write


@pytest.mark.parametrize("pair", columns.PAIRS)
def test_pairs_are_found_by_their_usual_names(tmp_path, pair):
    first, second = pair
    rows = pd.DataFrame({"Label": [0, 1], second.upper(): ["c", "d"], first: ["a", "b"]})
    dataset = load(write(tmp_path, train=rows, validation=rows, test=rows))
    assert dataset.is_pair
    assert list(dataset.train.columns) == ["id", "text", "text_pair", "label", "source_row"]
    assert dataset.train["text"].tolist() == ["a", "b"]
    assert dataset.train["text_pair"].tolist() == ["c", "d"]


def test_texts_and_labels_are_found_by_their_usual_names():
    with offenders.cases() as tried:
        for text, label in product(columns.TEXTS, columns.LABELS):
            with tried.case((text, label)):
                rows = pd.DataFrame({"other": ["x"], label.title(): ["y"], text.upper(): ["a"]})
                right = {"text": text.upper(), "label": label.title()}
                assert columns.find(rows, {}, "classify") == right


def test_a_name_as_it_stands_wins_over_one_in_capitals_or_with_blanks(tmp_path):
    rows = pd.DataFrame({"text": ["a", "b"], "Text": ["c", "d"], " Label ": [0, 1]})
    dataset = load(write(tmp_path, train=rows, validation=rows, test=rows))
    assert dataset.train["text"].tolist() == ["a", "b"]
    assert "reads text 'text' and label ' Label ' of" in dataset.source


def test_a_column_of_categories_is_looked_at_like_any_other(tmp_path):
    rows = pd.DataFrame({"text": list("abcdefghijkl"), "label": [0, 1] * 6})
    rows["lang"] = pd.Categorical(["en"] * 12)
    rows["kind"] = pd.Categorical(["x", "y"] * 6)
    dataset = load(write(tmp_path, train=rows, validation=rows, test=rows))
    assert "leaves aside 'kind' (2 labels)" in dataset.source and "lang" not in dataset.source


def test_a_message_shows_no_more_than_some_columns(tmp_path):
    rows = pd.DataFrame({f"column {n}": ["x"] for n in range(500)})
    assert load_error(write(tmp_path, train=rows, test=rows)).endswith("'column 39' and 460 more")


def test_a_split_without_columns_holds_no_examples(tmp_path):
    for split in SPLITS:
        (tmp_path / f"{split}.json").write_text("[]")
    assert load_error(str(tmp_path)) == "train holds no examples"


def test_named_columns_win_over_usual_ones(tmp_path):
    rows = pd.DataFrame(
        {"text": ["a", "b"], "label": [0, 1], "body": ["c", "d"], "kind": ["x", "y"], "id": [7, 8]}
    )
    path = write(tmp_path, train=rows, validation=rows, test=rows)
    dataset = load(path, text_column="body", label_column="kind")
    assert list(dataset.train.columns) == [
        *("id", "text", "label", "source_text", "source_label", "source_id", "source_row")
    ]
    assert dataset.train["text"].tolist() == ["c", "d"]
    assert dataset.train["source_text"].tolist() == ["a", "b"]
    assert dataset.train["source_id"].tolist() == [7, 8]
    assert dataset.label_names == ("x", "y")
    pair = load(path, text_column="body", pair_column="text")
    assert pair.train["text_pair"].tolist() == ["a", "b"]


def test_a_renamed_column_never_takes_the_name_of_another():
    rows = pd.DataFrame({"text": ["a"], "label": ["b"], "source_id": [1], "id": [2]})
    renamed = columns.rename(rows, {"text": "text", "label": "label"})
    assert renamed.to_dict("list") == {
        **{"text": ["a"], "label": ["b"]},
        **{"source_id": [1], "source_source_id": [2]},
    }


def test_one_text_of_a_pair_can_be_used_alone_and_one_name_completes_a_pair(tmp_path):
    rows = pd.DataFrame({"premise": ["a", "b"], "hypothesis": ["c", "d"], "label": [0, 1]})
    path = write(tmp_path, train=rows, validation=rows, test=rows)
    alone = load(path, text_column="hypothesis")
    assert not alone.is_pair and "premise" in alone.train
    both = load(path, pair_column="hypothesis")
    assert both.train[["text", "text_pair"]].to_numpy().tolist() == [["a", "c"], ["b", "d"]]


def test_a_wrong_or_missing_column_is_named_beside_those_there(tmp_path):
    rows = pd.DataFrame({"words": ["a", "b"], "kind": [0, 1]})
    path = write(tmp_path, train=rows, validation=rows, test=rows.rename(columns={"kind": "sort"}))
    for needed, named in (("text", {"label_column": "kind"}), ("label", {"text_column": "words"})):
        said = load_error(path, **named)
        assert f"task=classify needs {needed}_column" in said
        assert "the columns are 'words' and 'kind'" in said
    for parameter in ("text_column", "pair_column", "label_column"):
        assert f"{parameter}='wrong' is not among the columns 'words' and 'kind'" in load_error(
            path, **{parameter: "wrong"}
        )
    both = {"text_column": "words", "label_column": "kind"}
    assert "test lacks the column 'kind', it has 'words' and 'sort'" in load_error(path, **both)
    assert "different columns" in load_error(path, text_column="words", label_column="words")


def test_columns_that_parquet_cannot_hold_become_json_text(tmp_path):
    lines = [
        '{"text": "a", "label": 0, "mixed": 1, "meta": {}, "tokens": ["x", "y"]}',
        '{"text": "b", "label": 1, "mixed": "one", "tokens": []}',
    ]
    for split in SPLITS:
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    dataset = load(str(tmp_path))
    assert dataset.train["mixed"].tolist() == ["1", '"one"']
    assert dataset.train["meta"][0] == "{}" and pd.isna(dataset.train["meta"][1])
    assert dataset.train["tokens"].tolist() == [["x", "y"], []]
    storage.save(dataset, tmp_path / "saved")
    assert storage.open_saved(tmp_path / "saved").dataset().train["meta"][0] == "{}"
