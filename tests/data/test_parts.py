"""Whatever the size of its parts, a dataset on disk is what it would be in one piece."""

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influence.data import storage
from influence.data.dataset import SPLITS, Dataset, Digest, digest_of
from influence.runtime import store
from tests.helpers import pieces

few = settings(max_examples=25)


def groups(path: Path) -> list[int]:
    """Rows of each group of a Parquet file."""
    metadata = pq.ParquetFile(path).metadata
    return [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]


def filled(rows: int, part: int) -> list[int]:
    """The sizes of parts that are full, but for the last."""
    return [min(part, rows - start) for start in range(0, rows, part)]


@few
@given(pieces.sizes(), pieces.PARTS)
def test_the_parts_of_a_split_are_the_split(size, part):
    stored, rows = size
    with TemporaryDirectory() as name:
        whole = pieces.write(Path(name), rows, stored)
        assert groups(Path(name) / "train.parquet") == (filled(rows, stored) or [0])
        parts = list(whole.parts("train", part=part))
        tables = [table for _, table in whole.tables("train", part=part)]
        assert pa.concat_tables(tables).equals(pq.read_table(Path(name) / "train.parquet"))
        assert pd.concat(parts).index.tolist() == list(range(rows))
        assert [len(some) for some in parts] == [len(table) for table in tables]
        assert all(0 < len(some) <= part for some in parts) or (rows, len(parts)) == (0, 1)
        assert sum(([*some["id"]] for some in parts), []) == whole.read("train")["id"].tolist()


@few
@given(pieces.sizes(least=1), pieces.PARTS, st.data())
def test_rows_are_taken_at_any_places_in_any_order(size, part, data):
    stored, rows = size
    places = np.array(data.draw(st.lists(st.integers(0, rows - 1), max_size=9)), dtype=int)
    with TemporaryDirectory() as name:
        whole = pieces.write(Path(name), rows, stored)
        taken = whole.take("train", places, part=part)
        right = pq.read_table(Path(name) / "train.parquet").take(pa.array(places))
        assert taken.columns.tolist() == right.schema.names
        assert pa.Table.from_pandas(taken, right.schema).to_pylist() == right.to_pylist()
        named = whole.take("train", places, ["id"], part)
        assert named["id"].tolist() == right["id"].to_pylist()


@pytest.mark.parametrize("places", [[9], [-1], [0, 12], [-1, 3]])
def test_a_row_that_is_not_there_cannot_be_taken(tmp_path, places):
    whole = pieces.write(tmp_path, 9, 4)
    with pytest.raises(IndexError):
        whole.take("train", np.array(places), ["id"])


@few
@given(pieces.sizes(least=1), pieces.PARTS, st.data())
def test_subsets_written_in_parts_are_those_taken_at_once(size, part, data):
    stored, rows = size
    kept = [data.draw(pieces.subsets(rows, part)) for _ in range(3)]
    with TemporaryDirectory() as name:
        whole = pieces.write(Path(name) / "whole", rows, stored)
        at = {Path(name) / f"{number}": own for number, own in enumerate(kept)}
        storage.save_subsets(whole, at, part)
        table = pq.read_table(Path(name) / "whole/train.parquet")
        train, splits = whole.read("train"), whole.dataset().splits
        for directory, own in at.items():
            subset = storage.open_saved(directory)
            found = pq.read_table(directory / "train.parquet")
            assert found.schema.equals(table.schema, check_metadata=True)
            assert found.to_pylist() == table.take(pa.array(own)).to_pylist()
            assert groups(directory / "train.parquet") == filled(len(own), part)
            splits["train"] = train.iloc[own]
            assert subset.digest == digest_of(splits, pieces.NAMES)
            assert subset.label_names == pieces.NAMES and subset.count("test") == 3
            assert subset.files["validation"] == whole.files["validation"]


def test_a_subset_that_fills_the_part_that_ends_the_train_set_is_written(tmp_path):
    whole = pieces.write(tmp_path / "whole", 7, 4)
    storage.save_subsets(whole, {tmp_path / "four": np.array([0, 2, 4, 6])}, 4)
    four = storage.open_saved(tmp_path / "four")
    assert four.array("train", "text").tolist() == [
        whole.array("train", "text")[row] for row in (0, 2, 4, 6)
    ]


def test_nothing_kept_of_many_parts_is_a_dataset_without_train_rows(tmp_path):
    whole = pieces.write(tmp_path / "whole", 20, 4)
    storage.save_subsets(whole, {tmp_path / "none": np.array([])}, 3)
    none = storage.open_saved(tmp_path / "none")
    assert (none.count("train"), none.count("validation")) == (0, 4)
    assert none.columns("train") == whole.columns("train")
    assert none.digest == digest_of(none.dataset().splits, pieces.NAMES)


