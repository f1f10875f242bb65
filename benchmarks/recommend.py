"""Recommendations on landscapes whose best answer is known, by what they cost.

Run: python -m benchmarks.recommend [--worlds 24] [--trainings 12]
A landscape says what every arm loses at every percent. A retraining is that, with noise as
measured: over seeds, and the same for all retrainings of a cell, since a validation split is only
so large. Random bends away from the planner's law by up to a fifth of what it loses. Beside the
planner stand the search of 40 candidates with three seeds each, candidates drawn at random, and
successive halving, which starts with all arms at many percents. Writes benchmarks/recommend.json
and docs/images/recommend.png: the regret, by how much less the best recommendation so far is worth
than the best there is, over the trainings spent; and how often the planner's last interval covers.
The planner's constants were chosen on landscapes before the FIRST one; these here chose nothing.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from matplotlib.figure import Figure

from benchmarks import measuring
from influence.config.steps import SearchStep
from influence.plots.style import COLOURS, DARK, styled
from influence.sampling.arms import parse_arm
from influence.searching import explore, space, trials
from influence.searching import study as search_study
from influence.searching.planning.landscape import FULL, RANDOM, Cell, Landscape, Measured
from influence.searching.planning.planner import PRICE, Choice, Planner
from influence.searching.space import Candidate

ARMS = (RANDOM, "aum:ccs", "vog:linear:dataset", "forgetting:softmax", "aum:hard")
PERCENTS = tuple(range(10, 95, 5))
TOLERANCE, LEVEL = 0.01, 0.9
OVER_SEEDS = 0.005  # standard deviation of an accuracy, of which a seed shares a part between arms
EXAMPLES = 2000  # of validation
SCORING = 1.3  # trainings that scoring costs
SEEDS = 3
FIRST = 100  # the first landscape that is measured on
KINDS = {
    "clean": "clean labels: scores gain little",
    "errors": "wrong labels: pruning the hardest gains",
    "redundant": "redundant: half of it is not needed",
    "starving": "scarce: every example counts",
}


class Known(Protocol):
    """A landscape whose retrainings are looked up, not trained."""

    @property
    def landscape(self) -> Landscape:
        """What can be retrained."""
        ...

    def value(self, cell: Cell, number: int) -> float:
        """Return the metric of a retraining: the same whenever it is asked for."""
        ...

    def cost(self, cell: Cell) -> float:
        """Return what a retraining costs, in trainings on the full train set."""
        ...


@dataclass(frozen=True)
class World:
    """A landscape whose truth is known.

    gains: of every cell over the full train set (cells,); of_validation: what the validation split
    makes of them, by cell; seed: of the noise.
    """

    landscape: Landscape
    gains: np.ndarray
    of_validation: np.ndarray
    seed: int

    def value(self, cell: Cell, number: int) -> float:
        """Return the metric of a retraining: the same whenever it is asked for."""
        place = self.landscape.index[cell]
        common = np.random.default_rng([self.seed, number]).standard_normal()
        own = np.random.default_rng([self.seed, number, place]).standard_normal()
        spread = OVER_SEEDS * (1 + 15 * max(0.0, -self.gains[place]))
        noise = OVER_SEEDS * np.sqrt(0.3) * common + spread * np.sqrt(0.7) * own
        return float(LEVEL + self.gains[place] + self.of_validation[place] + noise)

    def cost(self, cell: Cell) -> float:
        """Return what a retraining costs, in trainings on the full train set."""
        return float(self.landscape.kept[self.landscape.index[cell]])

    @property
    def worth(self) -> np.ndarray:
        """What recommending each cell is worth, in percent pruned."""
        percents = np.array([cell.percent for cell in self.landscape.cells])
        return percents - 100 * PRICE * np.maximum(-self.gains - TOLERANCE, 0)

    def regret(self, cell: Cell) -> float:
        """Return by how much less a recommendation is worth than the best."""
        return float(self.worth.max() - self.worth[self.landscape.index[cell]])


def world(kind: str, seed: int) -> World:
    """Return a landscape of a kind."""
    draw = np.random.default_rng([seed, list(KINDS).index(kind)])
    landscape = Landscape(ARMS, PERCENTS, EXAMPLES)
    half = {"clean": 0.012, "errors": 0.008, "redundant": 0.002, "starving": 0.04}[kind]
    half *= np.exp(0.3 * draw.standard_normal())
    exponent = draw.uniform(0.3, 1.0) if kind != "redundant" else draw.uniform(1.0, 1.8)
    wrong = draw.uniform(0.08, 0.2) if kind == "errors" else 0.0
    lead = {"clean": 0.002, "errors": 0.008, "redundant": 0.001, "starving": 0.004}[kind]
    bends = draw.uniform(0, 6)  # no law holds exactly
    gains = []
    for cell in landscape.cells:
        pruned = cell.percent / 100
        grown = np.expm1(-exponent * np.log(1 - pruned)) / np.expm1(exponent * np.log(2))
        random = -half * grown * (1 + 0.2 * np.sin(bends + 2 * np.log(1 - pruned)))
        extra = {
            "aum:ccs": lead * (1 + 0.5 * np.sin(seed)) * np.sqrt(grown) * np.cos(1.2 * pruned),
            "vog:linear:dataset": 0.3 * lead * np.sqrt(grown),
            "forgetting:softmax": -0.003 * np.sqrt(grown),
            # Takes the wrong labels first, and then whole classes.
            "aum:hard": 0.25 * min(pruned, wrong) - 1.2 * max(0.0, pruned - wrong) ** 2,
        }
        gains.append(random + extra.get(cell.arm, 0.0))
    spread = np.sqrt((1 - LEVEL) / EXAMPLES * (0.15 - 0.2 * np.log(landscape.kept)))
    of_validation = spread * draw.standard_normal(len(spread))
    of_validation[0] = 0.0
    return World(landscape, np.array(gains), of_validation, seed)


# Each yields what is recommended, and what has been spent, after every retraining.
Steps = Iterator[tuple[float, Cell]]


def followed(there: Known, trainings: float) -> Iterator[tuple[float, list[Measured], Choice]]:
    """Follow the planner until it stops: what is spent, known and recommended after each step.

    Where it asks for more of a cell than can be looked up, it goes on without that cell.
    """
    costs = np.array([there.cost(cell) for cell in there.landscape.cells])
    planner = Planner(there.landscape, TOLERANCE, costs)
    known: list[Measured] = []
    spent = SCORING
    while asked := planner.next(known, (), trainings - spent):
        cell, number = asked
        try:
            known.append(Measured(cell, number, there.value(cell, number)))
        except LookupError:  # nothing more of this cell can be had, at any price
            costs[there.landscape.index[cell]] = np.inf
            continue
        spent += there.cost(cell)
        yield spent, list(known), planner.answer(known)


def planned(there: Known, trainings: float) -> Steps:
    """Follow the planner until it stops."""
    return ((spent, choice.cell) for spent, _, choice in followed(there, trainings))


def searched(there: Known, trainings: float) -> Steps:
    """Search as `influence search` does: the largest percent whose mean of three seeds holds."""
    low, *_, high = there.landscape.percents
    config = SearchStep(trials=40, seeds=SEEDS, tolerance=TOLERANCE, lowest=low, highest=high)
    arms = [parse_arm(name) for name in there.landscape.arms]
    scores = tuple(dict.fromkeys(score.split("@")[0] for arm in arms for score in arm.scores))
    rules = tuple(dict.fromkeys(arm.rule for arm in arms))
    choice = space.build(scores, rules, low, high, (100, 100))
    spent = SCORING + SEEDS
    full = [there.value(FULL, number) for number in range(SEEDS)]

    def submit(candidate: Candidate, number: int) -> Future:
        nonlocal spent
        cell = _cell(candidate, there.landscape)
        spent += there.cost(cell)
        future: Future = Future()
        future.set_result(there.value(cell, number))
        return future

    with tempfile.TemporaryDirectory() as folder:
        at = search_study.Meeting(f"sqlite:///{folder}/studies.db", 60, Path(folder), False)
        queue = space.recommended(choice)
        study = search_study.open_study(at, "study", search_study.AXES["prune"], queue)
        for _ in explore.explore(study, choice, config, full, submit):
            best = trials.recommend(search_study.trials_of(study), TOLERANCE)
            found = best.candidate if best else None
            yield spent, _cell(found, there.landscape) if found else FULL
            if spent > trainings:
                return


def _cell(candidate: Candidate, landscape: Landscape) -> Cell:
    """Return the cell that a candidate is nearest to: of its rule, by its score if there is one."""
    named = {name: parse_arm(name) for name in landscape.arms}
    own = candidate.arm
    scores = {score.split("@")[0] for score in own.scores}
    alike = {name: arm for name, arm in named.items() if arm.rule == own.rule} or named
    best = max(alike, key=lambda name: len(scores & {s.split("@")[0] for s in alike[name].scores}))
    return Cell(best, min(landscape.percents, key=lambda one: abs(one - candidate.percent)))


def drawn(there: World, trainings: float) -> Steps:
    """Try cells at random, three seeds each."""
    draw = np.random.default_rng([there.seed, 7])
    yield from _by_means(
        there,
        trainings,
        lambda means: there.landscape.cells[1 + int(draw.integers(len(there.landscape.cells) - 1))],
    )


def halved(there: World, trainings: float) -> Steps:
    """Halve: one seed for every arm at some percents, then more seeds for the best half."""
    spent, values = SCORING, {FULL: [there.value(FULL, 0)]}
    spent += 1.0
    left = [Cell(arm, percent) for percent in (80, 60, 40, 20) for arm in ARMS]
    number = 0
    while left and spent <= trainings:
        if number:
            values[FULL].append(there.value(FULL, number))
            spent += 1.0
        for cell in left:
            values.setdefault(cell, []).append(there.value(cell, number))
            spent += there.cost(cell)
            yield spent, _best(values)
            if spent > trainings:
                return
        full = np.mean(values[FULL])

        def worth(cell: Cell, full=full) -> float:
            beyond = max(0.0, full - np.mean(values[cell]) - TOLERANCE)
            return cell.percent - 100 * PRICE * beyond

        left = sorted(left, key=worth, reverse=True)[: len(left) // 2]
        number += 1


def _by_means(there: World, trainings: float, following: Callable[[dict], Cell]) -> Steps:
    spent = SCORING + SEEDS
    values = {FULL: [there.value(FULL, number) for number in range(SEEDS)]}
    while spent <= trainings:
        cell = following(values)
        if cell in values:
            continue
        values[cell] = [there.value(cell, number) for number in range(SEEDS)]
        spent += SEEDS * there.cost(cell)
        yield spent, _best(values)


def _best(values: dict[Cell, list[float]]) -> Cell:
    """Return the largest percent whose mean is within the tolerance."""
    full = np.mean(values[FULL])
    holds = [cell for cell, own in values.items() if np.mean(own) >= full - TOLERANCE]
    return max(holds, key=lambda cell: (cell.percent, np.mean(values[cell])))


METHODS: dict[str, Callable[[World, float], Steps]] = {
    "planner": planned,
    "search": searched,
    "halving": halved,
    "at random": drawn,
}
PRICES = np.arange(2.0, 12.5, 0.5)


def regrets(method: str, kind: str, worlds: int, trainings: float) -> list[list[float]]:
    """Return, for each world, the regret of what is recommended at each of PRICES."""
    rows = []
    for seed in range(FIRST, FIRST + worlds):
        there = world(kind, seed)
        spent, regret = [0.0], [there.regret(FULL)]
        for cost, cell in METHODS[method](there, trainings):
            spent.append(cost)
            regret.append(there.regret(cell))
        places = np.searchsorted(spent, PRICES[trainings >= PRICES] + 1e-9) - 1
        rows.append([regret[place] for place in places])
    return rows


def covered(kind: str, worlds: int, trainings: float) -> float:
    """Return how often the interval of what is recommended in the end covers its true gain."""
    held = []
    for seed in range(FIRST, FIRST + worlds):
        there = world(kind, seed)
        *_, (_, _, choice) = followed(there, trainings)
        gain = there.gains[there.landscape.index[choice.cell]]
        held.append(choice.gain.low <= gain <= choice.gain.high)
    return float(np.mean(held))


def main() -> None:
    """Measure, write and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=24)
    parser.add_argument("--trainings", type=float, default=12.0)
    asked = parser.parse_args()
    found: dict[str, Any] = {}
    for kind in KINDS:
        found[kind] = {
            method: np.round(regrets(method, kind, asked.worlds, asked.trainings), 2).tolist()
            for method in METHODS
        }
        print({m: np.median(rows, 0).round(1).tolist()[::4] for m, rows in found[kind].items()})
    told = {kind: covered(kind, asked.worlds, asked.trainings) for kind in KINDS}
    facts = {"worlds": asked.worlds, "prices": PRICES.tolist(), "coverage": told, "regret": found}
    measuring.write(__file__, facts)
    draw(found)


def draw(found: dict[str, Any]) -> None:
    """Draw the median regret with its quartiles over what was spent, one panel for each kind."""
    with styled():
        figure = Figure(figsize=(9, 6), layout="constrained")
        colours = dict(zip(METHODS, (*COLOURS[:3], DARK), strict=True))
        panels = figure.subplots(2, 2)
        for axes, (kind, title) in zip(panels.flat, KINDS.items(), strict=True):
            for method, rows in found[kind].items():
                low, middle, high = np.quantile(rows, [0.25, 0.5, 0.75], axis=0)
                prices = PRICES[: len(middle)]
                axes.plot(prices, middle, color=colours[method], label=method)
                axes.fill_between(prices, low, high, color=colours[method], alpha=0.12, lw=0)
            axes.set(title=title, ylim=(0, None), xlabel="Cost, in full trainings")
            axes.set_ylabel("Regret, percent pruned")
        handles = panels[0, 0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=len(METHODS))
        measuring.IMAGES.mkdir(parents=True, exist_ok=True)
        figure.savefig(measuring.IMAGES / "recommend.png", dpi=150)


if __name__ == "__main__":
    main()
