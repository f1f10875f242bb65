"""What a comparison of arms says: one sentence on the whole, and what pruning did to each class.

Whoever makes many comparisons finds something by luck. So an arm counts as clearly better or worse
only if the interval at 1 - 5 % / comparisons leaves out 0 (Bonferroni), wider than in the tables.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from influence.evaluation.intervals import LEVEL, differences, interval, summarise
from influence.models.metrics import GROUPED
from influence.sampling.arms import AT_EQUAL_STEPS, CLASS

NOTHING_KNOWN = {"kept_share": np.nan, "before": np.nan}  # of what train has no examples of
VAGUE = 0.05  # an interval wider than this to both sides tells nothing


@dataclass(frozen=True, eq=False)
class Comparison:
    """Arms beside random: every retraining, and what it comes to.

    summary and differences: as `evaluation.summarise` and `evaluation.differences` give them;
    classes: as `by_class`; said: the verdict, then the warnings; notes: what else is worth knowing.
    """

    points: pd.DataFrame
    summary: pd.DataFrame
    differences: pd.DataFrame
    classes: pd.DataFrame
    said: list[str]
    notes: list[str]


def compare(
    points: pd.DataFrame,
    shares: Mapping[str, pd.DataFrame],
    guessing: float,
    metric: str = "test/accuracy",
) -> Comparison:
    """Compare the arms of `points`, one row per retraining; `shares`: see `by_class`.

    `guessing`: the accuracy of always guessing the most frequent class of test.
    """
    classes = by_class(points, shares)
    said = [verdict(points, metric), *untrained(points, guessing, metric), *warnings(classes)]
    summary, beside = summarise(points, metric), differences(points, metric)
    return Comparison(points, summary, beside, classes, said, equal_steps(points, metric))


def verdict(points: pd.DataFrame, metric: str = "test/accuracy") -> str:
    """Say in one sentence how the arms did beside random, and random beside the full train set.

    `points`: arm, percent_pruned, seed and metrics, one row per retraining, 0 % among them. Random
    pruning trained for more steps is no arm, see `equal_steps`.
    """
    points = points[points["arm"] != AT_EQUAL_STEPS]
    count, seeds = len(differences(points, metric)), int(points["seed"].nunique())
    beside = differences(points, metric, level=_level(count))
    random = _to_full(points, metric)
    tried = f"{count} comparison{'s' * (count != 1)}"
    if seeds < 2:
        return (
            "One seed shows no difference that could not be luck; run again with seeds=3 or more."
        )
    if not count:
        said = "Nothing but random pruning was tried"
    elif (beside["low"] > 0).any():
        best = beside[beside["low"] > 0].sort_values("difference").iloc[-1]
        others = int((beside["low"] > 0).sum()) - 1
        said = (
            f"{best['arm']} is clearly better than random pruning at {best['percent_pruned']:g} % "
            f"pruned, by {_points(best)} points"
            + (f", and so are {others} more of {tried}" if others else "")
        )
    else:
        said = f"No arm is clearly better than random pruning ({tried}, {seeds} seeds)"
        if worse := _from(beside[beside["high"] < 0]):
            said += f", clearly worse are {worse}"
    if not len(random):
        return f"{said}."
    lost = (random["high"] < 0).tolist()
    if lost[0]:
        return f"{said}; random pruning loses already at {_at(random.iloc[0])}."
    first = lost.index(True) if any(lost) else len(lost)
    held = random.iloc[first - 1]
    vague = held["high"] - held["low"] > 2 * VAGUE
    if vague and any(lost):
        return f"{said}; random pruning loses at {_at(random.iloc[first])}."
    if vague:
        return f"{said}; what random pruning loses is unclear from {seeds} seeds at {_at(held)}."
    return f"{said}; random pruning shows no clear loss up to {_at(held)}."


def equal_steps(points: pd.DataFrame, metric: str = "test/accuracy") -> list[str]:
    """Say what random pruning gains if its subsets are trained for as many steps as everything.

    What an arm loses at equal epochs is partly that it was trained for fewer steps. Nothing is said
    where this was not tried, or under one seed.
    """
    both = points[points["arm"].isin(("random", AT_EQUAL_STEPS))]
    gained = differences(both, metric)
    gained = differences(both, metric, level=_level(len(gained))).dropna()
    if not len(gained):
        return []
    clear = gained[(gained["low"] > 0) | (gained["high"] < 0)]
    if not len(clear):
        most = gained.iloc[-1]
        return [
            "Trained for as many steps as the full train set, random pruning does neither better "
            f"nor worse than at equal epochs ({_points(most)} points at "
            f"{most['percent_pruned']:g} % pruned)."
        ]
    most = clear.sort_values("difference").iloc[-1 if clear["difference"].max() > 0 else 0]
    better = "better" if most["difference"] > 0 else "worse"
    return [
        "Trained for as many steps as the full train set, random pruning is "
        f"{_points(most)} points {better} at {most['percent_pruned']:g} % pruned: so much of what "
        "pruning does there is the length of the training."
    ]


def untrained(points: pd.DataFrame, guessing: float, metric: str = "test/accuracy") -> list[str]:
    """Warn where the model has not clearly learned anything, even from the full train set."""
    full = points[(points["arm"] == "random") & (points["percent_pruned"] == 0)][metric]
    mean, low, high = interval(full.tolist())
    if not low <= guessing:
        return []
    return [
        f"Trained on everything the model is not clearly better ({shown(mean, low, high)} %) than "
        f"always guessing the most frequent class ({100 * guessing:.1f} %): whatever pruning does "
        "to it says nothing; give it more examples, epochs or another learning rate"
    ]


def by_class(points: pd.DataFrame, shares: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row per arm, percent pruned and class: what stayed of it, and its test recall.

    The same for the values of other columns by which pruning is judged, whose recall is the
    accuracy on the test examples that have them. `shares`: of each arm group, label,
    percent_pruned, kept_share, before (as `sampling.class_shares`). Columns: arm, percent_pruned,
    group, label, before, kept_share, recall_before, recall_after, recall_change with low and high
    (95 %, paired by seed, nan for one seed), and clear: the interval for all rows at once leaves
    out 0. What has no test examples has no row.
    """
    rows = []
    known = {
        pair for own in shares.values() for pair in zip(own["group"], own["label"], strict=True)
    }
    measured = {name: found for name in points if (found := _group_of(str(name), known))}
    for arm, own in points.groupby("arm", sort=False):
        full = own[own["percent_pruned"] == 0].set_index("seed")
        keys = ["percent_pruned", "group", "label"]
        kept = shares[str(arm)].set_index(keys)[["kept_share", "before"]]
        for percent, some in own[own["percent_pruned"] > 0].groupby("percent_pruned"):
            after = some.set_index("seed")
            for name, (group, label) in measured.items():
                pair = pd.concat([full[name], after[name]], axis=1, keys=["before", "after"])
                pair = pair.dropna()
                if not len(pair):
                    continue
                changes = (pair["after"] - pair["before"]).tolist()
                row = {"arm": arm, "percent_pruned": percent, "group": group, "label": label}
                place = (percent, group, label)
                row |= kept.loc[place].to_dict() if place in kept.index else NOTHING_KNOWN
                row |= {f"recall_{end}": pair[end].mean() for end in ("before", "after")}
                rows.append(row | {"changes": changes})
    return _with_intervals(pd.DataFrame(rows))


