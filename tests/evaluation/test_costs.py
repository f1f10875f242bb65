"""What the retrainings of a comparison take, said once and early, and what subsets save."""

import pandas as pd
import pytest

from influence.evaluation.costs import Forecast, retraining
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
    table = retraining(points, 10.0).set_index("percent_pruned")
    assert table["reuses"].isna().to_dict() == {0.0: True, 50.0: True, 80.0: False}
    assert table.loc[80.0, "reuses"] == 3
