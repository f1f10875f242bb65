"""What to retrain next, and what to recommend: decisions from what is known of the landscape.

A recommendation is worth the percent that it prunes, less a price for every point that it loses
beyond the tolerance. The next retraining is the one that is expected to raise the worth of the best
recommendation most for what it costs: the knowledge gradient (Frazier et al. 2009,
https://doi.org/10.1287/ijoc.1080.0314), also of four retrainings at once where a single one
would change nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from influence.searching.planning.landscape import FULL, RANDOM, Beliefs, Cell, Landscape, Measured
from influence.shapes import Float

PRICE = 50.0  # percent pruned that one point of accuracy lost beyond the tolerance is worth
WORTH = 0.4  # percent pruned that a full training has to promise, or nothing more is measured
LEAST = 0.1  # percent pruned: a smaller gain is within what chance makes of the draws
TOGETHER = (1, 4)  # retrainings of a cell whose gain is looked at
DRAWS = 512
OUTCOMES = 32  # of a retraining that are imagined
# An outcome that told the draws apart better than this share of their spread would leave a few
# of them, which would look like knowing everything.
SHARPEST = 0.2
COLLAPSED = 0.05  # behind random: what an arm has no way back from, at this percent and beyond
STARVED = 0.5  # of the full train set's metric: below, models guess, and no law holds
LEVEL = 0.95
REMEMBERED = 2  # sets of measurements whose beliefs are kept
_ENDS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
MOST = 64  # more retrainings of a cell that are asked whether they halve an interval

# Beside trainings on all cores, small matrices on several threads take a hundred times as long.
_alone = threadpool_limits.wrap(limits=1, user_api="blas")


@dataclass(frozen=True)
class Estimate:
    """A mean with the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Choice:
    """What is recommended now.

    cell: FULL where nothing should be pruned; full: the metric of everything; gain, of_random: of
    the cell and of random pruning at its percent, over everything; over_random: between these;
    worth: see the module, in percent pruned.
    """

    cell: Cell
    full: Estimate
    gain: Estimate
    of_random: Estimate
    over_random: Estimate
    worth: float


