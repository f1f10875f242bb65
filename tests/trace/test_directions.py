"""The mean gradients of a split, and the products of a pass with them."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from influence.errors import InputError
from influence.models.layers import parameter_group
from influence.models.tokens import collate
from influence.scores import PRODUCTS
from influence.trace import directions
from influence.trace import self_check as checks
from influence.trace.gradient_norms import NormRecorder
from influence.trace.meter import Meter, Resident
from tests.helpers import architectures
from tests.trace.test_meter import EVERY, examples

WHOLE, BY_CLASS = PRODUCTS
STEPS = (10, 20)
VALIDATION = 11


def validation(name: str):
    tokens, labels = examples(name, 13 + VALIDATION)
    rows = np.arange(13, 13 + VALIDATION)
    return tokens.take(rows), labels[rows]


def written(folder, name, which="all", by_class=True, budget=40, seed=0):
    model = architectures.build(name, seed)
    given = (model, which, validation(name), budget, by_class)
    directions.write_mean_gradients(folder, *given)
    return folder


def plain_mean(name, label=None, which="all", seed=0):
    """The mean gradient of validation, or of a class of it, one example at a time in 64 bits."""
    model, (tokens, labels) = architectures.build(name, seed).double(), validation(name)
    rows = np.flatnonzero(labels == label) if label is not None else np.arange(len(labels))
    for row in rows:
        logits = model(**collate(tokens, np.array([row]))).logits
        cross_entropy(logits, torch.tensor(labels[[row]])).backward()
    named = dict(model.named_parameters(remove_duplicate=False))
    grads = {one: named[one].grad for one in parameter_group(model, which)}
    return {one: grad / len(rows) for one, grad in grads.items() if grad is not None}


def distance(found, right):
    """How far a gradient is from the right one, relative to that; some of its parts are zero."""
    squares = [(found[one] - right[one]).square().sum() for one in right]
    return (sum(squares) / sum(gradient.square().sum() for gradient in right.values())).sqrt()


def meter(tmp_path, name, which="all", norms=(), **settings) -> Meter:
    quantities = frozenset({*PRODUCTS, *norms, "logits"})
    residents = []
    for seed, step in enumerate(STEPS):
        folder = tmp_path / f"{which}-{step}"
        if not folder.exists():
            written(folder, name, which, seed=seed)
        opened = partial(directions.open_directions, folder, "cpu", {*PRODUCTS}, 3)
        model = partial(architectures.build, name, seed)
        residents.append(Resident(0, step, model, quantities, (), opened))
    return Meter(residents, which, **settings)


@pytest.mark.parametrize("which", ["all", "last_layer", "weight$"])
@pytest.mark.parametrize("name", ["bert", "gpt2", "albert"])
def test_mean_gradients_are_those_of_single_examples(tmp_path, name, which):
    opened = directions.open_directions(written(tmp_path / "a", name, which), "cpu", {*PRODUCTS}, 3)
    whole = plain_mean(name, which=which)
    assert opened[WHOLE].gradients[0].keys() == whole.keys()
    for label, found in enumerate([opened[WHOLE], *[opened[BY_CLASS]] * 3], start=-1):
        right = plain_mean(name, None if label < 0 else label, which)
        assert {gradient.dtype for gradient in found.of(label).values()} == {torch.float32}
        assert distance(found.of(label), right) < 1e-6


def test_the_mean_over_validation_is_the_same_whether_classes_are_asked_for_or_not(tmp_path):
    both, alone = (
        written(tmp_path / str(asked), "bert", by_class=asked) for asked in (True, False)
    )
    one, other = (
        directions.open_directions(at, "cpu", {WHOLE}, 3)[WHOLE].of(0) for at in (both, alone)
    )
    assert all(torch.equal(one[key], other[key]) for key in one) and one.keys() == other.keys()
    assert [file.name for file in alone.iterdir()] == [directions.MEAN]


def test_the_size_of_the_batches_does_not_matter(tmp_path):
    small, large = (written(tmp_path / str(size), "bert", budget=size) for size in (1, 10_000))
    one, other = (
        directions.open_directions(at, "cpu", {WHOLE}, 3)[WHOLE].of(0) for at in (small, large)
    )
    assert distance(one, other) < 1e-6


def test_a_folder_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    folder = tmp_path / "it"
    assert not directions.are_there(folder)
    save, saved = directions.save_file, []

    def until_the_third(*given, **more):
        saved.append(given)
        if len(saved) == 3:
            raise KeyboardInterrupt
        save(*given, **more)

    monkeypatch.setattr(directions, "save_file", until_the_third)
    with pytest.raises(KeyboardInterrupt):
        written(folder, "bert")
    assert not folder.exists() and not directions.are_there(folder)
    written(folder, "bert")
    assert directions.are_there(folder) and directions.seconds_of(folder) > 0
    assert len(list(folder.iterdir())) == 4
    cut = folder / "class-000001.safetensors"
    cut.write_bytes(cut.read_bytes()[:-5])
    assert not directions.are_there(folder)


def test_a_disk_without_room_for_the_gradients_of_all_classes_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(directions.shutil, "disk_usage", lambda at: directions_free(2**10))
    with pytest.raises(InputError, match="mean gradients of 3 classes take .* fewer parameters"):
        written(tmp_path / "it", "bert")


def directions_free(size):
    return type("Usage", (), {"free": size})()


@pytest.mark.parametrize("name", EVERY)
def test_the_products_of_a_pass_are_those_of_single_examples(tmp_path, name):
    # DeBERTa has a layer without a rule, and takes one example at a time in the pass as well.
    tokens, labels = examples(name)
    rows, whole = np.arange(len(tokens)), meter(tmp_path, name, norms=["layer_norms"])
    fused = whole.measure(tokens, labels, rows, batch_tokens=64).at
    slow = checks.reference(whole, tokens, labels, rows).at
    assert {key[1] for key in fused} == {*PRODUCTS, "layer_norms", "logits"}
    for quantity in PRODUCTS:
        for step in STEPS:
            key = 0, quantity, step
            largest = slow[0, checks.LARGEST + quantity, step]
            difference = abs(fused[key] - slow[key])
            assert (difference <= 1e-5 * abs(slow[key]) + 3e-7 * largest).all()
            assert checks.relative(fused[key], slow[key]) < 1e-5
    assert checks.self_check(whole, tokens, labels, 4) < 1e-5


@pytest.mark.parametrize("name", ["bert", "gpt2", "deberta-v2"])
def test_batches_order_and_streaming_do_not_matter(tmp_path, name):
    tokens, labels = examples(name)
    rows = np.arange(len(tokens))
    alone = meter(tmp_path, name).measure(tokens, labels, rows, batch_tokens=1).at
    order = np.random.default_rng(0).permutation(rows)
    shuffled = meter(tmp_path, name).measure(tokens, labels, order, batch_tokens=10_000).at
    for key, right in alone.items():
        atol = 1e-6 * abs(right).max()
        np.testing.assert_allclose(shuffled[key], right[order], rtol=2e-5, atol=atol)
    kept = meter(tmp_path, name).measure(tokens, labels, rows, batch_tokens=30).at
    streamed = meter(tmp_path, name, streamed=True)
    found = streamed.measure(tokens, labels, rows, batch_tokens=30, at_once=2).at
    assert not streamed.kept
    assert all(np.array_equal(found[key], kept[key]) for key in kept)


def test_a_product_with_the_own_class_is_that_of_the_class_alone(tmp_path):
    tokens, labels = examples("bert")
    rows, whole = np.arange(len(tokens)), meter(tmp_path, "bert")
    found = whole.measure(tokens, labels, rows, batch_tokens=64).at
    counts = np.bincount(validation("bert")[1])
    by_class = directions.open_directions(tmp_path / "all-10", "cpu", {BY_CLASS}, 3)[BY_CLASS]
    total = np.zeros(len(tokens))
    for label in range(3):
        only = directions.Direction([by_class.of(label)])
        resident = whole.residents[0]
        one = Resident(0, 10, resident.model, frozenset({WHOLE}), (), lambda o=only: {WHOLE: o})
        products = Meter([one]).measure(tokens, labels, rows, batch_tokens=64).at[0, WHOLE, 10]
        own = labels == label
        scale = 1e-5 * abs(products).max()
        np.testing.assert_allclose(found[0, BY_CLASS, 10][own], products[own], atol=scale)
        total += products * counts[label] / counts.sum()
    np.testing.assert_allclose(found[0, WHOLE, 10], total, atol=1e-5 * abs(total).max())


def test_the_self_check_notices_a_wrong_product(tmp_path, monkeypatch):
    tokens, labels = examples("bert")
    whole, right = meter(tmp_path, "bert"), NormRecorder.norms

    def wrong(self, *given, **more):
        found = right(self, *given, **more)
        return {**found, WHOLE: found[WHOLE] * 1.01}

    assert checks.self_check(whole, tokens, labels, 4) < 1e-5
    monkeypatch.setattr(NormRecorder, "norms", wrong)
    assert checks.self_check(whole, tokens, labels, 4) > checks.MISMATCH


def test_bf16_ranks_products_nearly_as_fp32(tmp_path):
    tokens, labels = examples("bert", 60)
    ranked = checks.rank_correlations(meter(tmp_path, "bert", precision="bf16"), tokens, labels, 50)
    assert {*PRODUCTS} <= set(ranked) and all(0.9 < value < 1 for value in ranked.values())


def test_a_small_step_on_an_example_changes_the_validation_loss_by_its_value(tmp_path):
    # Value times learning rate is what a step of plain gradient descent takes off, to first order.
    tokens, labels = examples("bert")
    others, gold = validation("bert")
    products = meter(tmp_path, "bert").measure(tokens, labels, np.arange(13), 64).at[0, WHOLE, 10]
    rate = 1e-4
    for row in range(len(tokens)):
        losses = []
        for sign in (-1, 1):  # in the middle of both steps the second order cancels
            model = architectures.build("bert").double()
            logits = model(**collate(tokens, np.array([row]))).logits
            cross_entropy(logits, torch.tensor(labels[[row]])).backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    if parameter.grad is not None:
                        parameter.sub_(parameter.grad, alpha=sign * rate)
                logits = model(**collate(others, np.arange(len(gold)))).logits
                losses.append(cross_entropy(logits, torch.tensor(gold)).item())
        change = (losses[1] - losses[0]) / 2
        assert change == pytest.approx(-rate * products[row], rel=1e-3, abs=1e-3 * rate)


def test_mean_gradients_are_taken_in_evaluation_mode_and_leave_the_model_frozen(tmp_path):
    model = architectures.build("bert").train()
    directions.write_mean_gradients(tmp_path / "a", model, "all", validation("bert"), 40, False)
    assert not any(p.requires_grad or p.grad is not None for p in model.parameters())
    assert not model.training
    one = directions.open_directions(tmp_path / "a", "cpu", {WHOLE}, 3)[WHOLE].of(0)
    assert distance(one, plain_mean("bert")) < 1e-6
