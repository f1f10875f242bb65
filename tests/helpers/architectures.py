"""Tiny random sequence classifiers of many architectures, and batches for them."""

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer, Tokenizer
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    BertTokenizerFast,
    PreTrainedModel,
)

SIZES = {
    "vocab_size": 40,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "num_labels": 3,
    "pad_token_id": 0,
}
CONFIGS = {
    "bert": SIZES,
    "distilbert": SIZES | {"hidden_dim": 64},
    "roberta": SIZES | {"pad_token_id": 1},
    "electra": SIZES | {"embedding_size": 16},
    "albert": SIZES | {"embedding_size": 16, "num_hidden_groups": 1},
    "deberta-v2": SIZES
    | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8},
    "modernbert": SIZES | {"global_attn_every_n_layers": 2, "local_attention": 8},
    "gpt2": SIZES | {"n_inner": 64},
    "llama": SIZES | {"num_key_value_heads": 2},
}
ARCHITECTURES = tuple(CONFIGS)
_BOTH = {  # encoder and decoder
    **{"vocab_size": 40, "d_model": 32, "num_labels": 3, "pad_token_id": 0, "eos_token_id": 3},
    **{"encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 64},
    **{"decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 64},
    **{"max_position_embeddings": 64, "decoder_start_token_id": 3},
}
_LM = {"vocab_size": 40, "num_labels": 3, "pad_token_id": 0}
# Whose embedding layers do not simply give (examples, tokens, dimensions), once.
UNUSUAL: dict[str, dict] = {
    "bart": _BOTH,
    "mbart": _BOTH,
    "t5": _LM
    | {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "eos_token_id": 3}
    | {"decoder_start_token_id": 0},
    "longformer": SIZES | {"attention_window": 8, "pad_token_id": 1},
    "ibert": SIZES,
    "flaubert": _LM | {"emb_dim": 32, "n_layers": 2, "n_heads": 4, "pad_index": 0},
    "xlm": _LM | {"emb_dim": 32, "n_layers": 2, "n_heads": 4, "pad_index": 0},
    "gpt_neo": _LM
    | {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "max_position_embeddings": 64}
    | {"attention_types": [[["global", "local"], 1]], "window_size": 8},
    "gptj": _LM | {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "rotary_dim": 4},
    "openai-gpt": _LM | {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "ctrl": _LM | {"n_embd": 32, "n_layer": 2, "n_head": 4, "dff": 64, "n_positions": 64},
}
# DeBERTa-v2 feeds a table of relative positions, which is no example's, to its linear layers.
TOLD_APART = tuple(name for name in CONFIGS if name != "deberta-v2")


def build(name: str, seed: int = 0, **changes: object) -> PreTrainedModel:
    """Return a classifier of three classes in evaluation mode, in float32, no weight at its start.

    `changes` replace values of its configuration.
    """
    torch.manual_seed(seed)
    unused = {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
    config = AutoConfig.for_model(name, **unused | (CONFIGS | UNUSUAL)[name] | changes)
    return perturbed(AutoModelForSequenceClassification.from_config(config), seed)


def build_tied(name: str) -> PreTrainedModel:
    """Return a "bert" or "gpt2" that predicts tokens: its decoder is its embedding, transposed."""
    torch.manual_seed(0)
    kind = {"bert": AutoModelForMaskedLM, "gpt2": AutoModelForCausalLM}[name]
    model = perturbed(kind.from_config(AutoConfig.for_model(name, **CONFIGS[name])))
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    return model


def tokens_of(texts: Sequence[str]) -> Tokenizer:
    """Return a tokenizer of at most 200 tokens that knows these texts."""
    wordpiece = BertWordPieceTokenizer()
    wordpiece.train_from_iterator(texts, vocab_size=200, show_progress=False)
    return wordpiece._tokenizer


def save(
    at: Path, tokens: Tokenizer, name: str = "bert", tokenizer: bool = True, **changes: object
) -> Path:
    """Save an encoder of 64 positions as people have them, with its tokenizer or without."""
    model = build(name, **{"vocab_size": tokens.get_vocab_size()} | changes)
    model.base_model.save_pretrained(at)
    if tokenizer:
        BertTokenizerFast(tokenizer_object=tokens).save_pretrained(at)
    return at


def perturbed(model: PreTrainedModel, seed: int = 0) -> PreTrainedModel:
    """Move every weight, or scales of one and biases of zero would hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.15)
    return model.eval()


def batch(
    model: PreTrainedModel, lengths: Sequence[int] = (9, 4, 6, 2), width: int = 0, seed: int = 0
) -> tuple[dict[str, Tensor], Tensor]:
    """Return inputs, padded on the right to `width` at least, and labels.

    Tokens come from ten ids, so that some occur more than once in an example; example i is the
    same for every width.
    """
    width = max(width, *lengths)
    ids = torch.full((len(lengths), width), model.config.pad_token_id)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        generator = torch.Generator().manual_seed(100 * seed + row)
        ids[row, :length] = torch.randint(5, 15, (length,), generator=generator)
        mask[row, :length] = 1
    labels = torch.arange(len(lengths)) % model.config.num_labels
    return {"input_ids": ids, "attention_mask": mask}, labels
