"""What the retrainings of a comparison take, said once and early, and what subsets save."""

import pandas as pd
import pytest

from influence.evaluation import costs
from influence.evaluation.costs import Forecast
from influence.evaluation.result import Point

FIRST = Point(0.0, 1000, 900, 90, 120.0, {})
WHOLE, HALF = [(0.0, 0, 90), (0.0, 1, 90)], [(50.0, 0, 45), (50.0, 1, 45)]


@pytest.fixture
def forecast():
    """Two arms at half and none pruned, two seeds: six retrainings, the length of four."""
    made = Forecast()
    for arm in ("aum:easy", "random"):
        made.expect(arm, "epochs", WHOLE + HALF)
    return made


def test_it_follows_from_the_first_and_is_said_once(forecast, capsys):
    forecast.first(FIRST, 30, at_once=2)
    forecast.first(FIRST, 30, at_once=2)
    assert capsys.readouterr().err == (
        "evaluate: 6 retrainings will take about 4 minutes, at 45 examples per second; finished "
        "ones are not repeated\n"
    )


def test_expecting_a_retraining_twice_makes_it_no_two(forecast, capsys):
    forecast.expect("random", "epochs", HALF)
    forecast.first(FIRST, 30, at_once=1)
    assert "6 retrainings will take about 8 minutes" in capsys.readouterr().err


def test_at_equal_steps_a_retraining_on_a_subset_takes_as_long(forecast, capsys):
    forecast.expect("random", "steps", [(50.0, 0, 90), (50.0, 1, 90)])
    forecast.first(FIRST, 30, at_once=1)
    assert "8 retrainings will take about 12 minutes" in capsys.readouterr().err


def test_nothing_is_said_of_what_takes_seconds(forecast, capsys):
    forecast.first(Point(0.0, 1000, 900, 90, 10.0, {}), 30, at_once=1)
    assert capsys.readouterr().err == ""


def test_a_subset_that_takes_as_many_steps_never_pays_for_its_scores():
    rows = [(0.0, 1000, 90, 9.0), (50.0, 500, 90, 8.9), (80.0, 200, 45, 5.0)]
    points = pd.DataFrame(rows, columns=["percent_pruned", "kept", "steps", "seconds"])
    table = costs.retraining(points, 10.0).set_index("percent_pruned")
    assert table["reuses"].isna().to_dict() == {0.0: True, 50.0: True, 80.0: False}
    assert table.loc[80.0, "reuses"] == 3


def test_a_subset_has_paid_for_its_scores_after_so_many_retrainings():
    rows = [(0, 100, 30, 10.0), (0, 100, 30, 12.0), (50, 50, 15, 6.0), (90, 10, 3, 13.0)]
    points = pd.DataFrame(rows, columns=["percent_pruned", "kept", "steps", "seconds"])
    table = costs.retraining(points, 21.0).set_index("percent_pruned")
    assert table["saved"].tolist() == [0, 5, -2]
    assert table.loc[50, "reuses"] == 5 and table["reuses"].isna().tolist() == [True, False, True]


def test_scoring_costs_its_trainings_and_its_pass():
    runs = [{"seed": 0, "epochs": 3.0, "seconds": 5.0, "null": [4, 8]}]
    folds = {"count": 5, "epochs": 3, "seconds": 20.0}
    cost = {"runs": runs, "folds": folds, "seconds": 2.0, "forward": 11, "backward": 10}
    table = costs.scoring(cost)
    assert table["seconds"].tolist() == [5.0, 20.0, 2.0]
    assert table["passes"].tolist() == [
        "3 epochs, and 2 on empty inputs",
        "12 epochs",
        "11 forward, 10 backward",
    ]
