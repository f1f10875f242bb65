"""A comparison adds seeds until its verdict is decided, and no retraining is done twice."""

import pytest

from influence import pipeline
from influence.config.steps import MainStep
from influence.evaluation import verdict
from tests.helpers import tiny

pytestmark = pytest.mark.slow


def compared(root, **asked):
    dataset = root / "talk"
    if not dataset.exists():
        tiny.write(dataset, tiny.frames())
    given = {**tiny.FAST, "dataset": str(dataset), "workdir": str(root / "work"), "track": False}
    given |= {"score": "el2n", "arms": "el2n:easy", "fractions": "0.5", "null_model": False}
    return pipeline.compare(MainStep(**given, workers=1, threads=1, **asked))


def test_seeds_are_added_while_the_verdict_is_open(tmp_path, monkeypatch, capsys):
    looked = []

    def undecided(measured):
        looked.append(measured.points["seed"].nunique())
        assert measured.looks == 3
        return looked[-1] >= 4

    monkeypatch.setattr(verdict, "decided", undecided)
    made = compared(tmp_path, seeds=2, max_seeds=7)
    assert looked == [2, 4]
    assert "2 seeds leave the verdict open" in capsys.readouterr().err
    assert set(made.summary["seeds"]) == {4}
    kept = list((tmp_path / "work" / "retrainings").glob("*/point.json"))
    assert len(kept) == 4 * 3  # everything, random and the arm
    again = compared(tmp_path, seeds=4)
    assert again.summary.equals(made.summary)
    assert len(list((tmp_path / "work" / "retrainings").glob("*/point.json"))) == len(kept)


def test_the_last_look_is_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(verdict, "decided", lambda measured: False)
    assert set(compared(tmp_path, seeds=2, max_seeds=3).summary["seeds"]) == {3}
    assert pipeline.plan_of_seeds(MainStep(seeds=3, max_seeds=12)) == [3, 6, 12]
    assert pipeline.plan_of_seeds(MainStep(seeds=3)) == [3]
