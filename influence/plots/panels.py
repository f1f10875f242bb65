"""Parts of figures: panels, the lines of arms, histograms, class shares, legends."""

from collections.abc import Iterable
from typing import Literal

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from influence.plots.style import (
    COLOURS,
    DARK,
    LIGHT,
    WIDTH,
    as_percent,
    colour_of,
    grouped,
    short,
    style,
    visible,
)

SHOWN_CLASSES = 40


def panels_of(arms: Iterable[str]) -> tuple[Figure, list[tuple[Axes, list[str]]]]:
    """Return a figure and its panels with their arms: one panel, or one per score for many arms."""
    groups = grouped(arms)
    if len(groups) == 1:
        figure = Figure(figsize=(WIDTH, 4.8), layout="constrained")
        return figure, [(figure.add_subplot(), *groups.values())]
    figure, grid = grid_of(len(groups), height=2.5, shared="xy")
    for axes, title in zip(grid, groups, strict=True):
        axes.set_title(title, fontweight="bold", loc="left")
    return figure, list(zip(grid, groups.values(), strict=True))


def grid_of(
    count: int, height: float, shared: Literal["", "y", "xy"] = ""
) -> tuple[Figure, list[Axes]]:
    """Return a figure of `count` panels, each `height` inches high, in up to three columns."""
    columns = {1: 1, 2: 2, 4: 2}.get(count, 3)
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH, 1.2 + height * rows), layout="constrained")
    grid = figure.subplots(
        rows, columns, squeeze=False, sharex="x" in shared, sharey="y" in shared
    ).ravel()
    for axes in grid[count:]:
        axes.remove()
    for axes in grid[max(0, count - columns) : count]:
        axes.tick_params(labelbottom=True)
    return figure, list(grid[:count])


def draw_lines(axes: Axes, summary: pd.DataFrame, arms: list[str], value: str) -> None:
    """Draw column `value` of each arm over percent pruned, with intervals, side by side."""
    percents = np.unique(summary["percent_pruned"])
    gap = min([*np.diff(percents), 10]) * min(0.08, 0.5 / len(arms))
    step = min(gap, 0.012 * (np.ptp(percents) or 10))
    offsets = (np.arange(len(arms)) - (len(arms) - 1) / 2) * step
    for arm, offset in zip(arms, offsets, strict=True):
        rows = summary[summary["arm"] == arm].sort_values("percent_pruned")
        x = rows["percent_pruned"] + offset * (rows["percent_pruned"] > 0)
        axes.plot(x, rows[value], label=arm, **style(arm))
        pruned = rows["percent_pruned"] > 0  # the interval of the full train set is one band
        ends = x[pruned], rows["low"][pruned], rows["high"][pruned]
        axes.vlines(*ends, color=style(arm)["color"], lw=1.1, zorder=2)
    axes.set_xticks(percents)
    if len(percents) == 1:  # else the few tenths between the arms would be as wide as the axes
        axes.set_xlim(percents[0] - 2, percents[0] + 2)
    if len(percents) > 8:
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    axes.grid(axis="y", color=LIGHT, lw=0.6)


def draw_histogram(
    axes: Axes, values: np.ndarray, labels: np.ndarray, name: str, classes: dict[int, str]
) -> None:
    """Draw the values of a score as shares of all examples, and of each of these classes."""
    values, labels = values[np.isfinite(values)], labels[np.isfinite(values)]
    values, note = _clipped(values)
    bins, scale = bins_of(values)
    colour = LIGHT if classes else colour_of(name)
    axes.hist(values, bins, weights=_shares(values), color=colour, label="all classes")
    for place, (number, label) in enumerate(classes.items()):
        own, line = values[labels == number], ("-", "--", ":", "-.")[place % 4]
        look = {"histtype": "step", "color": COLOURS[place], "ls": line, "lw": 1.3}
        axes.hist(own, bins, weights=_shares(own), label=visible(label), **look)
    axes.set_xscale(scale)
    axes.set_xlabel(name + note)
    axes.yaxis.set_major_formatter(FuncFormatter(as_percent))


def draw_ridges(
    axes: Axes, values: np.ndarray, labels: np.ndarray, name: str, classes: list[int]
) -> None:
    """Draw the values of a score in one row per class, scaled to its peak, the median as a bar."""
    values, labels = values[np.isfinite(values)], labels[np.isfinite(values)]
    values, note = _clipped(values)
    bins, scale = bins_of(values)
    for place, number in enumerate(classes):
        own = values[labels == number]
        heights = np.histogram(own, bins)[0]
        tops = place + 0.9 * heights / max(heights.max(), 1)
        axes.stairs(tops, bins, baseline=place, fill=True, color=colour_of(name), alpha=0.45)
        if len(own):
            axes.vlines(np.median(own), place, place + 0.9, color=DARK, lw=1.2)
    axes.set_xscale(scale)
    axes.set_xlabel(name + note)
    axes.set_ylim(-0.1, len(classes))
    axes.grid(axis="y", color=LIGHT, lw=0.6)


