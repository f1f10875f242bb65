"""The sections of the pages of studies (many comparisons) and searches (many trials)."""

import math
from collections.abc import Mapping

import pandas as pd

from influence.evaluation.intervals import in_points
from influence.evaluation.verdict import Verdict
from influence.plots.style import TO_RANDOM, metric_label
from influence.report import charts as report_charts
from influence.report.comparison import Part, Said, Table, cell, heads, with_differences
from influence.searching.planning.result import Answer
from influence.searching.result import Outcome, Recommendation


def variants(varied: str, compared: Mapping[str, Verdict]) -> list[Part]:
    """Show accuracy and its difference to random over a parameter's values, per percent pruned."""
    summary, differences = (_over(varied, compared, name) for name in ("summary", "differences"))
    percents = sorted(percent for percent in summary["percent_pruned"].unique() if percent)
    return [_variants_at(percent, varied, summary, differences) for percent in percents]


def _over(varied: str, compared: Mapping[str, Verdict], name: str) -> pd.DataFrame:
    """Return one table of all comparisons, with the parameter as a column, numeric if possible."""
    tables = [getattr(one, name).assign(**{varied: key}) for key, one in compared.items()]
    table = pd.concat(tables, ignore_index=True)
    numbers = pd.to_numeric(table[varied], errors="coerce")
    return table.assign(**{varied: numbers}) if numbers.notna().all() else table


def _variants_at(
    percent: float, varied: str, summary: pd.DataFrame, differences: pd.DataFrame
) -> Part:
    accuracies, beside = (
        table[table["percent_pruned"] == percent] for table in (summary, differences)
    )
    charts = report_charts.curves(accuracies, "mean", metric_label("accuracy"), varied)
    tables, begins = [], []
    if len(beside):
        differing = report_charts.curves(beside, "difference", TO_RANDOM, varied)
        charts, begins = with_differences(charts, differing)
        values = list(dict.fromkeys(beside[varied]))
        rows = []
        for arm, own in beside.groupby("arm"):
            cells = {row[varied]: cell(row, "difference") for _, row in own.iterrows()}
            rows.append([arm, *(cells.get(value) for value in values)])
        shown_values = {f"{varied}={_named(value)}": "difference" for value in values}
        columns = heads(arm="code", **shown_values)
        tables = [Table(f"differences-{percent:g}", columns, rows, "Minus random, points")]
    caption = "Error bars are 95 % intervals; coloured differences are clear (Holm)."
    return Part(f"pruned-{percent:g}", f"{percent:g} % pruned", caption, charts, tables, begins)


def remarks(varied: str, compared: Mapping[str, Verdict]) -> list[Part]:
    """Show what each comparison warns of and remarks beside its verdict, if any of them does."""
    said = [Said(f"{varied}={key}", one.said[1:], one.notes) for key, one in compared.items()]
    said = [one for one in said if one.warnings or one.notes]
    caption = "Warnings are marked in red."
    return [Part("remarks", "What else is to be known", caption, said=said)] if said else []


