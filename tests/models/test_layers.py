import pytest
import torch
from torch import nn

from influence.errors import InputError
from influence.models.layers import classifier, embedding_layer, last_encoder_layer, parameter_group
from tests.helpers.architectures import ARCHITECTURES, batch, build

LAST_LAYERS = {
    "bert": "bert.encoder.layer.1",
    "distilbert": "distilbert.transformer.layer.1",
    "roberta": "roberta.encoder.layer.1",
    "electra": "electra.encoder.layer.1",
    "albert": "albert.encoder.albert_layer_groups.0",
    "deberta-v2": "deberta.encoder.layer.1",
    "modernbert": "model.layers.1",
    "gpt2": "transformer.h.1",
    "llama": "model.layers.1",
}
CLASSIFIERS = {
    "roberta": "classifier.out_proj",
    "electra": "classifier.out_proj",
    "gpt2": "score",
    "llama": "score",
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_last_encoder_layer_is_the_one_before_the_head(name):
    assert last_encoder_layer(build(name)) == LAST_LAYERS[name]


def test_last_encoder_layer_of_albert_is_its_last_group():
    model = build("albert", num_hidden_groups=2)
    assert last_encoder_layer(model) == "albert.encoder.albert_layer_groups.1"


def test_last_encoder_layer_comes_from_the_list_with_most_parameters():
    model = build("bert")
    model.experts = nn.ModuleList([nn.Linear(2, 2) for _ in range(9)])
    assert last_encoder_layer(model) == "bert.encoder.layer.1"


def test_a_model_without_layers_has_no_last_encoder_layer():
    with pytest.raises(InputError, match="Linear holds no list of layers"):
        last_encoder_layer(nn.Linear(2, 2))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_classifier_puts_out_the_logits(name):
    model = build(name)
    assert classifier(model) == CLASSIFIERS.get(name, "classifier")
    seen = []
    layer = model.get_submodule(classifier(model))
    layer.register_forward_hook(lambda module, args, output: seen.append(output))
    inputs, _ = batch(model, (5,))
    assert torch.isin(model(**inputs).logits, seen[0]).all()


def test_classifier_of_a_head_of_several_layers_is_its_last():
    model = build("bert")
    model.classifier = nn.Sequential(nn.Linear(32, 3), nn.ReLU(), nn.Dropout(), nn.Linear(3, 3))
    assert classifier(model) == "classifier.3"


def test_a_model_without_classifier_says_how_many_outputs_were_looked_for():
    model = build("bert")
    model.config.num_labels = 7
    with pytest.raises(InputError, match="num_labels=7"):
        classifier(model)


@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if n not in ("gpt2", "llama")])
def test_embedding_layer_puts_out_what_enters_the_encoder(name):
    model = build(name)
    seen = []
    embedding_layer(model).register_forward_hook(lambda module, args, output: seen.append(output))
    inputs, _ = batch(model)
    first = model(**inputs, output_hidden_states=True).hidden_states[0]
    if name in ("electra", "albert"):  # these project their narrower embeddings first
        assert seen[0].shape == (*inputs["input_ids"].shape, 16)
    else:
        assert torch.equal(seen[0], first)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_embedding_layer_of_a_decoder_has_the_gradient_of_what_enters_it(name):
    model = build(name)
    seen = []
    layer = embedding_layer(model)
    assert layer is model.get_input_embeddings()
    layer.register_forward_hook(lambda module, args, output: seen.append(output))
    inputs, _ = batch(model)
    output = model(**inputs, output_hidden_states=True)
    places = [seen[0], output.hidden_states[0]]
    words, states = torch.autograd.grad(output.logits[:, 0].sum(), places)
    assert torch.equal(words, states)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_group_of_all_holds_every_parameter_once(name):
    model = build(name)
    assert parameter_group(model, "all") == tuple(n for n, _ in model.named_parameters())


def test_the_group_of_the_classifier_does_not_hold_the_layer_before_it():
    names = parameter_group(build("distilbert"), "classifier")
    assert names == ("classifier.weight", "classifier.bias")


def test_the_group_of_the_last_layer_holds_its_weights_and_biases_only():
    model = build("bert", num_hidden_layers=12)
    names = parameter_group(model, "last_layer")
    assert len(names) == 16
    assert all(name.startswith("bert.encoder.layer.11.") for name in names)


def test_any_other_group_is_a_regular_expression_searched_for_in_names():
    model = build("bert")
    assert parameter_group(model, r"1\.attention\.self\.\w+\.bias$") == tuple(
        f"bert.encoder.layer.1.attention.self.{part}.bias" for part in ("query", "key", "value")
    )


def test_a_tied_parameter_is_found_under_each_of_its_names_and_named_once():
    model = build("bert")
    model.twin = model.classifier
    assert parameter_group(model, "^twin.weight") == ("twin.weight",)
    assert parameter_group(model, "(twin|classifier).weight") == ("classifier.weight",)


def test_an_expression_that_fits_nothing_is_answered_with_names_of_parameters():
    with pytest.raises(InputError, match=r"'nothing'.*bert\.embeddings\.word_embeddings\.weight"):
        parameter_group(build("bert"), "nothing")


def test_an_invalid_expression_is_named():
    with pytest.raises(InputError, match=r"'\(' is neither all, last_layer"):
        parameter_group(build("bert"), "(")
