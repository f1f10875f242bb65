"""What pruning costs, what the paper's arms do, and when scores help: benchmarks/tables, summed up.

Run: python -m benchmarks.answers
Reads what `benchmarks.tabulated` retrained. Every difference is on test, paired by seed, with a
95 % interval over seeds and test examples; clear by Holm's method over all that a setting compares
with random, or with the full train set. An arm counts under the seeds that all its percents have.
Writes benchmarks/answers.json and the nine tables that the docs make of it, and draws
docs/images/answers.png, paper.png and conditions.png. Figure 1 on a GPU, of which accuracies alone
are kept, has intervals over seeds.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.measuring import IMAGES, as_json, put
from benchmarks.tabulated import (
    CONDITIONS,
    DATASETS,
    RECIPES,
    SETTINGS,
    Row,
    made_by,
    rows_of,
    sizes_of,
    table,
    unpacked,
)
from influence.evaluation.intervals import Retrainings, summarise
from influence.plots.curves import FULL
from influence.plots.style import COLOURS, GREY, PRUNED, TO_RANDOM, colour_of, style, styled
from influence.sampling.arms import AT_EQUAL_STEPS

RESULT = Path(__file__).with_suffix(".json")
SHOWN = (30, 50, 70, 90)  # percents of the tables in the docs
SHOWN_OF_CHEAP = (50, 70)  # of the table of cheap scores
# The default takes what looks mislabeled from the epochs before the model learns by heart. The
# other one takes it from all epochs; where these are the same, so are their retrainings.
DEFAULT, BY_ALL = "aum:ccs_clean", "aum@all:ccs_clean"
BY_CHEAP = ("random", BY_ALL, f"probe/{BY_ALL}", f"epoch/{BY_ALL}")
AGAIN = ("random", DEFAULT, f"again/{DEFAULT}")  # by one scored model, and by another
SHOWN_OF_AGAIN = (70, 90)
SHOWN_OF_CONDITIONS = (30, 70)  # of the table of conditions, and of its picture
OURS = ("random", "aum:ccs", DEFAULT)
WINDOWS = ("random", BY_ALL, DEFAULT)  # compared where the model learns wrong labels by heart
PAPER = (
    *("el2n:easy", "el2n:hard", "forgetting:easy", "pvi:easy", "tracin:easy"),
    *("vog:easy:class", "vog:hard:class", "vog:linear:dataset"),
)
# What is compared with the full train set as well, where many settings are summed up.
ALSO_TO_FULL = (DEFAULT, "minus_full", "minus everything")
LATER = (  # of the literature since the paper, and what else may be tried first
    *("stratified", "dedup", "clean", "aum:ccs_class", "aum:d2"),
    *("dual:adaptive", "tdds:easy", "tdds:hard", "value:hard"),
    *("dyn_unc:easy", "dyn_unc:easy:class", "dyn_unc:ccs_class", "dyn_unc:ccs_clean"),
    "dyn_unc:hard",
)
FIGURE1 = Path(__file__).with_name("figure1_h200.csv")
SNLI = "SNLI in full, constant"
# The arms differ by their rule or window alone, which a line shows elsewhere, and a point cannot.
ARMS_SHOWN = {
    "stratified": (COLOURS[0], "s"),
    "aum:ccs": (COLOURS[6], "D"),
    DEFAULT: (colour_of("aum"), "o"),
    FULL: (GREY, "|"),
}
# Among all arms the lines of AUM's rules are hardly told apart.
AMONG_ALL = {
    "aum:ccs": {"color": COLOURS[6], "ls": "--"},
    DEFAULT: {"ls": "-", "lw": 2.8},
}
Known = Mapping[str, dict[str, Any]]  # by setting and recipe: what RESULT holds
FEWEST = 2  # retrainings of a cell, without which there is no interval


def main() -> None:
    """Summarise every setting that was retrained, write and draw."""
    known = {
        f"{setting}, {recipe}": found
        for recipe in RECIPES
        for setting in SETTINGS
        if (found := _summed_up(table(setting, recipe)))
    }
    made = {"machine": "one NVIDIA H200", "examples": 94993}
    known[SNLI] = made | _summary(Retrainings(pd.read_csv(FIGURE1)))
    RESULT.write_text(as_json(known), encoding="utf-8")
    for page, after, text in tables(known):
        put(page, after, text)
    linear, constant, conditions = _parts(known)
    draw(linear, "answers", -10, bands=True)
    draw(constant, "paper", -30, bands=False)
    draw_conditions(conditions, SHOWN_OF_CONDITIONS)


def tables(known: Known) -> list[tuple[str, str, str]]:
    """Return the tables of the docs: the page, what the table comes after, and the table."""
    linear, constant, conditions = _parts(known)
    wrong = {name: conditions[name] for name in conditions if "wrong" in name or "errors" in name}
    means = {
        "datasets, linear": linear,
        "datasets, constant": {name: constant[name] for name in constant if name != SNLI},
        "wrong labels": wrong,
        "other conditions": {name: conditions[name] for name in conditions if name not in wrong},
    }
    cheap = shown(_with(BY_CHEAP[2:], known), SHOWN_OF_CHEAP, BY_CHEAP)
    again = shown(_with(AGAIN[2:], known), SHOWN_OF_AGAIN, AGAIN)
    converged = shown(_with(PAPER, linear), SHOWN, ("random", *PAPER))
    later = shown(_with(LATER, known), SHOWN_OF_CONDITIONS, (*OURS, *LATER))
    when = shown(conditions, SHOWN_OF_CONDITIONS, (*OURS, "stratified"))
    by_heart = {name: wrong[name] for name in wrong if name.endswith("constant")}
    windows = shown(by_heart, SHOWN[:3], WINDOWS)
    return [
        ("results.md", "## In short\n", counted(means, SHOWN, OURS)),
        ("results.md", "## What pruning costs\n", shown(linear, SHOWN, OURS)),
        ("results.md", "## The paper's arms\n", counted({"constant": constant}, SHOWN, PAPER)),
        ("results.md", "Trained until they converge,", converged),
        ("results.md", "## Arms of the later literature\n", later),
        ("results.md", "## When do scores help?\n", when),
        ("results.md", "**At a constant rate the model learns wrong labels by heart.**", windows),
        ("results.md", "**What is kept by another scored model.**", again),
        ("scores.md", "**What pruning by it does.**", cheap),
    ]


def _parts(known: Known) -> list[dict[str, dict[str, Any]]]:
    """Return the datasets under both recipes, and the conditions."""
    linear = [f"{name}, linear" for name in DATASETS]
    constant = [*(f"{name}, constant" for name in DATASETS), SNLI]
    conditions = [f"{name}, {recipe}" for name in CONDITIONS for recipe in RECIPES]
    return [
        {name: known[name] for name in names if name in known}
        for names in (linear, constant, conditions)
    ]


def _summed_up(at: Path) -> dict[str, Any] | None:
    """Return what a table says, see `whole`; None where that is too little."""
    rows = whole(list(rows_of(at)))
    if not rows:
        return None
    made = json.loads(made_by(at).read_text(encoding="utf-8"))
    counted_once = once(rows)
    found = _summary(retrainings(counted_once, sizes_of(at)["test"]))
    if len(counted_once) < len(rows):
        found["rows"] += [row | {"arm": BY_ALL} for row in found["rows"] if row["arm"] == DEFAULT]
    return made | found


def whole(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of each arm under the seeds that all its percents have, if these suffice."""
    percents = defaultdict(set)
    for row in rows:
        percents[row.arm, row.number].add(row.percent_pruned)
    seeds = defaultdict(set)
    for arm in {row.arm for row in rows}:
        own = {number: some for (name, number), some in percents.items() if name == arm}
        every = set().union(*own.values())
        complete = {number for number, some in own.items() if some == every}
        if len(complete) >= FEWEST:
            seeds[arm] = complete
    return [row for row in rows if row.number in seeds[row.arm]]