def test_a_subset_of_a_subset_is_that_of_the_whole(tmp_path):
    whole = pieces.write(tmp_path / "whole", 20, 4)
    storage.save_subsets(whole, {tmp_path / "one": np.arange(1, 20)}, 3)
    one = storage.open_saved(tmp_path / "one")
    storage.save_subsets(one, {tmp_path / "two": np.arange(2, 19)}, 5)
    storage.save_subsets(whole, {tmp_path / "at once": np.arange(3, 20)}, 7)
    two, at_once = (storage.open_saved(tmp_path / name) for name in ("two", "at once"))
    pd.testing.assert_frame_equal(two.read("train"), at_once.read("train"))
    assert two.digest == at_once.digest != whole.digest


@few
@given(pieces.sizes(least=1), pieces.PARTS)
def test_the_digest_does_not_depend_on_parts(size, part):
    stored, rows = size
    with TemporaryDirectory() as name:
        whole = pieces.write(Path(name), rows, stored)
        digest = Digest()
        for split in SPLITS:
            for some in whole.parts(split, part=part):
                digest.add(split, some)
        assert digest.of(pieces.NAMES) == whole.digest
        assert whole.digest == digest_of(whole.dataset().splits, pieces.NAMES)
        read = whole.dataset()
        assert storage.digest_of_rest(read, part) == storage.digest_of_rest(read)


SINGLE = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@few
@given(st.lists(SINGLE) | st.lists(SINGLE | st.lists(SINGLE) | st.just(pd.Timestamp(0))))
def test_the_digest_is_made_of_one_line_of_json_for_each_value(values):
    rows = pd.DataFrame({"id": pd.Series(values, dtype=object)})
    made = Digest()
    made.add("train", rows)
    lines = [json.dumps(value, default=str) + "\n" for value in values]
    expected = hashlib.blake2b("".join(lines).encode(), digest_size=16)
    assert made.columns["train", "id"].hexdigest() == expected.hexdigest()


def test_the_digest_of_the_rest_tells_other_columns_apart_and_not_those_of_the_digest():
    rest = {}
    for name, change in {
        "same": {},
        "day": {"day": "2020-01-01"},
        "tags": {"tags": [["other"]] * 12},
        "more": {"more": 1},
        "label": {"label": 0},
    }.items():
        few = {"validation": pieces.frame(4), "test": pieces.frame(3)}
        train = pieces.frame(12).assign(**change)
        made = Dataset("x", train, **few, label_names=pieces.NAMES, digest="", dropped={})
        rest[name] = storage.digest_of_rest(made)
    assert rest["same"] == rest["label"]
    assert len({rest[name] for name in ("same", "day", "tags", "more")}) == 4


@few
@given(pieces.PARTS, st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_rows_come_in_any_numbers_and_lie_in_groups_of_a_part(part, counts):
    tables, start = [], 0
    for count in counts:
        tables.append(pa.table({"n": np.arange(start, start + count)}))
        start += count
    with TemporaryDirectory() as name:
        with storage.rows_file(Path(name) / "rows", part) as add:
            for table in tables:
                add(table)
        assert pq.read_table(Path(name) / "rows")["n"].to_pylist() == list(range(start))
        assert groups(Path(name) / "rows") == filled(start, part)


def test_a_file_of_rows_that_is_cut_off_is_not_there(tmp_path):
    def write() -> None:
        with storage.rows_file(tmp_path / "rows", 2) as add:
            add(pa.table({"n": np.arange(5)}))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("sizes", [(3, 0, 6), (0, 9), (9, 0), (1, 0, 0, 8)])
def test_a_file_with_other_groups_some_of_them_empty_is_read_as_it_is(tmp_path, sizes):
    whole = pieces.write(tmp_path / "whole", 9, 4)
    path, start = tmp_path / "whole/train.parquet", 0
    table = pq.read_table(path)
    with pq.ParquetWriter(path, table.schema) as writer:
        for size in sizes:
            writer.write_table(table.slice(start, size))
            start += size
    assert groups(path) == list(sizes)
    facts = json.loads((tmp_path / "whole/dataset.json").read_text())
    facts["files"]["train"] = store.file_digest(path)
    store.write_json(tmp_path / "whole/dataset.json", facts)
    again = storage.open_saved(tmp_path / "whole")
    parts = [len(part) for part in again.parts("train", part=4)]
    assert parts == [length for size in sizes for length in filled(size, 4)]
    assert again.take("train", np.array([8, 3]))["id"].tolist() == [
        table["id"][row].as_py() for row in (8, 3)
    ]
    storage.save_subsets(again, {tmp_path / "all": np.arange(9)}, 4)
    assert storage.open_saved(tmp_path / "all").digest == whole.digest
    assert groups(tmp_path / "all/train.parquet") == [4, 4, 1]
