"""Figures of scores: their distributions, their correlations, the label errors they find."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from influence.plots.panels import (
    SHOWN_CLASSES,
    draw_histogram,
    draw_ridges,
    grid_of,
    labelled,
)
from influence.plots.style import DARK, EXAMPLES, GREY, LIGHT, WIDTH, short, style, styled
from influence.scoring.label_errors import recall

FEW_CLASSES = 8


@styled()
def distributions(scores: pd.DataFrame, label_names: Sequence[str]) -> Figure:
    """Draw a histogram per score over all classes, and a line per class where there are few.

    `scores`: id, label (0..C-1), one column per score. A heavy tail is clipped at the 0.5 and
    99.5 % quantiles, as the axis then says.
    """
    names = _score_names(scores)
    figure, grid = grid_of(len(names), height=2.2)
    classes = dict(enumerate(label_names)) if len(label_names) <= FEW_CLASSES else {}
    for axes, name in zip(grid, names, strict=True):
        draw_histogram(
            axes, scores[name].to_numpy(float), scores["label"].to_numpy(), name, classes
        )
    return labelled(figure, "", EXAMPLES, legend=bool(classes))


@styled()
def densities(scores: pd.DataFrame, label_names: Sequence[str]) -> Figure:
    """Draw the distribution of each score inside each class, and its median.

    `scores`: as for `distributions`. The rows are the classes (the 40 largest if there are more),
    ordered by the median of the first score, the same in every panel.
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
    """Draw the share of wrong labels found over the share of the hardest examples inspected.

    `scores`: as for `distributions`, but high = hard; `mislabeled`: which labels are wrong.
    """
    figure = Figure(figsize=(WIDTH, 5), layout="constrained")
    axes = figure.add_subplot()
    for name in _score_names(scores):
        inspected, recalled = recall(scores[name].to_numpy(float), mislabeled)
        look = {key: style(f"{name}:easy")[key] for key in ("color", "lw")}
        axes.plot(inspected, recalled, label=name, **look)
    axes.plot([0, 1], [0, 1], color=DARK, lw=2.4, label="random")
    axes.axvline(mislabeled.mean(), color=GREY, lw=1, ls="--", label="as many as are wrong")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, symbol=None))
    axes.set(xlim=(0, 1), ylim=(0, 1.01))
    axes.grid(axis="y", color=LIGHT, lw=0.6)
    return labelled(figure, "Hardest train examples inspected, %", "Wrong labels found, %")


def rank_correlations(scores: pd.DataFrame) -> pd.DataFrame:
    """Return Spearman's correlations of the scores, nan for one that is constant."""
    return scores[_score_names(scores)].rank().corr()


@styled()
def correlations(scores: pd.DataFrame) -> Figure:
    """Draw Spearman's correlations of the scores as a heat map with numbers."""
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
def save(figure: Figure, directory: Path, name: str) -> None:
    """Write `name`.png (1350 pixels wide for most figures) and `name`.svg."""
    directory.mkdir(parents=True, exist_ok=True)
    figure.savefig(directory / f"{name}.png", dpi=150)
    figure.savefig(directory / f"{name}.svg", metadata={"Date": None})


def _score_names(scores: pd.DataFrame) -> list[str]:
    return [name for name in scores.columns if name not in ("id", "label")]
