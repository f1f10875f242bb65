"""The figures of a recommendation draw what is known, and nothing beyond it."""

import pandas as pd

from influence.plots.planning import in_sight, landscape

KNOWN = pd.DataFrame(
    {
        "arm": "random",
        "percent_pruned": [20, 50, 80, 90, 95],
        "gain": [-0.01, -0.03, -0.09, -0.2, 0.1],
        "low": [-0.02, -0.05, -0.12, -0.3, -0.9],
        "high": [0.0, -0.01, -0.06, -0.1, 0.9],
    }
)


def test_what_lies_beyond_the_first_great_loss_is_not_drawn():
    assert in_sight(KNOWN, 0.08)["percent_pruned"].tolist() == [20, 50, 80]
    assert in_sight(KNOWN, 0.5)["percent_pruned"].tolist() == [20, 50, 80, 90, 95]
    none = pd.DataFrame({"arm": [], "percent_pruned": [], "value": []})
    (axes,) = landscape(KNOWN, none, ("random", 20), 0.9, 0.01).axes
    (line,) = [line for line in axes.get_lines() if line.get_label() == "random"]
    assert list(line.get_xdata()) == [20, 50, 80]
    assert axes.get_ylim()[0] >= -0.08