@dataclass(frozen=True, eq=False)
class Planner:
    """Decides on retrainings of one landscape.

    tolerance: accepted loss of the metric; costs: of a retraining of each cell, 1 for the full
    train set; seed: of all that is drawn, so that equal measurements give equal decisions.
    """

    landscape: Landscape
    tolerance: float
    costs: Float[np.ndarray, " cells"]
    seed: int = 0
    known: dict[tuple, Beliefs] = field(default_factory=dict)  # the last ones

    def beliefs(self, measured: Sequence[Measured]) -> Beliefs:
        """Return draws of what is known; what collapsed or starved says nothing of the rest."""
        if (key := tuple(measured)) not in self.known:
            while len(self.known) >= REMEMBERED:
                del self.known[next(iter(self.known))]
            self.known[key] = self._believed(measured)
        return self.known[key]

    def _believed(self, measured: Sequence[Measured]) -> Beliefs:
        lost = _lost(measured)
        sound = [one for one in measured if not _is_lost(one.cell, lost)]
        generator = np.random.default_rng([self.seed, len(sound)])
        return self.landscape.beliefs(sound, DRAWS, generator)

    @_alone
    def answer(self, measured: Sequence[Measured]) -> Choice:
        """Return what to recommend after these retrainings."""
        beliefs = self.beliefs(measured)
        worth = self._worth(beliefs, measured).mean(0)
        best = int(worth.argmax())
        cell = self.landscape.cells[best]
        beside = self.landscape.index.get(Cell(RANDOM, cell.percent), 0)
        gains, random = beliefs.gains[:, best], beliefs.gains[:, beside]
        return Choice(
            cell,
            _estimate(beliefs.level),
            _estimate(gains),
            _estimate(random),
            _estimate(gains - random),
            float(worth[best]),
        )

    @_alone
    def next(
        self, measured: Sequence[Measured], running: Sequence[tuple[Cell, int]] = (), left=np.inf
    ) -> tuple[Cell, int] | None:
        """Return the cell to retrain next and the number of its seed; None to stop.

        running: retrainings under way, taken to end as expected; left: of the budget, in full
        trainings, what is under way already taken off.
        """
        beliefs = self.beliefs(measured)
        imagined = [self._imagined(beliefs, *one) for one in running]
        seen = [*measured, *imagined]
        if not any(one.cell == FULL for one in seen):
            return (FULL, 0) if self.costs[0] <= left else None
        if running:
            beliefs = self.beliefs(seen)
        promised = self._promised(beliefs, seen)
        promised[self.costs > left + 1e-9] = 0
        best = int(promised.argmax())
        if promised[best] < WORTH:
            return None
        cell = self.landscape.cells[best]
        return cell, _next_number(cell, [(one.cell, one.number) for one in seen])

    @_alone
    def table(self, measured: Sequence[Measured]) -> pd.DataFrame:
        """Return what is known of every cell: arm, percent_pruned, gain, low, high, within.

        within: the probability that what is lost is within the tolerance.
        """
        gains = self.beliefs(measured).gains
        low, high = np.quantile(gains, _ENDS, axis=0)
        within = (gains >= -self.tolerance).mean(0)
        arms, percents = zip(*self.landscape.cells, strict=True)
        columns = (arms, percents, gains.mean(0), low, high, within)
        names = ("arm", "percent_pruned", "gain", "low", "high", "within")
        return pd.DataFrame(dict(zip(names, columns, strict=True))).iloc[1:]

    @_alone
    def surer(self, measured: Sequence[Measured], choice: Choice) -> float | None:
        """Return how many full trainings more halve the interval of what a choice gains.

        They are retrainings of the choice and of the full train set, the same number of each; None
        where not even MOST of them would do, since the validation examples are too few.
        """
        place, known = self.landscape.index[choice.cell], list(measured)
        half = (choice.gain.high - choice.gain.low) / 2
        for more in range(1, MOST + 1):
            for cell, value in (
                (choice.cell, choice.full.mean + choice.gain.mean),
                (FULL, choice.full.mean),
            ):
                taken = [(one.cell, one.number) for one in known]
                known.append(Measured(cell, _next_number(cell, taken), value))
            if more & (more - 1):  # powers of two tell enough
                continue
            gain = _estimate(self.beliefs(known).gains[:, place])
            if gain.high - gain.low <= half:
                return float(more * (self.costs[place] + self.costs[0]))
        return None

    def _imagined(self, beliefs: Beliefs, cell: Cell, number: int) -> Measured:
        place = self.landscape.index[cell]
        return Measured(cell, number, float((beliefs.level + beliefs.gains[:, place]).mean()))

    def _worth(
        self, beliefs: Beliefs, measured: Sequence[Measured]
    ) -> Float[np.ndarray, "draws cells"]:
        """Return what each recommendation is worth if things are as in each draw."""
        percents = np.array([cell.percent for cell in self.landscape.cells])
        beyond = np.maximum(-beliefs.gains - self.tolerance, 0)
        worth = percents - 100 * PRICE * beyond
        lost = _lost(measured)
        out = [_is_lost(cell, lost) for cell in self.landscape.cells]
        worth[:, out] = -np.inf
        return worth

    def _promised(
        self, beliefs: Beliefs, measured: Sequence[Measured]
    ) -> Float[np.ndarray, " cells"]:
        """Return the gain in worth per full training that each cell promises, if retrained."""
        generator = np.random.default_rng([self.seed, len(measured), 1])
        worth = self._worth(beliefs, measured)
        useful = np.isfinite(worth).all(0)
        half = DRAWS // 2
        expected = beliefs.level[:, None] + beliefs.gains
        promised = np.zeros(len(useful))
        for place in np.flatnonzero(useful):
            means, noise = expected[:, place], beliefs.noise[:, place]
            for count in TOGETHER:
                spread = np.maximum(np.sqrt(noise / count), SHARPEST * means.std())
                chance = generator.standard_normal(OUTCOMES)
                outcomes = means[:OUTCOMES] + spread[:OUTCOMES] * chance
                gained = _gained(outcomes, means[half:], spread[half:], worth[half:, useful])
                if gained >= LEAST:
                    price = count * self.costs[place]
                    promised[place] = max(promised[place], gained / price)
        return promised


def _gained(
    outcomes: np.ndarray, means: np.ndarray, spread: np.ndarray, worth: np.ndarray
) -> float:
    """Return by how much the best worth rises over these outcomes of a retraining, on average.

    The draws that the outcomes come from are others than those that judge them: a draw that judged
    its own outcome would always find it telling.
    """
    distance = (outcomes[:, None] - means) / spread
    logs = -0.5 * distance**2 - np.log(spread)
    weights = np.exp(logs - logs.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    now = weights.mean(0) @ worth  # the same draws, so that chance cancels out
    return float((weights @ worth).max(1).mean() - now.max())


def _estimate(values: np.ndarray) -> Estimate:
    low, high = np.quantile(values, _ENDS)
    return Estimate(float(values.mean()), float(low), float(high))


def _next_number(cell: Cell, taken: Sequence[tuple[Cell, int]]) -> int:
    """Return the first seed under which a cell was not retrained."""
    used = {number for one, number in taken if one == cell}
    return next(number for number in range(len(used) + 1) if number not in used)


def _lost(measured: Sequence[Measured]) -> dict[str, int]:
    """Return the arms that collapsed or starved, with the smallest percent at which they did."""
    full = [one.value for one in measured if one.cell == FULL]
    if not full:
        return {}
    random = {one.cell.percent: one.value for one in measured if one.cell.arm == RANDOM}
    lost: dict[str, int] = {}
    for (arm, percent), _, value in measured:
        # Where random was not measured, what it loses at more percent is more than at fewer.
        there = [value for other, value in random.items() if other >= percent]
        base = max(there) if there else max(full) - 2 * COLLAPSED
        collapsed = arm != RANDOM and value < base - COLLAPSED
        if percent and (collapsed or value < STARVED * max(full)):
            lost[arm] = min(lost.get(arm, 100), percent)
    return lost


def _is_lost(cell: Cell, lost: dict[str, int]) -> bool:
    return cell.percent >= lost.get(cell.arm, 101)
