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
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import ndtr
from threadpoolctl import threadpool_limits

from influence.searching.planning.landscape import FULL, RANDOM, Beliefs, Cell, Landscape, Measured
from influence.shapes import Bool, Float

PRICE = 50.0  # percent pruned that one point of accuracy lost beyond the tolerance is worth
WORTH = 0.4  # percent pruned that a full training has to promise, or nothing more is measured
TOGETHER = (1, 4)  # retrainings of a cell whose gain is looked at
OUTCOMES, LIKELY = hermegauss(15)  # of a retraining that are imagined, in standard deviations
# An arm that is so far behind random, and by so much of what random loses, has emptied classes: how
# it does there says nothing of the rest, and it is open at half that percent only.
COLLAPSED, BEHIND = 0.05, 0.5
# Of the full train set's metric: below, models guess, and no law holds; MORE times as many examples
# are to be kept then.
STARVED, MORE = 0.5, 1.5
LEVEL = 0.95
TINY = 1e-12  # of a spread, so that what is known exactly divides nothing by zero
REMEMBERED = 2  # sets of measurements whose beliefs are kept
_ENDS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
HALVINGS = 50  # of the range that an end of an interval is looked for in
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
    train set. Nothing is drawn: equal measurements give equal decisions.
    """

    landscape: Landscape
    tolerance: float
    costs: Float[np.ndarray, " cells"]
    known: dict[tuple, Beliefs] = field(default_factory=dict, repr=False)  # the last ones

    def beliefs(self, measured: Sequence[Measured]) -> Beliefs:
        """Return what is known; what collapsed or starved says nothing of the rest."""
        if (key := tuple(measured)) not in self.known:
            while len(self.known) >= REMEMBERED:
                del self.known[next(iter(self.known))]
            self.known[key] = self.landscape.beliefs(sound(measured))
        return self.known[key]

    @_alone
    def answer(self, measured: Sequence[Measured]) -> Choice:
        """Return what to recommend after these retrainings.

        Nothing that is expected to lose more than the tolerance.
        """
        beliefs = self.beliefs(measured)
        worth = beliefs.weights @ self._worth(beliefs.gains, beliefs.variance)
        held = beliefs.together.mean >= -self.tolerance
        worth[~(held & self._backed(measured))] = -np.inf
        best = int(worth.argmax())
        return self._choice(beliefs, best, float(worth[best]))

    @_alone
    def judged(self, measured: Sequence[Measured], cell: Cell) -> Choice:
        """Return what sound retrainings say of a cell, measured on what did not choose it."""
        beliefs, place = self.landscape.beliefs(measured), self.landscape.index[cell]
        worth = beliefs.weights @ self._worth(beliefs.gains, beliefs.variance)[:, place]
        return self._choice(beliefs, place, float(worth))

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
        beliefs = self.beliefs(measured)
        weights, gains, spread = beliefs.weights, beliefs.gains, np.sqrt(beliefs.variance)
        low, high = (_quantile(end, weights, gains, spread) for end in _ENDS)
        within = 1 - _below(-self.tolerance, weights, gains, spread)
        arms, percents = zip(*self.landscape.cells, strict=True)
        columns = (arms, percents, beliefs.together.mean, low, high, within)
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
            gain = self._gain(self.beliefs(known), place)
            if gain.high - gain.low <= half:
                return float(more * (self.costs[place] + self.costs[0]))
        return None

    def _choice(self, beliefs: Beliefs, place: int, worth: float) -> Choice:
        cell, weights = self.landscape.cells[place], beliefs.weights
        beside = self.landscape.index.get(Cell(RANDOM, cell.percent), 0)
        between = np.zeros(len(self.costs))
        between[place] += 1
        between[beside] -= 1
        variance = np.einsum("i,aij,j->a", between, beliefs.covariance, between)
        return Choice(
            cell,
            _estimate(weights, *beliefs.level),
            self._gain(beliefs, place),
            self._gain(beliefs, beside),
            _estimate(weights, beliefs.gains @ between, variance),
            worth,
        )

    def _imagined(self, beliefs: Beliefs, cell: Cell, number: int) -> Measured:
        place = self.landscape.index[cell]
        return Measured(cell, number, float(beliefs.weights @ beliefs.expected[:, place]))

    def _gain(self, beliefs: Beliefs, place: int) -> Estimate:
        """Return the gain of a cell."""
        return _estimate(beliefs.weights, beliefs.gains[:, place], beliefs.variance[:, place])

    def _worth(self, gains: np.ndarray, variance: np.ndarray) -> Float[np.ndarray, "... cells"]:
        """Return what each recommendation is worth on average where its gain is normal."""
        percents = np.array([cell.percent for cell in self.landscape.cells])
        spread = np.sqrt(variance) + TINY
        far = (-gains - self.tolerance) / spread
        beyond = spread * (np.exp(-0.5 * far**2) / np.sqrt(2 * np.pi) + far * ndtr(far))
        return percents - 100 * PRICE * beyond

    def _backed(self, measured: Sequence[Measured]) -> Bool[np.ndarray, " cells"]:
        """Tell which cells may be recommended: those up to what was measured of their arm."""
        limits = _limits(measured)
        most: dict[str, int] = {}
        for (arm, percent), _, _ in measured:
            if percent <= limits.get(arm, 100):
                most[arm] = max(most.get(arm, 0), percent)
        cells = self.landscape.cells
        return np.array([cell == FULL or cell.percent <= most.get(cell.arm, 0) for cell in cells])

    def _promised(
        self, beliefs: Beliefs, measured: Sequence[Measured]
    ) -> Float[np.ndarray, " cells"]:
        """Return the gain in worth per full training that each cell promises, if retrained.

        Here what is known is one normal, of the mean and covariance of the mixture, and the seed is
        taken for a new one: promises are for ranking.
        """
        limits, cells, backed = _limits(measured), self.landscape.cells, self._backed(measured)
        gains, noise = beliefs.together, beliefs.weights @ beliefs.noise
        promised = np.zeros(len(cells))
        for place, cell in enumerate(cells):
            # Where random starves, too few examples are kept, whichever.
            if cell.percent > min(limits.get(one, 100) for one in (cell.arm, RANDOM)):
                continue
            # Once it is measured, all up to it may be recommended.
            up_to = [one.arm == cell.arm and one.percent <= cell.percent for one in cells]
            for count in TOGETHER:
                # By how much each gain moves with an outcome, and what is left to chance then.
                read = beliefs.readings.variance[place] - noise[place] * (1 - 1 / count)
                moved = beliefs.telling[:, place] / np.sqrt(read)
                left = np.maximum(gains.variance - moved**2, 0)
                after = self._worth(gains.mean + OUTCOMES[:, None] * moved, left)
                gained = _gained(after, backed, backed | up_to)
                promised[place] = max(promised[place], gained / (count * self.costs[place]))
        return promised


def _gained(after: np.ndarray, now: np.ndarray, then: np.ndarray) -> float:
    """Return by how much the best worth rises over the outcomes of a retraining, on average.

    after: what each cell is worth after each outcome; `now`, `then`: which cells may be recommended
    before and after it.
    """
    likely = LIKELY / LIKELY.sum()
    return float(likely @ after[:, then].max(1) - (likely @ after)[now].max())


def _estimate(weights: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> Estimate:
    """Return mean and interval of what is normal under each assumption."""
    spread = np.sqrt(np.maximum(variance, 0))
    low, high = (float(_quantile(end, weights, mean, spread)) for end in _ENDS)
    return Estimate(float(weights @ mean), low, high)


def _below(value, weights: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return the probability that things are below a value, by cell."""
    return np.tensordot(weights, ndtr((value - mean) / (spread + TINY)), 1)


