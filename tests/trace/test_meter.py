"""The fused pass equals the slow and obvious one, whatever stands beside an example."""

from functools import partial
from itertools import count

import numpy as np
import pytest
import torch
from transformers import XLNetConfig, XLNetForSequenceClassification

from influence.errors import InputError
from influence.models.tokens import Tokens, collate, starts_of
from influence.trace import self_check as checks
from influence.trace.gradient_norms import NormRecorder
from influence.trace.input_gradients import Variance
from influence.trace.meter import Measured, Meter, Resident
from tests.helpers import architectures

ALL = frozenset({"logits", "gradient_norms", "layer_norms", "classifier_norms"})
STEPS = (10, 20, 30)


def meter(name: str, quantities: frozenset = ALL, **settings) -> Meter:
    residents = [
        Resident(
            0,
            step,
            partial(architectures.build, name, seed),
            quantities,
            ("all", "late") if step > 10 else ("all",),
        )
        for seed, step in enumerate(STEPS)
    ]
    return Meter(residents, **settings)


def examples(name: str, count: int = 13, types: bool = False) -> tuple[Tokens, np.ndarray]:
    generator = np.random.default_rng(3)
    lengths = generator.integers(2, 14, size=count)
    lengths = np.array(lengths, dtype=np.int32)
    ids = generator.integers(5, 15, size=lengths.sum()).astype(np.int32)
    starts = starts_of(lengths)
    ids[starts + lengths - 1] = 3  # BART reads its prediction where a text ends
    kinds = (np.arange(len(ids)) % 2).astype(np.int8) if types else None
    pad = (architectures.CONFIGS | architectures.UNUSUAL)[name]["pad_token_id"]
    return Tokens(ids, kinds, starts, lengths, pad), np.arange(count) % 3


def measured(found: Measured) -> dict:
    return {**found.at, **found.over}


USUAL = (*architectures.ARCHITECTURES, "bart", "xlm", "gptj")
EVERY = [
    pytest.param(name, marks=() if name in USUAL else pytest.mark.long)
    for name in (*architectures.ARCHITECTURES, *architectures.UNUSUAL)
]


@pytest.mark.parametrize("name", EVERY)
def test_the_fused_pass_equals_a_loop_over_single_examples(name):
    tokens, labels = examples(name)
    rows, whole = np.arange(len(tokens)), meter(name)
    fused = measured(whole.measure(tokens, labels, rows, batch_tokens=64))
    slow = measured(checks.reference(meter(name), tokens, labels, rows))
    assert set(slow) == {key for key in fused if key[1] != "logits"}
    for key, right in slow.items():
        np.testing.assert_allclose(fused[key], right, rtol=1e-5, atol=0, err_msg=str(key))


@pytest.mark.parametrize("name", EVERY)
def test_batch_size_and_order_do_not_matter(name):
    tokens, labels = examples(name)
    rows = np.arange(len(tokens))
    alone = measured(meter(name).measure(tokens, labels, rows, batch_tokens=1))
    order = np.random.default_rng(0).permutation(rows)
    shuffled = measured(meter(name).measure(tokens, labels, order, batch_tokens=10_000))
    for key, right in alone.items():
        np.testing.assert_allclose(
            shuffled[key], right[order], rtol=2e-5, atol=1e-6, err_msg=str(key)
        )


def test_vog_equals_its_definition_by_plain_autograd():
    tokens, labels = examples("bert", 3)
    whole = meter("bert", frozenset({"logits"}))
    found = whole.measure(tokens, labels, np.arange(3), batch_tokens=100).over
    for i in range(3):
        start, length = tokens.starts[i], tokens.lengths[i]
        ids = torch.from_numpy(tokens.ids[start : start + length]).long()[None]
        gradients = []
        for resident in whole.residents:
            model = architectures.build("bert", STEPS.index(resident.step))
            states = model.bert.embeddings(ids).detach().requires_grad_()
            hidden = model.bert.encoder(states).last_hidden_state
            logits = model.classifier(model.bert.pooler(hidden))
            gradients.append(torch.autograd.grad(logits[0, labels[i]], states)[0][0])
        mean = sum(gradients) / len(gradients)
        variance = sum((g - mean) ** 2 for g in gradients) / len(gradients)
        assert found[0, "gradient_variance", "all"][i] == pytest.approx(
            variance.mean().item(), rel=1e-5
        )
        assert found[0, "gradient_deviation", "all"][i] == pytest.approx(
            variance.sqrt().mean().item(), rel=1e-5
        )


