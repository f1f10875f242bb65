"""Pictures of a search show every trial once, say what the marks mean, and hide nothing."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Annotation, Text

from influence.plots import scores as plots
from influence.plots import search, style
from tests.helpers import offenders
from tests.helpers.figures import LONG, assert_nothing_is_clipped_or_overlaps, legend_of, lines

COLUMNS = ["state", "arm", "percent_pruned", "difference", "feasible", "on_front"]
ARMS = [
    *("vog:easy:class", "el2n@2:hard", "el2n:softmax", "pvi:ccs:dataset", "loss:linear"),
    *("forgetting:easy", "stratified", "drop", "random"),
]
LONGEST = "vog+el2n+forgetting+pvi:linear:dataset"
TOLERANCE = 0.01


def table_of(*rows):
    table = pd.DataFrame(rows, columns=COLUMNS)
    rules = [arm.split(":")[1] if ":" in arm else arm for arm in table["arm"]]
    scores = [arm.split(":")[0].split("@")[0] if ":" in arm else "" for arm in table["arm"]]
    extra = {"number": range(len(table)), "score": scores, "rule": rules}
    return table.assign(**extra, seeds=3, mean=0.9 + table["difference"])


def by_hand():
    return table_of(
        ("complete", "random", 50.0, -0.03, False, False),
        ("complete", "vog:easy:class", 20.0, 0.004, True, True),
        ("failed", "el2n:hard", np.nan, np.nan, False, False),
        ("pruned", "el2n@2:hard", 60.0, -0.06, False, False),
        ("complete", "random", 10.0, 0.0, True, False),
        ("complete", "stratified", 15.0, -0.005, True, False),
        ("pruned", "vog:hard", 40.0, 0.002, True, False),
        ("pruned", "random", 50.0, -0.05, False, False),
        ("complete", "el2n:hard", 40.0, -0.02, False, True),
        ("complete", "el2n:easy", 30.0, -0.01, True, True),
    )


def made(count, arms=ARMS, disasters=0):
    generator, rows = np.random.default_rng(count), []
    for place in range(count):
        percent = float(generator.integers(5, 96))
        difference = 0.005 - 0.155 * (percent / 90) ** 2.5 + generator.normal(0, 0.005)
        difference = -0.6 - 0.01 * place if place < disasters else difference
        state = "pruned" if difference < -0.08 else "complete"
        arm = arms[place % len(arms)]
        rows.append((state, arm, percent, difference, difference >= -TOLERANCE, place % 7 == 0))
    return table_of(*rows)


def compared(count):
    generator = np.random.default_rng(0)
    rows = []
    for place in range(count):
        row = {"dataset": f"{place} {LONG}"[: 8 + 9 * place], "percent_pruned": 12.5 + place}
        row["arm"] = [LONGEST, *ARMS][place]
        for name, mean in zip(("full", "recommended", "random"), (0.9, 0.89, 0.86), strict=True):
            middle = mean + generator.normal(0, 0.02)
            row |= {f"{name}_mean": middle, f"{name}_low": middle - 0.01}
            row |= {f"{name}_high": middle + 0.01}
        rows.append(row)
    return pd.DataFrame(rows)


def known(*values):
    names = ["percent_pruned", "score", "rule", LONG, "normalize"][: len(values)]
    return pd.DataFrame({"parameter": names, "importance": np.array(values, float)})


TABLES = {
    "by hand": by_hand(),
    "one trial": made(1),
    "few trials": made(4),
    "sixty trials": made(60),
    "disasters": made(60, disasters=6),
    "only random": made(8, ["random"]),
    "only one score": made(20, ["el2n:easy"]),
    "without random": made(20, ARMS[:-1]),
    "windows": made(12, ["el2n@2:easy", "el2n@1-3:hard", "random"]),
    "long names": made(9, [LONGEST, "random"]),
    "all but one failed": made(9).assign(state=["complete", *["failed"] * 8]),
    "all failed": made(9).assign(state="failed", difference=np.nan, percent_pruned=np.nan),
    "no trials": made(9).head(0),
    "better than everything": made(9).assign(difference=0.02, feasible=True),
}
DRAWINGS = {
    "landscape": lambda table: search.landscape(table, TOLERANCE, chosen=0),
    "history": search.history,
    "slices": lambda table: search.slices(table, TOLERANCE),
}
FIGURES = {
    **{
        f"{kind} of {name}": lambda table=table, draw=draw: draw(table)
        for kind, draw in DRAWINGS.items()
        for name, table in TABLES.items()
    },
    **{
        f"comparison of {count}": lambda count=count: search.comparison(compared(count))
        for count in (1, 2, 8)
    },
    "importances": lambda: search.importances(known(0.7, 0.2, 0.06, 0.03, 0.01)),
    "no importances": lambda: search.importances(known()),
}


def points(axes):
    """All marks of trials: neither the rings nor the entries of legends."""
    marks = [line for line in axes.lines if line.get_linestyle() == "None" and not ring(line)]
    return sorted(tuple(point) for line in marks for point in line.get_xydata().tolist())


def ring(line):
    return line.get_markersize() == 13


def baseline(axes):
    """Random's line: not its entry in the legend, which is empty."""
    drawn = [line for line in axes.lines if line.get_linewidth() == 1.8 and len(line.get_xdata())]
    return [line.get_xydata().round(9).tolist() for line in drawn]


