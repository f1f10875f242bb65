"""Curves show the numbers they are given, in one style, and nothing is clipped or hidden."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex

from influence.plots import curves as plots
from influence.plots import panels, style
from influence.plots import scores as score_plots
from influence.plots.scores import save
from tests.helpers import offenders
from tests.helpers.figures import (
    FEW,
    LONG,
    MANY,
    assert_nothing_is_clipped_or_overlaps,
    curves,
    legend_of,
    lines,
    paired,
    scored,
    shares,
)

FIGURES = {
    "two arms": lambda: plots.pruning_curves(curves(FEW[1:])),
    "one arm": lambda: plots.pruning_curves(curves(["vog+trail_entropy:linear:dataset", "random"])),
    "one arm alone": lambda: plots.pruning_curves(curves(["aum:ccs"])),
    "one arm at one percent": lambda: plots.pruning_curves(curves(["aum:ccs", "random"], (50,))),
    "eleven arms": lambda: plots.pruning_curves(curves(MANY)),
    "many percents": lambda: plots.pruning_curves(curves(FEW, range(0, 100, 5))),
    "many of both": lambda: plots.pruning_curves(curves(MANY, range(0, 100, 5))),
    "differences": lambda: plots.differences_to_random(paired(FEW)),
    "many differences": lambda: plots.differences_to_random(paired(MANY)),
    "shares of two": lambda: plots.class_shares(shares(2)),
    "shares of sixty": lambda: plots.class_shares(shares(60, (10, 30, 50, 70, 90))),
}


def test_nothing_is_clipped_or_overlaps():
    with offenders.cases() as tried:
        for name, draw in FIGURES.items():
            with tried.case(name):
                assert_nothing_is_clipped_or_overlaps(draw())


def test_a_score_has_the_same_colour_in_every_figure():
    colours = {
        style.style(arm)["color"] for arm in ("vog:easy", "vog@2:hard:class", "vog+el2n:linear")
    }
    assert len(colours) == 1
    curve = plots.pruning_curves(curves(FEW)).axes[0]
    difference = plots.differences_to_random(paired(FEW)).axes[0]
    histogram = score_plots.distributions(scored(9, 2), list("abcdefghi")).axes[0]
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
    assert loss.get_ylim()[1] > 3 and loss.get_ylabel() == "Test loss"


def test_one_arm_beside_random_is_drawn_large_with_a_name_at_each_line():
    figure = plots.pruning_curves(curves(["aum:ccs", "random"]))
    axes = figure.axes[0]
    assert not figure.legends
    names = {text.get_text(): text for text in axes.texts}
    assert set(names) == {"aum:ccs", "random", "full train set"}
    assert names["random"].get_color() == lines(axes)["random"].get_color() == style.DARK
    assert names["aum:ccs"].get_color() == lines(axes)["aum:ccs"].get_color()
    assert min(text.get_fontsize() for text in axes.texts) >= 15
    assert axes.get_xlabel() == "Share of the train set pruned, %"
    assert axes.get_ylabel() == "Test accuracy, %"


def test_names_of_lines_that_end_together_stand_above_one_another_in_their_order():
    together = curves(["aum:ccs", "random"]).assign(mean=0.9)
    together.loc[together["arm"] == "random", "mean"] = 0.8999
    places = {
        t.get_text(): t.get_position()[1] for t in plots.pruning_curves(together).axes[0].texts
    }
    assert places["random"] < places["aum:ccs"]
    assert max(places.values()) <= 1 + 1e-9


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
        save(plots.pruning_curves(curves(FEW)), tmp_path / "deep", name)
    png, svg = (
        [tmp_path / "deep" / f"{n}.{end}" for n in ("one", "two")] for end in ("png", "svg")
    )
    assert png[0].read_bytes() == png[1].read_bytes()
    assert svg[0].read_bytes() == svg[1].read_bytes()
    assert int.from_bytes(png[0].read_bytes()[16:20]) == 1350
    assert b"<svg" in svg[0].read_bytes()


def test_the_caller_s_settings_neither_matter_nor_change(tmp_path):
    save(plots.pruning_curves(curves(FEW)), tmp_path, "plain")
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "axes.facecolor": "red"}):
        save(plots.pruning_curves(curves(FEW)), tmp_path, "odd")
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "odd.png").read_bytes()


def test_no_display_is_needed():
    figures = "influence.plots.curves, influence.plots.scores"
    code = f"import sys, {figures}; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
