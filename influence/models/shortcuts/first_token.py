"""The last layer of an encoder, computed for the one token that the head reads.

The classifiers of BERT's family hand the first token of the last layer to their head, and nothing
else of it. That token attends to all the others, but queries, feed-forward network and norms of
these are thrown away: a fifth of a model of four layers, two fifths of one of two. The logits are
the same without them, and so are all gradients.
"""

from collections.abc import Callable
from operator import attrgetter
from types import MethodType
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from influence.shapes import Bool, Float

Hidden = Float[Tensor, "examples tokens dimensions"]
First = Float[Tensor, "examples 1 dimensions"]
# True where a token may look, or what is added to the scores before their softmax.
Mask = Bool[Tensor, "examples 1 queries keys"] | Float[Tensor, "examples 1 queries keys"]


def read_first_token(model: nn.Module) -> nn.Module:
    """Let a classifier compute its last layer for the first token alone, if it reads no other.

    Returns the same model; its weights and what it saves stay as they are. Its encoder, called by
    itself, still gives all tokens. A model of another family stays as it was.
    """
    config: Any = model.config
    usual = config._attn_implementation == "sdpa" and not getattr(config, "is_decoder", False)
    if usual and config.model_type in FAMILIES and not _reads(model):
        # For as long as the classifier runs: a layer that holds a method of its own would be freed
        # late, and its memory is what the next retraining waits for.
        model.register_forward_pre_hook(_begin)
        model.register_forward_hook(_end, always_call=True)
    return model


def seen_once(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of the encoder that see the first token of each example alone."""
    if not _reads(model):
        return []
    layer, family = _last(model)
    see_all = {id(weights) for one in family.maps(layer)[1:] for weights in one.parameters()}
    return [weights for weights in layer.parameters() if id(weights) not in see_all]


def _reads(model: nn.Module) -> bool:
    return _begin in model._forward_pre_hooks.values()


class _Family(NamedTuple):
    forward: Callable[..., First]  # of a layer, for the first token
    maps: Callable[[Any], tuple[nn.Module, nn.Module, nn.Module]]  # to queries, keys and values
    attention: Callable[[Any], Any]  # which knows the size of a head and the dropout


def _begin(model: nn.Module, _inputs: Any) -> None:
    layer, family = _last(model)
    layer.forward = MethodType(family.forward, layer)


def _end(model: nn.Module, _inputs: Any, _outputs: Any) -> None:
    del _last(model)[0].forward


def _last(model: nn.Module) -> tuple[Any, _Family]:
    encoder: Any = model.base_model
    layers = (encoder.transformer if hasattr(encoder, "transformer") else encoder.encoder).layer
    return layers[-1], FAMILIES[encoder.config.model_type]


def _attended(family: _Family, layer: Any, hidden: Hidden, mask: Mask | None) -> First:
    attention = family.attention(layer)
    query, key, value = family.maps(layer)

    def heads(mapped: Tensor) -> Tensor:
        return mapped.unflatten(-1, (-1, attention.attention_head_size)).transpose(1, 2)

    found = scaled_dot_product_attention(
        heads(query(hidden[:, :1])),
        heads(key(hidden)),
        heads(value(hidden)),
        attn_mask=None if mask is None else mask[..., :1, :],
        dropout_p=attention.dropout.p if attention.training else 0.0,
    )
    return found.transpose(1, 2).flatten(2)


def _bert(layer: Any, hidden: Hidden, mask: Mask | None = None, *_: Any, **__: Any) -> First:
    attended = _attended(BERT, layer, hidden, mask)
    return layer.feed_forward_chunk(layer.attention.output(attended, hidden[:, :1]))


def _distilbert(layer: Any, hidden: Hidden, mask: Mask | None = None, **_: Any) -> First:
    attended = layer.attention.out_lin(_attended(DISTILBERT, layer, hidden, mask))
    first = layer.sa_layer_norm(attended + hidden[:, :1])
    return layer.output_layer_norm(layer.ffn(first) + first)


BERT = _Family(
    _bert,
    attrgetter("attention.self.query", "attention.self.key", "attention.self.value"),
    attrgetter("attention.self"),
)
DISTILBERT = _Family(
    _distilbert,
    attrgetter("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    attrgetter("attention"),
)
FAMILIES = {
    **dict.fromkeys(["bert", "roberta", "xlm-roberta", "camembert", "electra"], BERT),
    "distilbert": DISTILBERT,
}