def mark_at(axes, x, y):
    """The one mark that stands there."""
    found = [
        line
        for line in axes.lines
        if line.get_linestyle() == "None" and [x, y] in line.get_xydata().tolist()
    ]
    (mark,) = found
    return mark


def seen(table):
    return table[(table["state"] != "failed") & table["difference"].notna()]


def test_nothing_is_clipped_or_overlaps():
    with offenders.cases() as tried:
        for name, draw in FIGURES.items():
            with tried.case(name):
                assert_nothing_is_clipped_or_overlaps(draw())


@pytest.mark.parametrize("name", TABLES)
def test_every_trial_is_drawn_exactly_once(name):
    table = seen(TABLES[name])
    floor = search.robust_floor(TABLES[name], TOLERANCE)
    shown = table["difference"].clip(lower=floor)
    expected = sorted(zip(table["percent_pruned"], shown, strict=True))
    assert points(DRAWINGS["landscape"](TABLES[name]).axes[0]) == expected
    panels = DRAWINGS["slices"](TABLES[name]).axes
    assert sorted(point for axes in panels for point in points(axes)) == expected
    expected = sorted(zip(table["number"], table["percent_pruned"], strict=True))
    assert points(DRAWINGS["history"](TABLES[name]).axes[0]) == expected


@pytest.mark.parametrize("name", TABLES)
def test_every_trial_lies_inside_the_axes(name):
    for draw in DRAWINGS.values():
        for axes in draw(TABLES[name]).axes:
            drawn = np.array(points(axes)).reshape(-1, 2)
            for values, (low, high) in zip(
                drawn.T, (axes.get_xlim(), axes.get_ylim()), strict=True
            ):
                assert ((low < values) & (values < high)).all()


def test_drawn_trials_have_numbers_and_say_what_they_are():
    rows = search.drawn(by_hand()).sort_values("number")
    assert list(rows["number"]) == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    random, bare = "random", "no score"
    groups = [random, "vog", "el2n", random, bare, "vog", random, "el2n", "el2n"]
    assert list(rows["group"]) == groups
    early = "stopped early"
    marks = ["infeasible", "feasible", early, "feasible", "feasible", early, early]
    assert list(rows["mark"]) == [*marks, "infeasible", "feasible"]


def test_numbers_that_are_not_finite_and_scores_read_as_nan_do_no_harm():
    table = by_hand().astype({"feasible": object, "on_front": object})
    table.loc[1, "difference"], table.loc[8, "percent_pruned"] = np.inf, np.nan
    table.loc[4, ["feasible", "on_front"]] = np.nan
    table["score"] = table["score"].replace("", np.nan)
    rows = search.drawn(table)
    assert not {1, 2, 8} & set(rows["number"])
    assert set(rows["group"]) == {"vog", "el2n", "no score", "random"}
    assert rows.set_index("number").loc[4, "mark"] == "infeasible"
    only = table[table["arm"] == "random"].assign(score=np.nan)
    for draw in DRAWINGS.values():
        draw(table)
        draw(only)


