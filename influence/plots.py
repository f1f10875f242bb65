"""The numbers of a figure, then the figure: one style for every picture of scores and curves."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter

from influence.scores import REGISTRY

# Okabe and Ito's colours without black (random's) and yellow (pale on white), two of Tol's instead.
COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"),
    *("#882255", "#999933"),
)
DARK, GREY, LIGHT = "#222222", "#777777", "#DDDDDD"
LINES = {"easy": "-", "hard": "--", "softmax": ":", "linear": (0, (1, 2.5)), "ccs": "-."}
BARE_LINES = {"stratified": "--", "drop": "-."}
NORMALIZED = ("none", "class", "dataset")
MARKERS = ("os^", "DvP", "X<*")  # one triple per round through the colours, one per normalisation
WIDTH = 9.0  # inches: text of 9 points is 12 pixels high where the picture is 900 wide
STYLE = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.markersize": 4.5,
    "svg.hashsalt": "influence",
}
FRACTIONS = ("accuracy", "macro_f1", "calibration_error")  # metrics in 0..1, drawn in percent
FEW_ARMS = 4  # beside random, in one panel
FEW_CLASSES = 8
SHOWN_CLASSES = 40
LONGEST = 32  # characters of a label


@contextmanager
def styled() -> Iterator[None]:
    """Draw and save under the one style, whatever the caller's settings are."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        warnings.filterwarnings("ignore", "Glyph")  # a label in a script that the font lacks
        yield


@styled()
def pruning_curves(summary: pd.DataFrame, metric: str = "accuracy") -> Figure:
    """Draw mean and 95 % interval over percent pruned, one line per arm, random in each panel.

    `summary`: arm, percent_pruned, mean, low, high; nan intervals are left out. The rows of 0 % are
    the full train set, drawn once as a level. Five arms or more get one panel per score.
    """
    figure, panels = _panels(summary["arm"])
    axes = panels[0][0]
    full = summary[summary["percent_pruned"] == 0].head(1)
    for axes, arms in panels:
        for mean, low, high in full[["mean", "low", "high"]].itertuples(index=False):
            axes.axhline(mean, color=GREY, lw=1, ls=(0, (6, 3)), label="full train set", zorder=1)
            axes.axhspan(*np.nan_to_num([low, high], nan=mean), color=LIGHT, alpha=0.5, lw=0)
        _lines(axes, summary, arms, "mean")
        if metric in FRACTIONS:
            axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=None))
    if metric in FRACTIONS:  # last, as it ends the scaling of all panels; few seeds leave 0..1
        axes.set_ylim(*np.clip(axes.get_ylim(), -0.01, 1.01))
    unit = " (%)" if metric in FRACTIONS else ""
    return _labelled(figure, "train examples pruned (%)", metric.replace("_", " ") + unit)


@styled()
def differences_to_random(summary: pd.DataFrame) -> Figure:
    """Draw the paired differences to random with 95 % intervals, in points of accuracy.

    `summary`: arm, percent_pruned, difference, low, high, as fractions of 1.
    """
    figure, panels = _panels(summary["arm"])
    for axes, arms in panels:
        axes.axhline(0, color=DARK, lw=2, label="random", zorder=1)
        _lines(axes, summary, arms, "difference")
        axes.yaxis.set_major_formatter(FuncFormatter(_signed_percent))
    return _labelled(figure, "train examples pruned (%)", "accuracy − random's (points)")


@styled()
def distributions(scores: pd.DataFrame, label_names: Sequence[str]) -> Figure:
    """Draw a histogram per score over all classes, and a line per class where there are few.

    `scores`: id, label (0..C-1), one column per score. A heavy tail is clipped at the 0.5 and
    99.5 % quantiles, and the axis says so.
    """
    names = _score_names(scores)
    figure, grid = _grid(len(names), height=2.2)
    classes = dict(enumerate(label_names)) if len(label_names) <= FEW_CLASSES else {}
    for axes, name in zip(grid, names, strict=True):
        _histogram(axes, scores[name].to_numpy(float), scores["label"].to_numpy(), name, classes)
    return _labelled(figure, "", "examples (%)", legend=bool(classes))


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
    chosen = _most_changed(before, after).sort_values().index
    before, after = before[chosen], after.loc[chosen]
    figure = Figure(figsize=(WIDTH, 1.4 + 0.19 * len(chosen)), layout="constrained")
    axes = figure.add_subplot()
    _dumbbells(axes, before, after)
    axes.set_yticks(range(len(chosen)), [_short(label) for label in chosen])
    axes.set_ylim(-0.7, len(chosen) - 0.3)
    if len(chosen) < table["label"].nunique():
        count = table["label"].nunique()
        axes.set_title(f"the {len(chosen)} of {count} classes whose share changed most")
    return _with_legend(figure)


