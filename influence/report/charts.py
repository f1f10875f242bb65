"""The charts of the report, for a browser, with the colours, lines and markers of the figures."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from influence.plots.planning import in_sight
from influence.plots.scores import FEW_CLASSES
from influence.plots.style import (
    COLOURS,
    DARK,
    EXAMPLES,
    GREY,
    LIGHT,
    PRUNED,
    TO_FULL,
    colour_of,
    grouped,
    place_of,
    style,
)

SYMBOLS = {
    **{"o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down"},
    **{"P": "cross", "X": "x", "<": "triangle-left", "*": "star"},
}
DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}
BINS = 60
HARDEST = 0.05  # marked on the map, as in the paper's figure 9
HEIGHT = 380  # pixels
FEW_TICKS = 8
WORST = 15  # trials that lose more points are not drawn
OPTIONS = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["lasso2d"]}


def library() -> str:
    """Return the JavaScript that the charts of a page share."""
    return get_plotlyjs()


def curves(
    summary: pd.DataFrame, value: str, title: str, over: str = "percent_pruned"
) -> dict[str, str]:
    """Return a chart per group of arms, each with random: `value` in percent over another column.

    `summary`: arm, percent_pruned, `value`, low, high, as fractions of 1, and `over`; one row per
    arm and value of `over`. The rows with 0 percent pruned are drawn as a horizontal line.
    """
    rows = summary[summary["percent_pruned"] > 0]
    ends = 100 * np.concatenate([summary[value], rows["low"], rows["high"]])
    least = {"mean": 0, "difference": -100}[
        value
    ]  # intervals of few seeds may exceed what is possible
    low, high = max(np.nanmin(ends), least), min(np.nanmax(ends), 100)
    room = max(0.05 * (high - low), 0.5)
    ticks = list(dict.fromkeys(rows.sort_values(over)[over]))
    charts = {}
    for name, arms in grouped(summary["arm"]).items():
        beside = _offsets(ticks, len(arms))
        lines = zip(arms, beside, strict=True)
        figure = go.Figure([_line(rows, arm, value, over, by) for arm, by in lines])
        full = summary[summary["percent_pruned"] == 0].head(1)
        if value == "difference":
            figure.add_hline(0, line={"color": DARK, "width": 2}, layer="below")
        elif len(full):
            figure.add_hline(100 * float(full[value].iloc[0]), line={"color": GREY, "dash": "dash"})
        figure.update_yaxes(title=title, range=[low - room, high + room])
        pruned = over == "percent_pruned"
        figure.update_xaxes(title=PRUNED if pruned else over)
        if len(ticks) <= FEW_TICKS:
            figure.update_xaxes(tickvals=ticks)
        if len(ticks) == 1 and pruned:
            figure.update_xaxes(range=[ticks[0] - 5, ticks[0] + 5])
        charts[name or title.partition(", ")[0]] = _html(figure)
    return charts


def landscape(trials: pd.DataFrame, tolerance: float, chosen: int | None) -> str:
    """Return a chart of all trials: their difference to the full train set over percent pruned.

    `trials`: arm, number, state, percent_pruned, difference; those stopped early are small and
    pale. `chosen`: the number of the recommended trial, ringed. Trials that lost more than WORST
    points are left out.
    """
    rows = trials[trials["difference"].notna() & (100 * trials["difference"] >= -WORST)]
    figure = go.Figure()
    for arm in sorted(set(rows["arm"]), key=place_of):
        own, look = rows[rows["arm"] == arm], style(arm)
        early = own["state"] == "pruned"
        figure.add_scatter(
            x=own["percent_pruned"],
            y=(100 * own["difference"]).round(3),
            mode="markers",
            name=arm,
            text="trial " + own["number"].astype(str),
            hovertemplate="%{text}: %{x} % pruned, %{y:+.1f} points",
            marker={
                "color": look["color"],
                "symbol": SYMBOLS[look["marker"]],
                "size": np.where(early, 6, 10),
                "opacity": np.where(early, 0.5, 1.0),
                "line": {"color": DARK, "width": np.where(own["number"] == chosen, 3, 0)},
            },
        )
    figure.add_hline(-100 * tolerance, line={"color": GREY, "dash": "dash"})
    figure.update_xaxes(title=PRUNED, range=[0, 100])
    figure.update_yaxes(title=TO_FULL)
    figure.update_layout(height=520, legend={"itemsizing": "constant"})
    return _html(figure)


def bands(known: pd.DataFrame, dots: pd.DataFrame, arms: Sequence[str], tolerance: float) -> str:
    """Return a chart of what each of `arms` gains over the full train set, with its 95 % band.

    `known`: arm, percent_pruned, gain, low, high; `dots`: arm, percent_pruned, gain of single
    retrainings. Losses of more than WORST points are below the chart.
    """
    figure = go.Figure()
    for arm in sorted(arms, key=place_of):
        own, look = in_sight(known[known["arm"] == arm], WORST / 100), style(arm)
        there = {"x": own["percent_pruned"], "mode": "lines", "legendgroup": arm}
        edge = there | {"line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
        figure.add_scatter(y=100 * own["low"], **edge)
        figure.add_scatter(y=100 * own["high"], fill="tonexty", opacity=0.5, **edge)
        figure.data[-1].fillcolor = f"rgba({','.join(map(str, _rgb(look['color'])))},0.15)"
        line = {"color": look["color"], "width": 2}
        figure.add_scatter(y=(100 * own["gain"]).round(2), **there | {"name": arm, "line": line})
        single = dots[dots["arm"] == arm]
        marks = {"mode": "markers", "legendgroup": arm, "showlegend": False}
        marks |= {"marker": {"color": look["color"], "size": 6}, "name": arm}
        gains = (100 * single["gain"]).round(2)
        figure.add_scatter(x=single["percent_pruned"], y=gains, **marks)
    figure.add_hline(-100 * tolerance, line={"color": GREY, "dash": "dash"})
    lowest = max(-WORST, 100 * float(known["low"].min()))
    figure.update_xaxes(title=PRUNED, range=[0, 100])
    figure.update_yaxes(title=TO_FULL, range=[1.05 * lowest, 2])
    return _html(figure)


def distributions(scores: pd.DataFrame, label_names: Sequence[str]) -> dict[str, str]:
    """Return a histogram per score, with a line per class where there are few."""
    labels = scores["label"].to_numpy()
    few = len(label_names) <= FEW_CLASSES
    classes = dict(enumerate(label_names)) if few else {}
    charts = {}
    for name in (column for column in scores if column not in ("id", "label")):
        values = scores[name].to_numpy(float)
        low, high = np.quantile(values, [0.005, 0.995])
        edges = _edges(values, low, high)
        parts = {"all classes": np.ones(len(values), bool)} if not few else {}
        parts |= {label: labels == number for number, label in classes.items()}
        figure = go.Figure()
        for position, (label, rows) in enumerate(parts.items()):
            counts = np.histogram(np.clip(values[rows], low, high), edges)[0]
            look = {
                "shape": "hv",
                "color": colour_of(name) if not few else COLOURS[position % len(COLOURS)],
            }
            figure.add_scatter(
                x=edges,
                y=(100 * np.append(counts, counts[-1]) / max(rows.sum(), 1)).round(3),
                name=escape(str(label), quote=False),
                mode="lines",
                line=look,
                fill=None if few else "tozeroy",
            )
        figure.update_yaxes(title=EXAMPLES, rangemode="tozero")
        figure.update_xaxes(title="Outermost 0.5 % clipped to the ends")
        charts[name] = _html(figure, legend=few)
    return charts


def correlations(table: pd.DataFrame) -> str:
    """Return Spearman's correlations of the scores as a heat map."""
    heat = go.Heatmap(
        z=table.to_numpy().round(3),
        x=list(table.columns),
        y=list(table.index),
        zmin=-1,
        zmax=1,
        colorscale="RdBu",
        reversescale=True,
        texttemplate="%{z:.2f}",
        colorbar={"title": "ρ", "thickness": 12},
    )
    figure = go.Figure(heat)
    figure.update_yaxes(autorange="reversed")
    return _html(figure, legend=False)


