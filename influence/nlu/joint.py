"""The model of one domain: an encoder with two heads, an utterance's intent and its words' tags."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from influence.config.parameters import ModelConfig
from influence.data.tags import slots
from influence.models import classifier as models
from influence.models import tokens as batches
from influence.models.fitting.course import IGNORED, Examples
from influence.nlu.words import Words


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
        states, mask = self.encoder(**inputs).last_hidden_state, inputs["attention_mask"]
        if mask.dim() == 4:  # what is added to attention scores: 0 at tokens, see fitting.rows
            mask = mask[:, 0, 0] == 0
        real = mask[..., None].to(states.dtype)
        mean = (states * real).sum(1) / real.sum(1)
        return Outputs(self.intent_head(self.dropout(mean)), self.tag_head(self.dropout(states)))


def build(
    config: ModelConfig, tokenizer, intents: Sequence[str], tags: Sequence[str], seed: int
) -> Joint:
    """Return a model on the encoder that `config` names; the heads depend on `seed`."""
    classifier = models.build(config, tokenizer, ("0", "1"), seed, head=False)
    return Joint(classifier.base_model, intents, tags).eval()


def targets(
    words: Words,
    rows: np.ndarray,
    names: tuple[Sequence[str], Sequence[str]],
    intents: Sequence[str],
    tags: Sequence[Sequence[str]],
) -> Examples:
    """Return the utterances with the targets of `rows`, as numbers of intents and tags in `names`.

    `intents` one per row, `tags` one per word of each. A tag counts at the first token of its word;
    words cut off by `max_length` do not count.
    """
    numbers = [{name: number for number, name in enumerate(some)} for some in names]
    tokens = words.tokens
    labels, every = np.full(len(tokens), IGNORED), np.full(len(tokens.ids), IGNORED)
    labels[rows] = [numbers[0][intent] for intent in intents]
    wanted = [[numbers[1][tag] for tag in row] for row in tags]
    aligned = slots.align([words.word_ids[row] for row in rows], wanted, IGNORED)
    for row, values in zip(rows, aligned, strict=True):
        start = tokens.starts[row]
        every[start : start + len(values)] = values
    return Examples(tokens, labels, every)


def loss(outputs: Outputs, intents: Tensor, tags: Tensor | None) -> Tensor:
    """Return the sum of both cross-entropies, in nats."""
    assert tags is not None
    intent = functional.cross_entropy(outputs.intents.float(), intents, ignore_index=IGNORED)
    logits = outputs.tags.float().transpose(1, 2)
    return intent + functional.cross_entropy(logits, tags, ignore_index=IGNORED)


def predict(
    joint: Joint, words: Words, batch_tokens: int = 0, precision: str = "fp32"
) -> tuple[np.ndarray, list[tuple[str, ...]]]:
    """Return the intent (utterances,) and the tags of the words of each utterance.

    A word without a token of its own (cut off, or nothing that the tokenizer knows) is outside.
    `precision`: as `models.classifier.predict` takes it.
    """
    device = next(joint.parameters()).device
    intents = np.empty(len(words.tokens), dtype=object)
    tags: list[tuple[str, ...]] = [()] * len(words.tokens)
    outside = joint.tags.index(slots.OUTSIDE)
    joint.eval()
    with models.predicting(device, precision):
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
