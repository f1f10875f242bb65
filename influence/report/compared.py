"""The record of a comparison: the steps behind it, its verdict, and what a notebook shows of it."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from influence.data.result import as_image
from influence.evaluation import verdict
from influence.evaluation.result import Curve
from influence.sampling.result import Sample
from influence.scoring.result import Scores
from influence.training.result import Training


@dataclass(frozen=True, eq=False)
class Comparison:
    """Arms against random pruning of one dataset: every step, every retraining, and the verdict.

    samples and curves: by arm, random first.
    """

    training: Training
    scores: Scores
    samples: Mapping[str, Sample]
    curves: Mapping[str, Curve]
    outcome: verdict.Verdict

    @property
    def verdict(self) -> str:
        """How arms did against random, and random against the full train set, in one sentence."""
        return self.outcome.said[0]

    @property
    def notes(self) -> tuple[str, ...]:
        """The warnings, then further remarks."""
        return (*self.outcome.said[1:], *self.outcome.notes)

    @property
    def points(self) -> pd.DataFrame:
        """One row per retraining: arm, percent_pruned, seed, kept, steps, seconds, metrics."""
        return self.outcome.points

    @property
    def summary(self) -> pd.DataFrame:
        """Mean test accuracy of each arm at each percent pruned, with its 95 % interval."""
        return self.outcome.summary

    @property
    def differences(self) -> pd.DataFrame:
        """Mean difference of each arm from random pruning, paired by seed, with its interval."""
        return self.outcome.differences

    @property
    def lost(self) -> pd.DataFrame:
        """Mean difference of each arm, random too, from the full train set, as `differences`."""
        return self.outcome.lost

    @property
    def table(self) -> pd.DataFrame:
        """The test accuracy in percent as text: arms x percent pruned, mean ± half."""
        cells = self.summary.assign(
            cell=[verdict.shown(row.mean, row.low, row.high) for row in _rows(self.summary)]
        )
        table = cells.pivot(index="arm", columns="percent_pruned", values="cell")
        pruned = [f"{percent:g} % pruned" for percent in table.columns]
        return table.loc[list(self.curves)].set_axis(pruned, axis=1).rename_axis(None)

    def figure(self) -> Any:
        """Draw the pruned-accuracy curves of all arms."""
        from influence.plots import curves as plots

        return plots.pruning_curves(self.summary)

    def __repr__(self) -> str:
        """Show the verdict and the number of arms and retrainings behind it."""
        counted = f"{len(self.curves)} arms, {len(self.points)} retrainings"
        return f"Comparison({self.scores.dataset_name!r}, {counted}: {self.verdict})"

    def _repr_html_(self) -> str:
        said = "".join(
            f"<p>{html.escape(sentence)}</p>" for sentence in (self.verdict, *self.notes)
        )
        picture = as_image(self.figure(), "Test accuracy over percent pruned")
        return f"{said}{picture}<p>Test accuracy, %</p>{self.table.to_html()}"


def _rows(summary: pd.DataFrame) -> list:
    return list(summary[["mean", "low", "high"]].itertuples(index=False))
