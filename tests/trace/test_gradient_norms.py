from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, linear
from torch.testing import assert_close
from transformers import MPNetConfig, MPNetForSequenceClassification
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.mobilebert.modeling_mobilebert import NoNorm
from transformers.models.t5.modeling_t5 import T5LayerNorm

from influence.models.layers import embedding_layer, parameter_group
from influence.trace.gradient_norms import NormRecorder, NoRuleError, loop_norms
from tests.helpers.architectures import CONFIGS, TOLD_APART, batch, build, build_tied, perturbed

EVERY_KIND = ("all", "last_layer", "classifier", "weight$", "bias$|norm")


def groups_of(model, kinds=EVERY_KIND):
    return {kind: parameter_group(model, kind) for kind in kinds}


def summed(logits, labels):
    return cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="sum")


def recorded(model, inputs, labels, groups):
    with NormRecorder(model, groups) as recorder:
        return recorder.norms(summed(model(**inputs).logits, labels))


def check(model, inputs, labels, groups):
    found, right = (
        recorded(model, inputs, labels, groups),
        loop_norms(model, inputs, labels, groups),
    )
    assert found.keys() == right.keys() == groups.keys()
    assert all((norms > 1e-3).all() for norms in right.values())
    for group in groups:
        assert_close(found[group], right[group], rtol=1e-5, atol=0)


class Toy(nn.Module):
    """Embeds, passes through the given modules token by token, and averages."""

    def __init__(self, *modules, size=8, words=None):
        super().__init__()
        self.words = words or nn.Embedding(12, size)
        self.body = nn.Sequential(*modules)
        self.head = nn.Linear(size, 3)

    def forward(self, input_ids):
        return SimpleNamespace(logits=self.head(self.body(self.words(input_ids)).mean(1)))


TOY_INPUTS = {"input_ids": torch.tensor([[1, 2, 1, 4, 0], [5, 5, 5, 3, 0]])}
TOY_LABELS = torch.tensor([0, 2])
TOY_BATCH = (TOY_INPUTS, TOY_LABELS)


def test_the_norm_of_a_softmax_regression_is_that_of_its_error_times_its_input():
    class Regression(nn.Linear):
        def forward(self, features):
            return SimpleNamespace(logits=super().forward(features))

    model, features = Regression(4, 3, bias=False), torch.randn(5, 4)
    labels = torch.tensor([0, 1, 2, 0, 1])
    error = model(features).logits.softmax(1) - torch.eye(3)[labels]
    norms = loop_norms(model, {"features": features}, labels, {"all": ["weight"]})["all"]
    assert_close(norms, (error.norm(dim=1) * features.norm(dim=1)).detach())


@pytest.mark.parametrize("lengths", [(9, 4, 6, 2), (40, 33, 7)], ids=["short", "long"])
@pytest.mark.parametrize("name", TOLD_APART)
def test_one_backward_gives_the_norms_of_the_loop(name, lengths):
    # Matrices of 32 by 32 to 64 are made for the long batch and not for the short one.
    model = build(name)
    check(model, *batch(model, lengths), groups_of(model))


@pytest.mark.parametrize("name", TOLD_APART)
def test_a_norm_does_not_depend_on_batch_mates_padding_or_order(name):
    model = build(name)
    groups = groups_of(model, ["all", "last_layer"])
    inputs, labels = batch(model)
    right = recorded(model, inputs, labels, groups)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = {key: value[order] for key, value in inputs.items()}
    found = recorded(model, shuffled, labels[order], groups)
    wide = recorded(model, *batch(model, width=17), groups)
    alone = recorded(model, {key: value[1:2] for key, value in inputs.items()}, labels[1:2], groups)
    for group in groups:
        assert_close(found[group], right[group][order], rtol=1e-5, atol=0)
        assert_close(wide[group], right[group], rtol=1e-5, atol=0)
        assert_close(alone[group], right[group][1:2], rtol=1e-5, atol=0)


