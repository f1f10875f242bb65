"""The head of a probe: two layers on the frozen vectors of an encoder, and how it is trained.

Its recipe is fixed: hidden layers of 128 to 512, 5 to 20 epochs and rates of 3e-4 to 3e-3 rank
examples nearly alike (benchmarks/proxy.json). One layer in place of two ranks them worse, and so
does, on question types, the mean over tokens alone in place of three vectors; dropout makes ranks
depend less on the length of the training.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from influence.config.parameters import FitConfig
from influence.models.fit import factor

HIDDEN = 128  # width of the hidden layer
DROPOUT = 0.3  # of the vectors and of the hidden layer
RATE = 1e-3  # of AdamW at its highest
SCHEDULE = FitConfig(schedule="linear", warmup=0.1)
LARGEST_BATCH = 128  # examples
FEWEST_STEPS = 32  # of an epoch, where there are examples for so many
AT_ONCE = 4096  # examples in memory in 64 bits, or predicted


@dataclass(frozen=True, eq=False)
class Vectors:
    """The vector of every example, standardised when it is read: each number by its dimension.

    values: (examples, width), may be a map of a file; centre and scale: (width,).
    """

    values: np.ndarray
    centre: np.ndarray
    scale: np.ndarray

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.values)

    def __getitem__(self, rows: np.ndarray | slice) -> Tensor:
        """Return the standardised vectors of some examples (rows, width), in fp32."""
        return torch.from_numpy((self.values[rows] - self.centre) / self.scale)

    def standardised_alike(self, values: np.ndarray) -> "Vectors":
        """Return other vectors, standardised as these are."""
        return Vectors(values, self.centre, self.scale)


def standardised(values: np.ndarray) -> Vectors:
    """Return vectors (examples, width) of mean 0 and variance 1 in each dimension that varies."""
    centre = _mean(values)
    scale = np.sqrt(_mean(values, lambda part: np.square(part - centre)))
    scale = np.where(scale > 0, scale, 1)
    return Vectors(values, centre.astype(np.float32), scale.astype(np.float32))


class Head(nn.Module):
    """Logits of standardised vectors: linear, tanh, linear.

    It is named and called like a sequence classifier whose encoder is the hidden layer. The tanh is
    that of BERT's head. It has to be smooth: under ReLU, gradients at the vectors hardly change
    from epoch to epoch but where a unit switches, and their variance ranks examples the other way.
    """

    def __init__(self, width: int, classes: int, hidden: int) -> None:
        """`width`: of the vectors; the weights are drawn from torch's generator."""
        super().__init__()
        self.config = SimpleNamespace(num_labels=classes)
        self.dropout = nn.Dropout(DROPOUT)
        self.layers = nn.ModuleList([nn.Linear(width, hidden)])
        self.classifier = nn.Linear(hidden, classes)

    def forward(self, vectors: Tensor) -> SimpleNamespace:
        """Return an object with the `logits` (examples, classes) of `vectors` (examples, width)."""
        (layer,) = self.layers
        inner = torch.tanh(layer(self.dropout(vectors)))
        return SimpleNamespace(logits=self.classifier(self.dropout(inner)))


@dataclass(frozen=True)
class Epoch:
    """The end of an epoch of a head: its number from 1, optimiser steps taken, the last one's rate.

    loss: mean over the steps of the epoch, in nats.
    """

    number: int
    step: int
    learning_rate: float
    loss: float = math.nan


def batch_size(examples: int) -> int:
    """Return the examples of a step: fewer where an epoch would have hardly any steps."""
    return min(LARGEST_BATCH, max(1, math.ceil(examples / FEWEST_STEPS)))


def plan(examples: int, epochs: int) -> tuple[Epoch, ...]:
    """Return the ends of the epochs of a training on so many examples."""
    steps = math.ceil(examples / batch_size(examples))
    ends = range(steps, steps * epochs + 1, steps)
    rates = [RATE * factor(end, steps * epochs, SCHEDULE) for end in ends]
    return tuple(Epoch(number, *end) for number, end in enumerate(zip(ends, rates, strict=True), 1))


def train(
    vectors: Vectors,
    labels: np.ndarray,
    rows: np.ndarray,
    classes: int,
    epochs: int,
    seed: int,
    device: str = "cpu",
) -> Iterator[tuple[Epoch, Head]]:
    """Train a head on some rows and yield it at the end of every epoch, in evaluation mode.

    AdamW without weight decay, the rate falling linearly to 0 after a warm-up. The result depends
    on `seed` and the number of threads alone.

    Many parameters: what is trained on (three and their classes), for how long, and where; callers
    share no group of them.
    """
    torch.manual_seed(seed)
    head = Head(vectors.values.shape[1], classes, HIDDEN).to(device)
    optimizer = torch.optim.AdamW(head.parameters(), weight_decay=0.0, fused=True)
    order, size = np.random.default_rng(seed), batch_size(len(rows))
    ends = plan(len(rows), epochs)
    step = 0
    for end in ends:
        head.train()
        shuffled, losses = order.permutation(rows), []
        for start in range(0, len(rows), size):
            step += 1
            optimizer.param_groups[0]["lr"] = RATE * factor(step, ends[-1].step, SCHEDULE)
            some = shuffled[start : start + size]
            gold = torch.from_numpy(labels[some]).to(device)
            loss = functional.cross_entropy(head(vectors[some].to(device)).logits, gold)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss.detach())
        mean = torch.stack(losses).mean().item()
        yield Epoch(end.number, end.step, end.learning_rate, mean), head.eval()


def predict(head: Head, vectors: Vectors, rows: np.ndarray | None = None) -> np.ndarray:
    """Return fp32 logits (rows, classes), by default of all examples; the head is in eval mode."""
    head.eval()
    rows = np.arange(len(vectors)) if rows is None else rows
    device = head.classifier.weight.device
    parts = np.array_split(rows, max(1, math.ceil(len(rows) / AT_ONCE)))
    with torch.inference_mode():
        return np.concatenate([head(vectors[some].to(device)).logits.cpu() for some in parts])


def weights_of(head: Head) -> dict[str, np.ndarray]:
    """Return the weights by name, as `opened` takes them."""
    return {name: values.detach().cpu().numpy().copy() for name, values in head.named_parameters()}


def opened(weights: dict[str, np.ndarray], device: str = "cpu") -> Head:
    """Return the head of these weights, in evaluation mode."""
    hidden, width = weights["layers.0.weight"].shape
    head = Head(width, len(weights["classifier.bias"]), hidden)
    head.load_state_dict({name: torch.tensor(values) for name, values in weights.items()})
    return head.to(device).eval()


def _mean(
    values: np.ndarray, of: Callable[[np.ndarray], np.ndarray] = lambda part: part
) -> np.ndarray:
    """Return the mean over examples in 64 bits, of what `of` makes of a few rows at a time."""
    parts = (values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE))
    return sum(of(part.astype(np.float64)).sum(0) for part in parts) / len(values)
