"""Figures of a search over ways to prune: its trials, its recommendation, what mattered.

`trials` is one table everywhere: number, state ("complete", "pruned" = stopped early, "failed"),
arm, score ("" for an arm without one), rule, percent_pruned, difference (to the full train set,
negative = worse, as a fraction of 1), feasible, on_front. Failed trials are never drawn.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, MaxNLocator

from influence.plots.panels import grid_of, labelled, with_legend
from influence.plots.style import (
    COLOURS,
    DARK,
    GREY,
    LIGHT,
    PRUNED,
    TO_FULL,
    WIDTH,
    as_percent,
    as_signed_percent,
    metric_label,
    place_of,
    short,
    style,
    styled,
)

NO_SCORE = "no score"
MARKS = {
    "feasible": {"mew": 0.4, "mec": "white"},
    "infeasible": {"mew": 1.1, "mfc": "white"},
    "stopped early": {"mew": 0, "ms": 4, "alpha": 0.5},
}
BELOW = {"marker": "v", "mfc": "white", "mew": 1, "ms": 4.5, "alpha": 1}
RULES = {
    **{"easy": "o", "hard": "s", "softmax": "^", "linear": "D", "ccs": "P"},
    **{"ccs_class": "*", "adaptive": "d", "d2": "<", "ccs_clean": "H"},
    **{"random": "o", "stratified": "p", "drop": "X", "dedup": ">", "clean": "8"},
}


def drawn(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that have numbers, by arm and random last, with `group` and `mark`.

    group: the score, "no score" or "random"; mark: feasible, infeasible or stopped early.
    """
    numbers = trials[["percent_pruned", "difference"]].astype(float)
    usable = (trials["state"] != "failed") & np.isfinite(numbers).all(axis=1)
    rows = trials[usable].assign(**numbers[usable])
    rows = rows.iloc[sorted(range(len(rows)), key=lambda row: place_of(rows["arm"].iloc[row]))]
    random, scored = rows["arm"] == "random", rows["arm"].astype(str).str.contains(":")
    stopped, feasible = rows["state"] == "pruned", rows["feasible"].eq(True)
    return rows.assign(
        group=np.select([random, scored], ["random", rows["score"]], NO_SCORE),
        mark=np.select([stopped, feasible], ["stopped early", "feasible"], "infeasible"),
    )


def robust_floor(trials: pd.DataFrame, tolerance: float) -> float:
    """Return the lowest difference that a figure shows, at most -tolerance.

    It is the smallest difference, unless that would squash all others: one below 1.5 times the
    limit is replaced by the limit, the lower of -10 tolerance and Tukey's fence (the first quartile
    minus 1.5 interquartile ranges).
    """
    differences = drawn(trials)["difference"]
    if not len(differences):
        return -tolerance
    first, third = np.quantile(differences, [0.25, 0.75])
    limit = min(-10 * tolerance, first - 1.5 * (third - first))
    lowest = differences.min()
    return float(min(lowest if lowest >= 1.5 * limit else limit, -tolerance))


def random_line(trials: pd.DataFrame) -> pd.DataFrame:
    """Return percent_pruned and the mean difference of random's trials there, by percent."""
    rows = drawn(trials)
    rows = rows[rows["group"] == "random"]
    return rows.groupby("percent_pruned")["difference"].mean().reset_index()