def once(rows: Sequence[Row]) -> list[Row]:
    """Leave out the arm by all epochs where all of its retrainings are the default's.

    Counted twice, they would be taken for twice as many that agree, and intervals be too narrow.
    """
    by_all, default = (
        {row._replace(arm="") for row in rows if row.arm == arm} for arm in (BY_ALL, DEFAULT)
    )
    return [row for row in rows if row.arm != BY_ALL or not by_all <= default]


def retrainings(rows: Sequence[Row], examples: int) -> Retrainings:
    """Return rows of a table as a comparison, in which the full train set is random's 0 %."""
    points = pd.DataFrame(rows).rename(columns={"number": "seed", "test": "test/accuracy"})
    points["arm"] = points["arm"].replace("", "random")
    return Retrainings(points, correct=np.array([unpacked(row.right, examples) for row in rows]))


def _summary(measured: Retrainings) -> dict[str, Any]:
    summary = summarise(measured.points, measured.metric)
    rows = summed_rows(summary, measured.to_random.table, measured.to_full.table)
    for row in rows:
        by, _, own = row["arm"].rpartition("/")
        if by:
            row |= {"minus_own": _to_own(measured, row["arm"], own, row["percent_pruned"])}
    return {"rows": rows}


def _to_own(measured: Retrainings, arm: str, own: str, percent: float) -> list[Any]:
    """Return what an arm by other scores gains over the same by those of the retrained model."""
    own = own if (measured.points["arm"] == own).any() else DEFAULT  # see `once`
    both = measured.only(measured.points["arm"].isin((arm, own)).to_numpy())
    points = both.points.assign(arm=both.points["arm"].replace(own, "random"))
    table = replace(both, points=points).to_random.table
    return _difference(table[table["percent_pruned"] == percent].iloc[0])


