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

from influence.sampling.order import fraction_of
from influence.shapes import Float, Int

EXPONENTS = (0.15, 0.4, 0.7, 1.0, 1.4)  # alpha: from clean labels in plenty to scarce ones
LOSSES = (0.003, 0.01, 0.03, 0.1)  # of random at half: mean and standard deviation
DEVIATIONS = (0.003, 0.01, 0.03, 0.1)  # of an arm from random at half, standard deviation
NOISES = (0.0015, 0.004, 0.009, 0.02)  # of an accuracy over seeds, standard deviation
LEVEL = (0.7, 0.5)  # accuracy of the full train set, the same
OF_RANDOM = 0.3  # random's own deviation from the power law, as a share of what it loses
SMOOTH = 0.5  # distance in x over which a deviation changes: from 50 to 70 % pruned
PAIRED = 0.3  # share of the variance over seeds that a seed has in common between subsets
NOISIER = 0.35  # growth of the standard deviation over seeds with what random loses
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
    """One retraining: its cell, the number of its seed, and its metric on one split."""

    cell: Cell
    number: int
    value: float


class Normal(NamedTuple):
    """Means and variances, the same under all assumptions taken together."""

    mean: Float[np.ndarray, " cells"]
    variance: Float[np.ndarray, " cells"]


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What is known: under each assumption, which counts by its weight, everything is normal.

    level: of the metric of the full train set, mean and variance; gains: of every cell over it,
    negative where something is lost, and their covariance; expected, read: mean and variance of
    what one more retraining of every cell reads, without its `noise` over seeds, which is a
    variance too; told: the covariance of every gain (row) with every reading (column).
    """

    weights: Float[np.ndarray, " assumptions"]
    level: Float[np.ndarray, "2 assumptions"]
    gains: Float[np.ndarray, "assumptions cells"]
    covariance: Float[np.ndarray, "assumptions cells cells"]
    told: Float[np.ndarray, "assumptions cells cells"]
    expected: Float[np.ndarray, "assumptions cells"]
    read: Float[np.ndarray, "assumptions cells"]
    noise: Float[np.ndarray, "assumptions cells"]

    @cached_property
    def variance(self) -> Float[np.ndarray, "assumptions cells"]:
        """Of every cell's gain."""
        return np.maximum(np.diagonal(self.covariance, axis1=1, axis2=2), 0)

    @cached_property
    def together(self) -> Normal:
        """Mean and variance of every cell's gain."""
        mean = self.weights @ self.gains
        return Normal(mean, self.weights @ (self.variance + (self.gains - mean) ** 2))

    @cached_property
    def readings(self) -> Normal:
        """Mean and variance of what one more retraining of every cell reads, its noise included."""
        mean = self.weights @ self.expected
        variance = self.read + self.noise + (self.expected - mean) ** 2
        return Normal(mean, self.weights @ variance)

    @cached_property
    def telling(self) -> Float[np.ndarray, "cells cells"]:
        """The covariance of every gain (row) with every reading (column)."""
        gains, read = self.gains - self.together.mean, self.expected - self.readings.mean
        return np.tensordot(self.weights, self.told, 1) + (self.weights[:, None] * gains).T @ read


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
    def before(self) -> list["_Before"]:
        """What is known before anything is measured, under all that is assumed but the noise."""
        return [_Before(self, *one) for one in product(EXPONENTS, LOSSES, DEVIATIONS)]

    def beliefs(self, measured: Sequence[Measured]) -> Beliefs:
        """Return what follows from what was measured so far, if anything."""
        return _Known(self, measured).beliefs()


