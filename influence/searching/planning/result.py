"""The directory of a recommendation, written and read: what to prune, the evidence, the price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from influence.data.result import as_image
from influence.errors import listed
from influence.evaluation.intervals import in_points, shown
from influence.scoring.result import Scores
from influence.searching.result import Chosen, pruned, write_facts

RETRAININGS, LANDSCAPE = "retrainings.csv", "landscape.csv"
INTERVAL = Mapping[str, float]  # mean, low and high


@dataclass(frozen=True)
class Evidence:
    """The metric on one split, means with 95 % intervals.

    Of the full train set; of the recommendation minus that; of random pruning at the same percent
    minus that; of one minus the other.
    """

    full: INTERVAL
    gain: INTERVAL
    random: INTERVAL
    over_random: INTERVAL


@dataclass(frozen=True)
class Recommended:
    """What is recommended, and why.

    validation: what it was chosen by; test: what the same retrainings, with the same seeds, reach
    on test, by which nothing was chosen; None where that is unknown. trainings: what it cost, in
    trainings on the full train set, of which `scoring` for the scores; surer: how many more would
    halve the interval of the gain, None where more validation examples would have to. worth: how
    many percent pruned it is worth, all told. guessing: the accuracy of always guessing the most
    frequent class of validation.
    """

    verdict: str
    metric: str
    tolerance: float
    arm: str  # "" where everything is kept
    percent_pruned: int
    kept: int  # train examples
    validation: Evidence
    test: Evidence | None
    trainings: float
    scoring: float
    retrainings: int
    tried: list[str]  # arms that were retrained, random among them
    surer: float | None
    break_even: float
    worth: float
    guessing: float

    @property
    def table(self) -> pd.DataFrame:
        """What was measured, a column for each split: with intervals, in percent and points."""
        names = ["full train set"]
        if self.percent_pruned:
            names.append(f"{self.arm}, minus the full train set")
        if self.arm not in ("", "random"):
            names += ["random at the same percent, minus the full train set"]
            names += [f"{self.arm} minus random"]
        columns = {"": names}
        for split, own in (("validation", self.validation), ("test", self.test)):
            if own:
                points = (in_points(**one) for one in (own.gain, own.random, own.over_random))
                columns[f"{split} {self.metric}"] = [shown(**own.full), *points][: len(names)]
        return pd.DataFrame(columns)

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> "Recommended":
        """Return what `recommendation.json` holds."""
        values = {field.name: facts[field.name] for field in fields(cls)}
        splits = {
            name: values[name] and Evidence(**values[name]) for name in ("validation", "test")
        }
        return cls(**values | splits)


class Answer(Chosen):
    """A finished recommendation: how much to prune, by which arm ("" for none), at what loss."""

    step = "recommend"

    @cached_property
    def outcome(self) -> Recommended:
        """What is recommended, with all its numbers."""
        return Recommended.read(self.facts)

    @cached_property
    def retrainings(self) -> pd.DataFrame:
        """One row per retraining, in order, and what was recommended after it.

        Columns: arm, percent_pruned, number (of the seed, -1: the scored training), value (the
        metric), cost and spent (in full trainings), recommended, recommended_percent, gain, low,
        high (of the recommendation).
        """
        return pd.read_csv(self.directory / RETRAININGS, keep_default_na=False)

    @cached_property
    def landscape(self) -> pd.DataFrame:
        """What is known in the end: arm, percent_pruned, gain, low, high (95 %), within.

        gain: of the metric over the full train set; within: the probability that what is lost is
        within the tolerance.
        """
        return pd.read_csv(self.directory / LANDSCAPE)

    def figure(self) -> Any:
        """Draw what is known of the recommended arm and of random, as a Matplotlib figure."""
        from influence.plots import planning

        own = self.outcome
        chosen, level = (own.arm, own.percent_pruned), own.validation.full["mean"]
        return planning.landscape(self.landscape, self.retrainings, chosen, level, own.tolerance)

    def _facts(self) -> list[str]:
        return [pruned(self.percent_pruned, self.arm) if self.arm else "everything"]

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the verdict, the numbers and the picture."""
        table = self.outcome.table
        try:
            image = as_image(self.figure(), "gain over percent pruned")
        except ImportError:  # Matplotlib is not installed
            image = ""
        return f"<p>{escape(self.verdict)}</p>{table.to_html(index=False)}{image}"


def write(
    outcome: Recommended,
    also: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    scores: Scores,
    directory: Path,
) -> dict[str, Any]:
    """Write `recommendation.json` and the tables; return the entries of the manifest.

    also: study and command; tables: RETRAININGS and LANDSCAPE by file name.
    """
    for name, table in tables.items():
        table.to_csv(directory / name, index=False)
    return write_facts(outcome, also, scores, directory)


def with_verdict(outcome: Recommended, lowest: int) -> Recommended:
    """Return an outcome with its verdict; `lowest`: the smallest percent that was open."""
    said = _verdict(outcome, lowest)
    if outcome.metric == "accuracy" and outcome.validation.full["low"] <= outcome.guessing:
        said = (
            "Provisional, the model is not clearly better than always guessing the most frequent "
            f"class ({100 * outcome.guessing:.1f} %): {said[0].lower()}{said[1:]}"
        )
    return replace(outcome, verdict=said)


def _verdict(outcome: Recommended, lowest: int) -> str:
    """Say what is recommended in one sentence, with what it loses beside random, and the price."""
    made = f"{outcome.retrainings} retraining{'s' * (outcome.retrainings != 1)}"
    price = f"{outcome.trainings:.1f} trainings, {made}"
    if not outcome.percent_pruned:
        if not outcome.tried:
            return f"Keep everything: no subset was tried yet ({price})."
        points = 100 * outcome.tolerance
        return (
            f"Keep everything: nothing is expected to stay within {points:g} "
            f"point{'s' * (points != 1)} of the full train set, not even at {lowest} % pruned "
            f"({price})."
        )
    chosen_by, tested = outcome.validation, outcome.test
    said = (
        f"Prune {pruned(outcome.percent_pruned, outcome.arm)}: {in_points(**chosen_by.gain)} "
        f"points of {outcome.metric} against the full train set on validation"
    )
    if tested:
        said += f", {in_points(**tested.gain)} on test"
    if outcome.arm == "random":
        tried = [arm for arm in outcome.tried if arm != "random"]
        better = f"{listed(tried)} {'is' if len(tried) == 1 else 'are'} not expected to do better"
        said += f"; {better}" if tried else "; no arm was tried yet"
    else:
        said += f", where random pruning has {in_points(**chosen_by.random)}"
        said += f" and {in_points(**tested.random)}" if tested else ""
    surer = "takes more validation examples"
    if outcome.surer is not None:
        surer = f"takes {outcome.surer:.0f} trainings more"
    return f"{said} ({price}; to halve the interval {surer})."


def history(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the table of retrainings, with its columns where there is none."""
    columns = [
        *("arm", "percent_pruned", "number", "value", "cost", "spent"),
        *("recommended", "recommended_percent", "gain", "low", "high"),
    ]
    return pd.DataFrame(rows, columns=columns)