@pytest.mark.parametrize("axes", [1, 2])
def test_positions_and_token_types_given_once_count_for_every_example(axes):
    model = build("bert")
    inputs, labels = batch(model)
    types = torch.tensor([0, 0, 0, 1, 1, 1, 0, 0, 1])
    once = {"position_ids": torch.arange(9).flip(0), "token_type_ids": types}
    each = {key: value.expand(4, -1) for key, value in once.items()}
    if axes == 2:
        once = {key: value[None] for key, value in once.items()}
    found = recorded(model, inputs | once, labels, groups_of(model, ["all", "embeddings"]))
    right = loop_norms(model, inputs | each, labels, groups_of(model, ["all", "embeddings"]))
    assert_close(found, right, rtol=1e-5, atol=0)


def test_a_batch_as_large_as_its_sequences_are_long_gives_the_norms_of_the_loop():
    model = build("roberta")
    check(model, *batch(model, (5, 2, 3, 5, 4)), groups_of(model))


@pytest.mark.parametrize("name", ["bert", "gpt2"])
@pytest.mark.parametrize("lengths", [(9, 4, 6, 2), (40, 33, 7)], ids=["short", "long"])
def test_tied_embedding_and_decoder_count_as_one_parameter(name, lengths):
    model = build_tied(name)
    inputs, _ = batch(model, lengths)
    check(model, inputs, inputs["input_ids"].roll(1, 1), groups_of(model, ["all", "(wte|word)"]))


def test_a_group_of_albert_that_serves_four_layers_counts_as_one():
    model = build("albert", num_hidden_layers=4)
    check(model, *batch(model), groups_of(model, ["all", "last_layer", "ffn.weight", "LayerNorm"]))


def test_a_head_of_several_layers_gives_the_norms_of_the_loop():
    model = build("bert")
    model.classifier = nn.Sequential(
        nn.Linear(32, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 3)
    ).eval()
    check(model, *batch(model), groups_of(model, ["all", "classifier", r"classifier\.0\."]))


@pytest.mark.parametrize(
    "norm", [nn.LayerNorm, nn.RMSNorm, LlamaRMSNorm, GemmaRMSNorm, T5LayerNorm, NoNorm]
)
def test_normalisations_of_every_kind_give_the_norms_of_the_loop(norm):
    model = perturbed(Toy(nn.Linear(8, 8), norm(8)))
    check(model, *TOY_BATCH, groups_of(model, ["all", r"body\.1"]))


def test_normalisation_inside_attention_heads_gives_the_norms_of_the_loop():
    model = perturbed(Toy(nn.Unflatten(-1, (4, 2)), LlamaRMSNorm(2), nn.Flatten(-2)))
    check(model, *TOY_BATCH, groups_of(model, ["all", "body"]))


def test_padding_tokens_add_nothing_to_the_gradient_of_an_embedding_that_knows_them():
    model = perturbed(Toy(words=nn.Embedding(12, 8, padding_idx=0)))
    check(model, *TOY_BATCH, {"words": ["words.weight"]})
    zeros = {"input_ids": torch.zeros(2, 5, dtype=torch.long)}
    assert recorded(model, zeros, TOY_LABELS, {"words": ["words.weight"]})["words"].sum() == 0


@pytest.mark.parametrize("lengths", [(9, 4, 6, 2), (9,), (5, 2, 3, 5, 4)])
def test_deberta_is_refused_for_any_batch(lengths):
    # Its relative positions bypass their embedding; with one example only the graph shows it.
    model = build("deberta-v2")
    inputs, labels = batch(model, lengths)
    with pytest.raises(NoRuleError, match="loop_norms"):
        recorded(model, inputs, labels, groups_of(model, ["all"]))


def test_the_classifier_of_deberta_is_not_refused():
    model = build("deberta-v2")
    check(model, *batch(model), groups_of(model, ["classifier"]))


