"""What is measured of a probe is what plain autograd gives, example by example."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from influence.models.fitting import probe
from influence.scores import PRODUCTS
from influence.trace.meter import NORMS
from influence.trace.probing.quantities import AT_ONCE, Examples, ProbeMeter, Reading

CLASSES, WIDTH, COUNT = 4, 7, 23
STEPS = (10, 20, 30)
WINDOWS = {"spread@all": (10, 20, 30), "spread@odd": (10, 30)}
PARAMETERS = ("layers.0.weight", "layers.0.bias", "classifier.weight", "classifier.bias")
GROUPS = {
    "gradient_norms": PARAMETERS,
    "layer_norms": PARAMETERS[:2],
    "classifier_norms": PARAMETERS[2:],
}


def split(count: int, seed: int, classes: int = CLASSES) -> Examples:
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(count, WIDTH)).astype(np.float32)
    return Examples(probe.standardised(values), generator.integers(0, classes, count))


def heads(steps=STEPS) -> dict[int, probe.Head]:
    made = {}
    for step in steps:
        torch.manual_seed(step)
        made[step] = probe.Head(WIDTH, CLASSES, hidden=5).eval()
    return made


@pytest.fixture(scope="module")
def examples() -> tuple[Examples, Examples]:
    """Train, and a validation split without examples of the last class."""
    return split(COUNT, 0), split(11, 1, CLASSES - 1)


@pytest.fixture(scope="module")
def meter(examples) -> ProbeMeter:
    quantities = frozenset({"logits", *NORMS, *PRODUCTS})
    readings = [
        Reading(1, step, head, quantities, [key for key, of in WINDOWS.items() if step in of])
        for step, head in heads().items()
    ]
    return ProbeMeter(readings, *examples)


def gradients(head: probe.Head, part: Examples, row: int) -> dict[str, torch.Tensor]:
    """The gradient of one example's loss, by parameter."""
    head.requires_grad_(True)
    logits = head(part.vectors[row : row + 1]).logits
    loss = functional.cross_entropy(logits, torch.tensor(part.labels[row : row + 1]))
    named = dict(head.named_parameters())
    return dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))


def close(found: np.ndarray, right: np.ndarray) -> None:
    assert np.linalg.norm(found - right) <= 1e-5 * np.linalg.norm(right)


def test_norms_are_those_of_plain_autograd(meter, examples):
    train, _ = examples
    measured = meter.measure(0, COUNT)
    for step, head in heads().items():
        own = [gradients(head, train, row) for row in range(COUNT)]
        for quantity, names in GROUPS.items():
            right = [np.sqrt(sum(float(g[n].square().sum()) for n in names)) for g in own]
            close(measured.at[1, quantity, step], np.array(right))


def test_products_are_those_with_the_mean_gradients_of_validation(meter, examples):
    train, validation = examples
    measured = meter.measure(0, COUNT)
    names = GROUPS["layer_norms"]  # the parameters of tracin and value
    for step, head in heads().items():
        others = [gradients(head, validation, row) for row in range(len(validation.labels))]
        own = [gradients(head, train, row) for row in range(COUNT)]

        def product(gradient, rows, others=others):
            mean = {n: sum(others[row][n] for row in rows) / len(rows) for n in names}
            return sum(float((gradient[n] * mean[n]).sum()) for n in names)

        whole = [product(g, range(len(others))) for g in own]
        close(measured.at[1, "validation_products", step], np.array(whole))
        of = {label: np.flatnonzero(validation.labels == label) for label in range(CLASSES)}
        by_class = [
            product(g, of[label]) if len(of[label]) else 0.0
            for g, label in zip(own, train.labels, strict=True)
        ]
        close(measured.at[1, "class_products", step], np.array(by_class))
        assert (measured.at[1, "class_products", step][train.labels == CLASSES - 1] == 0).all()


@pytest.mark.parametrize("window", WINDOWS)
def test_variances_are_over_the_heads_of_their_window(meter, examples, window):
    train, _ = examples
    measured = meter.measure(0, COUNT)
    seen = []
    for step in WINDOWS[window]:
        vectors = train.vectors[:].requires_grad_(True)
        logits = heads()[step](vectors).logits[np.arange(COUNT), train.labels]
        seen.append(torch.autograd.grad(logits.sum(), vectors)[0].numpy())
    variance = np.var(seen, axis=0)
    close(measured.over[1, "gradient_variance", window], variance.mean(1))
    close(measured.over[1, "gradient_deviation", window], np.sqrt(variance).mean(1))
    assert measured.over[1, "gradient_variance", window].std() > 0  # of each example, not class


def test_logits_are_those_of_the_heads(meter, examples):
    train, _ = examples
    for step, head in heads().items():
        right = probe.predict(head, train.vectors)
        np.testing.assert_allclose(meter.measure(0, COUNT).at[1, "logits", step], right, rtol=1e-5)


def test_parts_of_the_examples_are_measured_as_all_of_them(meter, monkeypatch):
    whole, part = meter.measure(0, COUNT), meter.measure(4, 9)
    assert COUNT < AT_ONCE
    monkeypatch.setattr("influence.trace.probing.quantities.AT_ONCE", 5)
    pieces = meter.measure(0, COUNT)
    for key, values in {**whole.at, **whole.over}.items():
        found = {**part.at, **part.over}[key], {**pieces.at, **pieces.over}[key]
        np.testing.assert_allclose(found[0], values[4:9], rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(found[1], values, rtol=1e-4, atol=1e-7)


def test_its_own_check_finds_it_right_and_a_mistake(meter, monkeypatch):
    assert 0 < meter.check(4) < 1e-5
    right = type(meter)._read

    def wrong(self, one, directions, rows):
        values, gradient = right(self, one, directions, rows)
        return values | {"layer_norms": values["layer_norms"] * 1.1}, gradient

    monkeypatch.setattr(type(meter), "_read", wrong)
    assert meter.check(4) == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize(("which", "names"), [("all", PARAMETERS), ("^classifier", PARAMETERS[2:])])
def test_the_parameters_of_tracin_can_be_chosen(examples, which, names):
    train, validation = examples
    (head,) = heads([5]).values()
    meter = ProbeMeter([Reading(0, 5, head, {"layer_norms"}, ())], train, validation, which)
    own = [gradients(head, train, row) for row in range(COUNT)]
    right = [np.sqrt(sum(float(g[n].square().sum()) for n in names)) for g in own]
    close(meter.measure(0, COUNT).at[0, "layer_norms", 5], np.array(right))