def _quantile(share: float, weights: np.ndarray, mean: np.ndarray, spread: np.ndarray):
    """Return the value that a share of the probability is below, by cell."""
    low, high = (mean - 8 * spread).min(0), (mean + 8 * spread).max(0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        under = _below(middle, weights, mean, spread) < share
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return (low + high) / 2


def _next_number(cell: Cell, taken: Sequence[tuple[Cell, int]]) -> int:
    """Return the first seed under which a cell was not retrained."""
    used = {number for one, number in taken if one == cell}
    return next(number for number in range(len(used) + 1) if number not in used)


def sound(measured: Sequence[Measured]) -> list[Measured]:
    """Return the retrainings that say something of others: those that neither starved nor fell."""
    limits = _limits(measured)
    return [one for one in measured if one.cell.percent <= limits.get(one.cell.arm, 100)]


def _limits(measured: Sequence[Measured]) -> dict[str, int]:
    """Return the largest percent that is open of each arm that collapsed or starved beyond it."""
    full = [one.value for one in measured if one.cell == FULL]
    if not full:
        return {}
    random: dict[int, list[float]] = {}
    for (arm, percent), _, value in measured:
        if arm == RANDOM:
            random.setdefault(percent, []).append(value)
    limits: dict[str, int] = {}
    for (arm, percent), _, value in measured:
        limit = 100
        # Where random was not measured, it loses less than where more is pruned.
        beyond = [other for other in random if other >= percent]
        if percent and value < STARVED * max(full):
            limit = int(100 - MORE * (100 - percent))
        if percent and arm != RANDOM and beyond:
            base = float(np.mean(random[min(beyond)]))
            if value < base - max(COLLAPSED, BEHIND * (max(full) - base)):
                limit = min(limit, percent // 2)
        if limit < 100:
            limits[arm] = min(limits.get(arm, 100), limit)
    return limits