def classes(table: pd.DataFrame, arm: str) -> str:
    """Return a chart of the change in recall of each class over the share that `arm` keeps.

    `table`: that of `evaluation.by_class`.
    """
    own = table[table["arm"] == arm]
    figure = go.Figure()
    percents = sorted(own["percent_pruned"].unique())
    for place, percent in enumerate(percents):
        rows = own[own["percent_pruned"] == percent]
        shade = 0.25 + 0.75 * (place + 1) / len(percents)
        figure.add_scatter(
            x=(100 * rows["kept_share"]).round(2),
            y=(100 * rows["recall_change"]).round(2),
            text=[escape(str(label), quote=False) for label in rows["label"]],
            mode="markers",
            name=f"{percent:g} % pruned",
            marker={"color": style(arm)["color"], "opacity": shade, "size": 8},
            error_y=_bars(rows["recall_change"], rows["low"], rows["high"], width=0),
            hovertemplate="%{text}: %{x} % kept, recall %{y:+} points",
        )
    figure.add_hline(0, line={"color": DARK, "width": 1}, layer="below")
    figure.update_xaxes(title="Share of the class kept, %", range=[-2, 102])
    figure.update_yaxes(title="Change in recall, points", range=_within(own))
    return _html(figure)


def example_map(
    places: pd.DataFrame, texts: Sequence[str], samples: Mapping[str, Mapping[str, np.ndarray]]
) -> str:
    """Return a map of the examples with a menu of arms: which stay, and where the hardest lie.

    `places`: x and y; `texts`: what hovering shows; `samples`: per arm `kept` and `hardest`, bool
    arrays over the examples.
    """
    figure = go.Figure()
    everyone = {"x": places["x"].round(2), "y": places["y"].round(2)}
    figure.add_scattergl(
        **everyone,
        mode="markers",
        name="pruned",
        text=[escape(text, quote=False) for text in texts],
        hovertemplate="%{text}<extra></extra>",
        marker={"color": "#BBBBBB", "size": 4},
    )
    for number, own in enumerate(samples.values()):
        marks = {
            "kept": (own["kept"] & ~own["hardest"], COLOURS[0], "circle", 4),
            "hardest 5 %, kept": (own["kept"] & own["hardest"], COLOURS[1], "diamond", 8),
            "hardest 5 %, pruned": (~own["kept"] & own["hardest"], COLOURS[1], "diamond-open", 8),
        }
        for name, (rows, colour, symbol, size) in marks.items():
            figure.add_scattergl(
                x=everyone["x"][rows],
                y=everyone["y"][rows],
                mode="markers",
                name=name,
                hoverinfo="skip",
                visible=number == 0,
                marker={"color": colour, "symbol": symbol, "size": size},
            )
    figure.update_layout(updatemenus=[_menu(list(samples))], height=560, margin={"t": 56})
    figure.update_layout(legend={"itemsizing": "constant"})
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return _html(figure)


