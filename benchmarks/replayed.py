"""What the planner recommends on real datasets, beside the search of 40 trials and the whole table.

Run: python -m benchmarks.replayed [--trainings 10]
The retrainings were done once (`benchmarks.tabulated`, in benchmarks/tables): what a method asks
for is looked up. The planner's seed s takes the retrainings of a cell in the order s, s + 1, ...,
back at the first after the last, and does without a cell once it has them all; the search takes
the first three. Both choose on validation; what they chose is told by its mean accuracy on test
over all retrainings, against the full train set's. `best` is the largest percent whose mean over
all retrainings is within the tolerance on validation, which nobody knows who has not paid for the
table. Minutes are those of one core, one retraining after the other. Writes
benchmarks/replayed.json and its table in the docs. A dataset counts once every cell was retrained
three times.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import measuring
from benchmarks.recommend import SCORING, SEEDS, TOLERANCE, followed, searched
from benchmarks.tabulated import PERCENTS, cells, read, sizes_of, table
from influence.evaluation.intervals import in_points
from influence.searching.planning.landscape import FULL, RANDOM, Cell, Landscape
from influence.searching.planning.planner import PRICE, Choice

ARMS = (RANDOM, "aum@all:ccs_clean")  # those that were retrained at every percent
CELLS = cells(ARMS, PERCENTS)
TABLE = ("recommend.md", "## On real datasets\n")  # its page, and what it comes after
TOLD = ("gain", "cost", "minutes")
OTHERS = ("search", "best", "best on test")
REPLAYED = ("TREC", "MASSIVE domains", "CLINC150", "HWU64 intents", "assistant")


@dataclass(frozen=True, eq=False)
class Table:
    """The retrainings of a dataset, looked up.

    first: the number that is given out first of every cell.
    """

    setting: str
    first: int = 0

    @cached_property
    def values(self) -> pd.DataFrame:
        """Accuracies by cell (rows) and split, then number (columns)."""
        rows = pd.DataFrame(row for row in read(self.setting) if Cell(*row[:2]) in CELLS)
        whole = rows.groupby("number").filter(lambda some: len(some) == len(CELLS))
        return whole.pivot_table(
            index=["arm", "percent_pruned"], columns="number", values=["validation", "test"]
        )

    @property
    def numbers(self) -> int:
        """How often every cell was retrained."""
        return self.values.shape[1] // 2

    @property
    def landscape(self) -> Landscape:
        """What was retrained."""
        return Landscape(ARMS, PERCENTS, sizes_of(table(self.setting, "linear"))["validation"])

    def value(self, cell: Cell, number: int) -> float:
        """Return the accuracy of a retraining on validation."""
        own = self.values["validation"].loc[tuple(cell)]
        if number >= len(own):
            raise LookupError(f"{cell} was retrained {len(own)} times")
        return float(own.iloc[(self.first + number) % len(own)])

    def cost(self, cell: Cell) -> float:
        """Return what a retraining costs, in trainings on the full train set."""
        steps = self.steps
        return float(steps.loc[tuple(cell)] / steps.loc[tuple(FULL)])

    @cached_property
    def steps(self) -> pd.Series:
        """The optimiser steps of a retraining, by cell."""
        rows = pd.DataFrame(read(self.setting))
        return rows.groupby(["arm", "percent_pruned"])["steps"].first()

    @cached_property
    def pace(self) -> float:
        """Minutes of a training on the full train set, at the pace of the quickest retraining.

        Of those by the arm, which were all done on one core, the slower ones beside others.
        """
        rows = pd.DataFrame(read(self.setting)).query(f"arm == {ARMS[1]!r}")
        return float((rows["seconds"] / rows["steps"]).min() * self.steps.loc[tuple(FULL)] / 60)

    def gains(self, split: str) -> pd.Series:
        """Return by cell the mean difference to the full train set on a split."""
        own = self.values[split]
        return (own - own.loc[tuple(FULL)]).mean(axis=1)

    def best(self, gains: pd.Series) -> Cell:
        """Return the largest percent that stays within the tolerance, the better arm of two."""
        held = gains[gains >= -TOLERANCE].reset_index(name="gain")
        last = held.sort_values(["percent_pruned", "gain"]).iloc[-1]
        return Cell(last["arm"], int(last["percent_pruned"]))


def worth(gain: float, percent: int) -> float:
    """Return what pruning is worth, in percent pruned."""
    return percent - 100 * PRICE * max(-gain - TOLERANCE, 0)


def measured(setting: str, trainings: float) -> dict[str, Any]:
    """Return what each method recommends on a dataset, and what that is worth on test."""
    table = Table(setting)
    on_test = table.gains("test")

    def told(cell: Cell, cost: float) -> dict[str, Any]:
        gain = float(on_test.loc[tuple(cell)])
        facts = {"arm": cell.arm, "percent_pruned": cell.percent, "cost": round(cost, 1)}
        facts["minutes"] = round(cost * table.pace)
        return facts | {"gain": round(gain, 4), "worth": round(worth(gain, cell.percent), 1)}

    plans = []
    for first in range(table.numbers):
        spent, choice = _ended(Table(setting, first), trainings)
        said = [round(end, 4) for end in (choice.gain.mean, choice.gain.low, choice.gain.high)]
        plans.append(told(choice.cell, spent) | {"said": said})
    *_, (spent, cell) = searched(table, np.inf)
    best = table.best(table.gains("validation"))
    everything = sum(table.cost(one) for one in CELLS) * table.numbers + SCORING
    oracle = table.best(on_test)
    return {
        "retrained": table.numbers,
        "planner": plans,
        "search": told(cell, spent),
        "best": told(best, everything),
        "best on test": told(oracle, everything),
    }


def _ended(table: Table, trainings: float) -> tuple[float, Choice]:
    """Return what the planner has spent and recommends in the end."""
    *_, (spent, _, choice) = followed(table, trainings)
    return spent, choice


def shown(found: dict[str, dict[str, Any]]) -> str:
    """Return all of it as a table for the docs."""
    heads = ("dataset", "method", "recommends", "on test, points", "cost, trainings", "minutes")
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for setting, methods in found.items():
        plans: Sequence[dict[str, Any]] = methods["planner"]
        middle = {key: float(np.median([one[key] for one in plans])) for key in TOLD}
        names = ", ".join(dict.fromkeys(_named(plan) for plan in plans))
        rows = {"planner": (names, middle)}
        rows |= {name: (_named(own), own) for name, own in methods.items() if name in OTHERS}
        for method, (name, own) in rows.items():
            gain = in_points(own["gain"], np.nan, np.nan)
            cells = (setting, method, name, gain, f"{own['cost']:.1f}", f"{own['minutes']:.0f}")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _named(one: dict[str, Any]) -> str:
    if not one["percent_pruned"]:
        return "everything"
    arm = one["arm"] if one["arm"] == RANDOM else f"`{one['arm']}`"
    return f"{one['percent_pruned']} % {arm}"


def main() -> None:
    """Replay and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trainings", type=float, default=10.0)
    asked = parser.parse_args()
    there = [name for name in REPLAYED if len(read(name)) and Table(name).numbers >= SEEDS]
    if not there:
        sys.exit(f"no dataset in benchmarks/tables has {SEEDS} retrainings of every cell yet")
    found = {setting: measured(setting, asked.trainings) for setting in there}
    measuring.write(__file__, {"trainings": asked.trainings, "datasets": found})
    measuring.put(*TABLE, shown(found))


if __name__ == "__main__":
    main()
