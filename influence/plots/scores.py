"""The numbers of a figure, then the figure: every picture of scores, samples and curves."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from influence.plots.panels import (
    SHOWN_CLASSES,
    draw_dumbbells,
    draw_histogram,
    draw_lines,
    draw_ridges,
    grid_of,
    labelled,
    most_changed,
    panels_of,
    with_legend,
)
from influence.plots.style import DARK, GREY, LIGHT, WIDTH, as_signed_percent, short, style, styled
from influence.scoring.label_errors import recall

FRACTIONS = ("accuracy", "macro_f1", "calibration_error")  # metrics in 0..1, drawn in percent
FEW_CLASSES = 8


@styled()
def pruning_curves(summary: pd.DataFrame, metric: str = "accuracy") -> Figure:
    """Draw mean and 95 % interval over percent pruned, one line per arm, random in each panel.

    `summary`: arm, percent_pruned, mean, low, high; nan intervals are left out. The rows of 0 % are
    the full train set, drawn once as a level. Five arms or more get one panel per score.
    """
    figure, panels = panels_of(summary["arm"])
    axes = panels[0][0]
    full = summary[summary["percent_pruned"] == 0].head(1)
    for axes, arms in panels:
        for mean, low, high in full[["mean", "low", "high"]].itertuples(index=False):
            axes.axhline(mean, color=GREY, lw=1, ls=(0, (6, 3)), label="full train set", zorder=1)
            axes.axhspan(*np.nan_to_num([low, high], nan=mean), color=LIGHT, alpha=0.5, lw=0)
        draw_lines(axes, summary, arms, "mean")
        if metric in FRACTIONS:
            axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=None))
    if metric in FRACTIONS:  # last, as it ends the scaling of all panels; few seeds leave 0..1
        axes.set_ylim(*np.clip(axes.get_ylim(), -0.01, 1.01))
    unit = " (%)" if metric in FRACTIONS else ""
    return labelled(figure, "train examples pruned (%)", metric.replace("_", " ") + unit)


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
    return labelled(figure, "train examples pruned (%)", "accuracy − random's (points)")


@styled()
def distributions(scores: pd.DataFrame, label_names: Sequence[str]) -> Figure:
    """Draw a histogram per score over all classes, and a line per class where there are few.

    `scores`: id, label (0..C-1), one column per score. A heavy tail is clipped at the 0.5 and
    99.5 % quantiles, and the axis says so.
    """
    names = _score_names(scores)
    figure, grid = grid_of(len(names), height=2.2)
    classes = dict(enumerate(label_names)) if len(label_names) <= FEW_CLASSES else {}
    for axes, name in zip(grid, names, strict=True):
        draw_histogram(
            axes, scores[name].to_numpy(float), scores["label"].to_numpy(), name, classes
        )
    return labelled(figure, "", "examples (%)", legend=bool(classes))


@styled()
def densities(scores: pd.DataFrame, label_names: Sequence[str]) -> Figure:
    """Draw the distribution of each score inside each class, and its median.

    `scores`: as for `distributions`. Rows are the classes (of more than 40 the largest), by the
    median of the first score, and the same in every panel.
    """
    names, labels = _score_names(scores), scores["label"].to_numpy()
    largest = scores["label"].value_counts().index[:SHOWN_CLASSES]
    medians = scores[names[0]].groupby(scores["label"]).median()[largest]
    classes = medians.sort_values(ascending=False, kind="stable").index.tolist()
    figure, grid = grid_of(len(names), height=0.5 + 0.2 * len(classes), shared="y")
    for axes, name in zip(grid, names, strict=True):
        draw_ridges(axes, scores[name].to_numpy(float), labels, name, classes)
    grid[0].set_yticks(
        np.arange(len(classes)) + 0.4, [short(label_names[number]) for number in classes]
    )
    return figure


@styled()
def label_errors_found(scores: pd.DataFrame, mislabeled: np.ndarray) -> Figure:
    """Draw the share of the wrong labels found over the share of hardest examples looked at.

    `scores`: as for `distributions`, but high = hard; `mislabeled`: which labels are wrong.
    """
    figure = Figure(figsize=(WIDTH, 5), layout="constrained")
    axes = figure.add_subplot()
    for name in _score_names(scores):
        looked, found = recall(scores[name].to_numpy(float), mislabeled)
        look = {key: style(f"{name}:easy")[key] for key in ("color", "lw")}
        axes.plot(looked, found, label=name, **look)
    axes.plot([0, 1], [0, 1], color=DARK, lw=2.4, label="random")
    axes.axvline(mislabeled.mean(), color=GREY, lw=1, ls="--", label="as many as are wrong")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, symbol=None))
    axes.set(xlim=(0, 1), ylim=(0, 1.01))
    axes.grid(axis="y", color=LIGHT, lw=0.6)
    return labelled(figure, "hardest train examples looked at (%)", "wrong labels found (%)")


def rank_correlations(scores: pd.DataFrame) -> pd.DataFrame:
    """Return Spearman's correlations of the scores, nan for one that is constant."""
    return scores[_score_names(scores)].rank().corr()


@styled()
def correlations(scores: pd.DataFrame) -> Figure:
    """Draw Spearman's correlations of the scores as a map with its numbers."""
    table = rank_correlations(scores)
    side = min(WIDTH, 3.2 + 0.5 * len(table))
    figure = Figure(figsize=(side, side - 0.9), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(table, cmap="RdBu_r", vmin=-1, vmax=1)
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        text = "–" if np.isnan(value) else f"{round(value, 2) + 0:.2f}".replace("-", "−")
        colour = "white" if abs(value) > 0.6 else DARK
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(
        range(len(table)), table.columns, rotation=45, ha="right", rotation_mode="anchor"
    )
    axes.set_yticks(range(len(table)), table.index)
    axes.spines[:].set_visible(False)
    axes.set_facecolor(LIGHT)
    axes.tick_params(length=0)
    figure.colorbar(image, shrink=0.8, label="Spearman's rank correlation")
    return figure


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


@styled()
def save(figure: Figure, directory: Path, name: str) -> None:
    """Write `name`.png (1350 pixels wide for most figures) and `name`.svg."""
    directory.mkdir(parents=True, exist_ok=True)
    figure.savefig(directory / f"{name}.png", dpi=150)
    figure.savefig(directory / f"{name}.svg", metadata={"Date": None})


def _score_names(scores: pd.DataFrame) -> list[str]:
    return [name for name in scores.columns if name not in ("id", "label")]
