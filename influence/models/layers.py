"""Own where things are in a Hugging Face sequence classifier: embeddings, last layer, head."""

import re

import torch
from torch import nn

from influence.errors import InputError


def embedding_layer(model: nn.Module) -> nn.Module:
    """Return the module whose output the variance of gradients (VoG) is taken with respect to.

    That is the block around the input embedding where there is one (its class name ends with
    "Embeddings": BERT, DistilBERT, ModernBERT), whose output enters the first encoder layer. A
    model without such a block (GPT-2, Llama) adds its position embeddings to the output of the
    input embedding itself: the gradient with respect to the sum and to that term are the same. Of
    an encoder with a decoder (BART, T5) it is the encoder's.
    """
    words = (model.get_encoder() if has_decoder(model) else model).get_input_embeddings()
    parents = (module for module in model.modules() if words in module.children())
    parent = next(parents, words)
    return parent if type(parent).__name__.endswith("Embeddings") else words


def has_decoder(model: nn.Module) -> bool:
    """Tell whether a decoder follows the encoder, as in BART and T5."""
    return bool(getattr(model.config, "is_encoder_decoder", False))


def last_encoder_layer(model: nn.Module) -> str:
    """Return the dotted name of the last layer of the encoder (ALBERT: of its one shared group).

    The encoder is the list of modules with most parameters; of nested ones, the outermost.

    Raises:
        InputError: the model holds no list of modules.
    """
    named = model.named_modules()  # an outer list comes before those in it
    lists = {name: module for name, module in named if _is_list(module)}
    if not lists:
        raise InputError(
            f"{type(model).__name__} holds no list of layers, so it has no last encoder layer; "
            "choose its parameters by a regular expression"
        )
    name = max(lists, key=lambda name: _size(lists[name]))
    return f"{name}.{len(lists[name]) - 1}"


def classifier(model: nn.Module) -> str:
    """Return the dotted name of the linear layer that puts out the logits.

    It is the last one with as many outputs as `model.config.num_labels`, so a head that was
    replaced by a `nn.Sequential` is found as well.

    Raises:
        InputError: there is no such layer.
    """
    labels = model.config.num_labels
    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module.out_features == labels
    ]
    if not names:
        raise InputError(
            f"{type(model).__name__} has no linear layer with num_labels={labels} outputs; "
            "load it as a sequence classifier"
        )
    return names[-1]


def parameter_group(model: nn.Module, which: str) -> tuple[str, ...]:
    """Return the names of the parameters that `which` stands for, each parameter once.

    Args:
        model: a sequence classifier.
        which: "all", "last_layer" (of the encoder), "classifier" (the layer of the logits), or a
            regular expression searched for in the parameter names.

    Raises:
        InputError: the expression is invalid or fits no parameter.
    """
    matches = re.compile(_pattern(model, which)).search
    named = list(model.named_parameters(remove_duplicate=False))
    chosen: dict[nn.Parameter, str] = {}
    for name, parameter in named:
        if matches(name):
            chosen.setdefault(parameter, name)
    if not chosen:
        raise InputError(
            f"no parameter name fits {which!r}; some of the {len(named)} names are "
            + ", ".join(name for name, _ in named[:: max(1, len(named) // 4)])
        )
    return tuple(chosen.values())


def not_finite(model: nn.Module) -> list[str]:
    """Return the names of the parameters that hold a number that is not finite."""
    named = {name: weights for name, weights in model.named_parameters() if weights.numel()}
    with torch.no_grad():  # one answer for all: on a GPU each would be waited for
        largest = torch.stack([weights.float().abs().max() for weights in named.values()])
    finite = largest.isfinite().tolist()
    return [name for name, is_finite in zip(named, finite, strict=True) if not is_finite]


def _pattern(model: nn.Module, which: str) -> str:
    if which == "all":
        return ""
    if which == "last_layer":
        return f"^{re.escape(last_encoder_layer(model))}\\."
    if which == "classifier":
        return f"^{re.escape(classifier(model))}\\."
    try:
        re.compile(which)
    except re.error as error:
        raise InputError(
            f"parameters {which!r} is neither all, last_layer, classifier nor a regular "
            f"expression: {error}"
        ) from None
    return which


def _is_list(module: nn.Module) -> bool:
    return isinstance(module, nn.ModuleList) and len(module) > 0


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
