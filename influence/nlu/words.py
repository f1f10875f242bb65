"""Tokenised utterances that know which token belongs to which word."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from influence.errors import InputError
from influence.models import tokens as batches
from influence.models.tokens import Tokens


@dataclass(frozen=True, eq=False)
class Words:
    """Tokenised utterances with their words."""

    tokens: Tokens
    words: tuple[tuple[str, ...], ...]
    word_ids: tuple[tuple[int | None, ...], ...]  # the word of each token, None of special ones

    def take(self, rows: np.ndarray) -> "Words":
        """Return the utterances `rows`, in that order."""
        return Words(
            self.tokens.take(rows),
            tuple(self.words[row] for row in rows),
            tuple(self.word_ids[row] for row in rows),
        )


def check_tokenizer(model: str, tokenizer) -> None:
    """Raise InputError if a tokenizer does not tell where in a text its tokens are."""
    if not tokenizer.is_fast:
        raise InputError(
            f"task=nlu tags words, but the tokenizer of model {model!r} does not tell where its "
            "tokens are; name a model with a fast tokenizer (tokenizer.json)"
        )


def read_words(tokenizer, texts: Sequence[str], max_length: int) -> Words:
    """Tokenise texts as the classifier does; words are what blanks separate."""
    types = "token_type_ids" in tokenizer.model_input_names
    tokens = batches.encode(tokenizer, pd.DataFrame({"text": list(texts)}), max_length, types)
    spans = tokenizer(
        list(texts), truncation=True, max_length=max_length, return_offsets_mapping=True
    )["offset_mapping"]
    ids = tuple(_word_ids(text, offsets) for text, offsets in zip(texts, spans, strict=True))
    return Words(tokens, tuple(tuple(text.split()) for text in texts), ids)


def _word_ids(text: str, offsets: Sequence[tuple[int, int]]) -> tuple[int | None, ...]:
    """Return the word of each token, by the characters that it covers.

    A tokenizer's own count will not do: some split words at punctuation.
    """
    begins = [not c.isspace() and (i == 0 or text[i - 1].isspace()) for i, c in enumerate(text)]
    word_of = np.cumsum(begins) - 1
    covered = (
        [place for place in range(start, end) if not text[place].isspace()]  # a blank may be in it
        for start, end in offsets
    )
    return tuple(int(word_of[places[0]]) if places else None for places in covered)