def test_the_floor_is_the_lowest_difference_unless_that_squashes_the_others():
    def floor(*differences, tolerance=TOLERANCE):
        rows = [("complete", "vog:easy", 50.0, value, False, False) for value in differences]
        return search.robust_floor(table_of(*rows), tolerance)

    assert floor(0.0, -0.05) == -0.05
    assert floor(0.0, -0.14) == -0.14  # below ten tolerances, but by less than half
    assert floor(0.0, -0.01, -0.02, -0.03, -0.9) == pytest.approx(-0.1)
    # Quartiles -0.2 and 0, so the fence is at -0.5, below ten tolerances.
    assert floor(0.0, 0.0, -0.1, -0.2, -0.9) == pytest.approx(-0.5)
    assert floor(0.0, 0.0, -0.1, -0.2, -0.9, tolerance=0.065) == -0.9
    assert floor(0.0, 0.0, -0.1, -0.2, -0.95, tolerance=0.06) == pytest.approx(-0.6)
    assert floor(0.002, 0.004) == -TOLERANCE
    assert floor() == -TOLERANCE


def test_random_s_line_is_the_mean_of_its_trials_at_each_percent():
    line = search.random_line(by_hand())
    assert list(line["percent_pruned"]) == [10, 50]
    np.testing.assert_allclose(line["difference"], [0, -0.04])
    assert search.random_line(TABLES["without random"]).empty


def test_the_best_so_far_is_the_largest_percent_of_complete_feasible_trials():
    best = search.best_so_far(by_hand())
    assert list(best["number"]) == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    expected = [np.nan, 20, 20, 20, 20, 20, 20, 20, 30]
    np.testing.assert_array_equal(best["percent_pruned"], expected)
    reverse = search.best_so_far(by_hand()[::-1])
    np.testing.assert_array_equal(reverse["percent_pruned"], expected)


def test_colour_tells_the_score_and_hollow_and_small_tell_the_state():
    axes = search.landscape(by_hand(), TOLERANCE).axes[0]
    good, bad = mark_at(axes, 30, -0.01), mark_at(axes, 40, -0.02)
    stopped, random = mark_at(axes, 60, -0.06), mark_at(axes, 50, -0.03)
    colour = style.colour_of("el2n")
    assert {mark.get_color() for mark in (good, bad, stopped)} == {colour}
    assert good.get_markerfacecolor() == colour and bad.get_markerfacecolor() == "white"
    assert stopped.get_markersize() < bad.get_markersize() < random.get_markersize()
    assert stopped.get_alpha() < 1 and good.get_alpha() is None
    assert random.get_color() == style.DARK
    assert mark_at(axes, 15, -0.005).get_color() == style.GREY
    assert random.get_zorder() > good.get_zorder()


def test_scores_of_the_same_colour_have_markers_of_their_own():
    axes = search.landscape(made(9), TOLERANCE).axes[0]
    scores = ("vog", "el2n", "pvi", "loss", "forgetting")
    entries = {score: lines(axes)[score] for score in scores}
    looks = {score: (line.get_color(), line.get_marker()) for score, line in entries.items()}
    assert looks["vog"][0] == looks["loss"][0]
    assert len(set(looks.values())) == 5


def test_the_landscape_has_its_levels_its_front_and_random_s_line():
    figure = search.landscape(by_hand(), TOLERANCE)
    axes = figure.axes[0]
    assert list(lines(axes)["full train set"].get_ydata()) == [0, 0]
    assert list(lines(axes)["tolerance"].get_ydata()) == [-TOLERANCE, -TOLERANCE]
    assert lines(axes)["tolerance"].get_linestyle() == "--"
    front = lines(axes)["Pareto front"]
    assert front.get_xydata().tolist() == [[20, 0.004], [30, -0.01], [40, -0.02]]
    assert front.get_drawstyle() == "steps-pre"
    assert baseline(axes) == [[[10, 0], [50, -0.04]]]
    assert legend_of(figure) == [
        *("vog", "el2n", "no score", "Pareto front", "tolerance"),
        *("feasible", "infeasible", "stopped early", "random", "full train set"),
    ]
    written = [axes.yaxis.get_major_formatter()(value, 0) for value in (-0.025, 0, 0.05)]
    assert written == ["−2.5", "0", "+5"]