@styled()
def save(figure: Figure, directory: Path, name: str) -> None:
    """Write `name`.png (1350 pixels wide for most figures) and `name`.svg."""
    directory.mkdir(parents=True, exist_ok=True)
    figure.savefig(directory / f"{name}.png", dpi=150)
    figure.savefig(directory / f"{name}.svg", metadata={"Date": None})


# Arms: which panel, order, colour, line and marker.


def style(arm: str) -> dict:
    """Return the line of an arm `score:rule[:normalize]`, the same in every figure.

    The colour tells the score, the line the rule, the marker the normalisation.
    """
    if arm == "random":
        return {"color": DARK, "ls": "-", "lw": 2.4, "marker": "o", "zorder": 5}
    look = {"lw": 1.6, "zorder": 3}
    if ":" not in arm:
        return look | {"color": GREY, "ls": BARE_LINES.get(arm, ":"), "marker": "o"}
    score, rule, *normalized = arm.split(":")
    markers = MARKERS[_rank(score) // len(COLOURS) % len(MARKERS)]
    colour, line = _colour(score), LINES.get(rule, "-.")
    marker = markers[NORMALIZED.index(normalized[0])] if normalized else markers[0]
    face = "white" if "@" in score else colour
    return look | {"color": colour, "ls": line, "marker": marker, "mfc": face}


def _colour(score: str) -> str:
    return GREY if score == "random" else COLOURS[_rank(score) % len(COLOURS)]


def _rank(score: str) -> int:
    """Return the place of a score, a blend's first, in the registry; a fixed one if unknown."""
    name = score.split("+")[0].split("@")[0]
    return list(REGISTRY).index(name) if name in REGISTRY else crc32(name.encode())


def _order(arm: str) -> tuple:
    """Sort by score, rule and normalisation; random comes last and so lies on top."""
    score, _, rule = arm.partition(":")
    return arm == "random", not rule, _rank(score), score, rule


def _panels(arms: Iterable[str]) -> tuple[Figure, list[tuple[Axes, list[str]]]]:
    ordered = sorted(set(arms), key=_order)
    others = [arm for arm in ordered if arm != "random"]
    if len(others) <= FEW_ARMS:
        figure = Figure(figsize=(WIDTH, 4.8), layout="constrained")
        return figure, [(figure.add_subplot(), ordered)]
    titles = {arm: arm.split(":")[0] if ":" in arm else "no score" for arm in others}
    groups = {title: [a for a in others if titles[a] == title] for title in titles.values()}
    figure, grid = _grid(len(groups), height=2.5, shared=True)
    for axes, title in zip(grid, groups, strict=True):
        axes.set_title(title, fontweight="bold", loc="left")
    random = [arm for arm in ordered if arm == "random"]
    return figure, [
        (axes, [*group, *random]) for axes, group in zip(grid, groups.values(), strict=True)
    ]


def _grid(count: int, height: float, shared: bool = False) -> tuple[Figure, list[Axes]]:
    columns = {1: 1, 2: 2, 4: 2}.get(count, 3)
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH, 1.2 + height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=shared, sharey=shared).ravel()
    for axes in grid[count:]:
        axes.remove()
    for axes in grid[max(0, count - columns) : count]:
        axes.tick_params(labelbottom=True)
    return figure, list(grid[:count])


def _lines(axes: Axes, summary: pd.DataFrame, arms: list[str], value: str) -> None:
    percents = np.unique(summary["percent_pruned"])
    gap = min([*np.diff(percents), 10]) * min(0.08, 0.5 / len(arms))
    step = min(gap, 0.012 * (np.ptp(percents) or 10))
    offsets = (np.arange(len(arms)) - (len(arms) - 1) / 2) * step
    for arm, offset in zip(arms, offsets, strict=True):
        rows = summary[summary["arm"] == arm].sort_values("percent_pruned")
        x = rows["percent_pruned"] + offset * (rows["percent_pruned"] > 0)
        axes.plot(x, rows[value], label=arm, **style(arm))
        seen = rows["percent_pruned"] > 0  # the full train set's interval is drawn once, as a band
        colour = style(arm)["color"]
        axes.vlines(x[seen], rows["low"][seen], rows["high"][seen], color=colour, lw=1.1, zorder=2)
    axes.set_xticks(percents)
    if len(percents) > 8:
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    axes.grid(axis="y", color=LIGHT, lw=0.6)


