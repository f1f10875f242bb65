"""What a search recommends, and its evidence."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from influence.data.result import Result


class Recommendation(Result):
    """A finished search: how much can go, by which arm, what it loses, and what it cost."""

    step = "search"

    @cached_property
    def facts(self) -> dict[str, Any]:
        """All that `recommendation.json` says."""
        return json.loads((self.directory / "recommendation.json").read_text(encoding="utf-8"))

    @property
    def verdict(self) -> str:
        """The outcome in one sentence."""
        return self.facts["verdict"]

    @property
    def command(self) -> str:
        """The command that trains on the recommended subset as the study did."""
        return self.facts["command"]

    @property
    def goal(self) -> str:
        """What was searched for: percent or efficiency."""
        return self.facts["goal"]

    @property
    def metric(self) -> str:
        """The metric of validation and test, such as accuracy."""
        return self.facts["metric"]

    @property
    def tolerance(self) -> float:
        """How much of the metric may be lost, 0..1."""
        return self.facts["tolerance"]

    @property
    def trial(self) -> int | None:
        """Number of the recommended trial, None where none holds the tolerance."""
        return self.facts["trial"]

    @property
    def arm(self) -> str:
        """The recommended arm."""
        return self.facts["arm"]

    @property
    def percent_pruned(self) -> float:
        """How much of the train set can go, in percent."""
        return self.facts["percent_pruned"]

    @property
    def test(self) -> dict[str, dict[str, float]]:
        """Mean and 95 % interval on test: full, random, recommended, and their differences."""
        return self.facts["test"]

    @property
    def cost(self) -> dict[str, float]:
        """What the search took, in retrainings, full trainings and uses until it pays."""
        return self.facts["cost"]

    @property
    def subset(self) -> Path:
        """The recommended examples as a dataset, ready to train on."""
        return self.directory / "subset"

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per trial of the study."""
        return pd.read_csv(self.directory / "trials.csv")

    @cached_property
    def importances(self) -> pd.DataFrame:
        """Parameter and importance (0..1) for the difference to the full train set."""
        return pd.read_csv(self.directory / "importances.csv")

    @cached_property
    def points(self) -> pd.DataFrame:
        """One row per retraining of the final test."""
        return pd.read_csv(self.directory / "points.csv")
