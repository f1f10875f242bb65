"""A search over scores that have read half of validation chooses on the other half."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from influence.config.steps import ScoreStep, SearchStep, TrainStep
from influence.data.splits import reserved
from influence.errors import InputError
from influence.evaluation import retraining
from influence.jobs import engine as cluster
from influence.scoring.result import Scores
from influence.searching import scored as module
from influence.searching import step
from influence.searching.scored import measure
from influence.training.result import Training
from tests.helpers import steps, tiny
from tests.helpers.steps import finish


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    at = tmp_path_factory.mktemp("halves")
    data = tiny.write(at / "talk", tiny.frames())
    where = {"workdir": str(at / "work"), **steps.HERE}
    config = TrainStep(dataset=str(data), **where, **tiny.FAST)
    with cluster.engine(config) as engine:
        training = Training(finish(steps.train(config, engine)))
        asked = ScoreStep(training=str(training.directory), score="value,el2n", **where)
        return Scores(finish(steps.score(asked, training, engine)))


def search(scores, **more) -> SearchStep:
    here = {"workdir": str(scores.directory.parent), **steps.HERE}
    return SearchStep(scores=str(scores.directory), **here | more)


def test_trials_are_measured_on_the_half_that_no_gradient_was_of(scores):
    rows = scores.data.read("validation", ["id", "label"])
    chosen = step.open_scored(search(scores), scores).chosen_on
    assert not set(chosen) & set(reserved(rows))
    assert len(chosen) + len(reserved(rows)) == len(rows) == 30


def test_without_such_scores_trials_are_measured_on_all_of_validation(scores):
    assert step.open_scored(search(scores, score="el2n"), scores).chosen_on is None


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_the_metric_of_some_rows_is_that_of_their_predictions(scores, metric):
    config = search(scores)
    rows, everything = np.array([1, 2, 5, 7, 11, 12, 20, 29]), np.arange(121)
    with cluster.engine(config) as engine:
        place = retraining.place(config, scores, "validation", engine)
        whole = measure(place, everything, 0, metric)
        all_rows = measure(place, everything, 0, metric, np.arange(30))
        some = measure(place, everything, 0, metric, rows)
        point = retraining.retrain(place, everything, 0)
    assert all_rows == whole == point.metrics[f"validation/{metric}"]
    predicted, gold = retraining.predictions(place, point), scores.data.array("validation", "label")
    right = {
        "accuracy": np.mean(predicted[rows] == gold[rows]),
        "macro_f1": f1_score(gold[rows], predicted[rows], average="macro"),
    }
    assert some == pytest.approx(right[metric])


def test_a_metric_of_all_of_validation_is_refused(scores, monkeypatch):
    both = search(scores, metric="frame_accuracy", task="nlu", score="el2n,value")
    with pytest.raises(InputError, match="frame_accuracy .* of which value reads half"):
        step.check_search(both)
    step.check_search(search(scores, metric="frame_accuracy", task="nlu", score="el2n"))
    monkeypatch.setattr(module, "check_metric", lambda *given: None)  # as for task nlu
    frames = search(scores, metric="frame_accuracy", task="nlu")
    with pytest.raises(InputError, match="frame_accuracy .* of which value reads half"):
        step.open_scored(frames, scores)
    assert step.open_scored(replace(frames, score="el2n"), scores).space.scores == ("el2n",)


def test_a_split_that_the_gradients_use_up_leaves_nothing_to_choose_on(scores, monkeypatch):
    scored = step.open_scored(search(scores), scores)
    one_each = pd.DataFrame({"id": ["a", "b", "c"], "label": [0, 1, 2]})
    monkeypatch.setattr(type(scores.data), "read", lambda *given: one_each)
    with pytest.raises(InputError, match="all 3 validation examples.* none is left to choose on"):
        _ = scored.chosen_on
