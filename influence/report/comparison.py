"""The report's sections on retrainings: the cost of pruning, overall and by class, and in time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from influence.data.result import Result
from influence.evaluation import costs
from influence.evaluation.intervals import in_points, shown
from influence.evaluation.verdict import Verdict
from influence.nlu import tables as nlu_tables
from influence.plots.style import TO_RANDOM, metric_label
from influence.report import charts as report_charts
from influence.sampling.arms import CLASS


@dataclass(frozen=True)
class Table:
    """Rows and their columns: (name, kind), kind being text, number, code or difference."""

    id: str
    columns: list[dict[str, str]]
    rows: list[list[Any]]
    title: str = ""
    filter: bool = False


class Said(NamedTuple):
    """What one comparison of several has to say."""

    title: str
    warnings: Sequence[str]
    notes: Sequence[str]


@dataclass(frozen=True)
class Part:
    """One section of the page.

    charts: by title; begins: the titles of those that begin a row of charts.
    """

    id: str
    title: str
    caption: str
    charts: Mapping[str, str] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    begins: Sequence[str] = ()
    said: Sequence[Said] = ()
    code: str = ""


def curves(compared: Verdict) -> Part:
    """Show accuracy, and its difference to random, over percent pruned."""
    charts = report_charts.curves(compared.summary, "mean", metric_label("accuracy"))
    charts, begins = with_differences(charts, _differences(compared))
    level = (
        "Error bars are 95 % intervals: of accuracies over retraining seeds, of differences also "
        "over test examples, with a variance that all comparisons share. The dashed line is the "
        "full train set. Coloured differences are clear for all comparisons together (Holm)."
    )
    tables = [
        _wide(compared.differences, "difference", "differences", "Minus random, points"),
        _wide(compared.lost, "difference", "losses", "Minus the full train set, points"),
        _wide(compared.summary, "mean", "accuracies", "Accuracy, %"),
    ]
    tables = [table for table in tables if table.rows]
    return Part("curves", "What pruning costs", level, charts, tables, begins)


def error_rates(changes: pd.DataFrame) -> Part:
    """Show the error rates of a voice assistant as the paper's table does."""
    head, *rows = nlu_tables.shown(changes)
    columns = heads(**{name: "number" for name in head} | {head[0]: "code"})
    caption = (
        "Relative change against the full train set, % (paired bootstrap, 95 %); lower is better."
    )
    return Part(
        "errors", "Error rates of the assistant", caption, {}, [Table("rates", columns, rows)]
    )


def classes(compared: Verdict, remedies: pd.DataFrame) -> Part | None:
    """Show the recall of every class before and after; None if no class has test examples.

    `remedies`: see `evaluation.remedies`.
    """
    table = compared.classes
    if not len(table):
        return None
    grouped = table["group"].nunique() > 1
    rows = []
    for row in table.sort_values("recall_change").to_dict("records"):
        half = in_points(row["recall_change"], row["low"], row["high"])
        look = "" if not row["clear"] else "better" if row["recall_change"] > 0 else "worse"
        ends = [round(100 * row[name], 1) for name in ("recall_before", "recall_after")]
        kept = round(100 * row["kept_share"], 1)
        shaded = {"shown": half, "look": look}
        named = [row["group"], row["label"]] if grouped else [row["label"]]
        rows.append([*named, row["arm"], float(row["percent_pruned"]), kept, *ends, shaded])
    numbers = ("pruned, %", "kept, %", "recall before, %", "recall after, %")
    columns = heads(
        **{"of": "text"} if grouped else {},
        **{"value" if grouped else "class": "text", "arm": "code"},
        **dict.fromkeys(numbers, "number"),
        **{"change, points": "difference"},
    )
    caption = (
        "Test recall of every class, compared with training on the full train set. A coloured "
        "change remains clear when all are judged together (Holm). A class that keeps a "
        "smaller share than the whole train set pays for the others."
        + (" For a value of another column, recall means the accuracy on its examples." * grouped)
    )
    charts = {
        arm if group == CLASS else f"{arm}, by {group}": report_charts.classes(own, arm)
        for (arm, group), own in table.groupby(["arm", "group"], sort=False)
    }
    listed = Table("classes", columns, rows, filter=True)
    tables = [_remedies(remedies), listed] if len(remedies) else [listed]
    return Part("by-class", "What pruning does to each class", caption, charts, tables)


