"""What pruning did to each class, and to each value of the columns `groups`."""

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from influence.evaluation.intervals import Paired, Retrainings, by_seed, shared_over
from influence.models.metrics import GROUPED, RECALL
from influence.sampling.arms import CLASS
from influence.sampling.order import fraction_of

KEYS = ["percent_pruned", "group", "label"]
NOT_IN_TRAIN = {"kept_share": np.nan, "before": np.nan}  # values without train examples


def by_class(measured: Retrainings, shares: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row per arm, percent pruned and class: the share kept, and its test recall.

    So do the values of other columns by which pruning is judged; their recall is the accuracy on
    the test examples that have them. `shares`: of each arm group, label,
    percent_pruned, kept_share, before (as `sampling.class_shares`). Columns: arm, percent_pruned,
    group, label, before, kept_share, recall_before, recall_after, recall_change with low and high
    (95 %: over seeds, by which it is paired, and other test examples, where it is known who is
    right; nan for one seed), and clear, by Holm's method for all rows. A class without test
    examples has no row.
    """
    rows, points = [], measured.points.reset_index(drop=True)
    known = {
        pair for own in shares.values() for pair in zip(own["group"], own["label"], strict=True)
    }
    named = {str(name): group for name in points if (group := _group_of(str(name), known))}
    values = points[list(named)].to_numpy(dtype=np.float64)
    for arm, own in points.groupby("arm", sort=False):
        full = own.index[own["percent_pruned"] == 0]
        columns = shares[str(arm)].set_index(KEYS)[["kept_share", "before"]]
        kept = columns.astype(float).to_dict("index")
        for percent, some in own[own["percent_pruned"] > 0].groupby("percent_pruned"):
            pair = by_seed(points["seed"], full, some.index)
            for (name, group), recalls in zip(named.items(), values.T, strict=True):
                if found := _recalls(measured, name, recalls, pair):
                    place = (percent, *group)
                    stayed = kept.get(place, NOT_IN_TRAIN)
                    row = dict(zip(KEYS, place, strict=True))
                    rows.append({"arm": arm, **row, **stayed, **found})
    return _with_intervals(pd.DataFrame(rows))


def warnings(table: pd.DataFrame) -> list[str]:
    """Name the class or group that pays most for each arm, where one clearly loses recall.

    `table`: that of `by_class`. A class is named if its recall clearly fell while a smaller share
    of it was kept than of the whole train set, with the min_per_class that keeps its share; one
    line per arm and group, for the class whose recall fell most.
    """
    return [_warning(worst) for worst in starved(table)]


def _warning(worst: pd.Series) -> str:
    is_class = worst["group"] == CLASS
    ends = [100 * worst[name] for name in ("recall_before", "recall_after")]
    others = "one other" if worst["alike"] == 1 else f"{worst['alike']} others"
    return (
        f"At {worst['percent_pruned']:g} % pruned, {worst['arm']} prunes "
        f"{100 * (1 - worst['kept_share']):.0f} % of {worst['group']} {worst['label']!r}, whose "
        f"{'recall' if is_class else 'accuracy'} falls from {ends[0]:.0f} to {ends[1]:.0f} %"
        + (f"; the same happens to {others}" if worst["alike"] else "")
        + (f"; min_per_class={minimum_of(worst)} would keep its share" if is_class else "")
    )


def starved(table: pd.DataFrame) -> list[pd.Series]:
    """Return, per arm and group, the row that loses most while it keeps less than its share.

    `table`: that of `by_class`. The loss of a row is clear; `alike` counts the others like it.
    """
    if not len(table):
        return []
    stays = 1 - table["percent_pruned"].map(fraction_of)
    losing = table[table["clear"] & (table["recall_change"] < 0) & (table["kept_share"] < stays)]
    rows = []
    for _, own in losing.groupby(["arm", "group"], sort=False):
        worst = own.sort_values(["recall_change", "percent_pruned"]).iloc[0].copy()
        worst["alike"] = own["label"].nunique() - 1
        rows.append(worst)
    return rows


def minimum_of(row: pd.Series) -> int:
    """Return how many examples of a class must stay to keep its share of the train set."""
    return math.ceil(round((1 - fraction_of(row["percent_pruned"])) * row["before"], 6))


def _recalls(
    measured: Retrainings, metric: str, recalls: np.ndarray, pair: np.ndarray
) -> dict[str, Any]:
    """Return mean recalls before and after, the change of each seed, and the error of test in it.

    `recalls`: of every row of `measured`; `pair`: the rows of both ends by seed. Nothing without
    seeds that both have.
    """
    full, pruned = pair[:, ~np.isnan(recalls[pair]).any(0)]
    if not len(full):
        return {}
    before, after = recalls[full], recalls[pruned]
    return {
        "recall_before": before.mean(),
        "recall_after": after.mean(),
        "changes": after - before,
        "of_test": measured.error_of_test(pruned, full, metric),
    }


def _with_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """Replace the changes of each row by their mean, its interval, and whether it is clear.

    The recall of a class with a dozen test examples has few values, and three seeds often the same
    one: Student's interval would have no width. So all rows share what they know of the variance,
    which depends on how many examples of a class are kept.
    """
    if not len(table):
        return table
    changes = table.pop("changes").tolist()
    kept = (table["before"] * table["kept_share"]).fillna(0).clip(lower=1)
    shared, of_test = shared_over(changes, kept.tolist()), table.pop("of_test").to_numpy()
    place = (table["arm"].tolist(), table["percent_pruned"].tolist())
    found = Paired(*place, changes, of_test, shared).table
    found = found.rename(columns={"difference": "recall_change"})
    return table.join(found[["recall_change", "low", "high", "clear"]])


def _group_of(metric: str, known: Collection[tuple[str, str]]) -> tuple[str, str] | None:
    """Return the group and the label that a metric is about, None for others.

    `known`: the groups and labels that there are. Both may contain the `=` between them, so only
    the known pairs tell a column `city=Rome` from the value `Rome=...` of a column `city`.
    """
    recall, _, label = metric.partition(RECALL)
    if not recall and label:
        return CLASS, label
    other, _, pair = metric.partition(GROUPED)
    column, cut, value = pair.partition("=")
    if other or not cut:
        return None
    fitting = [group for group in {group for group, _ in known} if pair.startswith(f"{group}=")]
    pairs = [(group, pair.removeprefix(f"{group}=")) for group in fitting] or [(column, value)]
    return max(pairs, key=lambda own: (own in known, len(own[0])))
