"""The directory of a search, written and read: the recommendation and its evidence."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from influence.data.result import Result
from influence.data.storage import save_subsets
from influence.evaluation.intervals import in_points, shown
from influence.runtime import store
from influence.scoring.result import Scores

FACTS, SUBSET = "recommendation.json", "subset"
TRIALS, IMPORTANCES, POINTS = "trials.csv", "importances.csv", "points.csv"
ROWS = {  # of the final test, in display order
    "full": "full train set",
    "random": "random at the same fraction",
    "recommended": "recommended",
    "recommended_minus_full": "minus the full train set",
    "recommended_minus_random": "minus random",
}


@dataclass(frozen=True)
class Outcome:
    """The outcome of a search.

    trial: number of the recommended trial, None where everything is kept; test: mean, low and high
    (95 %) of those of ROWS that apply; sigma: the data-score efficiency on test; cost: see
    `recommendation`; front: the complete trials that no other beats in both percent pruned and
    accuracy.
    """

    verdict: str
    goal: str
    metric: str
    tolerance: float
    trial: int | None
    arm: str
    percent_pruned: int
    min_per_class: int
    parameters: dict[str, float | int]
    kept: int  # train examples
    validation_difference: float
    test_seeds: int
    test: dict[str, dict[str, float]]
    sigma: float
    cost: dict[str, float]
    front: list[dict[str, Any]]

    @property
    def tested(self) -> list[tuple[str, str]]:
        """What was measured on test: names, and values with intervals, in percent."""
        names = {**ROWS, "recommended": self.arm}
        there = {row: self.test[row] for row in ROWS if row in self.test}
        return [
            (names[row], in_points(**value) if "minus" in row else shown(**value))
            for row, value in there.items()
        ]


class Chosen(Result):
    """What a choice leaves: an outcome, the subset, and the command that trains on it."""

    outcome: Any  # with verdict, arm and percent_pruned

    @property
    def verdict(self) -> str:
        """The outcome in one sentence."""
        return self.outcome.verdict

    @property
    def arm(self) -> str:
        """The arm to prune by."""
        return self.outcome.arm

    @property
    def percent_pruned(self) -> int:
        """How much of the train set can be pruned, in percent."""
        return self.outcome.percent_pruned

    @property
    def study(self) -> str:
        """The name of the study, by which other workers join it."""
        return self.facts["study"]

    @property
    def command(self) -> str:
        """The command that trains on the subset as the study did."""
        return self.facts["command"]

    @property
    def subset(self) -> Path:
        """The chosen examples as a dataset, ready to train on."""
        return self.directory / SUBSET

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The content of `recommendation.json`."""
        return json.loads((self.directory / FACTS).read_text(encoding="utf-8"))

    def _facts(self) -> list[str]:
        return [pruned(self.percent_pruned, self.arm)]


class Recommendation(Chosen):
    """A finished search: how much can be pruned, by which arm, at what loss and at what cost."""

    step = "search"

    @cached_property
    def outcome(self) -> Outcome:
        """The whole outcome."""
        return Outcome(**{field.name: self.facts[field.name] for field in fields(Outcome)})

    @property
    def goal(self) -> str:
        """The goal of the search: prune, efficiency or frontier."""
        return self.outcome.goal

    @property
    def metric(self) -> str:
        """The metric compared, such as accuracy."""
        return self.outcome.metric

    @property
    def tolerance(self) -> float:
        """The accepted loss of the metric; 0.01 is one percentage point."""
        return self.outcome.tolerance

    @property
    def trial(self) -> int | None:
        """Number of the recommended trial, None where everything is kept."""
        return self.outcome.trial

    @property
    def test(self) -> dict[str, dict[str, float]]:
        """Mean and 95 % interval on test: full, random, recommended, and their differences."""
        return self.outcome.test

    @property
    def cost(self) -> dict[str, float]:
        """The cost of the search: retrainings, equivalent full trainings, uses to break even."""
        return self.outcome.cost

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per trial of the study."""
        return pd.read_csv(self.directory / TRIALS)

    @cached_property
    def importances(self) -> pd.DataFrame:
        """How much each parameter mattered: parameter, importance."""
        return pd.read_csv(self.directory / IMPORTANCES)

    @cached_property
    def points(self) -> pd.DataFrame:
        """One row per retraining of the final test."""
        return pd.read_csv(self.directory / POINTS)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the verdict and the test results."""
        metric = f"test {self.outcome.metric.replace('_', ' ')}, %"
        table = pd.DataFrame(self.outcome.tested, columns=["trained on", metric])
        return f"<p>{escape(self.verdict)}</p>{table.to_html(index=False)}"


def write(
    outcome: Outcome,
    also: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    scores: Scores,
    directory: Path,
) -> dict[str, Any]:
    """Write `recommendation.json` and the tables; return the entries of the manifest.

    `also`: study and command; `tables`: TRIALS, IMPORTANCES and POINTS by file name.
    """
    for name, table in tables.items():
        table.to_csv(directory / name, index=False)
    return write_facts(outcome, also, scores, directory)


def write_facts(
    outcome: Any, also: Mapping[str, Any], scores: Scores, directory: Path
) -> dict[str, Any]:
    """Write `recommendation.json`; return the entries of the manifest."""
    inherited = scores.handed_on
    facts = {**asdict(outcome), **also, "dataset": inherited["dataset"]}
    store.write_json(directory / FACTS, facts)
    return {"study": also["study"], "verdict": outcome.verdict, **inherited}


def pruned(percent: float, arm: str) -> str:
    """Return how much is pruned by which arm, as a sentence has it."""
    return f"{percent} % {'at random' if arm == 'random' else f'by {arm}'}"


def write_subset(scores: Scores, kept: np.ndarray, directory: Path) -> Path:
    """Write the train rows `kept`, ascending, as a dataset; return its directory."""
    at = directory / SUBSET
    save_subsets(scores.data, {at: kept})
    return at
