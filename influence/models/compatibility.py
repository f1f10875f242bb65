"""Whether weights, tokenizer and texts belong together, by what they do and not by their names."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import torch
from torch import nn

from influence.errors import SAID_TOO_LARGE, InputError, first_line
from influence.models.layers import not_finite
from influence.models.tokens import Tokens, collate, encode

SAMPLE = 1000  # train examples whose tokens are looked at
LOST = 0.9  # share of unknown tokens from which on a model learns nothing of the texts
NOTED = 0.1  # share from which on it is said
USUAL = 1024  # tokens that one row is tried with whatever the lengths of the texts
PART = 8192  # examples tokenised at a time


def check(
    name: str,
    model: nn.Module,
    tokenizer,
    max_length: int,
    splits: Mapping[str, pd.DataFrame],
    unseen: bool = False,
) -> list[str]:
    """Check a classifier with its tokenizer and the texts that it will read; return notes.

    `name` is that of the model in messages; `splits` hold text and, for pairs, text_pair; `unseen`:
    texts that nobody knows yet, of up to `max_length` tokens, shall be read too. The model is on
    the CPU and stays as it was. Raises InputError, with the way out, for a tokenizer that knows
    next to nothing of train, for weights that are no numbers, for tokens that the embeddings have
    no row for, for texts of more tokens than the model has positions, and for padding that changes
    what the model says.
    """
    _check_weights(name, model)
    notes = _check_tokens(name, tokenizer, max_length, sample(splits["train"]))
    rows, vocabulary = embedding_rows(model), tokenizer.get_vocab()
    if max(vocabulary.values(), default=0) >= rows or tokenizer.pad_token_id >= rows:
        _check_rows(name, tokenizer, max_length, splits, rows)
    tokens = _encode(tokenizer, sample(splits["train"]), max_length)
    full = np.flatnonzero(tokens.lengths)
    shortest = tokens.take(full[[tokens.lengths[full].argmin()]])
    training = model.training
    model.eval()
    known = None if unseen else splits
    _check_positions(name, model, tokenizer, max_length, shortest, known)
    if model.config.pad_token_id != tokenizer.pad_token_id and shortest.lengths[0] < max_length:
        _check_padding(name, model, shortest)
    model.train(training)
    return notes


def check_own_tokens(name: str, tokenizer) -> None:
    """Raise InputError for a tokenizer of special tokens alone: that is one without its files."""
    if not set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens):
        raise InputError(
            f"{name} has no tokenizer: what its files give knows no word; save the tokenizer that "
            "it was trained with beside it (tokenizer.save_pretrained)"
        )


def sample(rows: pd.DataFrame, size: int = SAMPLE) -> pd.DataFrame:
    """Return at most `size` rows, evenly spread over all, always the same ones."""
    return rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(size, len(rows))).astype(int))]


def embedding_rows(model: nn.Module) -> int:
    """Return how many tokens the model has embeddings for.

    Raises InputError if it has no table of them.
    """
    try:
        return len(model.get_input_embeddings().weight)
    except (NotImplementedError, AttributeError):  # CANINE hashes characters, Perceiver has others
        raise InputError(
            f"{type(model).__name__} has no table of embeddings by token, which training and "
            "scores need; take a model with a tokenizer of words or pieces of them, such as one of "
            "BERT, RoBERTa or DeBERTa"
        ) from None


def longest_input(model: nn.Module, row: dict[str, torch.Tensor], wanted: int) -> int:
    """Return how many tokens the model reads at once, `wanted` at most, by trying.

    `row`: the inputs of one text, which are repeated to the length tried. No table is looked for:
    position embeddings may have rows that no token gets (RoBERTa), or be none at all (T5).
    """

    def reads(length: int) -> bool:
        width = row["input_ids"].shape[1]
        inputs = {k: v.repeat(1, -(-length // width))[:, :length] for k, v in row.items()}
        try:
            with torch.inference_mode():
                model(**inputs)
        except Exception as error:  # whatever a model of others says to what it cannot read
            if isinstance(error, MemoryError) or SAID_TOO_LARGE.search(str(error)):
                raise
            return False
        return True

    if reads(wanted):
        return wanted
    good, bad = 0, wanted
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if reads(middle) else (good, middle)
    return good


def _check_weights(name: str, model: nn.Module) -> None:
    if broken := not_finite(model):
        raise InputError(
            f"{name} holds weights that are not finite, in {len(broken)} parameters "
            f"({broken[0]}): the training that they come from diverged, or they were saved in a "
            "precision that is too small; give others"
        )


def _check_tokens(name: str, tokenizer, max_length: int, rows: pd.DataFrame) -> list[str]:
    """Look at what the tokenizer makes of the texts of train, without what it adds to them."""
    texts = [text for column in _texts(rows) for text in rows[column]]
    encoded = tokenizer(texts, add_special_tokens=False, truncation=True, max_length=max_length)
    ids = np.array([i for row in encoded["input_ids"] for i in row or [-1]])  # -1: nothing
    unknown = _unknown(tokenizer)
    share = float(np.isin(ids, [-1, *unknown]).mean())
    most = max(share, 0.0 if unknown else _unseen(tokenizer, ids, texts))
    if most >= LOST:
        raise InputError(
            f"the tokenizer of {name} knows next to nothing of the texts: {most:.0%} of the "
            "tokens of train are the same unknown one; name a model made for such texts, or "
            "save its own tokenizer beside it"
        )
    if share >= NOTED:
        return [f"the tokenizer of {name} does not know {share:.0%} of the tokens of train"]
    return []


def _unknown(tokenizer) -> set[int]:
    """Return the tokens that stand for what a tokenizer does not know, as far as it says so.

    Special ones that people have added, such as markers of entities, are known. What a tokenizer
    declares may be missing, though its own algorithm names one.
    """
    algorithm = getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None)
    token = getattr(algorithm, "unk_token", None)
    named = None if token is None else tokenizer.get_vocab().get(token)
    unknown = {tokenizer.unk_token_id, named, getattr(algorithm, "unk_id", None)}
    return {number for number in unknown if number is not None}


def _unseen(tokenizer, ids: np.ndarray, texts: list[str]) -> float:
    """Return the share of the most frequent token if no text holds what it stands for, else 0.

    So a tokenizer that names no token for the unknown gives itself away.
    """
    numbers, counts = np.unique(ids, return_counts=True)
    piece = tokenizer.decode([int(numbers[counts.argmax()])]).strip().lower()
    if piece and any(piece in text.lower() for text in texts):
        return 0.0
    return float(counts.max() / len(ids))


def _check_rows(
    name: str, tokenizer, max_length: int, splits: Mapping[str, pd.DataFrame], rows: int
) -> None:
    used = [tokens.ids.max(initial=0) for tokens in _tokenised(tokenizer, max_length, splits)]
    highest = int(max(tokenizer.pad_token_id, *used))
    if highest >= rows:
        raise InputError(
            f"the tokenizer gives token {highest} "
            f"({tokenizer.convert_ids_to_tokens(highest)!r}), but {name} has embeddings for tokens "
            f"0 to {rows - 1}; save the tokenizer that the weights were trained with, or the model "
            "after resize_token_embeddings"
        )


def _check_positions(
    name: str,
    model: nn.Module,
    tokenizer,
    max_length: int,
    shortest: Tokens,
    splits: Mapping[str, pd.DataFrame] | None,
) -> None:
    """Raise InputError unless the model reads all of `splits`, or, if None, whatever may come."""
    row, needed = collate(shortest, np.array([0])), max_length
    if max_length <= USUAL and longest_input(model, row, max_length) == max_length:
        return
    if splits is not None:
        parts = _tokenised(tokenizer, max_length, splits)
        needed = max(int(part.lengths.max()) for part in parts)
    longest = longest_input(model, row, needed)
    if longest < shortest.lengths[0]:
        raise InputError(f"{name} cannot read a text of train: {_refusal(model, row)}")
    if longest < needed:
        raise InputError(
            f"{name} has positions for {longest} tokens, but max_length={max_length} lets a text "
            f"have {needed}; give max_length={longest} or less"
        )


def _check_padding(name: str, model: nn.Module, text: Tokens) -> None:
    """Compare a text alone with the same one padded, as it is beside a longer one."""
    width, one = int(text.lengths[0]), np.array([0])
    with torch.inference_mode():
        alone, padded = (
            model(**collate(text, one, width=wide)).logits.float() for wide in (width, width + 1)
        )
    if not torch.allclose(alone, padded, rtol=1e-3, atol=1e-4):
        raise InputError(
            f"padding changes what {name} predicts: its tokenizer pads with token {text.pad}, but "
            f"pad_token_id={model.config.pad_token_id} in its config.json; save both with the same"
        )


def _refusal(model: nn.Module, row: dict[str, torch.Tensor]) -> str:
    """Return the first line of what a model says to an input that it cannot read."""
    try:
        with torch.inference_mode():
            model(**row)
    except Exception as error:
        return first_line(error)
    return "not even its first tokens"


def _encode(tokenizer, rows: pd.DataFrame, max_length: int) -> Tokens:
    types = "token_type_ids" in tokenizer.model_input_names
    return encode(tokenizer, rows[_texts(rows)], max_length, types)


def _tokenised(tokenizer, max_length: int, splits: Mapping[str, pd.DataFrame]) -> Iterator[Tokens]:
    for rows in splits.values():
        for start in range(0, len(rows), PART):
            yield _encode(tokenizer, rows.iloc[start : start + PART], max_length)


def _texts(rows: pd.DataFrame) -> list[str]:
    return [name for name in ("text", "text_pair") if name in rows]
