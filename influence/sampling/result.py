"""The directory of a sample, written and read: which examples stay at each fraction pruned."""

import math
import shutil
from collections.abc import Mapping, Sequence
from functools import cached_property
from html import escape
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from influence.data.result import Result
from influence.data.storage import chosen, rows_file, save_subsets
from influence.errors import InputError, brief
from influence.runtime import store
from influence.sampling.arms import CLASS, parse_arm
from influence.sampling.groups import groups_of
from influence.sampling.order import class_shares, fraction_of, kept_count, percent_of
from influence.scoring import label_errors
from influence.scoring.result import Scores
from influence.shapes import Int

ORDER, KEPT = "order.npy", "kept.parquet"
SHARES, LABEL_ERRORS = "class_shares.csv", "label_errors.csv"
COPIED = ("data", "tokenizer")  # folders that every later step needs too
# Kept rows of the train set, first kept first: of each fraction pruned, and of its every draw.
Cuts = Mapping[float, Sequence[np.ndarray]]


class Sample(Result):
    """A finished sample: the order of the train set under one arm, cut at every fraction."""

    step = "sample"

    @property
    def arm(self) -> str:
        """The arm, score:rule[:normalize]."""
        return self._manifest["arm"]

    @cached_property
    def scores(self) -> tuple[str, ...]:
        """The scores that the arm reads, each name[@window]."""
        return parse_arm(self.arm).scores

    @property
    def percents(self) -> list[float]:
        """The percents pruned, ascending."""
        return self._manifest["percents"]

    @property
    def fractions(self) -> list[float]:
        """The fractions pruned, ascending."""
        return [fraction_of(percent) for percent in self.percents]

    @property
    def groups(self) -> list[str]:
        """The columns besides the class by whose values pruning is judged."""
        return self._manifest["groups"]

    @cached_property
    def test_groups(self) -> pd.DataFrame:
        """The values of `groups`, as text: one row per test example, one column per group."""
        return groups_of(self.data.read("test", self.groups), "test", self.groups)

    @property
    def draws(self) -> int:
        """How many orders were drawn; one where nothing is drawn and nothing tied."""
        return len(self.orders)

    @property
    def seed(self) -> int:
        """The seed of ties and draws."""
        return self.parameters["seed"]

    @property
    def min_per_class(self) -> int:
        """The examples of a class that are never pruned."""
        return self.parameters["min_per_class"]

    @property
    def orders(self) -> Int[np.ndarray, "draws examples"]:
        """Rows of the train set, first kept first: every subset is a prefix."""
        return np.load(self.directory / ORDER, mmap_mode="r")

    def kept(self, fraction: float | int, draw: int = 0) -> Int[np.ndarray, " kept"]:
        """Return the rows of the train set that stay when `fraction` is pruned, first kept first.

        Raises InputError for a fraction or a draw that this sample does not hold; fraction 0, of
        which everything stays, it always holds.
        """
        if not (isinstance(fraction, Real) and fraction == 0):
            self._percent(fraction)
        orders = self.orders
        if draw not in range(len(orders)):
            raise InputError(f"{self.directory} holds the draws 0 to {len(orders) - 1}, not {draw}")
        return np.array(orders[draw][: kept_count(orders.shape[1], fraction)])

    def ids(self, fraction: float | int, draw: int = 0) -> np.ndarray:
        """Return the ids of the rows that `kept` returns."""
        return self.data.array("train", "id")[self.kept(fraction, draw)]

    def subset(self, fraction: float | int, draw: int = 0) -> Path:
        """Return the dataset that is left when `fraction` is pruned, ready to train on.

        Raises InputError for a fraction or a draw that this sample does not hold.
        """
        at = subset_of(self.directory, self._percent(fraction), draw)
        if not at.is_dir():
            raise InputError(f"{self.directory} holds the draws 0 to {self.draws - 1}, not {draw}")
        return at

    @cached_property
    def class_shares(self) -> pd.DataFrame:
        """What stays of every class, and of every value of `groups`, at each percent pruned."""
        return read_shares(self.directory)

    @cached_property
    def label_errors(self) -> pd.DataFrame | None:
        """How many of the known label errors each percent prunes; None where none are known."""
        return read_label_errors(self.directory)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per percent pruned: examples kept, and share kept of the class hit hardest."""
        shares = self.class_shares[self.class_shares["group"] == CLASS]
        least = shares.groupby("percent_pruned")["kept_share"].min()
        kept = [len(self.kept(fraction)) for fraction in self.fractions]
        worst = least.loc[self.percents].to_numpy()
        columns = {"percent_pruned": self.percents, "kept": kept, "least_kept_class_share": worst}
        return pd.DataFrame(columns)

    def _facts(self) -> list[str]:
        return [self.arm, f"{', '.join(f'{percent:g}' for percent in self.percents)} % pruned"]

    def _repr_html_(self) -> str:
        """Return what a notebook shows: what stays at each percent pruned."""
        columns = {
            "pruned, %": [f"{percent:g}" for percent in self.summary["percent_pruned"]],
            "examples kept": self.summary["kept"],
            "kept of the class hit hardest, %": [
                f"{100 * share:.0f}" for share in self.summary["least_kept_class_share"]
            ],
        }
        table = pd.DataFrame(columns).to_html(index=False)
        return f"<p>What <code>{escape(self.arm)}</code> keeps</p>{table}"

    def _percent(self, fraction: float | int) -> float:
        """Return the percent that a fraction is kept under; raise InputError for another one."""
        is_number = isinstance(fraction, Real)
        percent = percent_of(fraction) if is_number else math.nan
        if percent not in self.percents:
            there = ", ".join(f"{own:g}" for own in self.fractions)
            given = f"{fraction:g}" if is_number else brief(fraction)
            raise InputError(f"{self.directory} holds the fractions {there}, not {given}")
        return percent


def subset_of(directory: Path, percent: float | int, draw: int = 0) -> Path:
    """Return where a sample keeps the dataset that this much pruning leaves."""
    return directory / f"subsets/percent-{percent:.9g}/draw-{draw}"


def read_shares(directory: Path) -> pd.DataFrame:
    """Return the class shares of a sample or of its curve; a label may be the text "nan"."""
    path = directory / SHARES
    return pd.read_csv(path, dtype={"label": str}, keep_default_na=False, na_values=[""])


def read_label_errors(directory: Path) -> pd.DataFrame | None:
    """Return how many label errors a sample prunes; None where none are known."""
    path = directory / LABEL_ERRORS
    return pd.read_csv(path) if path.exists() else None


def copy_judgement(sample: Sample, directory: Path) -> None:
    """Copy the class shares and, if any, the label errors of a sample to its curve."""
    for name in (SHARES, LABEL_ERRORS):
        if (sample.directory / name).exists():
            shutil.copy(sample.directory / name, directory / name)


def write_order(scores: Scores, orders: Sequence[np.ndarray], directory: Path) -> None:
    """Leave `data/`, `tokenizer/` and `order.npy`."""
    for part in COPIED:
        store.copy_tree(scores.directory / part, directory / part)
    np.save(directory / ORDER, np.stack(orders).astype(np.int32))


def write_kept(scores: Scores, cuts: Cuts, directory: Path) -> None:
    """Leave `subsets/` and `kept.parquet`, the ids of one subset after another, in parts."""
    rows = {
        (percent_of(fraction), draw): np.sort(kept)
        for fraction, draws in cuts.items()
        for draw, kept in enumerate(draws)
    }
    save_subsets(scores.data, {subset_of(directory, *cut): kept for cut, kept in rows.items()})
    with rows_file(directory / KEPT) as add:
        for (percent, draw), kept in rows.items():
            for part in scores.data.tables("train", ["id"]):
                ids = chosen(part, kept)["id"]
                columns = (np.full(len(ids), value) for value in (percent, draw))
                add(pa.table([*columns, ids], ["percent_pruned", "draw", "id"]))


def write_shares(
    cuts: Cuts, divided: Mapping[str, tuple[np.ndarray, Sequence[str]]], directory: Path
) -> pd.DataFrame:
    """Leave `class_shares.csv`, of the first draw of each fraction, and return it.

    `divided`: of every group the number of each example, and the names of the numbers.
    """
    shares = [
        class_shares(numbers, draws[0], list(values)).assign(
            group=group, percent_pruned=percent_of(fraction)
        )
        for fraction, draws in cuts.items()
        for group, (numbers, values) in divided.items()
    ]
    table = pd.concat(shares, ignore_index=True)
    table.to_csv(directory / SHARES, index=False)
    return table


def write_label_errors(
    cuts: Cuts, mislabeled: np.ndarray | None, directory: Path
) -> dict[float, dict[str, float]]:
    """Leave `label_errors.csv` and return it by fraction: overlap with label errors, over draws."""
    if mislabeled is None:
        return {}
    overlaps = {
        fraction: pd.DataFrame([label_errors.pruned(kept, mislabeled) for kept in draws])
        .mean()
        .to_dict()
        for fraction, draws in cuts.items()
    }
    rows = [{"percent_pruned": percent_of(fraction)} | row for fraction, row in overlaps.items()]
    pd.DataFrame(rows).to_csv(directory / LABEL_ERRORS, index=False)
    return overlaps


def facts(
    scores: Scores, arm: str, fractions: Sequence[float], draws: int, groups: Sequence[str]
) -> dict[str, Any]:
    """Return what the manifest of a sample says beside what all manifests say."""
    percents = [percent_of(fraction) for fraction in fractions]
    own = {"arm": arm, "percents": percents, "draws": draws, "groups": list(groups)}
    return {**own, **scores.handed_on}
