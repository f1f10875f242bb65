"""Tokenizers: trained on the texts, opened from elsewhere or from a training, and their digests."""

import hashlib
import json
from pathlib import Path

from influence.config.parameters import ModelConfig
from influence.errors import InputError
from influence.models import compatibility
from influence.models.pretrained import SCRATCH, open_pretrained, quiet, shortened, source_of


def load_tokenizer(config: ModelConfig, texts: list[str]):
    """Return the model's own tokenizer, or, from scratch, a WordPiece one trained on `texts`."""
    if config.model in SCRATCH:
        return _train_wordpiece(texts, config.vocabulary)
    try:
        return read_tokenizer(source_of(config.model), config.model)
    except InputError:
        from transformers import AutoConfig

        open_pretrained(AutoConfig, config.model)  # says so if there is no such model at all
        raise


def read_tokenizer(source: str | Path, model: str):
    """Return the tokenizer that somebody else saved for `model`, padding on the right.

    Raises InputError if there is none, or if it has no token to pad with.
    """
    from transformers import AutoTokenizer

    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except Exception as error:  # of whatever kind: these files are not ours, nor what reads them
        raise InputError(
            f"unknown model {model!r}: it has no tokenizer that can be opened "
            f"({shortened(error)}); save the tokenizer that it was trained with beside it"
        ) from None
    compatibility.check_own_tokens(f"model {model!r}", tokenizer)
    if tokenizer.pad_token is None:  # decoders
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None:
        raise InputError(
            f"the tokenizer of model {model!r} names no token to pad with, nor one for the end of "
            'a text; add one of its tokens to its tokenizer_config.json, such as "pad_token": '
            '"[PAD]"'
        )
    tokenizer.padding_side = "right"
    return tokenizer


def open_tokenizer(directory: Path):
    """Return a tokenizer saved by a training step."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(directory, padding_side="right")


def tokenizer_digest(tokenizer) -> str:
    """Return a digest of all that decides what a tokenizer makes of a text."""
    fast = getattr(tokenizer, "backend_tokenizer", None)
    content = tokenizer.get_vocab() if fast is None else json.loads(fast.to_str())
    for setting in ("truncation", "padding"):  # of its last call
        content.pop(setting, None)
    facts = [type(tokenizer).__name__, tokenizer.pad_token_id, tokenizer.model_input_names, content]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _train_wordpiece(texts: list[str], vocabulary: int):
    """Train a vocabulary that depends on the texts alone.

    The trainer numbers continued characters in the order of a randomised hash table and breaks ties
    by number. Naming all characters as special tokens fixes the numbers; the vocabulary is then put
    into a tokenizer in which they are ordinary ones.
    """
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertTokenizerFast

    normalize = BertWordPieceTokenizer(lowercase=True)._tokenizer.normalizer.normalize_str
    characters = sorted(set().union(*map(normalize, texts)) - {" "})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trained = BertWordPieceTokenizer(lowercase=True)
    trained.train_from_iterator(
        texts,
        vocab_size=max(vocabulary, len(special) + 2 * len(characters)),
        min_frequency=2,
        show_progress=False,
        special_tokens=[*special, *characters, *(f"##{c}" for c in characters)],
    )
    tokenizer = BertWordPieceTokenizer(vocab=trained.get_vocab(), lowercase=True)
    return BertTokenizerFast(tokenizer_object=tokenizer._tokenizer)
