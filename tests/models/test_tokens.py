from pathlib import Path

import numpy as np
import pytest

from influence.models import tokens as batches
from influence.models.tokens import Tokens, starts_of


@pytest.fixture
def tokens() -> Tokens:
    lengths = np.array([3, 1, 4, 2, 4])
    ids = np.arange(1, lengths.sum() + 1, dtype=np.int32)
    return Tokens(ids, (ids % 2).astype(np.int8), starts_of(lengths), lengths, pad=0)


def test_a_batch_holds_the_tokens_of_its_rows_and_padding_elsewhere(tokens):
    batch = batches.collate(tokens, np.array([3, 0]))
    assert batch["input_ids"].tolist() == [[9, 10, 0], [1, 2, 3]]
    assert batch["token_type_ids"].tolist() == [[1, 0, 0], [1, 0, 1]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]


def test_a_batch_can_be_wider_than_its_longest_row(tokens):
    assert batches.collate(tokens, np.array([1]), width=3)["input_ids"].tolist() == [[4, 0, 0]]


def test_taking_rows_keeps_their_tokens_and_order(tokens):
    taken = tokens.take(np.array([2, 1]))
    assert taken.lengths.tolist() == [4, 1]
    batch = batches.collate(taken, np.array([1, 0]))
    assert batch["input_ids"].tolist() == [[4, 0, 0, 0], [5, 6, 7, 8]]
    assert taken.ids is tokens.ids  # nothing is copied


def test_every_example_is_in_one_batch_of_an_epoch():
    lengths = np.random.default_rng(0).integers(1, 40, size=1003)
    epoch = list(batches.training_batches(lengths, 32, seed=1, epoch=0))
    assert sorted(np.concatenate(epoch)) == list(range(1003))
    assert max(map(len, epoch)) == 32 and len(epoch) == 32


def test_the_order_depends_on_seed_and_epoch_alone():
    lengths = np.random.default_rng(0).integers(1, 40, size=200)
    flat = [
        np.concatenate(list(batches.training_batches(lengths, 8, seed, epoch)))
        for seed, epoch in ((1, 0), (1, 0), (1, 1), (2, 0))
    ]
    assert (flat[0] == flat[1]).all()
    assert (flat[0] != flat[2]).any() and (flat[0] != flat[3]).any()


def test_batches_of_similar_length_waste_little_padding():
    lengths = np.random.default_rng(0).integers(1, 100, size=3200)
    padded = sum(len(b) * lengths[b].max() for b in batches.training_batches(lengths, 32, 0, 0))
    assert padded < 1.1 * lengths.sum()


@pytest.mark.parametrize("budget", [1, 7, 64, 10_000])
def test_budget_batches_hold_everything_once_and_stay_in_budget(budget):
    lengths = np.random.default_rng(0).integers(1, 20, size=97)
    parts = list(batches.budget_batches(lengths, budget))
    assert sorted(np.concatenate(parts)) == list(range(97))
    assert all(len(p) == 1 or len(p) * lengths[p].max() <= budget for p in parts)


def test_the_larger_budget_makes_fewer_batches():
    lengths = np.full(100, 10)
    assert len(list(batches.budget_batches(lengths, 100))) == 10
    assert len(list(batches.budget_batches(lengths, 500))) == 2


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux to tell")
def test_of_a_map_of_a_file_no_page_stays_in_memory(tmp_path):
    path = tmp_path / "ids"
    np.arange(1_000_000, dtype=np.int32).tofile(path)
    ids = np.memmap(path, np.int32, "r")
    assert ids[::1000].sum() == sum(range(0, 1_000_000, 1000)) and _resident(path) > 0
    found = batches.read(ids, np.array([999_999, 3]))
    assert found.tolist() == [999_999, 3] and _resident(path) == 0


def _resident(path: Path) -> int:
    """Return the KiB of a mapped file that count as this process's own."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    next(line for line in lines if line.endswith(str(path)))
    return int(next(line for line in lines if line.startswith("Rss:")).split()[1])