def summed_rows(summary: pd.DataFrame, beside: pd.DataFrame, lost: pd.DataFrame) -> list[dict]:
    """Return accuracies in percent, differences to random and to the full train set in points.

    All with the ends of their intervals; differences also tell whether they are clear.
    """
    beside, lost = (one.set_index(["arm", "percent_pruned"]) for one in (beside, lost))
    rows = []
    for row in summary.itertuples():
        place = (row.arm, row.percent_pruned)
        rows.append(
            {"arm": row.arm, "percent_pruned": row.percent_pruned, "seeds": row.seeds}
            | {"accuracy": _rounded(row.mean, row.low, row.high)}
            | ({"minus_random": _difference(beside.loc[place])} if place in beside.index else {})
            | ({"minus_full": _difference(lost.loc[place])} if place in lost.index else {})
        )
    return [row for row in rows if row["arm"] != AT_EQUAL_STEPS]


def _difference(row: pd.Series) -> list[Any]:
    return [*_rounded(row["difference"], row["low"], row["high"]), bool(row["clear"])]


def _rounded(*values: float) -> list[float]:
    return [round(100 * value, 2) for value in values]


def shown(known: Known, percents: Sequence[int], arms: Sequence[str]) -> str:
    """Return what is known of `arms` as a table for the docs, an arm a row."""
    heads = [f"{percent} % pruned" for percent in percents]
    lines = [f"| setting, recipe | | seeds | full train set | {' | '.join(heads)} |"]
    lines.append("| --- " * (len(percents) + 4) + "|")
    for name, found in known.items():
        rows = {(row["arm"], round(row["percent_pruned"])): row for row in found["rows"]}
        full = rows["random", 0]
        compared = [(arm, *kind) for arm in arms for kind in _kinds(arm)]
        for arm, kind, what in compared:
            cells = [
                _in_points(rows[arm, percent][kind], "+") if (arm, percent) in rows else "–"
                for percent in percents
            ]
            if set(cells) == {"–"}:
                continue
            start, level = (name, _in_points(full["accuracy"])) if arm == "random" else ("", "")
            seeds = min(rows[one]["seeds"] for one in rows if one[0] == arm)
            lines.append(f"| {start} | `{arm}` {what} | {seeds} | {level} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _kinds(arm: str) -> list[tuple[str, str]]:
    """Return what an arm is compared with: the key in its rows, and the words of the table."""
    if arm == "random":
        return [("minus_full", "minus everything")]
    by, _, own = arm.rpartition("/")
    return [("minus_random", "minus random"), *([("minus_own", f"minus `{own}`")] if by else [])]


def counted(groups: Mapping[str, Known], percents: Sequence[int], arms: Sequence[str]) -> str:
    """Return a table for the docs: what arms gain in the mean of settings, and where it is clear.

    `groups`: settings by what they have in common. The interval is for these settings, whose
    retrainings have nothing in common but, in part, their texts.
    """
    heads = [f"{percent} % pruned" for percent in percents]
    lines = [f"| mean of | | {' | '.join(heads)} |", "| --- " * (len(percents) + 2) + "|"]
    for name, known in groups.items():
        kinds = [*((arm, *kind) for arm in arms for kind in _kinds(arm)), ALSO_TO_FULL]
        for arm, kind, what in kinds:
            cells = [_mean(known, arm, percent, kind) for percent in percents]
            if arm in arms and set(cells) != {"–"}:
                lines.append(f"| {name} | `{arm}` {what} | {' | '.join(cells)} |")
                name = ""
    return "\n".join(lines)


def _mean(known: Known, arm: str, percent: int, kind: str) -> str:
    """Return a mean over settings as text, in how many it is clear, and how many they are."""
    own = [
        row[kind]
        for found in known.values()
        for row in found["rows"]
        if (row["arm"], round(row["percent_pruned"])) == (arm, percent) and kind in row
    ]
    if len(own) < FEWEST:
        return "–"
    means, low, high = np.array([one[:3] for one in own], float).T
    half = np.sqrt(((high - low) ** 2).sum()) / 2 / len(own)
    clear = [mean for mean, *_, clear in own if clear]
    counts = {"ahead": sum(mean > 0 for mean in clear), "behind": sum(mean < 0 for mean in clear)}
    where = ", ".join(f"{count} {side}" for side, count in counts.items() if count) or "none"
    middle = _in_points([means.mean(), means.mean() - half, means.mean() + half], "+")
    return f"{middle} ({where} of {len(own)})"


def _in_points(value: list[Any], sign: str = "") -> str:
    """Return a mean with half of its 95 % interval, in bold where it is clear."""
    text = f"{value[0]:{sign}.1f} ± {(value[2] - value[1]) / 2:.1f}".replace("-", "−")
    return f"**{text}**" if value[3:] == [True] else text


def _with(arms: Sequence[str], known: Known) -> dict[str, dict[str, Any]]:
    """Return the settings in which some of `arms` were retrained."""
    return {
        name: found
        for name, found in known.items()
        if any(row["arm"] in arms for row in found["rows"])
    }


def draw(known: Known, name: str, lowest: int, bands: bool) -> None:
    """Draw what every arm gains over random, a panel for each dataset, into docs/images/<name>.png.

    With 95 % bands, for few arms; with dots where a difference is clear, for all of them.
    Arms that lose more than `lowest` leave their panel.
    """
    known = _compared(known)
    with styled():
        across = 4 if len(known) % 3 else 3
        down = -(-len(known) // across)
        figure = Figure(figsize=(9, 0.8 + 2.2 * down), layout="constrained")
        panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        for axes in panels.flat[len(known) :]:
            axes.set_visible(False)
        for axes in panels.flat[max(len(known) - across, 0) : len(known)]:  # above no other panel
            axes.tick_params(labelbottom=True)
        for axes, (title, found) in zip(panels.flat, known.items(), strict=False):
            rows = pd.DataFrame([row for row in found["rows"] if "minus_random" in row])
            axes.axhline(0, color=style("random")["color"], lw=1.5)
            rows = rows[rows["arm"].isin(OURS if bands else (*PAPER, *OURS))]
            for arm, own in rows.groupby("arm"):
                _line(axes, arm, own, bands)
            axes.set(title=title.rpartition(",")[0], ylim=(lowest, 10))
        figure.supxlabel(PRUNED)
        figure.supylabel(TO_RANDOM)
        lines = {
            label: line
            for axes in panels.flat
            for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(lines.values(), lines, loc="outside upper center", ncols=4)
        IMAGES.mkdir(parents=True, exist_ok=True)
        figure.savefig(IMAGES / f"{name}.png", dpi=150)


def _compared(known: Known) -> dict[str, dict[str, Any]]:
    """Return the settings in which an arm was compared with random."""
    return {
        name: found
        for name, found in known.items()
        if any("minus_random" in row for row in found["rows"])
    }


def _line(axes: Axes, arm: str, rows: pd.DataFrame, bands: bool) -> None:
    """Draw what an arm gains over random, in one panel."""
    look = style(arm) | {"marker": ""} | AMONG_ALL.get(arm, {})
    mean, low, high = np.array([one[:3] for one in rows["minus_random"]], float).T
    percents = rows["percent_pruned"].to_numpy()
    if bands:
        colour, marker = ARMS_SHOWN[arm]
        axes.fill_between(percents, low, high, color=colour, alpha=0.15, lw=0)
        above = 2 + list(ARMS_SHOWN).index(arm)  # the default where two keep the same examples
        look = {"color": colour, "marker": marker, "ms": 4, "zorder": above}
    else:
        clear = np.array([one[3] for one in rows["minus_random"]])
        axes.plot(percents[clear], mean[clear], color=look["color"], marker="o", ms=4, ls="")
    axes.plot(percents, mean, label=arm, **look)


def draw_conditions(known: Known, percents: Sequence[int]) -> None:
    """Draw for every condition what its arms, and everything, gain over random."""
    known = _compared(known)
    names = [name.removesuffix(", linear") for name in known]
    with styled():
        figure = Figure(figsize=(9, 1 + 0.42 * len(names)), layout="constrained")
        panels = figure.subplots(1, len(percents), sharey=True, squeeze=False)[0]
        for axes, percent in zip(panels, percents, strict=True):
            axes.axvline(0, color=style("random")["color"], lw=1.5, label="random")
            for arm, gains in _gains(known, percent).items():
                places = [place + 0.18 * list(ARMS_SHOWN).index(arm) - 0.27 for place in gains]
                mean, low, high = np.array(list(gains.values()), float).T
                axes.errorbar(
                    *(mean, places),
                    xerr=(mean - low, high - mean),
                    label=arm,
                    **{"color": ARMS_SHOWN[arm][0], "marker": ARMS_SHOWN[arm][1], "ls": ""},
                )
            axes.set(title=f"{percent} % pruned", ylim=(len(names) - 0.5, -0.5))
            axes.set_yticks(range(len(names)), names)
            axes.tick_params(axis="y", length=0)
        figure.supxlabel(TO_RANDOM)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=5)
        figure.savefig(IMAGES / "conditions.png", dpi=150)


def _gains(known: Known, percent: int) -> dict[str, dict[int, list[float]]]:
    """Return by arm, and by the place of a condition, mean, low and high end over random."""
    gains: dict[str, dict[int, list[float]]] = {arm: {} for arm in ARMS_SHOWN}
    for place, found in enumerate(known.values()):
        for row in found["rows"]:
            if round(row["percent_pruned"]) != percent:
                continue
            if row["arm"] == "random":
                mean, low, high = row["minus_full"][:3]
                gains[FULL][place] = [-mean, -high, -low]
            elif row["arm"] in gains:
                gains[row["arm"]][place] = row["minus_random"][:3]
    return {arm: own for arm, own in gains.items() if own}


if __name__ == "__main__":
    main()
