"""Figures of scores show the numbers they are given, and nothing is clipped or hidden."""

import numpy as np
import pandas as pd
import pytest

from influence.plots import curves, panels
from influence.plots import scores as plots
from tests.helpers import offenders
from tests.helpers.figures import (
    LONG,
    assert_nothing_is_clipped_or_overlaps,
    legend_of,
    scored,
)

FIGURES = {
    "one distribution": lambda: plots.distributions(scored(2, 1), ["no", "yes"]),
    "eight classes": lambda: plots.distributions(scored(8, 7), [f"{LONG}{n}" for n in range(8)]),
    "sixty classes": lambda: plots.distributions(scored(60), [str(n) for n in range(60)]),
    "one correlation": lambda: plots.correlations(scored(2, 1)),
    "many correlations": lambda: plots.correlations(scored(2, 17)),
}


def test_nothing_is_clipped_or_overlaps():
    with offenders.cases() as tried:
        for name, draw in FIGURES.items():
            with tried.case(name):
                assert_nothing_is_clipped_or_overlaps(draw())


def test_histograms_show_shares_of_all_and_of_each_class():
    table = scored(3, 3)
    figure = plots.distributions(table, ["a", "b", "c"])
    assert legend_of(figure) == ["all classes", "a", "b", "c"]
    for axes in figure.axes:
        bars = [patch.get_height() for patch in axes.patches if hasattr(patch, "get_height")]
        assert sum(bars) == pytest.approx(1)
        steps = [patch for patch in axes.patches if not hasattr(patch, "get_height")]
        assert len(steps) == 3
    forgetting = figure.axes[2]
    zeros = [(table["forgetting"][table["label"] == number] == 0).mean() for number in range(3)]
    steps = [patch for patch in forgetting.patches if not hasattr(patch, "get_height")]
    np.testing.assert_allclose([step.get_xy()[1, 1] for step in steps], zeros)
    assert len(set(zeros)) == 3
    bars = [patch for patch in forgetting.patches if hasattr(patch, "get_height")]
    assert bars[0].get_height() == pytest.approx((table["forgetting"] == 0).mean())
    assert bars[1].get_height() == pytest.approx((table["forgetting"] == 1).mean())


def test_more_than_eight_classes_get_no_lines_and_no_legend():
    figure = plots.distributions(scored(9, 2), list("abcdefghi"))
    assert not figure.legends
    assert all(hasattr(patch, "get_height") for patch in figure.axes[0].patches)


def test_a_heavy_tail_is_clipped_and_says_so():
    values = np.r_[np.linspace(-1, 1, 999), 1e6]
    table = pd.DataFrame({"id": "x", "label": 0, "pvi": values, "el2n": np.linspace(0, 1, 1000)})
    tail, plain = plots.distributions(table, ["a", "b"]).axes
    assert "clipped at 0.5 and 99.5 %" in tail.get_xlabel() and tail.get_xlim()[1] < 2
    assert plain.get_xlabel() == "el2n"
    mostly_zero = table.assign(pvi=np.r_[np.zeros(999), 7])
    axes = plots.distributions(mostly_zero, ["a", "b"]).axes[0]
    assert axes.get_xlim()[1] > 7 and "clipped" not in axes.get_xlabel()


def test_values_over_orders_of_magnitude_get_a_logarithmic_axis():
    axes = plots.distributions(scored(2, 2), ["a", "b"]).axes
    assert [one.get_xscale() for one in axes] == ["log", "linear"]


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        ([0, 1, 3], [-0.5, 0.5, 1.5, 2.5, 3.5]),
        ([0.1, 0.2, 0.3], [0.05, 0.15, 0.25, 0.35]),
        ([5, 5], [4.85, 4.95, 5.05, 5.15]),
        ([1e-9, 3e-9], [0, 2e-9, 4e-9]),
    ],
)
def test_counts_and_steps_get_a_bin_each(values, edges):
    bins, scale = panels.bins_of(np.array(values, float))
    np.testing.assert_allclose(bins, edges, atol=1e-12)
    assert scale == "linear"


def test_values_that_are_not_finite_and_classes_without_examples_do_no_harm():
    table = scored(2, 2)
    table.loc[:5, "el2n"] = [np.inf, -np.inf, np.nan, np.inf, np.nan, np.nan]
    figure = plots.distributions(table.assign(pvi=np.nan), ["a", "b", "nobody's"])
    assert legend_of(figure) == ["all classes", "a", "b", "nobody's"]
    figure.draw_without_rendering()


def test_labels_with_dollars_underscores_or_foreign_scripts_are_shown_as_they_are(tmp_path):
    labels = ["_private", "cost in $ or $x_1$", "缺", f"{LONG}1", f"{LONG}2"]
    figure = plots.distributions(scored(5, 1), labels)
    plots.save(figure, tmp_path, "labels")
    assert legend_of(figure)[1:3] == [" _private", r"cost in \$ or \$x_1\$"]
    assert len(legend_of(figure)) == 6
    assert [len(label) for label in legend_of(figure)[-2:]] == [32, 32]
    table = pd.DataFrame({"label": labels, "percent_pruned": 10.0, "share_before": 0.2})
    figure = curves.class_shares(table.assign(share_after=0.2))
    plots.save(figure, tmp_path, "shares")
    assert len(figure.axes[0].get_yticks()) == 5


def test_rank_correlations_are_spearman_s():
    table = pd.DataFrame(
        {
            **{"id": list("abcd"), "label": [0, 1, 0, 1]},
            **{"el2n": [1.0, 2, 3, 4], "vog": [1.0, 10, 100, 1e6], "pvi": [4.0, 3, 2, 1]},
            **{"tied": [1.0, 1, 2, 2], "constant": [5.0] * 4},
        }
    )
    ranks = plots.rank_correlations(table)
    assert list(ranks.index) == list(ranks.columns) == ["el2n", "vog", "pvi", "tied", "constant"]
    assert ranks.loc["el2n", "vog"] == pytest.approx(1)
    assert ranks.loc["el2n", "pvi"] == pytest.approx(-1)
    assert ranks.loc["el2n", "tied"] == pytest.approx(2 / np.sqrt(5))
    assert ranks["constant"].isna().all()


def test_the_map_of_correlations_writes_every_number():
    table = scored(2, 5)
    texts = [text.get_text() for text in plots.correlations(table).axes[0].texts]
    assert len(texts) == 25
    ranks = plots.rank_correlations(table)
    assert texts[2] == f"{ranks.iloc[0, 2]:.2f}".replace("-", "−")
    assert texts[24] == "–" and texts[0] == "1.00"


def test_a_correlation_of_almost_zero_has_no_sign(monkeypatch):
    table = pd.DataFrame([[1, -0.001], [-0.001, 1]], ["a", "b"], ["a", "b"])
    monkeypatch.setattr(plots, "rank_correlations", lambda scores: table)
    texts = [text.get_text() for text in plots.correlations(table).axes[0].texts]
    assert texts == ["1.00", "0.00", "0.00", "1.00"]
