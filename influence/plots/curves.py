"""Figures of pruning: the accuracy that is left, its difference to random, what stays of a class.

A curve is a table `summary` with one row per arm and percent pruned: arm, percent_pruned, mean, low
and high (its 95 % interval, nan for a single seed). Its rows at 0 % are the full train set.
"""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from influence.plots.panels import (
    draw_dumbbells,
    draw_lines,
    labelled,
    most_changed,
    panels_of,
    with_legend,
)
from influence.plots.style import (
    BASELINES,
    DARK,
    FRACTIONS,
    GREY,
    LIGHT,
    PRUNED,
    TO_RANDOM,
    WIDTH,
    as_percent,
    as_signed_percent,
    colour_of,
    metric_label,
    short,
    styled,
)

FULL = "full train set"
LARGE = 16  # points: the type of a figure that is read at half its width
APART = 0.07  # of the height of the axes, between the names of two lines


@styled()
def pruning_curves(summary: pd.DataFrame, metric: str = "accuracy") -> Figure:
    """Draw the mean and 95 % interval of a test metric over percent pruned, one line per arm.

    The full train set is a level with its interval as a band. One arm beside random is drawn in
    large type with a name at the end of each line; five arms or more get one panel per score, each
    with random.
    """
    if len(set(summary["arm"]) - {"random"}) <= 1:
        return _single_curve(summary, metric)
    figure, panels = panels_of(summary["arm"])
    for axes, arms in panels:
        _draw_full(axes, summary)
        draw_lines(axes, summary, arms, "mean")
    _limit([axes for axes, _ in panels], metric)
    return labelled(figure, PRUNED, metric_label(metric))


@styled()
def differences_to_random(summary: pd.DataFrame) -> Figure:
    """Draw the paired differences to random with 95 % intervals, in points of accuracy.

    `summary`: arm, percent_pruned, difference, low, high, as fractions of 1.
    """
    figure, panels = panels_of(summary["arm"])
    for axes, arms in panels:
        axes.axhline(0, color=DARK, lw=2, label="random", zorder=1)
        draw_lines(axes, summary, arms, "difference")
        axes.yaxis.set_major_formatter(FuncFormatter(as_signed_percent))
    return labelled(figure, PRUNED, TO_RANDOM)


@styled()
def class_shares(shares: pd.DataFrame) -> Figure:
    """Draw what share of the train set each class has, before and after each percent pruned.

    `shares`: label, percent_pruned, share_before, share_after (fractions of 1). Of more than 40
    classes the 40 whose share changed most are drawn, and the title says so.
    """
    table = shares.assign(label=shares["label"].astype(str))
    before = table.groupby("label", sort=False)["share_before"].first()
    after = table.pivot_table("share_after", "label", "percent_pruned").loc[before.index]
    chosen = most_changed(before, after).sort_values().index
    before, after = before[chosen], after.loc[chosen]
    figure = Figure(figsize=(WIDTH, 1.4 + 0.19 * len(chosen)), layout="constrained")
    axes = figure.add_subplot()
    draw_dumbbells(axes, before, after)
    axes.set_yticks(range(len(chosen)), [short(label) for label in chosen])
    axes.set_ylim(-0.7, len(chosen) - 0.3)
    if len(chosen) < table["label"].nunique():
        count = table["label"].nunique()
        axes.set_title(f"the {len(chosen)} of {count} classes whose share changed most")
    return with_legend(figure)


def _single_curve(summary: pd.DataFrame, metric: str) -> Figure:
    """Draw one arm beside random, in large type, each named where its line ends."""
    with matplotlib.rc_context({"font.size": LARGE, "axes.labelsize": LARGE}):
        figure = Figure(figsize=(WIDTH, 5.4), layout="constrained")
        axes = figure.add_subplot()
        ends = _draw_full(axes, summary)
        arms = sorted(set(summary["arm"]), key=lambda arm: arm == "random")
        for place, arm in enumerate(arms):
            ends |= _draw_strongly(
                axes, summary[summary["arm"] == arm], place - len(arms) / 2 + 0.5
            )
        percents = np.unique(summary["percent_pruned"])
        axes.set_xticks(percents if len(percents) <= 8 else percents[:: len(percents) // 6])
        axes.set_xlim(percents[0] - 2, percents[-1] + 2)
        axes.grid(axis="y", color=LIGHT, lw=0.8)
        _limit([axes], metric)
        _name_ends(axes, ends)
        axes.set_xlabel(PRUNED)
        axes.set_ylabel(metric_label(metric))
    return figure


def _draw_full(axes: Axes, summary: pd.DataFrame) -> dict[str, tuple[float, str]]:
    """Draw the full train set as a level and a band; return its name, height and colour."""
    full = summary[summary["percent_pruned"] == 0].head(1)
    ends = {}
    for mean, low, high in full[["mean", "low", "high"]].itertuples(index=False):
        axes.axhline(mean, color=GREY, lw=1, ls=(0, (6, 3)), label=FULL, zorder=1)
        axes.axhspan(*np.nan_to_num([low, high], nan=mean), color=LIGHT, alpha=0.5, lw=0)
        ends[FULL] = (mean, GREY)
    return ends


def _draw_strongly(axes: Axes, rows: pd.DataFrame, offset: float) -> dict[str, tuple[float, str]]:
    """Draw one arm as a strong line with its intervals; return its name, last height and colour."""
    rows = rows.sort_values("percent_pruned")
    arm, pruned = rows["arm"].iloc[0], (rows["percent_pruned"] > 0).to_numpy()
    colour = DARK if arm in BASELINES else colour_of(arm.split(":")[0])
    x = rows["percent_pruned"] + offset * pruned
    axes.plot(x, rows["mean"], "-o", color=colour, lw=3, ms=8, label=arm, zorder=3)
    axes.vlines(x[pruned], rows["low"][pruned], rows["high"][pruned], color=colour, lw=2, zorder=2)
    return {arm: (rows["mean"].iloc[-1], colour)}


def _name_ends(axes: Axes, ends: dict[str, tuple[float, str]]) -> None:
    """Write each name to the right of the axes at the height of its line, none over another."""
    low, high = axes.get_ylim()
    names = sorted(ends, key=lambda name: ends[name][0])
    heights = np.array([(ends[name][0] - low) / (high - low) for name in names])
    for place in range(1, len(names)):  # upwards, each clear of the one below
        heights[place] = max(heights[place], heights[place - 1] + APART)
    heights -= max(0, heights[-1] - 1)
    for name, height in zip(names, heights, strict=True):
        look = {"va": "center", "color": ends[name][1], "fontweight": "bold"}
        axes.text(1.015, height, short(name), transform=axes.transAxes, **look)


def _limit(panels: list[Axes], metric: str) -> None:
    """Write fractions in percent, and end the y axis at 0 and 100 %, which intervals may leave."""
    if metric in FRACTIONS:
        for axes in panels:
            axes.yaxis.set_major_formatter(FuncFormatter(as_percent))
        panels[0].set_ylim(*np.clip(panels[0].get_ylim(), -0.01, 1.01))  # all panels share it
