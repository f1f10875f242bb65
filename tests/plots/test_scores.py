"""Figures show the numbers they are given, in one style, and nothing is clipped or hidden."""

import subprocess
import sys
from itertools import combinations

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.text import Text

from influence.plots import panels, style
from influence.plots import scores as plots
from tests.helpers import offenders

FEW = ["vog:easy:class", "el2n:easy", "random"]
MANY = [
    *("vog:easy:class", "vog:hard", "vog:softmax:dataset", "el2n:easy", "el2n@2:easy"),
    *("forgetting:softmax", "pvi:hard", "tracin:linear:dataset", "stratified", "drop", "random"),
]
LONG = "a label that is much longer than any label should ever be "


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


FIGURES = {
    "two arms": lambda: plots.pruning_curves(curves(FEW[1:])),
    "eleven arms": lambda: plots.pruning_curves(curves(MANY)),
    "many percents": lambda: plots.pruning_curves(curves(FEW, range(0, 100, 5))),
    "many of both": lambda: plots.pruning_curves(curves(MANY, range(0, 100, 5))),
    "differences": lambda: plots.differences_to_random(paired(FEW)),
    "many differences": lambda: plots.differences_to_random(paired(MANY)),
    "one distribution": lambda: plots.distributions(scored(2, 1), ["no", "yes"]),
    "eight classes": lambda: plots.distributions(scored(8, 7), [f"{LONG}{n}" for n in range(8)]),
    "sixty classes": lambda: plots.distributions(scored(60), [str(n) for n in range(60)]),
    "one correlation": lambda: plots.correlations(scored(2, 1)),
    "many correlations": lambda: plots.correlations(scored(2, 17)),
    "shares of two": lambda: plots.class_shares(shares(2)),
    "shares of sixty": lambda: plots.class_shares(shares(60, (10, 30, 50, 70, 90))),
}


def test_nothing_is_clipped_or_overlaps():
    with offenders.cases() as tried:
        for name, draw in FIGURES.items():
            with tried.case(name):
                nothing_is_clipped_or_overlaps(draw())


def nothing_is_clipped_or_overlaps(figure):
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


def test_a_score_has_the_same_colour_in_every_figure():
    colours = {
        style.style(arm)["color"] for arm in ("vog:easy", "vog@2:hard:class", "vog+el2n:linear")
    }
    assert len(colours) == 1
    curve = plots.pruning_curves(curves(FEW)).axes[0]
    difference = plots.differences_to_random(paired(FEW)).axes[0]
    histogram = plots.distributions(scored(9, 2), list("abcdefghi")).axes[0]
    expected = style.style("vog:easy:class")["color"]
    assert lines(curve)["vog:easy:class"].get_color() == expected
    assert lines(difference)["vog:easy:class"].get_color() == expected
    assert to_hex(histogram.patches[0].get_facecolor()).lower() == expected.lower()


def test_curves_show_means_and_intervals():
    summary = curves(FEW)
    axes = plots.pruning_curves(summary).axes[0]
    rows = summary[summary["arm"] == "el2n:easy"]
    np.testing.assert_allclose(lines(axes)["el2n:easy"].get_ydata(), rows["mean"])
    np.testing.assert_allclose(lines(axes)["el2n:easy"].get_xdata(), [0, 10, 30, 50, 70], atol=2)
    intervals = [c for c in axes.collections if isinstance(c, LineCollection)]
    ends = [segment[:, 1] for segment in intervals[FEW.index("el2n:easy")].get_segments()]
    np.testing.assert_allclose(ends, rows[["low", "high"]][1:])
    assert lines(axes)["full train set"].get_ydata()[0] == 0.9


def test_the_points_of_one_percent_stand_side_by_side_and_those_of_the_full_set_do_not():
    axes = plots.pruning_curves(curves(FEW)).axes[0]
    places = np.stack([lines(axes)[arm].get_xdata() for arm in FEW])
    assert len(set(places[:, 0])) == 1
    assert all(len(set(column)) == 3 for column in places[:, 1:].T)


def test_the_points_of_a_single_percent_do_not_hide_one_another():
    axes = plots.pruning_curves(curves(FEW, (50,))).axes[0]
    assert len({lines(axes)[arm].get_xdata()[0] for arm in FEW}) == 3
    assert all(lines(axes)[arm].get_marker() not in ("", "None") for arm in FEW)


def test_random_is_dark_thick_and_on_top():
    axes = plots.pruning_curves(curves(["random", "vog:easy", "stratified"])).axes[0]
    random = lines(axes)["random"]
    others = [line for line in axes.lines if line is not random]
    assert random.get_color() == style.DARK
    assert all(line.get_linewidth() < random.get_linewidth() for line in others)
    assert all(line.get_zorder() < random.get_zorder() for line in others)


def test_few_arms_share_a_panel_and_many_get_one_per_score_with_random_in_each():
    assert len(plots.pruning_curves(curves([*MANY[:4], "random"])).axes) == 1
    figure = plots.pruning_curves(curves(MANY))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["vog", "el2n", "el2n@2", "forgetting", "pvi", "tracin", "no score"]
    assert all({"random", "full train set"} <= set(lines(axes)) for axes in figure.axes)
    assert set(lines(figure.axes[0])) >= {"vog:easy:class", "vog:hard", "vog:softmax:dataset"}
    assert not set(lines(figure.axes[1])) & {"vog:hard", "el2n@2:easy"}
    assert set(legend_of(figure)) == {*MANY, "full train set"}
    assert legend_of(figure)[-2:] == ["random", "full train set"]
    lowest = [False] * 4 + [True] * 3
    assert [bool(axes.get_xlabel()) for axes in figure.axes] == lowest
    figure.draw_without_rendering()
    shown = [any(text.get_text() for text in axes.get_xticklabels()) for axes in figure.axes]
    assert shown == lowest