def test_the_legend_has_only_what_there_is():
    figure = search.landscape(made(20, ["el2n:easy"]).assign(on_front=False), TOLERANCE)
    assert not {"random", "Pareto front", "no score", "vog"} & set(legend_of(figure))
    assert not any(label.startswith("below") for label in legend_of(figure))


@pytest.mark.parametrize(("disasters", "words"), [(1, "below: 1 trial"), (6, "below: 6 trials")])
def test_disasters_are_triangles_at_the_lower_edge(disasters, words):
    table = made(60, disasters=disasters)
    floor = search.robust_floor(table, TOLERANCE)
    assert -0.4 < floor < -0.1
    for figure in (search.landscape(table, TOLERANCE), search.slices(table, TOLERANCE)):
        triangles = [
            place
            for axes in figure.axes
            for line in axes.lines
            if line.get_marker() == "v"
            for place in line.get_ydata()
        ]
        assert triangles == [floor] * disasters
        assert words in legend_of(figure)
        assert figure.axes[0].get_ylim()[0] == pytest.approx(floor, rel=0.1)


def notes(axes):
    return [text for text in axes.texts if isinstance(text, Annotation)]


@pytest.mark.parametrize("name", ["by hand", "long names", "sixty trials", "disasters"])
def test_the_chosen_trial_is_ringed_and_named_inside_the_axes(name):
    table = TABLES[name]
    floor = search.robust_floor(table, TOLERANCE)
    for row in seen(table)[:: 1 + len(table) // 6].itertuples():
        figure = search.landscape(table, TOLERANCE, row.number)
        axes = figure.axes[0]
        (circle,) = filter(ring, axes.lines)
        expected = [row.percent_pruned, max(row.difference, floor)]
        assert circle.get_xydata().tolist() == [expected]
        (note,) = notes(axes)
        assert note.get_text() == f"{style.short(row.arm)}\n{row.percent_pruned:g} % pruned"
        with style.styled():
            figure.draw_without_rendering()
        box = Text.get_window_extent(note, figure._get_renderer())
        assert axes.bbox.x0 < box.x0 and box.x1 < axes.bbox.x1
        assert axes.bbox.y0 < box.y0 and box.y1 < axes.bbox.y1
        places = axes.transData.transform(points(axes))
        assert not box.padded(3).count_contains(places)


def test_a_trial_that_is_not_drawn_or_not_chosen_is_not_named():
    for chosen in (None, 2, 99):
        axes = search.landscape(by_hand(), TOLERANCE, chosen).axes[0]
        assert not notes(axes) and not list(filter(ring, axes.lines))


def test_history_steps_along_the_best_and_has_three_marks():
    figure = search.history(by_hand())
    assert legend_of(figure) == ["feasible", "infeasible", "stopped early", "best feasible so far"]
    axes = figure.axes[0]
    assert sorted(lines(axes)["feasible"].get_xdata()) == [1, 4, 5, 9]
    assert sorted(lines(axes)["infeasible"].get_xdata()) == [0, 8]
    assert sorted(lines(axes)["stopped early"].get_ydata()) == [40, 50, 60]
    best = lines(axes)["best feasible so far"]
    assert best.get_drawstyle() == "steps-post"
    np.testing.assert_array_equal(best.get_ydata(), [np.nan, *[20] * 7, 30])


def test_importances_are_sorted_and_written():
    table = known(0.06, 0.7, 0.2).assign(parameter=["a", "_b", "c"])
    table.loc[3] = ["unknown", np.nan]
    axes = search.importances(table).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.06, 0.2, 0.7]
    assert [text.get_text() for text in axes.texts] == ["0.06", "0.20", "0.70"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "c", "_b"]


@pytest.mark.parametrize("table", [known(), known(np.nan, np.nan)])
def test_without_importances_the_figure_says_why(table):
    axes = search.importances(table).axes[0]
    assert "too few" in axes.texts[0].get_text() and not axes.patches


