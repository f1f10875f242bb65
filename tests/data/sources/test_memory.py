"""A table in memory is cut into train and test, or one sentence says why it cannot be."""

import pandas as pd
import pytest

from influence.data.sources import memory
from influence.errors import InputError


def cut(texts: list[str], labels: list) -> dict[str, list[str]]:
    tables = memory.splits(pd.DataFrame({"text": texts, "topic": labels}))
    splits = memory.with_test(tables, "topic")
    return {name: table.column("text").to_pylist() for name, table in splits.items()}


def test_a_fifth_of_each_class_is_cut_off_whatever_its_order():
    texts, labels = [f"text {number}" for number in range(30)], ["a", "b", "b"] * 10
    splits = cut(texts, labels)
    assert len(splits["test"]) == 6 and sorted(splits["train"] + splits["test"]) == sorted(texts)
    again = cut(texts[::-1], labels[::-1])
    assert {name: sorted(rows) for name, rows in again.items()} == {
        name: sorted(rows) for name, rows in splits.items()
    }


def test_no_class_leaves_train_even_where_its_rows_are_equal():
    splits = cut(
        ["same"] * 10 + [f"text {number}" for number in range(10)], ["a"] * 10 + ["b"] * 10
    )
    assert splits["train"].count("same") == 10 and len(splits["test"]) == 2


@pytest.mark.parametrize(
    ("texts", "labels", "largest"),
    [
        ([f"text {number}" for number in range(1000)], [n // 4 for n in range(1000)], 4),
        ([f"text {number}" for number in range(50)], [n / 50 for n in range(50)], 1),
        (["same"] * 60, ["a", "b"] * 30, 30),
    ],
)
def test_what_cannot_be_cut_is_told_with_its_reason(texts, labels, largest):
    said = (
        f"from {len(texts)} rows: it takes a fifth of each class, and no class of column 'topic' "
        rf"has five rows or more that are not all the same \(the largest has {largest}\)"
    )
    with pytest.raises(InputError, match=said):
        cut(texts, labels)