class _Known:
    """What follows from retrainings under each assumption, of which there is one for each product.

    Under one, everything is jointly normal. The first unknown is the level of the full train set,
    then the gain of each cell; a retraining is the sum of two, with its noise.
    """

    def __init__(self, landscape: Landscape, measured: Sequence[Measured]) -> None:
        count = len(measured)
        self.values = np.array([one.value for one in measured])
        self.cells: Int[np.ndarray, " retrainings"] = np.array(
            [landscape.index[one.cell] for one in measured], dtype=np.int64
        )
        numbers = np.array([one.number for one in measured], dtype=np.int64)
        self.same_seed = numbers[:, None] == numbers
        self.before = [one for one in landscape.before for _ in NOISES]
        self.noise = np.tile(NOISES, len(landscape.before))[:, None]
        # The variance of one retraining, by cell: over seeds, and of the validation examples.
        self.own = (self.noise * (1 + NOISIER * np.array([b.grown for b in self.before]))) ** 2
        errors = 1 - float(self.values.mean()) if count else 1 - LEVEL[0]
        different = DIFFERENT[0] - DIFFERENT[1] * np.log(landscape.kept)
        self.sampled = errors / landscape.examples * different
        self.sampled[0] = 0
        self.of_measuring = self._of_measuring()
        rows = 1 + self.cells
        sums = np.array(
            [b.covariance[0, 0] + b.covariance[np.ix_(rows, rows)] for b in self.before]
        )
        self.total = sums + self.of_measuring + JITTER * np.eye(count)
        self.surprise = self.values - np.array([b.mean[0] + b.mean[rows] for b in self.before])
        self.likelihoods = self._likelihoods()

    def _of_measuring(self) -> Float[np.ndarray, "assumptions retrainings retrainings"]:
        """Return the covariance of retrainings beyond what is the same for their cells."""
        own = np.sqrt(self.own[:, self.cells])
        common = PAIRED * self.same_seed + (1 - PAIRED) * np.eye(len(self.cells))
        return own[:, :, None] * own[:, None, :] * common + self._shared(self.cells)

    def _shared(self, cells: np.ndarray) -> Float[np.ndarray, "retrainings cells"]:
        """Return the covariance of what the validation examples do to retrainings and to cells."""
        ours, theirs = (np.sqrt(self.sampled[some]) for some in (self.cells, cells))
        # Half of it is the full train set's own part, which all cells have in common.
        return np.outer(ours, theirs) * (0.5 + 0.5 * (self.cells[:, None] == cells))

    def _likelihoods(self) -> Float[np.ndarray, " assumptions"]:
        """Return the logarithm of each assumption's density of what was measured."""
        root = np.linalg.cholesky(self.total)
        solved = np.linalg.solve(root, self.surprise[:, :, None])[:, :, 0]
        halves = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(1)
        return -0.5 * (solved**2).sum(1) - halves

    def beliefs(self) -> Beliefs:
        """Return what is known under every assumption that is not negligible."""
        weights = np.exp(self.likelihoods - self.likelihoods.max())
        places = np.flatnonzero(weights >= NEGLIGIBLE)
        parts = zip(*(self._after(place) for place in places), strict=True)
        level, *rest = (np.array(part) for part in parts)
        return Beliefs(weights[places] / weights[places].sum(), level.T, *rest)

    def _after(self, place: int) -> tuple[np.ndarray, ...]:
        """Return the fields of Beliefs under one assumption, by conditioning on what was read."""
        before = self.before[place]
        gains = before.covariance[0] + before.covariance[1 + self.cells]
        # The same examples of validation measure a cell again, and in part every other one.
        reads = gains[:, :1] + gains[:, 1:] + self._shared(np.arange(len(self.sampled)))
        solved = np.linalg.solve(self.total[place], np.hstack([gains, reads]))
        of_gains, of_reads = np.split(solved, [gains.shape[1]], axis=1)
        mean = before.mean + self.surprise[place] @ of_gains
        covariance = before.covariance - gains.T @ of_gains
        told = before.covariance[1:, 1:] - gains[:, 1:].T @ of_reads
        expected = before.mean[0] + before.mean[1:] + self.surprise[place] @ of_reads
        variance = before.covariance[0, 0] + np.diag(before.covariance)[1:] + self.sampled
        read = np.maximum(variance - (reads * of_reads).sum(0), 0)
        level = mean[0], covariance[0, 0]
        return level, mean[1:], covariance[1:, 1:], told, expected, read, self.own[place]


class _Before:
    """Level and gains before anything is measured: their mean and covariance."""

    def __init__(
        self, landscape: Landscape, exponent: float, lost: float, deviation: float
    ) -> None:
        self.x = -np.log(landscape.kept)
        # What random loses, in units of what it loses at half.
        self.grown = np.expm1(exponent * self.x) / np.expm1(exponent * HALF)
        arms = np.array([cell.arm for cell in landscape.cells])
        # Where little is pruned, an arm may gain more than random loses: by the wrong labels that
        # it prunes, say. Where models starve, all deviations grow with what is lost.
        early = np.maximum(self.grown, np.sqrt(self.grown))
        sizes = np.where(arms == RANDOM, OF_RANDOM * lost * self.grown, deviation * early)
        near = np.exp(-0.5 * ((self.x[:, None] - self.x) / SMOOTH) ** 2)
        own = np.outer(sizes, sizes) * near * (arms[:, None] == arms)
        common = lost**2 * np.outer(self.grown, self.grown)
        self.mean = np.concatenate([[LEVEL[0]], -lost * self.grown])
        self.covariance = np.zeros((len(self.mean), len(self.mean)))
        self.covariance[0, 0] = LEVEL[1] ** 2
        self.covariance[1:, 1:] = own + common
