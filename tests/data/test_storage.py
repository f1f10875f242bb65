"""A dataset on disk is read and written in parts, and is the same as in one piece."""

import numpy as np
import pandas as pd
import pytest

from influence.config.parameters import FitConfig
from influence.data import storage
from influence.data.dataset import SPLITS, Digest, digest_of, texts_of
from influence.models import tokenizers, tokens
from influence.models.inputs import encode, open_tokens
from tests.helpers import tiny
from tests.helpers.tables import load


@pytest.fixture
def whole(tmp_path) -> storage.Saved:
    dataset = load(str(tiny.write(tmp_path / "talk", tiny.frames())))
    storage.save(dataset, tmp_path / "saved", part=16)  # so that 121 rows are eight parts
    return storage.open_saved(tmp_path / "saved")


def test_the_parts_of_a_split_are_the_split(whole):
    parts = list(whole.parts("train", ["id", "label"]))
    assert [len(part) for part in parts] == [16] * 7 + [9]
    joined = pd.concat(parts)
    assert joined.index.tolist() == list(range(121))
    pd.testing.assert_frame_equal(joined, whole.read("train", ["id", "label"]))
    assert whole.count("train") == 121 and whole.count("test") == 36


def test_rows_are_taken_in_the_order_asked_for(whole):
    rows = np.array([120, 3, 17, 0, 3])
    taken = whole.take("train", rows, ["id"])
    assert taken["id"].tolist() == whole.read("train")["id"].iloc[rows].tolist()


def test_a_subset_written_in_parts_is_the_one_written_at_once(whole, tmp_path):
    kept = np.array([0, 2, 15, 16, 90, 120])
    every = np.arange(121)
    storage.save_subsets(whole, {tmp_path / "few": kept, tmp_path / "all": every})
    train = whole.read("train").iloc[kept].reset_index(drop=True)
    few = storage.open_saved(tmp_path / "few")
    pd.testing.assert_frame_equal(few.read("train"), train)
    pd.testing.assert_frame_equal(few.read("test"), whole.read("test"))
    splits = {**whole.dataset().splits, "train": train}
    assert few.digest == digest_of(splits, whole.label_names)
    assert storage.open_saved(tmp_path / "all").digest == whole.digest


def test_the_last_part_of_a_subset_may_be_empty(whole, tmp_path):
    storage.save_subsets(whole, {tmp_path / "first": np.arange(16)})
    assert storage.open_saved(tmp_path / "first").count("train") == 16


def test_the_digest_does_not_depend_on_the_parts(whole):
    pieces = Digest()
    for split in SPLITS:
        for part in whole.parts(split):
            pieces.add(split, part)
    assert pieces.of(whole.label_names) == whole.digest
    assert pieces.of(whole.label_names[::-1]) != whole.digest


def test_tokens_are_made_once_and_are_those_of_all_rows_at_once(whole, tmp_path, monkeypatch):
    config = FitConfig(model="tiny", max_length=8)
    tokenizer = tokenizers.load_tokenizer(config, texts_of(whole.read("train")))
    made = open_tokens(whole, "train", tokenizer, config, tmp_path / "tokens")
    at_once = encode(tokenizer, whole.read("train"), config)
    assert isinstance(made.ids, np.memmap)
    rows = np.array([5, 120, 77])
    for name, tensor in tokens.collate(at_once, rows).items():
        assert (tokens.collate(made, rows)[name] == tensor).all()
    assert made.lengths.tolist() == at_once.lengths.tolist()

    def never(*arguments):
        raise AssertionError("tokenised again")

    monkeypatch.setattr(tokens, "encode", never)
    again = open_tokens(whole, "train", tokenizer, config, tmp_path / "tokens")
    assert again.ids.tolist() == made.ids.tolist()
    with pytest.raises(AssertionError, match="tokenised again"):
        longer = FitConfig(model="tiny", max_length=9)
        open_tokens(whole, "train", tokenizer, longer, tmp_path / "tokens")


def test_a_tokenizer_keeps_its_digest_whatever_it_was_last_asked(whole):
    config = FitConfig(model="tiny")
    tokenizer = tokenizers.load_tokenizer(config, texts_of(whole.read("train")))
    before = tokenizers.tokenizer_digest(tokenizer)
    tokenizer(["some text"], truncation=True, max_length=4, padding=True)
    assert tokenizers.tokenizer_digest(tokenizer) == before
    other = tokenizers.load_tokenizer(config, ["quite other words"])
    assert tokenizers.tokenizer_digest(other) != before
