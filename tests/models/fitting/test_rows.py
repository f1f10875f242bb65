"""Batches gathered on the device are those of `collate`, and what fills them up counts not."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from influence.models.fitting.course import IGNORED
from influence.models.fitting.masks import mask_of
from influence.models.fitting.rows import Rows, width_of
from influence.models.shortcuts.casting import Linears
from influence.models.tokens import Tokens, collate, starts_of
from tests.helpers.architectures import ARCHITECTURES, UNUSUAL, build

CPU = torch.device("cpu")


def tokens(typed: bool = True, pad: int = 0) -> Tokens:
    generator = np.random.default_rng(0)
    lengths = np.array([3, 9, 5, 1, 12, 7], dtype=np.int32)
    ids = generator.integers(4, 40, lengths.sum()).astype(np.int32)
    ids[np.cumsum(lengths) - 1] = 3  # the end of a text, which some models look for
    types = (ids % 2).astype(np.int8) if typed else None
    return Tokens(ids, types, starts_of(lengths), lengths, pad)


@pytest.mark.parametrize("typed", [True, False])
def test_a_batch_is_that_of_collate(typed):
    some, numbers = tokens(typed), np.array([4, 0, 2])
    inputs, _ = Rows(some, CPU).batch(torch.from_numpy(numbers), 16, None, None)
    expected = collate(some, numbers, width=16)
    assert set(inputs) == set(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(inputs[name], tensor, rtol=0, atol=0)


def test_a_missing_row_is_padding_without_a_target():
    some = tokens(pad=2)
    rows = Rows(some, CPU)
    tags = rows.with_ignored(np.arange(len(some.ids)))
    inputs, own = rows.batch(torch.tensor([0, rows.count]), 8, tags, None)
    assert inputs["input_ids"][1].tolist() == [2] * 8
    assert inputs["attention_mask"].sum(1).tolist() == [3, 1]
    assert own[1].tolist() == [IGNORED] * 8 and own[0].tolist() == [0, 1, 2] + [IGNORED] * 5
    assert rows.with_ignored(np.arange(6))[rows.count] == IGNORED


@given(st.integers(1, 2048), st.integers(0, 2048))
def test_widths_are_few_and_pad_little(length, more):
    longest = length + more
    width = width_of(length, longest)
    assert length <= width <= longest
    assert width < length + 8 or width < length * 5 / 4
    assert len({width_of(one, longest) for one in range(1, longest + 1)}) <= 8 + 4 * 6 + 1


@pytest.mark.parametrize("name", [*ARCHITECTURES, *UNUSUAL])
def test_a_model_gets_the_mask_that_changes_nothing(name):
    model, some = build(name), tokens(typed=False, pad=build(name).config.pad_token_id)
    rows, numbers = Rows(some, CPU), np.arange(6)
    chosen = mask_of(model, some, torch.float32)
    with torch.no_grad():
        usual = model(**collate(some, numbers))[0]
        inputs, _ = rows.batch(torch.from_numpy(numbers), 12, None, chosen)
        torch.testing.assert_close(model(**inputs)[0], usual, rtol=1e-3, atol=1e-4)
    if name in ("bert", "roberta", "electra", "distilbert"):
        assert chosen is torch.float32  # asks nothing


@pytest.mark.parametrize("name", ["bert", "albert", "distilbert"])
def test_weights_cast_at_once_give_the_gradients_of_autocast(name):
    some, numbers = tokens(typed=False), np.arange(6)
    model = build(name)
    inputs = collate(some, numbers)

    def gradients(cast) -> dict[str, torch.Tensor]:
        model.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
            outputs = torch.func.functional_call(model, cast(), kwargs=inputs)
        outputs.logits.float().square().sum().backward()
        return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    with Linears(model) as linears:
        gradients(dict)
    assert bool(linears.cast()) and all(w.dtype == torch.bfloat16 for w in linears.cast().values())
    if name == "albert":  # its one layer is called twice: only the head and the embeddings' map
        assert not any("albert_layers" in key for key in linears.cast())
    ours, theirs = gradients(linears.cast), gradients(dict)
    assert set(ours) == set(theirs)
    for key, gradient in theirs.items():
        torch.testing.assert_close(ours[key], gradient, rtol=0, atol=0)
