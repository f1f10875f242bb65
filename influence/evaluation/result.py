"""The directory of an evaluation, written and read: a point per retraining, and their curve."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from influence.data.result import Result, as_image
from influence.evaluation.intervals import shown
from influence.sampling.result import Sample, copy_judgement, read_label_errors, read_shares
from influence.shapes import Bool

POINTS, SUMMARY, OUTCOMES = "points.csv", "curve.csv", "outcomes.parquet"
CORRECT = "correct.npy"


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


def table(points: Collection[Point], arm: str) -> pd.DataFrame:
    """Return one row per point: arm, percent_pruned, seed, kept, steps, seconds, metrics."""
    rows = [
        {
            "arm": arm,
            "percent_pruned": p.percent_pruned,
            "seed": p.seed,
            "kept": p.kept,
            "steps": p.steps,
            "seconds": p.seconds,
            **p.metrics,
        }
        for p in points
    ]
    return pd.DataFrame(rows).sort_values(["percent_pruned", "seed"], ignore_index=True)


class Curve(Result):
    """A finished pruned-accuracy curve: a point per percent pruned and seed."""

    step = "evaluate"

    @property
    def arm(self) -> str:
        """The arm, score:rule[:normalize]."""
        return self._manifest["arm"]

    @property
    def percents(self) -> list[float]:
        """The percents pruned, ascending from 0: the full train set."""
        return self._manifest["percents"]

    @cached_property
    def points(self) -> pd.DataFrame:
        """One row per retraining: arm, percent_pruned, seed, kept, steps, seconds, metrics."""
        return pd.read_csv(self.directory / POINTS)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Mean and 95 % interval of the main metrics at each percent pruned.

        Columns: arm, percent_pruned, mean, low, high, seeds, metric.
        """
        return pd.read_csv(self.directory / SUMMARY)

    @cached_property
    def correct(self) -> Bool[np.ndarray, "points examples"]:
        """Which test examples the model of each row of `points` gets right (task nlu: domains)."""
        return np.load(self.directory / CORRECT)

    @cached_property
    def class_shares(self) -> pd.DataFrame:
        """What stays of every class, and of every value of `groups`, at each percent pruned."""
        return read_shares(self.directory)

    @cached_property
    def label_errors(self) -> pd.DataFrame | None:
        """How many of the known label errors each percent prunes; None where none are known."""
        return read_label_errors(self.directory)

    @cached_property
    def outcomes(self) -> pd.DataFrame | None:
        """What became of every test request of a voice assistant; None for a classifier.

        One row per percent_pruned, seed and request, in order.
        """
        path = self.directory / OUTCOMES
        return pd.read_parquet(path) if path.exists() else None

    def figure(self, metric: str = "accuracy") -> Any:
        """Draw one metric of the summary over percent pruned, as a Matplotlib figure."""
        from influence.plots.curves import pruning_curves

        return pruning_curves(self.summary[self.summary["metric"] == metric], metric)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the picture and the summary of accuracy, in percent."""
        own = self.summary[self.summary["metric"] == "accuracy"]
        ends = own[["mean", "low", "high"]].itertuples(index=False)
        columns = {
            "pruned, %": [f"{percent:g}" for percent in own["percent_pruned"]],
            "test accuracy, %": [shown(*row) for row in ends],
            "seeds": own["seeds"].to_numpy(),
        }
        table = pd.DataFrame(columns).to_html(index=False)
        return f"<p>Test accuracy of <code>{escape(self.arm)}</code></p>{self._image()}{table}"

    def _image(self) -> str:
        """Return the picture, nothing where Matplotlib is not installed."""
        try:
            return as_image(self.figure(), "test accuracy over percent pruned")
        except ImportError:
            return ""

    def _facts(self) -> list[str]:
        return [self.arm, f"{len(self.points)} retrainings"]


def write(
    sample: Sample,
    points: pd.DataFrame,
    correct: Bool[np.ndarray, "points examples"],
    summary: pd.DataFrame,
    outcomes: pd.DataFrame | None,
    directory: Path,
) -> dict[str, Any]:
    """Leave all that a curve holds; return what the manifest says beside what all manifests say."""
    np.save(directory / CORRECT, correct)
    points.to_csv(directory / POINTS, index=False)
    summary.to_csv(directory / SUMMARY, index=False)
    if outcomes is not None:
        outcomes.to_parquet(directory / OUTCOMES, index=False)
    copy_judgement(sample, directory)
    percents = sorted(set(points["percent_pruned"]))
    return {"arm": sample.arm, "percents": percents, **sample.handed_on}
