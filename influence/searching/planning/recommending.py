"""A recommendation under way: what it chooses from, what that costs, and what is known of it."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from influence.config.parameters import RecommendConfig
from influence.config.steps import RecommendStep
from influence.errors import InputError
from influence.evaluation import retraining
from influence.runtime import store
from influence.sampling.order import fraction_of, kept_count
from influence.sampling.step import parse_arms
from influence.scoring.result import Scores
from influence.searching import space
from influence.searching.planning.landscape import FULL, Cell, Landscape, Measured
from influence.searching.planning.planner import Choice, Planner, sound
from influence.searching.scored import Scored
from influence.searching.space import STEP, Candidate

CODE = ("scores", "data", "models", "nlu", "scoring", "sampling", "evaluation", "searching")
EXECUTION = ("trainings", "minutes", "storage", "grace")  # these do not change a study
SCORED = -1  # the number of the scored training, whose seed is none of those of retrainings


class Recommending:
    """A recommendation under way: what it may choose from, and its planner."""

    def __init__(self, config: RecommendStep, scored: Scored) -> None:
        """Lay out every arm at every percent that leaves an example of each class."""
        self.config, self.scored = config, scored
        low, high = space.check((), config.lowest, config.highest)
        classes = len(np.unique(scored.labels))
        rows = len(scored.labels)
        percents = [
            percent
            for percent in range(low, high + 1, STEP)
            if kept_count(rows, fraction_of(percent)) >= classes
        ]
        if not percents:
            raise InputError(
                f"{rows} train examples of {classes} classes are too few to prune {low} % of them"
            )
        self.arms = {str(arm): arm for arm in parse_arms(config.arms)}
        examples = scored.scores.data.count("validation")
        if scored.chosen_on is not None:
            examples = len(scored.chosen_on)
        landscape = Landscape(tuple(self.arms), tuple(percents), examples)
        costs = np.array([scored.share(config, cell.percent) for cell in landscape.cells])
        self.planner = Planner(landscape, config.tolerance, costs)
        self.scoring = scoring_cost(scored.scores)
        self.given = self._given()
        self.until = time.monotonic() + 60 * config.minutes if config.minutes else np.inf

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters that a recommendation depends on, given what was measured."""
        every = self.config.parameters(RecommendConfig)
        return {name: value for name, value in every.items() if name not in EXECUTION}

    @property
    def name(self) -> str:
        """The name of the study: of everything that its retrainings and its plan depend on."""
        config, scores = self.config, self.scored.scores
        inputs = {"scores": scores.fingerprint, **retraining.inputs(config, scores)}
        digest = store.fingerprint("plan", {**self.parameters, "seed": config.seed}, inputs, CODE)
        dataset, model = Path(scores.dataset_name).name, Path(scores.fit.model).name
        return f"{dataset}-{model}-recommend-{digest}"

    def plan(
        self, measured: list[Measured], running: Sequence[tuple[Cell, int]]
    ) -> tuple[Cell, int] | None:
        """Return the retraining that is worth most now, None if nothing more is to be done."""
        if time.monotonic() > self.until:
            return None
        measured = [*self.given, *measured]
        under_way = sum(self.costs_of(Measured(*one, 0.0) for one in running))
        left = self.config.trainings - self.spent(measured) - under_way
        # What the scored training reaches on test is unknown: one retraining is kept back to tell.
        whole = (one.cell for one in measured if one.number != SCORED)
        if FULL in (*whole, *(cell for cell, _ in running)):
            return self.planner.next(measured, running, left)
        full = self.planner.costs[0]
        kept_back = full if self.config.trainings - self.scoring >= 2 * full else 0.0
        if planned := self.planner.next(measured, running, left - kept_back):
            return planned
        return (FULL, 0) if full <= left else None

    def known(self, study) -> list[Measured]:
        """Return what is known by now: of the scored training, and of all retrainings."""
        from influence.searching.planning import retrainings

        return [*self.given, *retrainings.measured(study)]

    def on_test(self, study, known: Sequence[Measured], cell: Cell) -> Choice | None:
        """Return what the retrainings `known` say of a chosen cell on test.

        What is sound is decided on validation: to leave out what was bad on test would be to choose
        by it. None where the full train set was not retrained, or nothing was measured on test.
        """
        from influence.searching.planning import retrainings

        kept = {(one.cell, one.number) for one in sound(known)}
        tested = [one for one in retrainings.sealed(study) if (one.cell, one.number) in kept]
        if not any(one.cell == FULL for one in tested):
            return None
        examples = self.scored.scores.data.count("test")
        landscape = replace(self.planner.landscape, examples=examples)
        return replace(self.planner, landscape=landscape).judged(tested, cell)

    def spent(self, measured: Sequence[Measured]) -> float:
        """Return what scoring and these retrainings have cost, in full trainings."""
        return self.scoring + sum(self.costs_of(one for one in measured if one.number != SCORED))

    def costs_of(self, measured: Iterable[Measured]) -> list[float]:
        """Return the cost of each retraining."""
        places = self.planner.landscape.index
        return [float(self.planner.costs[places[one.cell]]) for one in measured]

    def _given(self) -> list[Measured]:
        """Return what the scored training says of the full train set, where it was a retraining.

        It was one unless it was imported, or of a probe, or another model is retrained.
        """
        scores, (run, *_) = self.scored.scores, self.scored.scores.cost["runs"]
        alike = run["seconds"] and not run["heads"] and not self.config.retrain_with
        plain = self.config.metric == "accuracy" and scores.task == "classify"
        if not (alike and plain) or self.scored.chosen_on is not None or scores.recall is None:
            return []
        labels = scores.data.array("validation", "label")
        right = scores.recall * np.bincount(labels, minlength=len(scores.recall))
        return [Measured(FULL, SCORED, float(right.sum() / len(labels)))]

    def kept(self, cell: Cell, number: int) -> np.ndarray:
        """Return the rows that stay in a cell under seed `number`."""
        if cell == FULL:
            return self.scored.everything
        return self.scored.kept(Candidate(self.arms[cell.arm], cell.percent, 1, {}), number)


def scoring_cost(scores: Scores) -> float:
    """Return what the scores cost, in trainings on the full train set.

    A training step counts as three forward passes of its examples, a backward pass as two.
    """
    cost, epochs = scores.cost, scores.fit.epochs
    if cost["runs"][0]["heads"]:  # of a probe: these take about as long as its one forward pass
        return 2 / 3 / epochs
    folds = cost["folds"]
    trained = sum(run["epochs"] for run in cost["runs"])
    if folds:
        trained += (folds["count"] - 1) * folds["epochs"]
    return (trained + (cost["forward"] + 2 * cost["backward"]) / 3) / epochs
