"""Tables for figures, and what holds for every figure: nothing is clipped, nothing overlaps."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from influence.plots import style

FEW = ["vog:easy:class", "el2n:easy", "random"]
MANY = [
    *("vog:easy:class", "vog:hard", "vog:softmax:dataset", "el2n:easy", "el2n@2:easy"),
    *("forgetting:softmax", "pvi:hard", "tracin:linear:dataset", "stratified", "drop", "random"),
]
LONG = "a label that is much longer than any label should ever be "
_SAVE = Figure.savefig


def undrawn():
    """Let figures be saved as empty files meanwhile: to draw them is a fourth of a small main."""
    return _saved_by(_touch)


def drawn():
    """Let figures be drawn meanwhile, whatever stands around it."""
    return _saved_by(_SAVE)


def _touch(figure, at, **options) -> None:
    if isinstance(at, str | Path):  # and no buffer, whose image a notebook shows
        Path(at).touch()


@contextmanager
def _saved_by(save) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save)
        yield


def curves(arms, percents=(0, 10, 30, 50, 70)):
    rows = []
    for place, arm in enumerate(arms):
        for percent in percents:
            mean = 0.9 - 0.00002 * percent**2 * (1 + place / 10)
            half = 0.01 if percent else 0.004
            rows.append((arm, float(percent), mean, mean - half, mean + half, 3))
    columns = ["arm", "percent_pruned", "mean", "low", "high", "seeds"]
    return pd.DataFrame(rows, columns=columns)


def paired(arms):
    summary = curves([arm for arm in arms if arm != "random"], (10, 30, 50))
    return summary.rename(columns={"mean": "difference"}).assign(
        difference=lambda rows: rows["difference"] - 0.88,
        low=lambda rows: rows["low"] - 0.88,
        high=lambda rows: rows["high"] - 0.88,
    )


def scored(classes, scores=5, examples=400):
    generator = np.random.default_rng(0)
    columns = {
        "vog": generator.lognormal(0, 3, examples),
        "el2n": generator.random(examples),
        "forgetting": generator.poisson(0.5, examples).astype(float),
        "pvi": -(generator.standard_normal(examples) ** 2),
        "constant": np.full(examples, 0.25),
        **{f"tracin@{number}": generator.random(examples) for number in range(20)},
    }
    labels = generator.integers(0, classes, examples)
    table = pd.DataFrame({"id": np.arange(examples).astype(str), "label": labels})
    return table.assign(**dict(list(columns.items())[:scores]))


def shares(classes, percents=(10, 50)):
    before = np.arange(1, classes + 1) / np.arange(1, classes + 1).sum()
    rows = []
    for percent in percents:
        after = before * np.where(np.arange(classes) % 2, 1 + percent / 100, 1 - percent / 100)
        for number in range(classes):
            rows.append((f"{LONG}{number}", percent, before[number], (after / after.sum())[number]))
    return pd.DataFrame(rows, columns=["label", "percent_pruned", "share_before", "share_after"])


def lines(axes):
    return {line.get_label(): line for line in axes.lines}


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def tick_labels(axis):
    low, high = sorted(axis.get_view_interval())
    return [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]


def boxes_of(texts, renderer):
    shown = [text for text in texts if text.get_visible() and text.get_text().strip()]
    return [(text, text.get_window_extent(renderer)) for text in shown]


def assert_nothing_is_clipped_or_overlaps(figure):
    with style.styled():
        figure.draw_without_rendering()
    renderer = figure._get_renderer()
    axis_of = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    unseen = {t for axis in axis_of for t in axis.findobj(Text)} - {axis.label for axis in axis_of}
    seen = [text for axis in axis_of for text in tick_labels(axis)]
    boxes = boxes_of([*(set(figure.findobj(Text)) - unseen), *seen], renderer)
    for text, box in boxes:
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.width + 1
        assert inside and box.y1 <= figure.bbox.height + 1, text
    level = [(text, box) for text, box in boxes if text.get_rotation() in (0, 90)]
    assert not [(a, b) for (a, one), (b, other) in combinations(level, 2) if one.overlaps(other)]
    tight = [axes.get_tightbbox(renderer) for axes in figure.axes]
    for legend in figure.legends:
        assert not any(legend.get_window_extent(renderer).overlaps(box) for box in tight)
    assert not any(one.overlaps(other) for one, other in combinations(tight, 2))