@pytest.mark.parametrize("lengths", [(9, 4, 6, 2), (5, 2, 3, 5, 4)], ids=["oblong", "square"])
def test_a_table_of_tokens_by_tokens_is_refused_even_if_it_is_as_long_as_the_batch(lengths):
    model = perturbed(MPNetForSequenceClassification(MPNetConfig(**CONFIGS["bert"])))
    inputs, labels = batch(model, lengths)
    with pytest.raises(NoRuleError, match="relative_attention_bias"):
        recorded(model, inputs, labels, groups_of(model, ["all"]))


def test_a_parameter_without_rule_is_named_before_anything_runs():
    class Scaled(nn.Embedding):
        def forward(self, ids):
            return 3 * super().forward(ids)

    model = Toy(words=Scaled(12, 8))
    model.raw = nn.Parameter(torch.ones(2))
    recorder = NormRecorder(model, {"all": parameter_group(model, "all")})
    assert set(recorder.uncovered) == {"raw", "words.weight"}
    with pytest.raises(NoRuleError, match="raw"), recorder:
        pass
    assert NormRecorder(model, {"head": ["head.weight"]}).uncovered == ()


@pytest.mark.parametrize("option", [{"max_norm": 1.0}, {"scale_grad_by_freq": True}])
def test_an_embedding_that_changes_its_weight_or_gradient_has_no_rule(option):
    model = Toy(words=nn.Embedding(12, 8, **option))
    assert NormRecorder(model, {"words": ["words.weight"]}).uncovered == ("words.weight",)


@pytest.mark.parametrize("called", [True, False])
def test_a_parameter_used_outside_its_module_is_refused(called):
    class Sly(nn.Linear):
        def __init__(self):
            super().__init__(8, 8)
            self.inner = nn.Linear(8, 8)

        def forward(self, inputs):
            return linear(self.inner(inputs) if called else inputs, self.inner.weight)

    model = Toy(Sly())
    with pytest.raises(NoRuleError, match=r"body\.0\.inner\.weight is used outside its module"):
        recorded(model, *TOY_BATCH, {"inner": ["body.0.inner.weight"]})


def test_a_module_that_mixes_examples_is_refused():
    class Mixing(nn.Module):
        def forward(self, inputs):
            return inputs - inputs.mean(0, keepdim=True)

    model = Toy(Mixing())
    one, label = {"input_ids": TOY_INPUTS["input_ids"][:1]}, TOY_LABELS[:1]
    with NormRecorder(model, {"words": ["words.weight"]}) as recorder:
        recorder.norms(summed(model(**one).logits, label))
        loss = summed(model(**TOY_INPUTS).logits, TOY_LABELS)
        with pytest.raises(NoRuleError, match="words mixes examples"):
            recorder.norms(loss)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_layer_applied_to_what_all_examples_share_is_refused(axes):
    class Shared(nn.Linear):
        def __init__(self):
            super().__init__(8, 8)
            self.inner = nn.Linear(8, 8)

        def forward(self, inputs):
            shared = torch.ones(5, 8) if axes == 2 else torch.ones((1,) * (axes - 1) + (8,))
            return inputs + self.inner(shared)

    with pytest.raises(NoRuleError, match=r"body\.0\.inner was called with"):
        recorded(Toy(Shared()), *TOY_BATCH, {"inner": ["body.0.inner.weight"]})


def test_a_module_that_is_not_called_counts_zero():
    model = Toy()
    model.pooler = nn.Linear(8, 8)
    names = ["pooler.weight", "pooler.bias"]
    found = recorded(model, *TOY_BATCH, {"pooler": names, "all": [*names, "head.bias"]})
    right = recorded(model, *TOY_BATCH, {"head": ["head.bias"]})
    assert torch.equal(found["pooler"], torch.zeros(2))
    assert torch.equal(found["all"], right["head"])
    assert torch.equal(recorded(model, *TOY_BATCH, {"pooler": names})["pooler"], torch.zeros(2))


