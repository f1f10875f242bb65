"""A curve is opened as a record: its points, its summary, and its picture in a notebook."""

import numpy as np
import pandas as pd
import pytest

from influence.evaluation import result
from influence.evaluation.intervals import summarise
from influence.evaluation.result import Curve, Point, table
from influence.runtime import store
from influence.sampling.result import SHARES
from tests.helpers import finished


@pytest.fixture(scope="module")
def curve(tmp_path_factory) -> Curve:
    root = tmp_path_factory.mktemp("curve")
    finished.labelled(root / "scores", np.array([0, 1]), ("nan", "a"))
    scores = finished.scores(root / "scores", {"el2n": np.arange(2.0)})
    (root / "sample").mkdir()
    (root / "sample" / SHARES).write_text("label,kept_share,group,percent_pruned\nnan,1,class,50\n")
    sample = finished.sample(root / "sample", [50.0], **scores.handed_on)
    points = [
        Point(percent, 1000 + seed, 2, 1, 0.5, {"test/accuracy": value})
        for percent, values in {0.0: (0.9, 0.8), 50.0: (0.7, 0.5)}.items()
        for seed, value in enumerate(values)
    ]
    made = table(points, "el2n:easy")
    summary = summarise(made, "test/accuracy").assign(metric="accuracy")
    (root / "curve").mkdir()
    right = np.array([[1, 1], [1, 0], [0, 1], [0, 0]], dtype=bool)
    facts = result.write(sample, made, right, summary, None, root / "curve")
    store.finish(root / "curve", "evaluate", facts)
    return Curve(root / "curve")


def test_what_was_written_is_read(curve):
    assert (curve.arm, curve.percents, curve.outcomes) == ("el2n:easy", [0.0, 50.0], None)
    assert curve.points["test/accuracy"].tolist() == [0.9, 0.8, 0.7, 0.5]
    assert curve.summary["mean"].tolist() == pytest.approx([0.85, 0.6])
    assert curve.correct.tolist() == [[True, True], [True, False], [False, True], [False, False]]
    assert curve.label_errors is None


def test_a_class_may_be_called_nan(curve):
    assert curve.class_shares["label"].tolist() == ["nan"]


def test_a_notebook_shows_the_picture_and_the_table(curve, monkeypatch):
    shown = curve._repr_html_()
    assert '<img alt="test accuracy' in shown and "<td>60.0 ± 127.1</td>" in shown
    assert "el2n:easy, 4 retrainings" in repr(curve)
    monkeypatch.setitem(__import__("sys").modules, "influence.plots.curves", None)
    assert "<img" not in curve._repr_html_() and isinstance(curve.points, pd.DataFrame)