def _remedies(table: pd.DataFrame) -> Table:
    numbers = ("would be kept, %", "kept of the worst class, %")
    columns = heads(
        **{"arm": "code", "pruned, %": "number", "class that pays most": "text", "remedy": "code"},
        **dict.fromkeys(numbers, "number"),
    )
    rows = [
        [row["arm"], float(row["percent_pruned"]), row["label"], row["remedy"]]
        + [round(100 * row[name], 1) for name in ("kept_share", "least_kept_share")]
        for row in table.to_dict("records")
    ]
    return Table(
        "remedies",
        columns,
        rows,
        "What would keep more of this class (predicted from the scores, not retrained)",
    )


def cost(points: pd.DataFrame, cost: Mapping[str, Any]) -> Part:
    """Show the cost of scoring and retraining, and when scoring pays for itself."""
    scoring = costs.scoring(cost)
    table = costs.retraining(points, float(scoring["seconds"].sum()))
    spent = Table(
        "scoring-cost",
        heads(**{"to score": "text", "seconds": "number", "passes over the train set": "text"}),
        [[row["what"], row["seconds"], row["passes"]] for row in scoring.to_dict("records")],
    )
    names = ("pruned, %", "examples", "steps", "seconds", "saved, s", "reuses to break even")
    rows = [
        [
            float(row["percent_pruned"]),
            f"{row['kept']:,.0f}",
            f"{row['steps']:,.0f}",
            row["seconds"],
            row["saved"] if row["percent_pruned"] else None,
            int(row["reuses"]) if row["reuses"] == row["reuses"] else None,
        ]
        for row in table.to_dict("records")
    ]
    columns = heads(**dict.fromkeys(names, "number"))
    retrained = Table("retraining-cost", columns, rows, "One retraining, mean over arms and seeds")
    caption = (
        "Seconds are summed over workers; a worker that shares its machine is slower. Reuses to "
        "break even: the number of trainings after which a subset has saved what its scores cost, "
        "including the training behind them."
    )
    return Part("cost", "What it cost", caption, {}, [spent, retrained])


def again(command: str, result: Result) -> Part:
    """Show how to reproduce the comparison; `result`: the scores behind it."""
    versions = ", ".join(f"{name} {number}" for name, number in result.versions.items())
    code = (
        f"{command}\n\ndataset  {result.dataset_name}, digest {result.data.digest}\n"
        f"scores   fingerprint {result.fingerprint}\nwith     {versions}"
    )
    caption = (
        "The same command gives the same numbers, bit for bit on one machine with as many threads."
    )
    return Part("again", "Reproduce it", caption, code=code)


def heads(**kinds: str) -> list[dict[str, str]]:
    """Return the columns of a table from name=kind."""
    return [{"name": name, "kind": kind} for name, kind in kinds.items()]


def _differences(compared: Verdict) -> dict[str, str]:
    if not len(compared.differences):
        return {}
    return report_charts.curves(compared.differences, "difference", TO_RANDOM)


def with_differences(
    charts: Mapping[str, str], differences: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Return charts and those of differences to random, titled as such; and which begin a row.

    One of each stand side by side; where every score has its own, differences stand below.
    """
    titled = {
        name if "random" in name else f"{name} minus random": chart
        for name, chart in differences.items()
    }
    return {**charts, **titled}, list(titled)[:1] if len(charts) > 1 else []


def _wide(table: pd.DataFrame, value: str, id: str, title: str) -> Table:
    """Return arms x percent pruned; a difference that is clear stands out."""
    percents = sorted(p for p in table["percent_pruned"].unique() if value == "mean" or p)
    kind = "difference" if value == "difference" else "number"
    rows = []
    for arm, own in table.groupby("arm"):
        cells = {row["percent_pruned"]: cell(row, value) for _, row in own.iterrows()}
        rows.append([arm, *(cells.get(percent) for percent in percents)])
    columns = heads(arm="code", **{f"{percent:g} % pruned": kind for percent in percents})
    return Table(id, columns, rows, title)


def cell(row: pd.Series, value: str) -> Any:
    """Return a mean with its interval; a difference that is clear stands out."""
    ends = (row[value], row["low"], row["high"])
    if value == "mean":
        return shown(*ends)
    look = "" if not row["clear"] else "better" if row["difference"] > 0 else "worse"
    return {"shown": in_points(*ends), "look": look}