def test_only_parameters_of_the_groups_require_gradients_and_only_while_recording():
    model = build("bert")
    model.classifier.bias.requires_grad_(False)
    before = {name: p.requires_grad for name, p in model.named_parameters()}
    hooks = [len(module._forward_hooks) for module in model.modules()]
    groups = groups_of(model, ["last_layer", "classifier"])
    with pytest.raises(KeyboardInterrupt), NormRecorder(model, groups):
        required = {name for name, p in model.named_parameters() if p.requires_grad}
        assert required == {*groups["last_layer"], *groups["classifier"]}
        model(**batch(model)[0])
        raise KeyboardInterrupt
    assert {name: p.requires_grad for name, p in model.named_parameters()} == before
    assert [len(module._forward_hooks) for module in model.modules()] == hooks
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", ["bert", "gpt2"])
@pytest.mark.parametrize("norms_first", [True, False])
def test_the_graph_serves_the_embedding_gradient_as_well(name, norms_first):
    model = build(name)
    inputs, labels = batch(model)
    groups, outputs = groups_of(model), []
    embedding_layer(model).register_forward_hook(lambda m, a, output: outputs.append(output))

    def gold(logits):
        return logits.gather(1, labels[:, None]).sum()

    (right,) = torch.autograd.grad(gold(model(**inputs).logits), outputs.pop())
    with NormRecorder(model, groups) as recorder:
        logits = model(**inputs).logits
        if norms_first:
            norms = recorder.norms(summed(logits, labels), retain_graph=True)
        (gradient,) = torch.autograd.grad(gold(logits), outputs.pop(), retain_graph=True)
        if not norms_first:
            norms = recorder.norms(summed(logits, labels))
    assert_close(gradient, right, rtol=1e-6, atol=0)
    assert_close(norms, loop_norms(model, inputs, labels, groups), rtol=1e-5, atol=0)


def test_half_precision_forwards_give_norms_in_full_precision():
    model = build("bert")
    inputs, labels = batch(model, (40, 33, 7))
    right = loop_norms(model, inputs, labels, groups_of(model))
    with NormRecorder(model, groups_of(model)) as recorder, torch.autocast("cpu", torch.bfloat16):
        logits = model(**inputs).logits
        assert logits.dtype == torch.bfloat16
        found = recorder.norms(summed(logits, labels))
    assert all(norms.dtype == torch.float32 for norms in found.values())
    assert_close(found, right, rtol=0.05, atol=0)


def test_recorders_stay_attached_to_their_models_for_many_batches():
    models = [build("bert", seed=1), build("distilbert", seed=2)]
    groups = [groups_of(model) for model in models]
    with NormRecorder(models[0], groups[0]) as first, NormRecorder(models[1], groups[1]) as second:
        for lengths in ((9, 4), (6, 6, 3), (2,)):
            for model, recorder, group in zip(models, (first, second), groups, strict=True):
                inputs, labels = batch(model, lengths)
                found = recorder.norms(summed(model(**inputs).logits, labels))
                assert_close(found, recorded(model, inputs, labels, group))


def test_norms_of_no_forward_are_an_error():
    model = Toy()
    with NormRecorder(model, groups_of(model, ["all"])) as recorder:
        loss = summed(model(**TOY_INPUTS).logits, TOY_LABELS)
        recorder.norms(loss, retain_graph=True)
        with pytest.raises(RuntimeError, match="no forward is recorded"):
            recorder.norms(loss)
        model(**TOY_INPUTS)
        recorder.clear()
        with pytest.raises(RuntimeError, match="no forward is recorded"):
            recorder.norms(loss)
        with torch.no_grad():
            model(**TOY_INPUTS)
        with pytest.raises(RuntimeError, match="no forward is recorded"):
            recorder.norms(loss)


def test_norms_belong_to_the_last_forward():
    model = Toy()
    groups = groups_of(model, ["all"])
    right = recorded(model, *TOY_BATCH, groups)
    with NormRecorder(model, groups) as recorder:
        old = summed(model(**TOY_INPUTS).logits, TOY_LABELS)
        model(**TOY_INPUTS)
        with pytest.raises(RuntimeError, match="does not depend on the forward"):
            recorder.norms(old)
        model(**TOY_INPUTS)
        new = summed(model(**TOY_INPUTS).logits, TOY_LABELS)
        assert_close(recorder.norms(new), right)
