"""What a subset costs before it saves anything: seconds of scoring against seconds of retraining.

Seconds are those of the workers, added up: what one of them would have taken alone. How long the
retrainings of a command will take is said once the first of them has ended.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from influence.evaluation.intervals import interval
from influence.evaluation.result import Point
from influence.runtime.step import say

LONG = 60.0  # seconds from which a forecast is worth saying


def scoring(cost: Mapping[str, Any]) -> pd.DataFrame:
    """Return what the scores cost, from the `cost` that the manifest of score holds.

    Columns: what, seconds, passes (in words, over the train set).
    """
    rows = [_trained(run) for run in cost["runs"]]
    if folds := cost["folds"]:
        rows.append(
            {
                "what": f"{folds['count']} models, each on all but one fold",
                "seconds": folds["seconds"],
                "passes": f"{(folds['count'] - 1) * folds['epochs']:g} epochs",
            }
        )
    passes = f"{cost['forward']} forward, {cost['backward']} backward"
    rows.append({"what": "scoring pass", "seconds": cost["seconds"], "passes": passes})
    return pd.DataFrame(rows)


def _trained(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of one run: of the model, or of a head on its frozen encoder."""
    if run.get("heads"):
        what = f"head on the frozen encoder, seed {run['seed']}"
        passes = f"{run['epochs']:g} epochs of the head, after 1 forward for all seeds"
        return {"what": what, "seconds": run["seconds"], "passes": passes}
    empty = f", and {len(run['null'])} on empty inputs" if run["null"] else ""
    return {
        "what": f"training with checkpoints, seed {run['seed']}",
        "seconds": run["seconds"],
        "passes": f"{run['epochs']:g} epochs{empty}",
    }


def retraining(points: pd.DataFrame, scoring_seconds: float) -> pd.DataFrame:
    """Return what a retraining costs at every percent pruned, over all arms and seeds.

    `points`: percent_pruned, kept, steps, seconds. Columns: percent_pruned, kept, steps, seconds
    (mean, with low and high at 95 %), saved (against the full train set) and reuses: after how many
    retrainings the subset has paid `scoring_seconds`, nan where a retraining saves no steps, so
    that a difference in seconds is chance.
    """
    rows = []
    for percent, own in points.groupby("percent_pruned"):
        mean, low, high = interval(own["seconds"].tolist())
        sizes = {name: float(own[name].mean()) for name in ("kept", "steps")}
        rows.append({"percent_pruned": percent, **sizes, "seconds": mean, "low": low, "high": high})
    table = pd.DataFrame(rows)
    table["saved"] = table["seconds"].iloc[0] - table["seconds"]
    pays = (table["steps"] < table["steps"].iloc[0]) & (table["saved"] > 0)
    reuses = np.ceil(scoring_seconds / table["saved"].where(pays))
    return table.assign(reuses=reuses)


@dataclass(eq=False)
class Forecast:
    """The retrainings that are expected, and whether it was said what they take."""

    steps: dict[tuple, int] = field(default_factory=dict)  # by job; all arms share those on all
    said: bool = False

    def expect(self, arm: str, budget: str, jobs: Iterable[tuple[float, int, int]]) -> None:
        """Expect the retrainings of an arm: percent pruned, number and steps of each."""
        for percent, number, steps in jobs:
            self.steps[(arm, budget, percent, number) if percent else (number,)] = steps

    def first(self, point: Point, batch_size: int, at_once: int) -> None:
        """Say, after the first retraining, what all of them take if all are as fast as it was."""
        if self.said:
            return
        self.said = True
        each = point.seconds / point.steps / at_once  # of a step, where so many share the device
        seconds = each * sum(self.steps.values())
        if seconds < LONG:
            return
        say(
            f"evaluate: {len(self.steps)} retrainings will take about {seconds / 60:.0f} minutes, "
            f"at {batch_size / each:,.0f} examples per second; finished ones are not repeated"
        )
