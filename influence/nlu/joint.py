"""The model of one domain: an encoder with two heads, an utterance's intent and its words' tags."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from influence.config.parameters import FitConfig, ModelConfig
from influence.data.tags import slots
from influence.errors import InputError
from influence.models import classifier as models
from influence.models import tokens as batches
from influence.models.fit import loop, steps_per_epoch
from influence.models.tokens import Tokens, sent

IGNORED = -100  # the tag of what is no first token of a word


@dataclass(frozen=True, eq=False)
class Words:
    """Tokenised utterances that know which token belongs to which word."""

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


class Outputs(NamedTuple):
    """Logits of a batch."""

    intents: Tensor  # (utterances, intents)
    tags: Tensor  # (utterances, tokens, tags)


class Joint(nn.Module):
    """One encoder; a linear head on the mean of its states, another on the state of each token."""

    def __init__(self, encoder: nn.Module, intents: Sequence[str], tags: Sequence[str]) -> None:
        """Put fresh heads for these intents and tags on `encoder`."""
        super().__init__()
        self.encoder, self.intents, self.tags = encoder, tuple(intents), tuple(tags)
        size = encoder.config.hidden_size
        self.dropout = nn.Dropout(getattr(encoder.config, "hidden_dropout_prob", 0.1))
        self.intent_head = nn.Linear(size, len(intents))
        self.tag_head = nn.Linear(size, len(tags))

    @property
    def base_model(self) -> nn.Module:
        """The encoder, which trains at a learning rate of its own."""
        return self.encoder

    def forward(self, **inputs: Tensor) -> Outputs:
        """Return the logits of both heads."""
        states = self.encoder(**inputs).last_hidden_state
        real = inputs["attention_mask"][..., None].to(states.dtype)
        mean = (states * real).sum(1) / real.sum(1)
        return Outputs(self.intent_head(self.dropout(mean)), self.tag_head(self.dropout(states)))


def check_tokenizer(model: str, tokenizer) -> None:
    """Raise InputError if a tokenizer does not tell where in a text its tokens are."""
    if not tokenizer.is_fast:
        raise InputError(
            f"task=nlu tags words, but the tokenizer of model {model!r} does not tell where its "
            "tokens are; name a model with a fast tokenizer (tokenizer.json)"
        )


def read_words(tokenizer, texts: Sequence[str], max_length: int) -> Words:
    """Tokenise texts as the classifier does; words are what blanks separate."""
    import pandas as pd

    types = "token_type_ids" in tokenizer.model_input_names
    tokens = batches.encode(tokenizer, pd.DataFrame({"text": list(texts)}), max_length, types)
    spans = tokenizer(
        list(texts), truncation=True, max_length=max_length, return_offsets_mapping=True
    )["offset_mapping"]
    ids = tuple(_word_ids(text, offsets) for text, offsets in zip(texts, spans, strict=True))
    return Words(tokens, tuple(tuple(text.split()) for text in texts), ids)


def build(
    config: ModelConfig, tokenizer, intents: Sequence[str], tags: Sequence[str], seed: int
) -> Joint:
    """Return a model on the encoder that `config` names; the heads depend on `seed`."""
    classifier = models.build(config, tokenizer, ("0", "1"), seed, head=False)
    return Joint(classifier.base_model, intents, tags).eval()


def fit(
    joint: Joint,
    words: Words,
    intents: Sequence[str],
    tags: Sequence[Sequence[str]],
    config: FitConfig,
    seed: int,
    steps: int = 0,
) -> None:
    """Train in place on the sum of both cross-entropies; `steps` 0: `config.epochs` epochs.

    `intents` one per utterance, `tags` one per word of each. A tag counts at the first token of its
    word; words cut off by `max_length` do not count.
    """
    steps = steps or config.epochs * steps_per_epoch(len(words.tokens), config.batch_size)
    targets = torch.tensor([joint.intents.index(intent) for intent in intents])
    numbers = {tag: number for number, tag in enumerate(joint.tags)}
    aligned = slots.align(words.word_ids, [[numbers[tag] for tag in row] for row in tags], IGNORED)
    values = np.concatenate([np.array(row, dtype=np.int64) for row in aligned])

    lengths = words.tokens.lengths
    starts = batches.starts_of(lengths)

    def objective(outputs: Outputs, rows: np.ndarray) -> Tensor:
        wanted = batches.pad_values(starts[rows], lengths[rows], values, IGNORED)
        device = outputs.tags.device
        intent = functional.cross_entropy(outputs.intents.float(), sent(targets[rows], device))
        tag = functional.cross_entropy(
            outputs.tags.float().transpose(1, 2), sent(wanted, device), ignore_index=IGNORED
        )
        return intent + tag

    for _ in loop(joint, words.tokens, objective, config, seed, (steps,), steps):
        pass


def predict(
    joint: Joint, words: Words, batch_tokens: int = 0
) -> tuple[np.ndarray, list[tuple[str, ...]]]:
    """Return the intent (utterances,) and the tags of the words of each utterance.

    A word without a token of its own (cut off, or nothing that the tokenizer knows) is outside.
    """
    device = next(joint.parameters()).device
    intents = np.empty(len(words.tokens), dtype=object)
    tags: list[tuple[str, ...]] = [()] * len(words.tokens)
    outside = joint.tags.index(slots.OUTSIDE)
    joint.eval()
    with torch.inference_mode():
        budget = batch_tokens or batches.usual_tokens(device)
        for rows in batches.budget_batches(words.tokens.lengths, budget):
            found = joint(**batches.collate(words.tokens, rows, device))
            best, chosen = found.intents.argmax(-1).tolist(), found.tags.argmax(-1).cpu().numpy()
            for row, intent, numbers in zip(rows, best, chosen, strict=True):
                intents[row] = joint.intents[intent]
                count, ids = len(words.words[row]), words.word_ids[row]
                tagged = slots.from_tokens(ids, numbers.tolist(), count, outside)
                tags[row] = tuple(joint.tags[number] for number in tagged)
    return intents.astype(str), tags


def save(joint: Joint, directory: Path) -> None:
    """Write weights, the encoder's config, and the names of intents and tags."""
    directory.mkdir(parents=True, exist_ok=True)
    joint.encoder.config.save_pretrained(directory)
    weights = {name: tensor.contiguous() for name, tensor in joint.state_dict().items()}
    save_file(weights, directory / "model.safetensors")
    names = {"intents": joint.intents, "tags": joint.tags}
    (directory / "joint.json").write_text(json.dumps(names, indent=1), encoding="utf-8")


def open_saved(directory: Path) -> Joint:
    """Return what `save` wrote, in eval mode."""
    from transformers import AutoConfig, AutoModel

    names = json.loads((directory / "joint.json").read_text(encoding="utf-8"))
    encoder = AutoModel.from_config(AutoConfig.from_pretrained(directory), dtype=torch.float32)
    joint = Joint(encoder, names["intents"], names["tags"])
    joint.load_state_dict(load_file(directory / "model.safetensors"))
    return joint.eval()


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