def warnings(table: pd.DataFrame) -> list[str]:
    """Say of each arm which class or group pays most for it, where one clearly loses recall.

    `table`: that of `by_class`. A class is named if its recall clearly fell while less of it stayed
    than of the whole train set, with the minimum per class that keeps its share; one line per arm
    and group, for the class that fell most.
    """
    said: list[str] = []
    for worst in starved(table):
        arm, group = worst["arm"], worst["group"]
        measure = "recall" if group == CLASS else "accuracy"
        said.append(
            f"{arm} prunes {100 * (1 - worst['kept_share']):.0f} % of {group} {worst['label']!r} "
            f"at {worst['percent_pruned']:g} % pruned, and its {measure} falls from "
            f"{100 * worst['recall_before']:.0f} to {100 * worst['recall_after']:.0f} %"
            + _others(worst["alike"])
            + (
                f"; min_per_class={minimum_of(worst)} would keep its share"
                if group == CLASS
                else ""
            )
        )
    return said


def starved(table: pd.DataFrame) -> list[pd.Series]:
    """Return, per arm and group, the row of what loses most by keeping less than its share.

    `table`: that of `by_class`. A row has its loss clear and, as `alike`, the number of others like
    it.
    """
    if not len(table):
        return []
    stays = 1 - table["percent_pruned"] / 100
    losing = table[table["clear"] & (table["recall_change"] < 0) & (table["kept_share"] < stays)]
    found = []
    for _, own in losing.groupby(["arm", "group"], sort=False):
        worst = own.sort_values(["recall_change", "percent_pruned"]).iloc[0].copy()
        worst["alike"] = own["label"].nunique() - 1
        found.append(worst)
    return found