def best_so_far(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the number of each drawn trial and the best percent_pruned up to it.

    Only complete feasible trials count; it is nan before the first of them.
    """
    rows = drawn(trials).sort_values("number", ignore_index=True)
    best = rows["percent_pruned"].where(rows["mark"] == "feasible").cummax().ffill()
    return pd.DataFrame({"number": rows["number"], "percent_pruned": best})


@styled()
def landscape(trials: pd.DataFrame, tolerance: float, chosen: int | None = None) -> Figure:
    """Draw every trial's difference to the full train set over percent pruned, and the front.

    The colour stands for the score; a hollow point loses more than `tolerance`, a small one was
    stopped early. The trial whose number is `chosen` is ringed and named.
    """
    rows, floor = drawn(trials), robust_floor(trials, tolerance)
    figure = Figure(figsize=(WIDTH, 5.6), layout="constrained")
    axes = figure.add_subplot()
    for group, own in rows.groupby("group", sort=False):
        look = _look(group)
        _draw_points(axes, own, look["marker"], floor)
        if group != "random":
            _explain(axes, group, **look)
    front = rows[rows["on_front"].eq(True)].sort_values("percent_pruned")
    if len(front):
        look = {"color": DARK, "lw": 0.9, "zorder": 2, "label": "Pareto front"}
        axes.step(front["percent_pruned"], front["difference"], where="pre", **look)
    axes.axhline(-tolerance, color=GREY, lw=1, ls="--", label="tolerance", zorder=1)
    _draw_frame(axes, trials, floor)
    _explain_marks(axes, rows, floor)
    labelled(figure, PRUNED, TO_FULL)
    for row in rows[rows["number"] == chosen].itertuples():
        text = f"{short(row.arm)}\n{row.percent_pruned:.4g} % pruned"
        _point_out(axes, (row.percent_pruned, max(row.difference, floor)), text)
    return figure


@styled()
def history(trials: pd.DataFrame) -> Figure:
    """Draw the percent pruned of every trial in order, and the best feasible one so far."""
    rows, best = drawn(trials), best_so_far(trials)
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for mark, look in MARKS.items():
        own = rows[rows["mark"] == mark]
        look = {"ls": "", "marker": "o", "color": COLOURS[0], "ms": 6, "label": mark, **look}
        axes.plot(own["number"], own["percent_pruned"], **look)
    look = {"color": DARK, "lw": 1.6, "zorder": 1, "label": "best feasible so far"}
    axes.step(best["number"], best["percent_pruned"], where="post", **look)
    axes.set_ylim(0, 100)
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, steps=[1, 2, 5, 10]))
    axes.grid(axis="y", color=LIGHT, lw=0.6)
    return labelled(figure, "Trial", PRUNED)


@styled()
def importances(table: pd.DataFrame) -> Figure:
    """Draw how much each parameter matters, or a sentence if no importance is known.

    `table`: parameter, importance (shares of 1; nan is left out).
    """
    rows = table.assign(importance=table["importance"].astype(float)).dropna(subset="importance")
    rows = rows.sort_values("importance", kind="stable")
    figure = Figure(figsize=(WIDTH, 1.1 + 0.32 * max(len(rows), 1)), layout="constrained")
    axes = figure.add_subplot()
    if not len(rows):
        axes.set_axis_off()
        words = "too few finished trials to estimate importances"
        axes.text(0.5, 0.5, words, ha="center", va="center")
        return figure
    bars = axes.barh(range(len(rows)), rows["importance"], height=0.65, color=COLOURS[0])
    axes.bar_label(bars, [f"{value:.2f}" for value in rows["importance"]], padding=4)
    axes.margins(x=0.08)
    axes.set_yticks(range(len(rows)), [short(name) for name in rows["parameter"]])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    return labelled(figure, "Importance", "", legend=False)


@styled()
def slices(trials: pd.DataFrame, tolerance: float = 0.0) -> Figure:
    """Draw the trials of each score in a panel of its own, and random's mean in every panel.

    The marker stands for the rule. With the same `tolerance` the y axis is that of `landscape`.
    """
    rows, floor = drawn(trials), robust_floor(trials, tolerance)
    panels = rows["group"].replace("random", NO_SCORE)
    titles = list(dict.fromkeys(panels)) or [NO_SCORE]
    figure, grid = grid_of(len(titles), height=2.6, shared="xy")
    for axes, title in zip(grid, titles, strict=True):
        for rule, own in rows[panels == title].groupby("rule", sort=False):
            _draw_points(axes, own, RULES.get(rule, "h"), floor)
        _draw_frame(axes, trials, floor)
        axes.set_title(short(title), fontweight="bold", loc="left")
    seen = rows["rule"][rows["group"] != "random"]
    for rule in dict.fromkeys([*RULES, *seen]):
        if rule in set(seen):
            _explain(grid[0], rule, marker=RULES.get(rule, "h"), color=GREY)
    _explain_marks(grid[0], rows, floor)
    figure.supylabel(TO_FULL, fontsize=9)  # too long for one panel
    return labelled(figure, PRUNED, "")


@styled()
def comparison(table: pd.DataFrame, metric: str = "accuracy") -> Figure:
    """Draw the test metric of the full train set, the recommended subset and a random one.

    `table`, one row per dataset: dataset, arm, percent_pruned, and <name>_mean, <name>_low,
    <name>_high for full, recommended and random, as fractions of 1; low and high may be nan.
    """
    places = np.arange(len(table))
    figure = Figure(figsize=(WIDTH, 1.3 + 0.75 * len(table)), layout="constrained")
    axes = figure.add_subplot()
    own = [style(arm)["color"] for arm in table["arm"]]
    for name, colours, marker, place in (
        ("full", [GREY], "s", places - 0.2),
        ("recommended", own, "D", places),
        ("random", [DARK], "o", places + 0.2),
    ):
        mean, low, high = (table[f"{name}_{end}"].astype(float) for end in ("mean", "low", "high"))
        axes.hlines(place, low, high, colours, lw=1.4, zorder=2)
        axes.scatter(mean, place, 42, colours, marker=marker, zorder=3)
        colour = colours[0] if len(set(colours)) == 1 else GREY
        label = "full train set" if name == "full" else name
        _explain(axes, label, marker=marker, color=colour, ms=6.5)
    labels = [
        f"{short(row.dataset)}\n{short(row.arm)}, {row.percent_pruned:.4g} % pruned"
        for row in table.itertuples()
    ]
    axes.set_yticks(places, labels)
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.set_xlim(*np.clip(axes.get_xlim(), -0.01, 1.01))
    axes.xaxis.set_major_formatter(FuncFormatter(as_percent))
    axes.set_xlabel(metric_label(metric))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=LIGHT, lw=0.6)
    for place in places[1:] - 0.5:
        axes.axhline(place, color=LIGHT, lw=1)
    return with_legend(figure)


def _look(group: str) -> dict:
    """Return the colour of a score, and the marker that separates scores of the same colour."""
    look = style(group if group in ("random", NO_SCORE) else f"{group}:easy")
    return {"color": look["color"], "marker": look["marker"]}


def _draw_points(axes: Axes, rows: pd.DataFrame, marker: str, floor: float) -> None:
    """Draw each of these trials once, as a triangle at `floor` if it lies below."""
    for (group, mark), own in rows.groupby(["group", "mark"], sort=False):
        large = group == "random"
        look = {"ls": "", "color": _look(group)["color"], "ms": 8 if large else 6}
        look |= {"zorder": 4 if large else 3, **MARKS[mark]}
        seen, below = (
            own[own["difference"] >= floor],
            own[own["difference"] < floor],
        )
        axes.plot(seen["percent_pruned"], seen["difference"], marker=marker, **look)
        axes.plot(below["percent_pruned"], 0 * below["difference"] + floor, **look | BELOW)


def _draw_frame(axes: Axes, trials: pd.DataFrame, floor: float) -> None:
    """Draw what all panels share: the line of random, the level of the full train set, limits."""
    line = random_line(trials)
    axes.plot(line["percent_pruned"], line["difference"], color=DARK, lw=1.8, zorder=2.5)
    if len(line):
        axes.plot([], [], "o-", color=DARK, lw=1.8, ms=7, label="random")
    axes.axhline(0, color=GREY, lw=1, label="full train set", zorder=1)
    top = max([0.0, *drawn(trials)["difference"]])
    height = (top - floor) or 0.01
    axes.set(xlim=(0, 100), ylim=(floor - 0.03 * height, top + 0.12 * height))
    axes.yaxis.set_major_formatter(FuncFormatter(as_signed_percent))
    axes.grid(axis="y", color=LIGHT, lw=0.6)


def _explain(axes: Axes, label: str, **look) -> None:
    """Add an entry to the legend without drawing anything."""
    axes.plot([], [], **{"ls": "", "ms": 6, "label": label, **look})


def _explain_marks(axes: Axes, rows: pd.DataFrame, floor: float) -> None:
    for mark, look in MARKS.items():
        if (rows["mark"] == mark).any():
            _explain(axes, mark, marker="o", color=DARK, **look)
    if count := int((rows["difference"] < floor).sum()):
        _explain(axes, f"below: {count} trial{'s' * (count > 1)}", color=DARK, **BELOW)


def _point_out(axes: Axes, point: tuple[float, float], text: str) -> None:
    """Ring a point and write its name nearby, where it covers least of what is drawn."""
    axes.plot(*point, "o", ms=13, mew=1.6, mec=DARK, mfc="none", zorder=6)
    axes.figure.draw_without_rendering()  # the legend is there: the axes have their final size
    arrow = {"arrowstyle": "-", "color": DARK, "lw": 0.8, "shrinkA": 0, "shrinkB": 6.5}
    look = {"ha": "center", "va": "center", "zorder": 7, "in_layout": False, "arrowprops": arrow}
    look["bbox"] = {"fc": "white", "ec": "none", "alpha": 0.85, "pad": 1}
    note = axes.annotate(text, point, (0.5, 0.5), textcoords="axes fraction", **look)
    box = Text.get_window_extent(note, axes.figure._get_renderer())
    clear = 10 * axes.figure.dpi / 72  # pixels: more than the ring's radius
    half = (np.array([box.width, box.height]) / 2 + clear) / axes.bbox.size
    places = np.stack(np.meshgrid(*np.linspace(half, 1 - half, 41).T), axis=-1).reshape(-1, 2)
    covered = (np.abs(places[:, None] - _occupied(axes)) < half).all(axis=-1).sum(axis=1)
    own = axes.transAxes.inverted().transform(axes.transData.transform(point))
    distance = np.linalg.norm((places - own) * axes.bbox.size, axis=1)
    note.set_position(places[np.lexsort([distance, covered])[0]])


def _occupied(axes: Axes) -> np.ndarray:
    """Return points (n, 2) along all that is drawn, as fractions of the axes."""
    points = []
    for line in axes.lines:
        path = line.get_path()
        path = path if line.get_linestyle() == "None" else path.interpolated(40)
        points.append(line.get_transform().transform(path.vertices))
    return axes.transAxes.inverted().transform(np.concatenate(points))
