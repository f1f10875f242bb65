"""Inner products of the gradients of single examples with a direction, from one backward pass."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, jvp
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from influence.models.layers import parameter_group
from influence.trace.gradient_norms import NormRecorder, NoRuleError, loop_norms
from influence.trace.sums import Direction
from tests.helpers.architectures import TOLD_APART, batch, build, build_tied

KINDS = ("all", "last_layer", "classifier", "weight$", "bias$|norm")


def random_direction(model, kind="all", classes=0, seed=0):
    """A gradient that no example has: of the parameters of a kind, or one for each class."""
    generator = torch.Generator().manual_seed(seed)
    named, names = dict(model.named_parameters()), parameter_group(model, kind)
    gradients = [
        {name: torch.randn(named[name].shape, generator=generator) for name in names}
        for _ in range(classes or 1)
    ]
    return Direction(gradients, bool(classes))


def summed(logits, labels):
    return cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="sum")


def recorded(model, inputs, labels, directions, groups=None):
    classes = labels if labels.dim() == 1 else None  # of a language model: a label per token
    with NormRecorder(model, groups or {}, directions) as recorder:
        return recorder.norms(summed(model(**inputs).logits, labels), labels=classes)


def scales(model, inputs, labels, directions):
    """The largest values that the products can have: the norms of both factors multiplied."""
    groups = {key: list(direction.gradients[0]) for key, direction in directions.items()}
    norms = loop_norms(model, inputs, labels, groups)
    largest = {
        key: max(sum(g.square().sum() for g in some.values()) for some in direction.gradients)
        for key, direction in directions.items()
    }
    return {key: norms[key] * largest[key].sqrt() for key in directions}


def check(model, inputs, labels, directions):
    """A product is right to 1e-5, or to the rounding of a sum of that many terms around zero."""
    found = recorded(model, inputs, labels, directions)
    right = loop_norms(model, inputs, labels, {}, directions)
    assert found.keys() == right.keys() == directions.keys()
    for key, scale in scales(model, inputs, labels, directions).items():
        assert (right[key].abs() > 1e-5 * scale).all()
        difference = (found[key] - right[key]).abs()
        assert (difference <= 1e-5 * right[key].abs() + 1e-7 * scale).all(), key


@pytest.mark.parametrize("lengths", [(9, 4, 6, 2), (40, 33, 7)], ids=["short", "long"])
@pytest.mark.parametrize("name", TOLD_APART)
def test_one_backward_gives_the_products_of_the_loop(name, lengths):
    model = build(name)
    directions = {kind: random_direction(model, kind) for kind in KINDS}
    directions |= {f"{kind} by class": random_direction(model, kind, 3) for kind in KINDS}
    check(model, *batch(model, lengths), directions)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # which jvp imports
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_a_product_is_the_derivative_of_the_loss_along_the_direction(name):
    # Forward-mode differentiation knows neither examples' gradients nor closed forms.
    model = build(name, attn_implementation="eager").double()
    inputs, labels = batch(model)
    direction = random_direction(model)
    moved = {key: value.double() for key, value in direction.gradients[0].items()}

    def losses(parameters):
        logits = functional_call(model, parameters, kwargs=inputs).logits
        return cross_entropy(logits, labels, reduction="none")

    at = {key: value.detach() for key, value in model.named_parameters()}
    _, right = jvp(losses, ({key: at[key] for key in moved},), (moved,))
    found = recorded(model.float(), inputs, labels, {"all": direction})["all"]
    scale = scales(model, inputs, labels, {"all": direction})["all"]
    assert ((found - right).abs() <= 1e-5 * right.abs() + 1e-7 * scale).all()


@pytest.mark.parametrize("name", TOLD_APART)
def test_a_product_does_not_depend_on_batch_mates_padding_or_order(name):
    model = build(name)
    directions = {"all": random_direction(model), "by class": random_direction(model, "all", 3)}
    inputs, labels = batch(model)
    right = recorded(model, inputs, labels, directions)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = {key: value[order] for key, value in inputs.items()}
    found = recorded(model, shuffled, labels[order], directions)
    wide = recorded(model, *batch(model, width=17), directions)
    alone = {key: value[1:2] for key, value in inputs.items()}
    one = recorded(model, alone, labels[1:2], directions)
    for key, scale in scales(model, inputs, labels, directions).items():
        for values, rows in ((found[key], order), (wide[key], slice(None)), (one[key], [1])):
            difference = (values - right[key][rows]).abs()
            assert (difference <= 1e-5 * right[key][rows].abs() + 1e-7 * scale[rows]).all()


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_the_uses_of_a_tied_parameter_add_up(name):
    model = build_tied(name)
    inputs, _ = batch(model)
    directions = {kind: random_direction(model, kind) for kind in ("all", "(wte|word)")}
    check(model, inputs, inputs["input_ids"].roll(1, 1), directions)


def test_a_group_of_albert_that_serves_four_layers_counts_four_times():
    model = build("albert", num_hidden_layers=4)
    directions = {kind: random_direction(model, kind) for kind in ("all", "ffn.weight")}
    check(model, *batch(model), directions)


def test_padding_tokens_add_nothing_to_the_product_of_an_embedding_that_knows_them():
    model = build("bert")
    weight = "bert.embeddings.word_embeddings.weight"
    gradient = torch.zeros(40, 32)
    gradient[0] = 1  # of the padding token
    inputs, labels = batch(model)
    found = recorded(model, inputs, labels, {"words": Direction([{weight: gradient}])})
    assert found["words"].tolist() == [0, 0, 0, 0]


def test_norms_beside_products_are_those_without():
    model = build("bert")
    inputs, labels = batch(model)
    directions = {"last": random_direction(model, "last_layer")}
    groups = {"all": parameter_group(model, "all"), "head": parameter_group(model, "classifier")}
    both = recorded(model, inputs, labels, directions, groups)
    norms = recorded(model, inputs, labels, {}, groups)
    alone = recorded(model, inputs, labels, directions)
    assert both.keys() == {"all", "head", "last"}
    assert all(torch.equal(both[key], values) for key, values in {**norms, **alone}.items())


def test_a_product_with_the_own_gradient_is_the_squared_norm():
    model = build("gpt2")
    inputs, labels = batch(model, (9,))
    model.zero_grad()
    summed(model(**inputs).logits, labels).backward()
    own = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    groups = {"norm": list(own)}
    found = recorded(model, inputs, labels, {"product": Direction([own])}, groups)
    assert_close(found["product"], found["norm"].square(), rtol=1e-5, atol=0)


def test_a_class_whose_gradient_is_missing_counts_zero():
    model = build("bert")
    inputs, labels = batch(model)
    known = random_direction(model, "classifier")
    both = Direction([{}, *known.gradients, {}], by_class=True)
    found = recorded(model, inputs, labels, {"own": both, "all": known})
    assert found["own"].tolist() == [0, found["all"][1].item(), 0, 0]


def test_a_direction_that_no_rule_covers_is_refused():
    class Scaled(nn.Linear):
        def forward(self, values):
            return 2 * super().forward(values)

    model = build("bert")
    model.classifier = Scaled(32, 3)
    direction = random_direction(model, "classifier")
    with pytest.raises(NoRuleError, match="classifier"), NormRecorder(model, {}, {"it": direction}):
        pass


def test_half_precision_forwards_give_products_in_full_precision():
    model = build("bert")
    inputs, labels = batch(model, (40, 33, 7))
    directions = {"all": random_direction(model)}
    right = recorded(model, inputs, labels, directions)["all"]
    with NormRecorder(model, {}, directions) as recorder, torch.autocast("cpu", torch.bfloat16):
        found = recorder.norms(summed(model(**inputs).logits, labels), labels=labels)["all"]
    assert found.dtype == torch.float32
    scale = scales(model, inputs, labels, directions)["all"]
    assert ((found - right).abs() <= 0.05 * scale).all() and not torch.equal(found, right)
