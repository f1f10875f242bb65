import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from influence.config.parameters import FitConfig, ModelConfig
from influence.errors import InputError
from influence.models import classifier, pretrained, tokenizers
from influence.models import tokens as batches
from tests.helpers import architectures

TEXTS = ["one two three", "two three", "three four one two", "four"]
NAMES = ("yes", "no", "maybe")
real = pytest.mark.skipif(
    importlib.util.find_spec(pretrained.MINILM_PACKAGE) is None,
    reason="the extra minilm is not there",
)


def made(**parameters):
    config = ModelConfig(**{"model": "tiny", "layers": 1, **parameters})
    tokenizer = tokenizers.load_tokenizer(config, TEXTS)
    return classifier.build(config, tokenizer, NAMES, 0), tokenizer


@pytest.mark.parametrize(
    ("name", "layers", "width"), [("tiny", 2, 128), ("mini", 4, 256), ("small", 4, 512)]
)
def test_scratch_models_have_the_sizes_of_their_names(name, layers, width):
    model, tokenizer = made(model=name, layers=0)
    assert (model.config.num_hidden_layers, model.config.hidden_size) == (layers, width)
    assert model.config.vocab_size == len(tokenizer)
    assert list(model.config.id2label.values()) == list(NAMES)


def test_the_head_is_drawn_by_the_seed():
    config = ModelConfig(model="tiny", layers=1)
    tokenizer = tokenizers.load_tokenizer(config, TEXTS)
    weights = [
        classifier.build(config, tokenizer, NAMES, seed).classifier.weight for seed in (0, 0, 1)
    ]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_a_vocabulary_is_the_same_each_time():
    one, two = (made()[1].get_vocab() for _ in range(2))
    assert one == two


@pytest.mark.parametrize("head", ["default", "mlp"])
def test_a_saved_checkpoint_gives_the_same_logits(tmp_path, head):
    model, tokenizer = made(head=head)
    classifier.save(model, tmp_path / "checkpoint")
    reopened = classifier.open_checkpoint(tmp_path / "checkpoint")
    tokens = batches.encode(tokenizer, pd.DataFrame({"text": TEXTS}), 16, True)
    assert np.array_equal(classifier.predict(model, tokens), classifier.predict(reopened, tokens))


def test_a_default_checkpoint_opens_in_plain_transformers(tmp_path):
    model, tokenizer = made()
    classifier.save(model, tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    tokens = batches.encode(tokenizer, pd.DataFrame({"text": TEXTS}), 16, True)
    with torch.no_grad():
        logits = plain(**batches.collate(tokens, np.arange(4))).logits.numpy()
    np.testing.assert_allclose(logits, classifier.predict(model, tokens), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", architectures.ARCHITECTURES)
def test_every_architecture_takes_the_three_layer_head(tmp_path, name):
    model = architectures.build(name)
    classifier._replace_head(model, 16)
    model.eval()
    classifier.save(model, tmp_path)
    inputs, _ = architectures.batch(model)
    with torch.no_grad():
        right = model(**inputs).logits
        found = classifier.open_checkpoint(tmp_path)(**inputs).logits
    torch.testing.assert_close(found, right)
    linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear)][-3:]
    assert [m.out_features for m in linear] == [16, 16, 3]


def test_predictions_come_in_the_order_of_the_examples():
    model, tokenizer = made()
    tokens = batches.encode(tokenizer, pd.DataFrame({"text": TEXTS}), 16, True)
    alone = np.concatenate(
        [classifier.predict(model, tokens.take(np.array([i]))) for i in range(4)]
    )
    np.testing.assert_allclose(classifier.predict(model, tokens), alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda d: (d / "model.safetensors").unlink(), "no complete checkpoint"),
        (lambda d: (d / "config.json").unlink(), "no complete checkpoint"),
        (lambda d: (d / "model.safetensors").write_bytes(b"x" * 100), "no complete checkpoint"),
    ],
)
def test_an_incomplete_checkpoint_is_refused_in_one_sentence(tmp_path, damage, said):
    classifier.save(made()[0], tmp_path)
    damage(tmp_path)
    with pytest.raises(InputError, match=said) as caught:
        classifier.open_checkpoint(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_size_is_refused(tmp_path):
    classifier.save(made()[0], tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 2}))
    with pytest.raises(InputError, match="not a checkpoint of a whole classifier"):
        classifier.open_checkpoint(tmp_path)


def test_unknown_models_and_too_many_layers_are_refused():
    with pytest.raises(InputError, match="unknown model 'tinny'"):
        tokenizers.load_tokenizer(ModelConfig(model="tinny"), TEXTS)
    with pytest.raises(InputError, match="has 2 layers"):
        made(layers=3)


def test_learning_rates_are_the_usual_ones_unless_given():
    assert classifier.learning_rates(FitConfig(model="tiny")) == (1e-3, 1e-3)
    assert classifier.learning_rates(FitConfig(model="minilm")) == (1e-4, 1e-3)
    assert classifier.learning_rates(FitConfig(model="minilm", learning_rate=2e-5)) == (2e-5, 2e-4)
    assert classifier.learning_rates(FitConfig(model="tiny", head_learning_rate=0.1)) == (1e-3, 0.1)


@pytest.mark.real
@real
def test_the_packaged_encoder_is_verified_and_cut():
    model, _ = made(model="minilm", layers=2)
    assert model.config.num_hidden_layers == 2 and model.config.hidden_size == 384


@pytest.mark.real
@real
def test_another_encoder_in_the_package_is_refused(monkeypatch):
    monkeypatch.setattr(pretrained, "MINILM_SHA256", "0" * 64)
    with pytest.raises(InputError, match="sha256 differs"):
        made(model="minilm")


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(pretrained, "MINILM_PACKAGE", "no_such_package")
    with pytest.raises(InputError, match=r"optional extra; .*\[minilm\]"):
        made(model="minilm")


def test_a_local_model_is_identified_by_its_files(tmp_path):
    classifier.save(made()[0], tmp_path)
    one = pretrained.identity(ModelConfig(model=str(tmp_path)))
    assert one and pretrained.identity(ModelConfig(model="tiny")) == ""
    (Path(tmp_path) / "config.json").write_text("{}")
    assert pretrained.identity(ModelConfig(model=str(tmp_path))) != one
