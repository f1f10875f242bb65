"""A last layer for the first token alone gives the logits and gradients of the whole one."""

import copy

import pytest
import torch
from torch.nn import functional

from influence.models.layers import parameter_group
from influence.models.shortcuts.first_token import FAMILIES, read_first_token
from influence.trace.gradient_norms import NormRecorder, loop_norms
from influence.trace.meter import measure
from tests.helpers import architectures

# As transformers has them, of the architectures that the other tests build.
FAMILY = sorted(set(FAMILIES) & set(architectures.ARCHITECTURES))


def pair(name: str):
    whole = architectures.build(name)
    return whole, read_first_token(copy.deepcopy(whole))


def last_outputs(model) -> list[int]:
    """Return how many tokens the last layer's norm gives, forward by forward."""
    seen = []
    norms = [m for m in model.base_model.modules() if isinstance(m, torch.nn.LayerNorm)]
    norms[-1].register_forward_hook(lambda _m, _i, out: seen.append(out.shape[1]))
    return seen


@pytest.mark.parametrize("name", FAMILY)
def test_logits_and_all_gradients_are_those_of_the_whole_layer(name):
    whole, first = (model.double() for model in pair(name))
    inputs, gold = architectures.batch(whole)
    tokens = last_outputs(first)
    logits = [model(**inputs).logits for model in (whole, first)]
    torch.testing.assert_close(logits[1], logits[0], rtol=1e-9, atol=1e-12)
    for found in logits:
        functional.cross_entropy(found, gold).backward()
    assert tokens == [1] and inputs["input_ids"].shape[1] > 1
    for parameter, right in zip(first.parameters(), whole.parameters(), strict=True):
        found = torch.zeros_like(right) if parameter.grad is None else parameter.grad
        expected = torch.zeros_like(right) if right.grad is None else right.grad
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", FAMILY)
def test_what_scores_are_made_of_is_that_of_the_whole_model(name):
    whole, first = pair(name)
    inputs, gold = architectures.batch(whole)
    groups = {which: parameter_group(whole, which) for which in ("all", "last_layer")}
    right = loop_norms(whole, inputs, gold, groups)
    plain = measure(whole.requires_grad_(False), inputs, gold, True, None)
    with NormRecorder(first.requires_grad_(False), groups) as recorder:
        found = measure(first, inputs, gold, True, recorder)
    torch.testing.assert_close(found[1], plain[1], rtol=1e-4, atol=1e-6)
    for which in groups:
        torch.testing.assert_close(found[2][which], right[which], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", FAMILY)
def test_the_encoder_by_itself_gives_all_tokens_before_and_after(name):
    whole, first = pair(name)
    inputs, _ = architectures.batch(whole)
    with torch.no_grad():
        right = whole.base_model(**inputs).last_hidden_state
        for _ in range(2):
            assert torch.equal(first.base_model(**inputs).last_hidden_state, right)
            first(**inputs)
    with pytest.raises(ValueError, match="input_ids"):
        first()  # and after an error
    with torch.no_grad():
        assert torch.equal(first.base_model(**inputs).last_hidden_state, right)


@pytest.mark.parametrize("name", FAMILY)
def test_training_drops_out_in_every_place_and_a_copy_is_a_model_of_its_own(name):
    _, first = pair(name)
    inputs, _ = architectures.batch(first)
    other = copy.deepcopy(first).train()
    drawn = [other(**inputs).logits for _ in range(2)]
    assert not torch.equal(*drawn)
    seen, last = last_outputs(other), last_outputs(first)
    other(**inputs)
    assert seen == [1] and not last


@pytest.mark.parametrize("name", sorted(set(architectures.ARCHITECTURES) - set(FAMILIES)))
def test_a_model_of_another_family_stays_as_it_was(name):
    model = read_first_token(architectures.build(name))
    assert not model._forward_pre_hooks and not model._forward_hooks


@pytest.mark.parametrize("change", [{"is_decoder": True}, {"attn_implementation": "eager"}])
def test_a_decoder_or_another_attention_stays_as_it_was(change):
    model = architectures.build("bert", **change)
    assert not read_first_token(model)._forward_hooks