def bins_of(values: np.ndarray) -> tuple[np.ndarray, str]:
    """Return bin edges and scale: whole steps for counts, logarithmic for a long upper tail."""
    low, high = (values.min(), values.max()) if len(values) else (0, 0)
    if low == high:
        return low + max(abs(low), 1) * np.array([-0.03, -0.01, 0.01, 0.03]), "linear"
    levels = np.unique(np.round((values - low) / (high - low), 6))
    steps = round(1 / np.diff(levels).min())
    if steps <= 40 and np.allclose(levels * steps, np.round(levels * steps), atol=0.01):
        return low + (high - low) / steps * (np.arange(steps + 2) - 0.5), "linear"
    if low > 0 and high > 10 * np.median(values):
        return np.geomspace(low, high, 31), "log"
    return np.linspace(low, high, 31), "linear"


def most_changed(before: pd.Series, after: pd.DataFrame) -> pd.Series:
    """Return the share before of the 40 classes with the largest ratio of before and after."""
    smallest = before[before > 0].min() / 100
    ratios = np.log((after + smallest).div(before + smallest, axis=0)).abs().max(axis=1)
    return before[ratios.sort_values(ascending=False, kind="stable").index[:SHOWN_CLASSES]]


def draw_dumbbells(axes: Axes, before: pd.Series, after: pd.DataFrame) -> None:
    """Draw the share of each class before and after each percent pruned, one row per class."""
    table = pd.concat([before.rename("before"), after], axis=1)
    positive = table.to_numpy()[table.to_numpy() > 0]
    wide = positive.max() > 20 * positive.min()
    floor = positive.min() / 2 if wide else 0
    places = np.arange(len(table))
    shown = table.clip(lower=floor)
    axes.hlines(places, shown.min(axis=1), shown.max(axis=1), color=LIGHT, lw=2.5, zorder=1)
    axes.plot(shown["before"], places, "|", color=DARK, ms=9, mew=1.8, label="before")
    colours = matplotlib.colormaps["viridis"](np.linspace(0.85, 0.1, after.shape[1]))
    for colour, percent in zip(colours, after.columns, strict=True):
        axes.plot(shown[percent], places, "o", color=colour, label=f"{percent:g} % pruned")
    gone = ((after == 0).any(axis=1) & (before > 0)).to_numpy()
    if gone.any():
        axes.plot(
            np.full(gone.sum(), floor),
            places[gone],
            "x",
            color=COLOURS[1],
            ms=8,
            mew=2,
            label="no example left",
        )
    axes.set_xscale("log" if wide else "linear")
    axes.xaxis.set_major_formatter(FuncFormatter(as_percent))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f"Share of the train set, %{' (logarithmic)' if wide else ''}")
    axes.grid(axis="x", color=LIGHT, lw=0.6)


def labelled(figure: Figure, x: str, y: str, legend: bool = True) -> Figure:
    """Name the axes once per column and row, and put one legend of all panels below them."""
    places = [axes.get_subplotspec() for axes in figure.axes]
    for axes, place in zip(figure.axes, places, strict=True):
        below = [o for o in places if o.colspan == place.colspan]
        if x and place.rowspan.start == max(o.rowspan.start for o in below):
            axes.set_xlabel(x)
        if place.is_first_col():
            axes.set_ylabel(y)
    return with_legend(figure) if legend else figure


def with_legend(figure: Figure) -> Figure:
    """Put one legend of all panels below them."""
    pairs = [axes.get_legend_handles_labels() for axes in figure.axes]
    entries = {label: handle for pair in pairs for handle, label in zip(*pair, strict=True)}
    last = ("random", "full train set")
    labels = sorted(entries, key=lambda label: last.index(label) if label in last else -1)
    figure.legend(
        [entries[label] for label in labels],
        [short(label) for label in labels],
        loc="outside lower center",
        ncols=_columns([short(label) for label in labels], 72 * figure.get_figwidth()),
        handlelength=3,
        columnspacing=1.5,
    )
    return figure


def _columns(labels: list[str], width: float) -> int:
    """Return the largest number of legend columns that fit `width` points."""
    for count in range(len(labels), 1, -1):
        columns = np.array_split([len(label) for label in labels], count)
        if sum(5.3 * max(column) + 50 for column in columns) < width:
            return count
    return 1


def _clipped(values: np.ndarray) -> tuple[np.ndarray, str]:
    """Clip at the 0.5 and 99.5 % quantiles where these span under a third of the range."""
    low, high = np.quantile(values, [0.005, 0.995]) if len(values) else (0, 0)
    if low == high or high - low > np.ptp(values) / 3:
        return values, ""
    return np.clip(values, low, high), "\nclipped at 0.5 and 99.5 %"


def _shares(values: np.ndarray) -> np.ndarray:
    return np.full(len(values), 1 / max(len(values), 1))
