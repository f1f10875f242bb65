"""What an evaluation leaves: a point per retraining."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from influence.data.result import Result
from influence.sampling.result import SHARES, read_shares


@dataclass(frozen=True)
class Point:
    """One retraining: how much was pruned, under which seed, and what came out."""

    percent_pruned: float
    seed: int
    kept: int  # train examples
    steps: int  # optimiser steps
    seconds: float
    metrics: dict[str, float]  # "test/accuracy", "validation/loss", "test/recall/<label>", ...
    key: str = ""  # the name under which the retraining is kept


class Curve(Result):
    """A finished pruned-accuracy curve: a point per percent pruned and seed."""

    step = "evaluate"

    @property
    def arm(self) -> str:
        """The arm, score:rule[:normalize]."""
        return self._manifest["arm"]

    @cached_property
    def points(self) -> pd.DataFrame:
        """One row per retraining: arm, percent_pruned, seed, kept, steps, seconds, metrics."""
        return pd.read_csv(self.directory / "points.csv")

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Mean and 95 % interval of every metric at each percent pruned."""
        return pd.read_csv(self.directory / "curve.csv")

    @cached_property
    def class_shares(self) -> pd.DataFrame:
        """What stays of every class, and of every value of `groups`, at each percent pruned."""
        return read_shares(self.directory / SHARES)

    @cached_property
    def label_errors(self) -> pd.DataFrame | None:
        """How many known label errors stay at each percent pruned; None where none is known."""
        path = self.directory / "label_errors.csv"
        return pd.read_csv(path) if path.exists() else None

    @cached_property
    def outcomes(self) -> pd.DataFrame:
        """What became of every test request, by percent pruned and seed; task nlu."""
        return pd.read_parquet(self.directory / "outcomes.parquet")