def _named(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def tested(outcome: Outcome) -> Part:
    """Show the final test of a recommendation against the full train set and random."""
    rows = [list(row) for row in outcome.tested]
    columns = heads(**{"trained on": "text", f"{outcome.metric.replace('_', ' ')}, %": "number"})
    caption = (
        f"{outcome.percent_pruned} % pruned, measured on test with {outcome.test_seeds} seeds that "
        "no trial has used; 95 % intervals, differences paired by seed."
    )
    spent = [
        ["retrainings", round(outcome.cost["retrainings"])],
        ["as trainings on the full train set", round(outcome.cost["full_trainings"], 1)],
        ["uses of the subset until the search pays off", _whole(outcome.cost["break_even"])],
    ]
    tables = [
        Table("tested", columns, rows),
        Table("search-cost", heads(**{"the search took": "text", "times": "number"}), spent),
    ]
    return Part("tested", "What the test shows", caption, {}, tables)


def tried(recommendation: Recommendation) -> Part:
    """Show every trial of a search, and which parameters mattered."""
    trials, importances = recommendation.trials, recommendation.importances
    rows = [
        [row["number"], row["arm"], row["percent_pruned"], row["seeds"], row["state"]]
        + [100 * row["difference"] if row["difference"] == row["difference"] else None]
        for row in trials.sort_values("difference", ascending=False).to_dict("records")
    ]
    numbers = {"trial": "number", "arm": "code", "pruned, %": "number", "seeds": "number"}
    columns = heads(**numbers, state="text", **{"minus full, points": "number"})
    tables = [Table("trials", columns, rows, filter=True)]
    if len(importances):
        shares = importances[["parameter", "importance"]].values.tolist()
        mattered = heads(parameter="text", importance="number")
        tables.append(Table("importances", mattered, shares, "What mattered (PED-ANOVA)"))
    caption = (
        "Measured on validation. The dashed line is the tolerance, the ringed mark the recommended "
        "trial; small marks are trials that were stopped early as hopeless. Trials that lost more "
        f"than {report_charts.WORST} points are in the table only."
    )
    outcome = recommendation.outcome
    chart = report_charts.landscape(trials, outcome.tolerance, outcome.trial)
    return Part("tried", "What was tried", caption, {"": chart}, tables)


def known(answer: Answer) -> Part:
    """Show what a recommendation knows of its arm and of random, and what it recommends."""
    outcome, table = answer.outcome, answer.landscape
    level = outcome.validation.full["mean"]
    dots = answer.retrainings.assign(gain=answer.retrainings["value"] - level)
    arms = list(dict.fromkeys([outcome.arm or "random", "random"]))
    chart = report_charts.bands(table, dots, arms, outcome.tolerance)
    evidence = outcome.table
    names = [name.replace("_", " ") for name in evidence.columns]
    columns = heads(**{name or f"{outcome.percent_pruned} % pruned": "text" for name in names})
    price = [
        ["scoring", round(outcome.scoring, 1)],
        [f"{outcome.retrainings} retrainings", round(outcome.trainings - outcome.scoring, 1)],
        ["uses of the subset until this pays off", _whole(outcome.break_even)],
    ]
    spent = heads(**{"it took": "text", "trainings on the full train set": "number"})
    caption = (
        "Lines and bands are what is known in the end, with 95 % intervals over other seeds and "
        "other validation examples, as far as losses follow a power law of the examples kept; dots "
        "are single retrainings. All of it is on validation, which it was chosen by; the table "
        "also says what the same retrainings, with the same seeds, reach on test. The dashed line "
        f"is the tolerance. Losses of more than {report_charts.WORST} points are not drawn."
    )
    tables = [
        Table("known", columns, evidence.to_numpy().tolist()),
        Table("price", spent, price),
    ]
    return Part("known", "What is known", caption, {"": chart}, tables)


def history(answer: Answer) -> Part:
    """Show every retraining of a recommendation, and what was recommended after it."""
    rows = [
        [row.arm or "full train set", row.percent_pruned, row.number, 100 * row.value, row.spent]
        + [f"{row.recommended_percent} % {row.recommended}" if row.recommended else "everything"]
        + [in_points(row.gain, row.low, row.high)]
        for row in answer.retrainings.itertuples()
    ]
    numbers = {"pruned, %": "number", "seed": "number", "validation, %": "number"}
    columns = heads(arm="code", **numbers, **{"spent, trainings": "number"})
    columns += heads(**{"recommended by then": "code", "expected, points": "number"})
    caption = "In the order in which they were planned; seed -1 is that of the scored training."
    tables = [Table("retrainings", columns, rows, filter=True)]
    return Part("retrainings", "How it became known", caption, {}, tables)


def _whole(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else "never"
