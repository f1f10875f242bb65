"""What scores read of the heads of a probe: logits, gradient norms and products, variances.

The gradients are those of the head's parameters and of its input: the closed forms are those of any
classifier (`trace.gradient_norms`), of which a head is a small one.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from influence.models import layers
from influence.models.fitting.probe import Head, Vectors
from influence.scores import PRODUCTS
from influence.shapes import Int
from influence.trace.gradient_norms import NormRecorder, loop_norms
from influence.trace.input_gradients import Variance
from influence.trace.meter import NORMS, Measured
from influence.trace.self_check import relative
from influence.trace.sums import Direction

AT_ONCE = 4096  # examples


@dataclass(frozen=True, eq=False)
class Examples:
    """Vectors and labels (examples,) of a split."""

    vectors: Vectors
    labels: Int[np.ndarray, " examples"]


@dataclass(frozen=True, eq=False)
class Reading:
    """One head and what to measure under it.

    quantities: per checkpoint; windows: keys of those whose gradient variance includes it.
    """

    run: int
    step: int
    head: Head
    quantities: Collection[str]
    windows: Collection[str]


class ProbeMeter:
    """Measures examples under the heads of a probe."""

    def __init__(
        self,
        readings: Sequence[Reading],
        train: Examples,
        validation: Examples,
        tracin_layers: str = "last_layer",
    ) -> None:
        """Find the mean gradients of `validation` that products are taken with.

        `tracin_layers`: the parameters of `layer_norms` and products, see layers.parameter_group;
        the last layer of the encoder is the head's hidden layer.
        """
        self.readings, self.train = readings, train
        self.patterns = NORMS | {"layer_norms": tracin_layers}
        self.directions = [self._directions(one, validation, tracin_layers) for one in readings]

    def measure(self, start: int, end: int) -> Measured:
        """Measure the examples start..end of train, one row each."""
        parts = [
            self._measure(np.arange(first, min(first + AT_ONCE, end)))
            for first in range(start, end, AT_ONCE)
        ]
        return Measured(
            {key: np.concatenate([part.at[key] for part in parts]) for key in parts[0].at},
            {key: np.concatenate([part.over[key] for part in parts]) for key in parts[0].over},
        )

    def check(self, examples: int) -> float:
        """Return the largest relative error of the first examples, against plain autograd."""
        rows = np.arange(min(examples, len(self.train.labels)))
        fused = self._measure(rows)
        errors = [
            relative(fused.at[one.run, name, one.step], values.cpu().numpy())
            for one, directions in zip(self.readings, self.directions, strict=True)
            for name, values in self._slow(one, directions, rows).items()
        ]
        return max(errors, default=0.0)

    def _measure(self, rows: np.ndarray) -> Measured:
        at, variances = {}, {}
        for one, directions in zip(self.readings, self.directions, strict=True):
            values, gradient = self._read(one, directions, rows)
            at |= {(one.run, name, one.step): found.cpu().numpy() for name, found in values.items()}
            for window in one.windows if gradient is not None else ():
                variances.setdefault((one.run, window), Variance()).add(gradient)
        over = {}
        for (run, window), variance in variances.items():
            every = torch.ones(len(rows), 1, dtype=torch.bool, device=variance.mean.device)
            for name, found in variance.over_tokens(every).items():
                over[run, name, window] = found.cpu().numpy()
        return Measured(at, over)

    def _read(
        self, one: Reading, directions: Mapping[str, Direction], rows: np.ndarray
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """Return the quantities of one head by name, and the gradient of the labels' logits.

        The gradient is that at the standardised vectors (rows, 1, width), None if nothing reads it.
        """
        vectors, gold = self._inputs(one, rows)
        vectors.requires_grad_(bool(one.windows))
        groups = self._groups(one)
        recorder = NormRecorder(one.head, groups, directions) if groups or directions else None
        one.head.requires_grad_(False)
        gradient, sums = None, {}
        with recorder or nullcontext():
            logits = one.head(vectors).logits
            if one.windows:
                chosen = logits.gather(1, gold[:, None]).sum()
                (found,) = torch.autograd.grad(chosen, vectors, retain_graph=recorder is not None)
                gradient = found[:, None]
            if recorder is not None:
                loss = functional.cross_entropy(logits, gold, reduction="sum")
                sums = recorder.norms(loss, labels=gold)
        return {"logits": logits.detach(), **sums}, gradient

    def _slow(
        self, one: Reading, directions: Mapping[str, Direction], rows: np.ndarray
    ) -> dict[str, Tensor]:
        """Return norms and products by a backward per example."""
        groups = self._groups(one)
        if not groups and not directions:
            return {}
        vectors, gold = self._inputs(one, rows)
        return loop_norms(one.head, {"vectors": vectors}, gold, groups, directions)

    def _inputs(self, one: Reading, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        device = one.head.classifier.weight.device
        gold = torch.from_numpy(self.train.labels[rows]).to(device)
        return self.train.vectors[rows].to(device), gold

    def _groups(self, one: Reading) -> dict[str, tuple[str, ...]]:
        wanted = [name for name in NORMS if name in one.quantities]
        return {name: layers.parameter_group(one.head, self.patterns[name]) for name in wanted}

    def _directions(self, one: Reading, validation: Examples, which: str) -> dict[str, Direction]:
        """Return the mean gradients that the products of one head need, by quantity."""
        whole, by_class = PRODUCTS
        if not {whole, by_class} & {*one.quantities}:
            return {}
        classes = one.head.config.num_labels
        sums = dict(_sums_by_class(one.head, validation, layers.parameter_group(one.head, which)))
        counts = {label: int((validation.labels == label).sum()) for label in sums}
        every = [
            {name: gradient / counts[label] for name, gradient in sums[label].items()}
            if label in sums
            else {}
            for label in range(classes)
        ]
        mean = {
            name: sum(by[name] for by in sums.values()) / len(validation.labels)
            for name in next(iter(sums.values()), {})
        }
        known = {whole: Direction([mean]), by_class: Direction(every, by_class=True)}
        return {name: known[name] for name in PRODUCTS if name in one.quantities}


def _sums_by_class(
    head: Head, examples: Examples, wanted: Sequence[str]
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Yield each class that has examples with the sum of their loss gradients, by parameter."""
    device = head.classifier.weight.device
    named = dict(head.named_parameters())
    parameters = [named[name].requires_grad_(True) for name in wanted]
    for label in np.unique(examples.labels).tolist():
        rows = np.flatnonzero(examples.labels == label)
        gold = torch.full((len(rows),), label, device=device)
        logits = head(examples.vectors[rows].to(device)).logits
        loss = functional.cross_entropy(logits, gold, reduction="sum")
        yield label, dict(zip(wanted, torch.autograd.grad(loss, parameters), strict=True))