WORDS = {  # what puts out the embeddings that enter the first layer of the encoder
    **{"bart": "model.encoder.embed_tokens", "mbart": "model.encoder.embed_tokens"},
    **{"t5": "transformer.encoder.embed_tokens", "longformer": "longformer.embeddings"},
    **{"ibert": "ibert.embeddings", "flaubert": "transformer.embeddings"},
    **{"xlm": "transformer.embeddings", "gpt_neo": "transformer.wte", "gptj": "transformer.wte"},
    **{"gpt2": "transformer.wte", "openai-gpt": "transformer.tokens_embed"},
    **{"ctrl": "transformer.w"},
}
TYPED = ("flaubert", "xlm", "gpt_neo", "gptj", "gpt2", "openai-gpt", "ctrl")


@pytest.mark.parametrize("name", WORDS)
@pytest.mark.parametrize("typed", [False, True])
def test_the_gradient_by_the_words_is_that_of_what_is_added_to_them(name, typed):
    # CTRL looks token types up before the words and GPT-2 after them, in the same table.
    tokens, labels = examples(name, 4, typed and name in TYPED)
    found = meter(name).measure(tokens, labels, np.arange(4), batch_tokens=100).over
    for i in range(4):
        inputs, width = collate(tokens, np.array([i])), int(tokens.lengths[i])
        gradients = []
        for seed in range(len(STEPS)):
            model = architectures.build(name, seed)
            added = torch.zeros(1, width, 32, requires_grad=True)
            place = 1 if name == "ctrl" and tokens.types is not None else 0

            calls = count()

            def add(module, arguments, output, calls=calls, added=added, place=place):
                if next(calls) != place:
                    return None
                words = output[0] if isinstance(output, tuple) else output
                wide = torch.nn.functional.pad(added, (0, 0, 0, words.shape[1] - added.shape[1]))
                return (words + wide, *output[1:]) if words is not output else words + wide

            model.get_submodule(WORDS[name]).register_forward_hook(add)
            logits = model(**inputs).logits
            gradients.append(torch.autograd.grad(logits[0, labels[i]], added)[0][0])
        variance = torch.stack(gradients).double().var(0, correction=0)
        right = variance.mean().item()
        assert right > 0
        assert found[0, "gradient_variance", "all"][i] == pytest.approx(right, rel=1e-4)


def test_embeddings_that_do_not_lie_by_example_are_refused_and_no_number_is_made():
    config = {"vocab_size": 40, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64}
    torch.manual_seed(0)
    xlnet = XLNetForSequenceClassification(XLNetConfig(**config, num_labels=3)).eval()
    tokens, labels = examples("bert")
    turned = Meter([Resident(0, 10, lambda: xlnet, frozenset(), ("all",))])
    with pytest.raises(InputError, match=r"embedding layer of XLNet.* gave .* score=el2n"):
        turned.measure(tokens, labels, np.arange(13), 64)
    plain = Meter([Resident(0, 10, lambda: xlnet, frozenset({"logits"}), ())])
    assert plain.measure(tokens, labels, np.arange(13), 64).at[0, "logits", 10].shape == (13, 3)


def test_a_window_holds_its_own_checkpoints_only():
    tokens, labels = examples("bert")
    rows = np.arange(len(tokens))
    late = Meter(
        [Resident(0, r.step, r.model, r.quantities, ("late",)) for r in meter("bert").residents[1:]]
    )
    both = meter("bert").measure(tokens, labels, rows, 64).over[0, "gradient_variance", "late"]
    np.testing.assert_allclose(
        both, late.measure(tokens, labels, rows, 64).over[0, "gradient_variance", "late"], rtol=1e-5
    )


def test_a_model_without_a_rule_takes_the_slow_exact_path_and_says_how_slow():
    tokens, labels = examples("deberta-v2")
    whole = meter("deberta-v2")
    whole.measure(tokens, labels, np.arange(4), 64)
    assert all(whole.slow)
    assert checks.slowdown(whole, tokens, labels) > 1


def test_a_model_with_rules_takes_the_fast_path():
    tokens, labels = examples("bert")
    whole = meter("bert")
    whole.measure(tokens, labels, np.arange(4), 64)
    assert not any(whole.slow)


