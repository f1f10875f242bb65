"""Figures of a recommendation: what is known of the landscape, and how it became known."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from influence.plots.panels import labelled
from influence.plots.style import (
    DARK,
    GREY,
    PRUNED,
    TO_FULL,
    WIDTH,
    as_signed_percent,
    style,
    styled,
)

RANDOM = "random"
SMALLEST = 0.005  # a tolerance, for what is drawn
DEEPEST = 8  # tolerances below 0 that are drawn: what collapses would make the rest flat


@styled()
def landscape(
    known: pd.DataFrame,
    retrainings: pd.DataFrame,
    recommended: tuple[str, int],
    level: float,
    tolerance: float,
) -> Figure:
    """Draw what the recommended arm and random gain over the full train set, with 95 % bands.

    `known`: arm, percent_pruned, gain, low, high; `retrainings`: arm, percent_pruned, value;
    `recommended`: arm and percent, ("", 0) for none; `level`: the metric of the full train set,
    above which every retraining is a dot; `tolerance`: a line.
    """
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    axes, (arm, percent) = figure.subplots(), recommended
    axes.axhline(0, color=GREY, lw=1)
    named = f"tolerance, {100 * tolerance:g}"
    axes.axhline(-tolerance, color=GREY, lw=1, ls="--", label=named)
    for drawn in dict.fromkeys((arm or RANDOM, RANDOM)):
        look = style(drawn) | {"marker": ""}
        own = in_sight(known[known["arm"] == drawn], DEEPEST * max(tolerance, SMALLEST))
        ends = (own["percent_pruned"], own["low"], own["high"])
        axes.plot(own["percent_pruned"], own["gain"], label=drawn, **look)
        axes.fill_between(*ends, color=look["color"], alpha=0.15, lw=0)
        dots = retrainings[retrainings["arm"] == drawn]
        gains = dots["value"] - level
        axes.plot(dots["percent_pruned"], gains, ls="", marker="o", ms=4, color=look["color"])
    chosen = known[(known["arm"] == arm) & (known["percent_pruned"] == percent)]
    for row in chosen.itertuples():
        reach = [[row.gain - row.low], [row.high - row.gain]]
        look = {"color": DARK, "capsize": 4, "marker": "D", "ms": 7, "zorder": 6}
        axes.errorbar(percent, row.gain, reach, label=f"recommended: {percent} %", **look)
    lowest = -DEEPEST * max(tolerance, SMALLEST)
    axes.set_ylim(max(axes.get_ylim()[0], lowest), None)
    axes.yaxis.set_major_formatter(FuncFormatter(as_signed_percent))
    return labelled(figure, PRUNED, TO_FULL)


def in_sight(known: pd.DataFrame, deepest: float) -> pd.DataFrame:
    """Return the rows of an arm up to the first that loses more than `deepest`.

    Beyond it nothing may be known: models that guess are left out of what is.
    """
    return known[(known["gain"].shift(fill_value=0.0) >= -deepest).cummin()]


@styled()
def history(retrainings: pd.DataFrame) -> Figure:
    """Draw what was recommended after every retraining, and the interval of what it gains.

    `retrainings`: spent (full trainings), recommended_percent, gain, low, high, in order.
    """
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    spent = retrainings["spent"].astype(float)
    upper.step(spent, retrainings["recommended_percent"], where="post", color=DARK)
    upper.set_ylabel("Recommended\nto prune, %")
    upper.set_ylim(0, 100)
    low, gain, high = (retrainings[name].astype(float) for name in ("low", "gain", "high"))
    lower.fill_between(spent, low, high, step="post", color=GREY, alpha=0.25, lw=0)
    lower.step(spent, gain, where="post", color=DARK)
    lower.axhline(0, color=GREY, lw=1)
    lower.yaxis.set_major_formatter(FuncFormatter(as_signed_percent))
    lower.set_ylabel("Expected difference\nto everything, points")
    lower.set_xlabel("Cost so far, in trainings on the full train set")
    late = spent >= np.median(spent)  # the first intervals are as wide as all that is possible
    bottom, top = float(low[late].min()), float(high[late].max())
    lower.set_ylim(1.5 * min(bottom, -0.005), 1.5 * max(top, 0.005))
    return figure
