"""Figures of a pruned voice assistant: its error rates, and the shares of its domains."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from influence.plots.panels import draw_lines, grid_of, labelled
from influence.plots.style import DARK, PRUNED, WIDTH, as_signed_percent, place_of, short, styled

RATES = ("dcer", "f_semer", "icer", "irer")
DOMAINS = 40
RATIO = 4.0  # at which the colours of shares end, and its reciprocal


@styled()
def error_rates(table: pd.DataFrame) -> Figure:
    """Draw the relative change of each error rate over percent pruned, with 95 % intervals.

    `table`: made by `influence.nlu.tables.changes`. A rate that rose from 0 has no relative change
    and leaves a gap.
    """
    figure, grid = grid_of(len(RATES), height=2.6, shared="xy")
    ends = ["", "_low", "_high"]
    for axes, rate in zip(grid, RATES, strict=True):
        own = table[["arm", "percent_pruned", *(rate + end for end in ends)]]
        own.columns = ["arm", "percent_pruned", "change", "low", "high"]
        axes.axhline(0, color=DARK, lw=0.8, zorder=1)
        arms = sorted(own["arm"].unique(), key=place_of)
        draw_lines(axes, own.replace([np.inf, -np.inf], np.nan), arms, "change")
        axes.set_title(rate.replace("_", "-").upper(), fontweight="bold", loc="left")
        axes.yaxis.set_major_formatter(FuncFormatter(as_signed_percent))
    return labelled(figure, PRUNED, "Relative change, %")


@styled()
def domain_shares(table: pd.DataFrame) -> Figure:
    """Draw how much each domain's share of the train set changed, the largest domain first.

    `table`: made by `influence.nlu.tables.domains`. One panel per percent pruned, one column per
    arm, the 40 largest domains.
    """
    table = table.assign(ratio=table["share_after"] / table["share_before"])
    before = table.groupby("domain")["share_before"].first().sort_values(ascending=False)
    names = list(before.index[:DOMAINS])
    arms = sorted(table["arm"].unique(), key=place_of)
    percents = sorted(table["percent_pruned"].unique())
    columns = max(1, min(len(percents), 15 // len(arms)))
    rows = -(-len(percents) // columns)
    height = 0.2 * len(names) + 1.7
    figure = Figure(figsize=(WIDTH, 0.5 + rows * height), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    image = None
    for axes, percent in zip(grid, percents, strict=False):
        own = table[table["percent_pruned"] == percent]
        ratios = own.pivot_table("ratio", "domain", "arm").loc[names, arms].to_numpy()
        limit = np.log2(RATIO)
        image = axes.imshow(
            np.log2(np.maximum(ratios, 1e-9)), cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto"
        )
        _write(axes, ratios)
        axes.set_title(f"{percent:g} % pruned", fontweight="bold", loc="left")
        ticks = [short(arm) for arm in arms]
        axes.set_xticks(range(len(arms)), ticks, rotation=40, ha="right", rotation_mode="anchor")
        shown = [f"{short(name)}  {100 * before[name]:.3g} %" for name in names]
        axes.set_yticks(range(len(names)), shown)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    for axes in grid[len(percents) :]:
        axes.remove()
    if image is not None:
        bar = figure.colorbar(image, ax=figure.axes, shrink=0.6, aspect=30, extend="both")
        ticks = np.array([1 / RATIO, 1 / 2, 1, 2, RATIO])
        bar.set_ticks(np.log2(ticks).tolist(), labels=[f"× {tick:g}" for tick in ticks])
        bar.set_label("Share of the train set, after / before")
    return figure


def _write(axes, ratios: np.ndarray) -> None:
    for (row, column), ratio in np.ndenumerate(ratios):
        far = not 1 / 2.2 < ratio < 2.2
        text = "0" if ratio == 0 else f"{ratio:.2f}" if ratio < 9.995 else f"{ratio:.0f}"
        colour = "white" if far else DARK
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=7)