@pytest.mark.parametrize("name", ["bert", "deberta-v2"])
def test_checkpoints_that_are_opened_one_by_one_give_the_same(name, monkeypatch):
    tokens, labels = examples(name)
    rows, opened = np.arange(len(tokens)), []
    build = architectures.build
    monkeypatch.setattr(architectures, "build", lambda *a: opened.append(a) or build(*a))
    kept = meter(name)
    right = measured(kept.measure(tokens, labels, rows, batch_tokens=30))
    assert len(opened) == len(STEPS)
    streamed = meter(name, streamed=True)
    found = measured(streamed.measure(tokens, labels, rows, batch_tokens=30, at_once=2))
    assert len(opened) > 2 * len(STEPS) and not streamed.kept
    assert found.keys() == right.keys() and streamed.slow == kept.slow
    assert all(np.array_equal(found[key], right[key]) for key in right)


def test_tf32_is_on_in_the_pass_alone(monkeypatch):
    tokens, labels = examples("bert", 8)
    rows, fast = np.arange(len(tokens)), meter("bert", precision="tf32")
    during = []
    group = Meter._group

    def watched(*arguments):
        during.append(torch.get_float32_matmul_precision())
        group(*arguments)

    monkeypatch.setattr(Meter, "_group", watched)
    fast.measure(tokens, labels, rows, 1000)
    fast.measure(tokens, labels, rows, 1000, "fp32")
    assert during == ["high", "highest"]
    monkeypatch.setattr(Meter, "_group", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fast.measure(tokens, labels, rows, 1000)
    assert torch.get_float32_matmul_precision() == "highest"


def test_bf16_ranks_nearly_as_fp32_and_the_check_stays_in_fp32():
    tokens, labels = examples("bert", 60)
    rows, fast = np.arange(len(tokens)), meter("bert", precision="bf16")
    found = measured(fast.measure(tokens, labels, rows, 64))
    right = measured(meter("bert").measure(tokens, labels, rows, 64))
    for key, values in right.items():
        assert not np.array_equal(found[key], values), key
        assert np.linalg.norm(found[key] - values) < 0.05 * np.linalg.norm(values), key
    ranked = checks.rank_correlations(fast, tokens, labels, 50)
    assert set(ranked) == {key[1] for key in right}
    assert all(0.9 < value < 1 for value in ranked.values()), ranked
    assert 0 < checks.self_check(fast, tokens, labels, 4) < 1e-5


def test_the_ranks_of_fp32_are_those_of_fp32():
    tokens, labels = examples("bert", 30)
    ranked = checks.rank_correlations(meter("bert"), tokens, labels, 30)
    assert ranked and all(value == pytest.approx(1) for value in ranked.values())


def test_the_self_check_is_small_for_a_right_pass():
    tokens, labels = examples("bert")
    assert 0 < checks.self_check(meter("bert"), tokens, labels, 4) < 1e-5


def test_the_self_check_notices_a_wrong_pass(monkeypatch):
    tokens, labels = examples("bert")
    right = NormRecorder.norms
    monkeypatch.setattr(
        NormRecorder,
        "norms",
        lambda self, *a, **k: {n: v * 1.01 for n, v in right(self, *a, **k).items()},
    )
    assert checks.self_check(meter("bert"), tokens, labels, 4) > checks.MISMATCH


def test_logits_alone_need_no_gradient_and_no_check():
    tokens, labels = examples("bert")
    bert = partial(architectures.build, "bert")
    plain = Meter([Resident(0, 10, bert, frozenset({"logits"}), ())])
    assert set(plain.measure(tokens, labels, np.arange(5), 64).at) == {(0, "logits", 10)}
    assert checks.self_check(plain, tokens, labels, 4) == 0


def test_only_what_was_asked_for_is_kept():
    tokens, labels = examples("bert")
    bert = partial(architectures.build, "bert")
    whole = Meter([Resident(0, 10, bert, frozenset(), ("all",))])
    found = whole.measure(tokens, labels, np.arange(5), 64)
    assert not found.at and {key[1] for key in found.over} == {
        "gradient_variance",
        "gradient_deviation",
    }


def test_running_variance_equals_the_two_pass_one():
    values = torch.randn(7, 2, 3, 4, generator=torch.Generator().manual_seed(0)) + 100
    variance = Variance()
    for value in values:
        variance.add(value)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    found = variance.over_tokens(mask)["gradient_variance"]
    right = values.double().var(0, correction=0).mean(-1)
    torch.testing.assert_close(
        found, torch.stack([right[0].mean(), right[1, 0]]).float(), rtol=1e-4, atol=0
    )
