import numpy as np
import pytest
import torch
from torch import nn

from influence.config.parameters import FitConfig
from influence.models import tokens as batches
from influence.models.embeddings import used_rows
from tests.helpers import loops
from tests.helpers.architectures import ARCHITECTURES
from tests.helpers.architectures import build as classifier

IDS = [3, 7, 9, 20]
PAD = 0


def tokens(examples: int = 12, length: int = 5) -> batches.Tokens:
    ids = np.random.default_rng(0).choice(IDS, examples * length).astype(np.int32)
    lengths = np.full(examples, length, dtype=np.int32)
    return batches.Tokens(ids, None, batches.starts_of(lengths), lengths, PAD)


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def train(model: nn.Module, whole: bool, monkeypatch, **parameters) -> dict[str, torch.Tensor]:
    with monkeypatch.context() as patch:
        if whole:
            patch.setattr("influence.models.embeddings.WORTH", 0.0)
        config = FitConfig(
            batch_size=4, epochs=2, learning_rate=1e-3, max_grad_norm=0.0, **parameters
        )
        labels = np.arange(12) % 2
        list(loops.train(model, tokens(), labels, config, 0, (2, 6)))
    return weights(model)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_training_with_the_used_rows_alone_is_training_with_all_bit_for_bit(name, monkeypatch):
    before = weights(classifier(name))
    small = train(classifier(name), False, monkeypatch)
    for key, tensor in train(classifier(name), True, monkeypatch).items():
        assert torch.equal(small[key], tensor), key
    assert any(not torch.equal(small[key], before[key]) for key in small)


def test_only_the_used_rows_have_gradients():
    model = classifier("bert")
    table, seen = model.base_model.get_input_embeddings(), []
    ids = torch.tensor([IDS, IDS])
    with used_rows(model, np.array(IDS), PAD):
        assert len(table.weight) == len(IDS) + 1
        model(input_ids=ids).logits.sum().backward()
        seen.append(table.weight.grad)
    assert len(seen[0]) == len(IDS) + 1


def test_the_model_is_whole_wherever_somebody_looks_at_it():
    model = classifier("bert")
    model.eval()
    table = model.base_model.get_input_embeddings()
    size, other = len(table.weight), torch.tensor([[1, 2, 4, 5]])
    before = model(input_ids=other).logits
    with used_rows(model, np.array(IDS), PAD) as whole:
        with torch.no_grad():
            table.weight += 1.0
        with whole():
            assert len(table.weight) == size
            assert torch.equal(model(input_ids=other).logits, before)
        assert len(table.weight) < size
    assert len(table.weight) == size
    assert torch.equal(model(input_ids=other).logits, before)


def test_a_training_that_is_left_early_leaves_a_whole_model():
    model = classifier("bert")
    table = model.base_model.get_input_embeddings()
    before = weights(model)
    config = FitConfig(batch_size=4, epochs=2)
    running = loops.train(model, tokens(), np.arange(12) % 2, config, 0, (2, 6))
    next(running)
    running.close()
    after = weights(model)
    assert {k: v.shape for k, v in after.items()} == {k: v.shape for k, v in before.items()}
    unused = [row for row in range(len(table.weight)) if row not in (*IDS, PAD)]
    name = next(k for k, v in after.items() if v.shape == table.weight.shape)
    assert torch.equal(after[name][unused], before[name][unused])
    assert not torch.equal(after[name][IDS], before[name][IDS])


def test_a_table_used_elsewhere_too_stays_whole():
    model = classifier("bert")
    table = model.base_model.get_input_embeddings()
    model.register_parameter("decoder", table.weight)
    with used_rows(model, np.array(IDS), PAD):
        assert model.base_model.get_input_embeddings().weight is model.decoder


def test_weight_decay_reaches_every_row(monkeypatch):
    model = classifier("bert")
    table = model.base_model.get_input_embeddings()
    before = table.weight.detach().clone()
    train(model, False, monkeypatch, weight_decay=0.1)
    assert not torch.equal(table.weight[1], before[1])
