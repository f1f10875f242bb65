"""Whatever the size of the parts in which arrays are looked at, what comes of them is the same."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from influence.models import classifier, embeddings
from influence.models import tokens as batches
from influence.models.tokens import Tokens, starts_of
from influence.sampling import order
from influence.sampling.arms import Arm
from influence.sampling.order import Minimum
from influence.sampling.rules import linear_map
from influence.trace import representations
from influence.trace.closed_forms import squared_norm, token_products
from influence.trace.meter import Meter
from tests.helpers import architectures, pieces
from tests.trace.test_meter import STEPS, examples, measured, meter


def first_of_each(ranked: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """The places of an order that hold the first `count` of each group, one after another."""
    seen = dict.fromkeys(groups.tolist(), 0)
    front = np.zeros(len(ranked), dtype=bool)
    for place, row in enumerate(ranked.tolist()):
        seen[groups[row]] += 1
        front[place] = seen[groups[row]] <= count
    return front


@given(pieces.sizes(), st.integers(0, 4), st.integers(1, 4), st.integers(0, 99))
def test_what_a_floor_keeps_does_not_depend_on_parts(size, count, classes, seed):
    part, rows = size
    generator = np.random.default_rng(seed)
    ranked, groups = generator.permutation(rows), generator.integers(0, classes, rows)
    finer = generator.integers(0, 3, rows)
    minimums = [Minimum(groups, count), Minimum(finer, 1)]
    right = first_of_each(ranked, groups, count)
    assert np.array_equal(order._protected(ranked, minimums[:1], part), right)
    both = right | first_of_each(ranked, finer, 1)
    assert np.array_equal(order._protected(ranked, minimums, part), both)
    kept_first = [*ranked[both], *ranked[~both]]
    assert order._protected_first(ranked, minimums).tolist() == kept_first


@given(pieces.sizes(), st.integers(0, 99))
def test_the_rows_that_are_used_do_not_depend_on_parts(size, seed):
    part, count = size
    ids = np.random.default_rng(seed).integers(0, 12, count).astype(np.int32)
    assert embeddings._used(ids, 15, 14, 0, part=part).tolist() == sorted({*ids.tolist(), 0, 14})


@given(pieces.sizes(), pieces.PARTS, st.integers(0, 99))
def test_an_epoch_is_every_example_once_and_sorted_inside_its_pools(size, pool, seed):
    batch, rows = size
    lengths = np.random.default_rng(seed).integers(0, 9, rows)
    epoch = list(batches.training_batches(lengths, batch, seed, 3, pool))
    assert sorted(np.concatenate([np.array([], int), *epoch])) == list(range(rows))
    assert sorted(map(len, epoch)) == sorted(
        min(batch, rows - start) for start in range(0, rows, batch)
    )
    drawn = np.random.default_rng([seed, 3]).permutation(rows)
    for start in range(0, rows, pool * batch):
        together = set(drawn[start : start + pool * batch].tolist())
        own = [some for some in epoch if together & set(some.tolist())]
        assert set(np.concatenate(own).tolist()) == together
        ranges = sorted((lengths[some].min(), lengths[some].max()) for some in own)
        assert all(one[1] <= other[0] for one, other in zip(ranges, ranges[1:], strict=False))


@given(st.lists(st.integers(0, 9), max_size=22), st.integers(1, 30))
def test_batches_of_a_budget_hold_everything_once_and_as_much_as_fits(lengths, budget):
    sizes = np.array(lengths, dtype=np.int32)
    found = list(batches.budget_batches(sizes, budget))
    assert [row for some in found for row in some] == np.argsort(sizes, kind="stable").tolist()
    assert all(len(some) == 1 or len(some) * sizes[some].max() <= budget for some in found)
    for some, following in zip(found, found[1:], strict=False):
        next_one = sizes[following[0]]
        assert next_one == 0 or (len(some) + 1) * next_one > budget


def of_lengths(lengths: list[int]) -> Tokens:
    sizes = np.array(lengths, dtype=np.int32)
    ids = np.random.default_rng(1).integers(5, 15, sizes.sum()).astype(np.int32)
    return Tokens(ids, None, starts_of(sizes), sizes, 0)


@settings(max_examples=20)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(1, 40))
def test_predictions_and_vectors_do_not_depend_on_the_batches(lengths, budget):
    model, tokens = architectures.build("bert"), of_lengths(lengths)
    for function in (classifier.predict, representations.represent):
        alone = [function(model, tokens.take(np.array([row]))) for row in range(len(lengths))]
        found = function(model, tokens, budget)
        np.testing.assert_allclose(found, np.concatenate(alone), rtol=1e-4, atol=1e-5)


def test_no_examples_have_no_predictions():
    model, tokens = architectures.build("bert"), of_lengths([3, 4]).take(np.array([], dtype=int))
    assert classifier.predict(model, tokens).shape == (0, 3)
    assert Meter([]).measure(tokens, np.array([], int), np.array([], int), 9).at == {}


@pytest.mark.parametrize("at_once", range(1, 8))
def test_a_pass_does_not_depend_on_the_batches_that_a_checkpoint_is_opened_for(
    at_once, monkeypatch
):
    tokens, labels = examples("bert", 7)
    rows, budget = np.arange(7), int(tokens.lengths.max())
    right = measured(meter("bert").measure(tokens, labels, rows, budget))
    opened, build = [], architectures.build
    monkeypatch.setattr(architectures, "build", lambda *a: opened.append(a) or build(*a))
    streamed = meter("bert", streamed=True).measure(tokens, labels, rows, budget, at_once=at_once)
    found, count = measured(streamed), len(list(batches.budget_batches(tokens.lengths, budget)))
    assert len(opened) == len(STEPS) * math.ceil(count / at_once) and count > 3
    assert found.keys() == right.keys()
    assert all(np.array_equal(found[key], right[key]) for key in right)


@given(st.integers(1, 7), st.integers(1, 9), st.integers(0, 99))
def test_norms_do_not_depend_on_how_many_tokens_are_many(many, tokens, seed):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn((2, tokens, 40), generator=generator)
    columns = torch.randn((2, tokens, 40), generator=generator)
    right = torch.bmm(rows.transpose(1, 2), columns).square().sum((1, 2))
    found = squared_norm([(rows, columns)], lambda factor: token_products(factor, many))
    torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-3)
    ids = torch.randint(-1, 3, (2, tokens), generator=generator)
    one_hot = torch.nn.functional.one_hot(ids + 1, 4)[..., 1:].float()
    right = torch.bmm(one_hot.transpose(1, 2), columns).square().sum((1, 2))
    found = squared_norm([(ids, columns)], lambda factor: token_products(factor, many))
    torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-3)


@given(st.integers(1, 22), st.integers(1, 4), st.integers(0, 99))
def test_a_blend_weighs_an_example_by_the_mean_of_its_scores(rows, scores, seed):
    generator = np.random.default_rng(seed)
    hardness = {name: generator.exponential(size=rows) for name in ("el2n", "vog", "aum", "loss")}
    arm = Arm(tuple(hardness)[:scores], "linear")
    weights = np.mean([linear_map(hardness[name]) for name in arm.scores], axis=0)
    # A draw without replacement by these weights: their logarithms, plus the noise of the seed.
    noise = np.random.default_rng(seed).gumbel(size=rows)
    found = order.order(arm, hardness, np.zeros(rows, dtype=int), seed)
    assert found.tolist() == np.argsort(-(np.log(weights) + noise), kind="stable").tolist()