def test_every_panel_shows_all_of_its_lines():
    figure = plots.pruning_curves(curves([*MANY, *(f"aum:{rule}" for rule in ("easy", "hard"))]))
    for axes in figure.axes:
        low, high = axes.get_ylim()
        for line in axes.lines:
            assert low < min(line.get_ydata()) and max(line.get_ydata()) < high
        ends = np.concatenate([c.get_paths()[0].vertices[:, 1] for c in axes.collections])
        assert low < ends.min() and ends.max() < high


def test_a_single_seed_has_no_interval_and_a_wide_one_ends_at_0_and_100_percent():
    summary = curves(FEW).assign(low=np.nan, high=np.nan)
    axes = plots.pruning_curves(summary).axes[0]
    np.testing.assert_allclose(lines(axes)["vog:easy:class"].get_ydata()[0], 0.9)
    wide = plots.pruning_curves(curves(FEW).assign(low=-3.0, high=4.0)).axes[0]
    assert wide.get_ylim() == pytest.approx((-0.01, 1.01))
    loss = plots.pruning_curves(curves(FEW).assign(low=-3.0, high=4.0), "loss").axes[0]
    assert loss.get_ylim()[1] > 3 and loss.get_ylabel() == "loss"


def test_curves_without_a_full_train_set_have_no_level():
    axes = plots.pruning_curves(curves(FEW, (10, 30))).axes[0]
    assert "full train set" not in lines(axes)


def test_differences_are_drawn_around_random_s_zero_in_points():
    summary = paired(FEW)
    figure = plots.differences_to_random(summary)
    axes = figure.axes[0]
    assert list(lines(axes)["random"].get_ydata()) == [0, 0]
    rows = summary[summary["arm"] == "el2n:easy"]
    np.testing.assert_allclose(lines(axes)["el2n:easy"].get_ydata(), rows["difference"])
    written = [axes.yaxis.get_major_formatter()(value, 0) for value in (-0.025, 0, 0.05)]
    assert written == ["−2.5", "0", "+5"]
    assert legend_of(figure) == ["vog:easy:class", "el2n:easy", "random"]


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
    figure = plots.class_shares(table.assign(share_after=0.2))
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


def test_class_shares_show_before_and_after_of_each_class():
    figure = plots.class_shares(shares(3))
    axes = figure.axes[0]
    assert [label.get_text()[:10] for label in axes.get_yticklabels()] == [LONG[:10]] * 3
    table = shares(3)
    for percent in (10, 50):
        rows = table[table["percent_pruned"] == percent].sort_values("share_before")
        drawn = lines(axes)[f"{percent} % pruned"].get_xdata()
        np.testing.assert_allclose(drawn, rows["share_after"])
    np.testing.assert_allclose(lines(axes)["before"].get_xdata(), rows["share_before"])
    assert legend_of(figure) == ["before", "10 % pruned", "50 % pruned"]


def test_of_many_classes_those_that_changed_most_are_shown():
    table = shares(60, (10,)).assign(share_after=lambda rows: rows["share_before"])
    changed = [f"{LONG}3", f"{LONG}50"]
    table.loc[table["label"].isin(changed), "share_after"] *= 2
    before, after = (
        table.set_index("label")["share_before"],
        table.set_index("label")["share_after"],
    )
    chosen = panels.most_changed(before, after.to_frame())
    assert len(chosen) == 40 and set(changed) <= set(chosen.index[:2])
    axes = plots.class_shares(table).axes[0]
    assert axes.get_title() == "the 40 of 60 classes whose share changed most"
    assert len(axes.get_yticks()) == 40


def test_a_class_that_lost_all_its_examples_is_marked():
    table = shares(4, (10, 50))
    gone = (table["label"] == f"{LONG}0") & (table["percent_pruned"] == 50)
    table.loc[gone, "share_after"] = 0.0
    axes = plots.class_shares(table).axes[0]
    assert len(lines(axes)["no example left"].get_xdata()) == 1
    never = shares(4)
    never.loc[never["label"] == f"{LONG}0", ["share_before", "share_after"]] = 0.0
    assert "no example left" not in lines(plots.class_shares(never).axes[0])


def test_shares_far_apart_get_a_logarithmic_axis():
    assert plots.class_shares(shares(4)).axes[0].get_xscale() == "linear"
    assert plots.class_shares(shares(60)).axes[0].get_xscale() == "log"


def test_a_figure_is_saved_as_png_and_svg_the_same_every_time(tmp_path):
    for name in ("one", "two"):
        plots.save(plots.pruning_curves(curves(FEW)), tmp_path / "deep", name)
    png, svg = (
        [tmp_path / "deep" / f"{n}.{end}" for n in ("one", "two")] for end in ("png", "svg")
    )
    assert png[0].read_bytes() == png[1].read_bytes()
    assert svg[0].read_bytes() == svg[1].read_bytes()
    assert int.from_bytes(png[0].read_bytes()[16:20]) == 1350
    assert b"<svg" in svg[0].read_bytes()


def test_the_caller_s_settings_neither_matter_nor_change(tmp_path):
    plots.save(plots.pruning_curves(curves(FEW)), tmp_path, "plain")
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "axes.facecolor": "red"}):
        plots.save(plots.pruning_curves(curves(FEW)), tmp_path, "odd")
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "odd.png").read_bytes()


def test_no_display_is_needed():
    code = "import sys, influence.plots.scores; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