# Parts of figures.


def _labelled(figure: Figure, x: str, y: str, legend: bool = True) -> Figure:
    """Name the axes once per column and row, and put one legend of all panels below them."""
    places = [axes.get_subplotspec() for axes in figure.axes]
    for axes, place in zip(figure.axes, places, strict=True):
        below = [o for o in places if o.colspan == place.colspan]
        if x and place.rowspan.start == max(o.rowspan.start for o in below):
            axes.set_xlabel(x)
        if place.is_first_col():
            axes.set_ylabel(y)
    return _with_legend(figure) if legend else figure


def _with_legend(figure: Figure) -> Figure:
    pairs = [axes.get_legend_handles_labels() for axes in figure.axes]
    entries = {label: handle for pair in pairs for handle, label in zip(*pair, strict=True)}
    last = ("random", "full train set")
    labels = sorted(entries, key=lambda label: last.index(label) if label in last else -1)
    figure.legend(
        [entries[label] for label in labels],
        [_short(label) for label in labels],
        loc="outside lower center",
        ncols=_columns([_short(label) for label in labels], 72 * figure.get_figwidth()),
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


def _score_names(scores: pd.DataFrame) -> list[str]:
    return [name for name in scores.columns if name not in ("id", "label")]


def _histogram(
    axes: Axes, values: np.ndarray, labels: np.ndarray, name: str, classes: dict[int, str]
) -> None:
    values, labels = values[np.isfinite(values)], labels[np.isfinite(values)]
    values, note = _clipped(values)
    bins, scale = _bins(values)
    colour = LIGHT if classes else _colour(name)
    axes.hist(values, bins, weights=_shares(values), color=colour, label="all classes")
    for place, (number, label) in enumerate(classes.items()):
        own, line = values[labels == number], ("-", "--", ":", "-.")[place % 4]
        look = {"histtype": "step", "color": COLOURS[place], "ls": line, "lw": 1.3}
        axes.hist(own, bins, weights=_shares(own), label=_visible(label), **look)
    axes.set_xscale(scale)
    axes.set_xlabel(name + note)
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))


def _clipped(values: np.ndarray) -> tuple[np.ndarray, str]:
    """Clip at the 0.5 and 99.5 % quantiles where these span under a third of the range."""
    low, high = np.quantile(values, [0.005, 0.995]) if len(values) else (0, 0)
    if low == high or high - low > np.ptp(values) / 3:
        return values, ""
    return np.clip(values, low, high), "\nclipped at 0.5 and 99.5 %"


def _bins(values: np.ndarray) -> tuple[np.ndarray, str]:
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


def _shares(values: np.ndarray) -> np.ndarray:
    return np.full(len(values), 1 / max(len(values), 1))


def _most_changed(before: pd.Series, after: pd.DataFrame) -> pd.Series:
    """Return the share before of the 40 classes with the largest ratio of before and after."""
    smallest = before[before > 0].min() / 100
    ratios = np.log((after + smallest).div(before + smallest, axis=0)).abs().max(axis=1)
    return before[ratios.sort_values(ascending=False, kind="stable").index[:SHOWN_CLASSES]]


def _dumbbells(axes: Axes, before: pd.Series, after: pd.DataFrame) -> None:
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
    axes.xaxis.set_major_formatter(FuncFormatter(_percent))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f"share of the train set (%{', logarithmic' if wide else ''})")
    axes.grid(axis="x", color=LIGHT, lw=0.6)


def _visible(label: str) -> str:
    return f" {label}" if str(label).startswith("_") else str(label)  # else: no legend entry


def _short(label: str) -> str:
    shown = label if len(label) <= LONGEST else label[: LONGEST - 1] + "…"
    return shown.replace("$", r"\$")  # no formula


def _percent(value: float, _place: int) -> str:
    return f"{100 * value:.4g}"


def _signed_percent(value: float, _place: int) -> str:
    return f"{100 * value:+.3g}".replace("-", "−") if round(value, 9) else "0"