def _edges(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the bin edges; a score with few distinct values has one bin for each."""
    different = np.unique(np.clip(values, low, high))
    if not 1 < len(different) < BINS:
        return np.linspace(low, high if high > low else low + 1, BINS + 1)
    half = np.diff(different).min() / 2
    return np.arange(low - half, high + 2 * half, max(2 * half, (high - low) / BINS))


def _within(table: pd.DataFrame) -> list[float]:
    """Return the range of the changes, limited to ±100, which intervals of few seeds may exceed."""
    ends = table[["recall_change", "low", "high"]].to_numpy() * 100
    return [max(float(np.nanmin(ends)), -100.0) - 4, min(float(np.nanmax(ends)), 100.0) + 4]


def _menu(arms: list[str]) -> dict[str, Any]:
    buttons = [
        {
            "label": arm,
            "method": "restyle",
            "args": ["visible", [True, *(n // 3 == number for n in range(3 * len(arms)))]],
        }
        for number, arm in enumerate(arms)
    ]
    return {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}


def _offsets(ticks: list[Any], arms: int) -> np.ndarray:
    """Return the horizontal offset of each arm, so that none hides another."""
    if not all(isinstance(tick, int | float) for tick in ticks):
        return np.zeros(arms)
    width = 0.01 * ((max(ticks) - min(ticks)) or 10)
    return (np.arange(arms) - (arms - 1) / 2) * width


def _line(summary: pd.DataFrame, arm: str, value: str, over: str, beside: float) -> go.Scatter:
    rows = summary[summary["arm"] == arm].sort_values(over)
    look = style(arm)
    face = look.get("mfc", look["color"])
    return go.Scatter(
        x=rows[over] + beside if beside else rows[over],
        y=(100 * rows[value]).round(3),
        error_y=_bars(rows[value], rows["low"], rows["high"], width=3),
        name=arm,
        mode="lines+markers",
        line={"color": look["color"], "width": look["lw"] * 1.3, "dash": _dash(look["ls"])},
        marker={
            "symbol": SYMBOLS[look["marker"]],
            "size": 7,
            "color": face,
            "line": {"color": look["color"], "width": 1.5},
        },
        text=rows[over].astype(str),
        hovertemplate="%{text}: %{y:.1f}",
    )


def _bars(middle: pd.Series, low: pd.Series, high: pd.Series, width: int) -> dict[str, Any]:
    """Return error bars in percent; a single seed has none."""
    return {
        "type": "data",
        "array": (100 * (high - middle)).fillna(0).round(3),
        "arrayminus": (100 * (middle - low)).fillna(0).round(3),
        "thickness": 1.2,
        "width": width,
        "visible": bool(high.notna().any()),
    }


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))


def _dash(line: Any) -> str:
    return DASHES.get(line, "dot") if isinstance(line, str) else "dot"


def _html(figure: go.Figure, legend: bool = True) -> str:
    """Return a chart as HTML for a page that includes `library`."""
    figure.update_layout(
        template="none",
        height=figure.layout.height or HEIGHT,
        font={"family": "system-ui, sans-serif", "size": 12, "color": DARK},
        margin={"l": 56, "r": 12, "t": figure.layout.margin.t or 12, "b": 48},
        showlegend=legend,
        legend={"orientation": "h", "y": -0.22, "yanchor": "top", "x": 0},
        hovermode="closest",
    )
    figure.update_xaxes(gridcolor=LIGHT, zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor=LIGHT, zeroline=False, automargin=True)
    return figure.to_html(full_html=False, include_plotlyjs=False, config=OPTIONS)