def minimum_of(row: pd.Series) -> int:
    """Return how many examples of a class must stay to keep its share of the train set."""
    return math.ceil(round((1 - row["percent_pruned"] / 100) * row["before"], 6))


def shown(mean: float, low: float, high: float, sign: str = "") -> str:
    """Return a mean and the half-width of its interval in percent; one seed has no interval."""
    half = 50 * (high - low)
    spread = "" if math.isnan(half) else f" ± {half:.1f}"
    return f"{100 * mean:{sign}.1f}{spread}"


def _with_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """Replace the changes of each row by their mean and intervals."""
    if not len(table):
        return table
    changes = table.pop("changes")
    ends = pd.DataFrame(
        [interval(own) for own in changes], columns=["recall_change", "low", "high"]
    )
    wide = [interval(own, _level(len(table))) for own in changes]
    clear = [bool(low > 0 or high < 0) for _, low, high in wide]
    return pd.concat([table, ends], axis=1).assign(clear=clear)


def _group_of(metric: str, known: Collection[tuple[str, str]]) -> tuple[str, str] | None:
    """Return the group and the label that a metric is about, None for others.

    `known`: the groups and labels that there are. Both may contain the `=` between them, so that a
    column `city=Rome` is told from the values of a column `city` by what there is alone.
    """
    recall, _, label = metric.partition("test/recall/")
    if not recall and label:
        return CLASS, label
    other, _, pair = metric.partition(GROUPED)
    column, cut, value = pair.partition("=")
    if other or not cut:
        return None
    fitting = [group for group in {group for group, _ in known} if pair.startswith(f"{group}=")]
    pairs = [(group, pair.removeprefix(f"{group}=")) for group in fitting] or [(column, value)]
    return max(pairs, key=lambda found: (found in known, len(found[0])))


def _to_full(points: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return random minus the full train set, paired by seed, by ascending percent, at 95 %.

    Here a wider interval would claim more: that nothing was lost.
    """
    own = points[points["arm"] == "random"]
    full = own[own["percent_pruned"] == 0].set_index("seed")[metric]
    rows = []
    for percent, some in own[own["percent_pruned"] > 0].groupby("percent_pruned"):
        paired = (some.set_index("seed")[metric] - full).dropna()
        if len(paired):
            rows.append((percent, *interval(paired.tolist())))
    return pd.DataFrame(rows, columns=["percent_pruned", "difference", "low", "high"])


def _level(comparisons: int) -> float:
    return 1 - (1 - LEVEL) / max(comparisons, 1)


def _others(classes: int) -> str:
    if classes < 1:
        return ""
    return "; one more class loses like it" if classes == 1 else f"; {classes} more lose like it"


def _from(rows: pd.DataFrame) -> str:
    """List arms with the smallest percent at which each is in `rows`."""
    firsts = rows.groupby("arm")["percent_pruned"].min().sort_values(kind="stable")
    return ", ".join(f"{arm} from {percent:g} %" for arm, percent in firsts.items())


def _at(row: pd.Series) -> str:
    return f"{row['percent_pruned']:g} % ({_points(row)} points against the full train set)"


def _points(row: pd.Series) -> str:
    return shown(row["difference"], row["low"], row["high"], "+").replace("-", "−")