def test_importances_of_zero_or_less_do_no_harm():
    for values in ([0.0, 0.0], [-0.1, 0.4]):
        search.importances(known(*values)).draw_without_rendering()


def test_slices_have_a_panel_per_score_with_random_in_each_and_the_landscape_s_limits():
    table = by_hand()
    figure = search.slices(table, TOLERANCE)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["vog", "el2n", "no score"]
    limits = search.landscape(table, TOLERANCE).axes[0].get_ylim()
    for axes in figure.axes:
        assert baseline(axes) == [[[10, 0], [50, -0.04]]]
        assert list(lines(axes)["full train set"].get_ydata()) == [0, 0]
        assert axes.get_ylim() == limits
    assert points(figure.axes[0]) == [(20, 0.004), (40, 0.002)]
    assert len(points(figure.axes[2])) == 4


def test_the_marker_tells_the_rule():
    figure = search.slices(by_hand(), TOLERANCE)
    vog, el2n, _ = figure.axes
    markers = {mark_at(el2n, 40, -0.02).get_marker(), mark_at(vog, 40, 0.002).get_marker()}
    assert markers == {lines(vog)["hard"].get_marker()}
    assert mark_at(el2n, 30, -0.01).get_marker() == lines(vog)["easy"].get_marker()
    assert legend_of(figure) == [
        *("easy", "hard", "stratified", "feasible", "infeasible", "stopped early"),
        *("random", "full train set"),
    ]
    table = by_hand().assign(rule="brand_new")
    assert "brand_new" in legend_of(search.slices(table, TOLERANCE))


def test_every_rule_has_a_marker_of_its_own():
    scored = [marker for rule, marker in search.RULES.items() if rule != "random"]
    assert len(set(scored)) == len(scored)
    assert search.BELOW["marker"] not in scored


def test_a_comparison_shows_three_points_with_intervals_per_dataset():
    table = compared(3).assign(dataset=["trec", LONG, "sst2"])
    table.loc[2, ["full_low", "full_high"]] = np.nan
    figure = search.comparison(table)
    axes = figure.axes[0]
    intervals, marks = axes.collections[::2], axes.collections[1::2]
    names = ["full", "recommended", "random"]
    for name, interval, mark in zip(names, intervals, marks, strict=True):
        np.testing.assert_allclose(mark.get_offsets()[:, 0], table[f"{name}_mean"])
        ends = [segment[:, 0] for segment in interval.get_segments() if len(segment)]
        expected = table[[f"{name}_low", f"{name}_high"]].dropna()
        np.testing.assert_allclose([end for end in ends if np.isfinite(end).all()], expected)
    rows = np.stack([mark.get_offsets()[:, 1] for mark in marks])
    np.testing.assert_allclose(rows.mean(axis=0), [0, 1, 2])
    assert np.ptp(rows, axis=0).max() < 0.5 and len(np.unique(rows)) == 9
    drawn = [to_hex(colour).upper() for colour in marks[1].get_facecolors()]
    assert drawn == [style.style(arm)["color"].upper() for arm in table["arm"]]
    assert legend_of(figure) == ["recommended", "random", "full train set"]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0] == f"trec\n{LONGEST[:31]}…, 12.5 % pruned"
    assert labels[2] == f"sst2\n{table['arm'][2]}, 14.5 % pruned"
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert axes.get_xlabel() == "Test accuracy, %"
    other = search.comparison(table, "macro_f1").axes[0]
    assert other.get_xlabel() == "Test macro F1, %"


def test_a_comparison_of_single_seeds_has_no_intervals():
    table = compared(2)
    ends = [column for column in table if column.endswith(("low", "high"))]
    figure = search.comparison(table.assign(**dict.fromkeys(ends, np.nan)))
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_xlim()
    assert 0.5 < low < high < 1.02


def test_pictures_are_the_same_every_time(tmp_path):
    for name in ("one", "two"):
        plots.save(search.landscape(made(30), TOLERANCE, 3), tmp_path, name)
    one, two = ((tmp_path / f"{name}.svg").read_bytes() for name in ("one", "two"))
    assert one == two


def test_neither_a_display_nor_the_search_library_is_needed():
    code = (
        "import sys; sys.modules['optuna'] = None\n"
        "import influence.plots.search; print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
