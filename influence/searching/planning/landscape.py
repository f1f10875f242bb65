"""What is known of accuracy over arms and shares pruned, after any few retrainings of any of them.

Random pruning loses A (exp(alpha x) - 1), x = -log(share kept): that is how a power law of the
number of examples, a n^-alpha + c, looks from its end (Hestness et al. 2017,
https://arxiv.org/abs/1712.00409). An arm loses as much less a smooth deviation, which may grow with
what is pruned; all arms meet where nothing is. So a retraining of one arm says something of its
other shares, of random, and of the full train set. Under each choice of alpha, of the size of
deviations and of the noise all of this is jointly normal; the choices count by their likelihood.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from influence.sampling.order import fraction_of
from influence.shapes import Float, Int

EXPONENTS = (0.15, 0.4, 0.8, 1.3)  # alpha: from clean labels in plenty to a model that starves
DEVIATIONS = (0.003, 0.01, 0.03, 0.1)  # of an arm from random at half, standard deviation
NOISES = (0.0015, 0.003, 0.006, 0.012, 0.024)  # of an accuracy over seeds, standard deviation
# Lost by random pruning at half: mean and standard deviation before anything is seen.
LOST_AT_HALF = (0.01, 0.02)
LEVEL = (0.7, 0.5)  # accuracy of the full train set, the same
OF_RANDOM = 0.25  # random's own deviation from the power law, as a share of an arm's
SMOOTH = 0.8  # distance in x over which a deviation changes: from 50 to 78 % pruned
PAIRED = 0.3  # share of the variance over seeds that a seed has in common between subsets
NOISIER = 0.5  # growth of the variance over seeds with what random loses
# Two models are right on different examples, the more so the less they share: the variance of their
# difference that comes from the validation examples, as a share of errors / examples.
DIFFERENT = (0.15, 0.2)  # at x = 0, and per x
NEGLIGIBLE = 1e-3  # weight of a choice beside the largest
HALF = np.log(2)
JITTER = 1e-12


class Cell(NamedTuple):
    """An arm at a percent pruned; the full train set is FULL."""

    arm: str
    percent: int


FULL = Cell("", 0)
RANDOM = "random"


class Measured(NamedTuple):
    """One retraining: its cell, the number of its seed, and its metric on validation."""

    cell: Cell
    number: int
    value: float


@dataclass(frozen=True, eq=False)
class Beliefs:
    """Draws from what is known: row i is one way in which everything may be.

    level: the metric of the full train set (draws,); gains: of each cell over it, negative where
    something is lost (draws, cells); noise: variance of one more retraining (draws, cells).
    """

    level: Float[np.ndarray, " draws"]
    gains: Float[np.ndarray, "draws cells"]
    noise: Float[np.ndarray, "draws cells"]


class _Assumed(NamedTuple):
    """What is assumed of alpha, the size of deviations and the noise."""

    exponent: float
    deviation: float
    noise: float


@dataclass(frozen=True, eq=False)
class Landscape:
    """The cells that can be measured: the full train set, then every arm at every percent.

    arms: random among them; percents: ascending; examples: of the split that is measured on.
    """

    arms: tuple[str, ...]
    percents: tuple[int, ...]
    examples: int

    @cached_property
    def cells(self) -> list[Cell]:
        """Every cell, FULL first."""
        return [FULL, *(Cell(arm, percent) for arm in self.arms for percent in self.percents)]

    @cached_property
    def index(self) -> dict[Cell, int]:
        """The place of each cell."""
        return {cell: place for place, cell in enumerate(self.cells)}

    @cached_property
    def kept(self) -> Float[np.ndarray, " cells"]:
        """The share of the train set that each cell keeps."""
        return np.array([1 - fraction_of(cell.percent) for cell in self.cells])

    @cached_property
    def before(self) -> dict[tuple[float, float], "_Before"]:
        """What is known before anything is measured, for each exponent and size of deviations."""
        return {pair: _Before(self, *pair) for pair in product(EXPONENTS, DEVIATIONS)}

    def beliefs(
        self, measured: Sequence[Measured], draws: int, generator: np.random.Generator
    ) -> Beliefs:
        """Return draws of everything, given what was measured so far, if anything."""
        seen = _Seen(self, measured)
        fitted = [_Fit(self, seen, _Assumed(*values)) for values in _ASSUMED]
        weights = np.array([fit.likelihood for fit in fitted])
        weights = np.exp(weights - weights.max())
        weights[weights < NEGLIGIBLE] = 0
        counts = generator.multinomial(draws, weights / weights.sum())
        parts = [
            fit.draws(count, generator) for fit, count in zip(fitted, counts, strict=True) if count
        ]
        level, gains, noise = (np.concatenate(part) for part in zip(*parts, strict=True))
        order = generator.permutation(draws)
        return Beliefs(level[order], gains[order], noise[order])


_ASSUMED = list(product(EXPONENTS, DEVIATIONS, NOISES))


class _Seen:
    """What was measured, as arrays over retrainings."""

    def __init__(self, landscape: Landscape, measured: Sequence[Measured]) -> None:
        self.values = np.array([one.value for one in measured])
        self.cells: Int[np.ndarray, " retrainings"] = np.array(
            [landscape.index[one.cell] for one in measured], dtype=np.int64
        )
        numbers = np.array([one.number for one in measured], dtype=np.int64)
        self.same_seed = (numbers[:, None] == numbers).astype(np.float64)
        self.errors = 1 - float(self.values.mean()) if len(measured) else 1 - LEVEL[0]


class _Fit:
    """Everything under one assumption: jointly normal, before and after what was measured.

    The first unknown is the level of the full train set, then the gain of each cell.
    """

    def __init__(self, landscape: Landscape, seen: _Seen, assumed: _Assumed) -> None:
        self.seen, before = seen, landscape.before[assumed[:2]]
        self.mean, self.covariance = before.mean, before.covariance
        # The variance of one retraining, by cell: over seeds, and of the validation examples.
        self.own = assumed.noise**2 * (1 + NOISIER * before.grown)
        different = DIFFERENT[0] + DIFFERENT[1] * before.x
        self.sampled = seen.errors / landscape.examples * different
        self.sampled[0] = 0
        self._condition()

    def _condition(self) -> None:
        cells = self.seen.cells
        rows = 1 + cells
        read = self.covariance[0] + self.covariance[rows]  # of level + gain, with each unknown
        total = read[:, 0][:, None] + read[:, rows] + self._of_measuring()
        factor = cho_factor(total + JITTER * np.eye(len(cells)), lower=True)
        surprise = self.seen.values - self.mean[0] - self.mean[rows]
        solved = cho_solve(factor, surprise)
        halves = 2 * np.log(np.diag(factor[0])).sum()
        self.likelihood = -0.5 * (surprise @ solved + halves) if len(cells) else 0.0
        self.factor, self.read, self.solved = factor, read, solved

    def _of_measuring(self) -> Float[np.ndarray, "retrainings retrainings"]:
        """The covariance of retrainings beyond what is the same for their cells."""
        cells, same_seed = self.seen.cells, self.seen.same_seed
        own = np.sqrt(self.own[cells])
        by_seed = PAIRED * same_seed * np.outer(own, own)
        alone = (1 - PAIRED) * np.diag(self.own[cells])
        sampled = np.sqrt(self.sampled[cells])
        # Half of it is the full train set's own part, which all cells have in common.
        shared = np.outer(sampled, sampled) * (0.5 + 0.5 * (cells[:, None] == cells))
        return by_seed + alone + shared

    def draws(
        self, count: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return levels, gains and variances of one more retraining."""
        mean, covariance = self.mean, self.covariance
        if len(self.seen.cells):
            mean = mean + self.read.T @ self.solved
            covariance = covariance - self.read.T @ cho_solve(self.factor, self.read)
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0))
        drawn = mean + generator.standard_normal((count, len(mean))) @ root.T
        noise = np.broadcast_to(self.own + self.sampled, (count, len(self.own)))
        return drawn[:, 0], drawn[:, 1:], noise


class _Before:
    """Level and gains before anything is measured: their mean and covariance."""

    def __init__(self, landscape: Landscape, exponent: float, deviation: float) -> None:
        self.x = -np.log(landscape.kept)
        # What random loses, in units of what it loses at half.
        self.grown = np.expm1(exponent * self.x) / np.expm1(exponent * HALF)
        arms = np.array([cell.arm for cell in landscape.cells])
        share = np.where(arms == RANDOM, OF_RANDOM, 1.0)
        sizes = share * deviation * np.sqrt(self.grown)
        near = np.exp(-0.5 * ((self.x[:, None] - self.x) / SMOOTH) ** 2)
        own = np.outer(sizes, sizes) * near * (arms[:, None] == arms)
        common = LOST_AT_HALF[1] ** 2 * np.outer(self.grown, self.grown)
        self.mean = np.concatenate([[LEVEL[0]], -LOST_AT_HALF[0] * self.grown])
        self.covariance = np.zeros((len(self.mean), len(self.mean)))
        self.covariance[0, 0] = LEVEL[1] ** 2
        self.covariance[1:, 1:] = own + common
