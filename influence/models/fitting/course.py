"""What a training is of, and which part of it is run."""

from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from influence.config.parameters import FitConfig
from influence.models import classifier
from influence.models.fit import State, steps_per_epoch
from influence.models.tokens import Tokens

IGNORED = -100  # a target that counts for nothing

Loss = Callable[[Any, torch.Tensor, torch.Tensor | None], torch.Tensor]


@dataclass(frozen=True, eq=False)
class Examples:
    """What can be trained on.

    tags: a target for every token, in the order of `tokens.ids`, IGNORED where there is none.
    """

    tokens: Tokens
    labels: np.ndarray  # int64 (examples,)
    tags: np.ndarray | None = None  # int64 (tokens,)

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Course:
    """Trainings of one kind: they differ by their rows, seed and length, and by their targets.

    name: equal for two courses whose models, tokens, loss and parameters are the same but for the
    seed; a model that is kept on the device serves all courses of its name. data: the same for the
    tokens alone. build: gives the model at its starting weights for a seed, on the CPU. loss: of
    the model's outputs for a batch, its labels (rows,) and its tags (rows, tokens), if any.
    """

    name: Hashable
    data: Hashable
    build: Callable[[int], nn.Module]
    examples: Examples
    loss: Loss
    config: FitConfig
    device: str = "cpu"


@dataclass(frozen=True, eq=False)
class Part:
    """Which part of a course is run: `models.fit.loop` says what each field means."""

    rows: np.ndarray  # of the examples (kept,)
    seed: int
    stops: Collection[int]
    steps: int
    begun: State | None = None

    @property
    def first(self) -> int:
        """Steps that were taken before."""
        return self.begun.step if self.begun else 0


def of_classifier(
    config: FitConfig,
    tokenizer,
    label_names: tuple[str, ...],
    examples: Examples,
    data: Hashable,
    device: str,
) -> Course:
    """Return the trainings of a sequence classifier; `data` names the tokens, see Course."""
    build = partial(classifier.build, config, tokenizer, label_names)
    name = ("classifier", data, label_names, *parameters(config))
    return Course(name, data, build, examples, classification, config, device)


def parameters(config: FitConfig) -> tuple[tuple[str, Any], ...]:
    """Return all that a training of this config depends on but for its seed."""
    values = config.parameters(FitConfig)
    return tuple(sorted((name, value) for name, value in values.items() if name != "seed"))


def part(
    course: Course,
    rows: np.ndarray | None,
    seed: int,
    stops: Collection[int] = (),
    steps: int = 0,
    begun: State | None = None,
) -> Part:
    """Return a training on `rows`, None for all; `steps` 0: of `config.epochs` epochs.

    It stops at its end, or at `stops`.
    """
    rows = np.arange(len(course.examples)) if rows is None else rows
    usual = course.config.epochs * steps_per_epoch(len(rows), course.config.batch_size)
    steps = steps or usual
    return Part(rows, seed, stops or (steps,), steps, begun)


def classification(outputs: Any, labels: torch.Tensor, tags: torch.Tensor | None) -> torch.Tensor:
    """Return the mean cross-entropy of the logits, in nats."""
    return functional.cross_entropy(outputs.logits.float(), labels, ignore_index=IGNORED)
