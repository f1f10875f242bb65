"""Recommend through its entry point: what it retrains, what it leaves, and what stops it."""

import html
import json
from dataclasses import replace
from inspect import signature
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import influence
from entrypoints import recommend
from influence.config.commands import COMMANDS
from influence.config.parser import parse_command
from influence.config.steps import RecommendStep
from influence.data import storage
from influence.errors import InputError
from influence.evaluation import retraining
from influence.jobs.engine import engine
from influence.scoring.result import Scores
from influence.searching.planning import retrainings, step
from influence.searching.planning.landscape import FULL, Measured
from influence.searching.planning.result import with_verdict
from tests.helpers import tiny
from tests.helpers.runs import all_runs, launch, logged
from tests.helpers.steps import finish

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")
HERE = {"workers": 1, "threads": 1}
SMALL = {"trainings": 4.0, "tolerance": 0.1, "arms": "aum:ccs", "budget": "epochs"}


@pytest.fixture(scope="module")
def recommended(tracking_store, tmp_path_factory) -> SimpleNamespace:
    root = tmp_path_factory.mktemp("recommend")
    data = tiny.write(root / "talk", tiny.frames())
    quick = tiny.FAST | {"observe_every": 0}
    where = {"dataset": str(data), "workdir": str(root / "work"), **HERE}
    config = RecommendStep(**where, **SMALL, **quick)
    looked, plain = [], retraining.train_and_measure

    def watched(*arguments):
        named = signature(plain).bind(*arguments).arguments
        outcome = plain(*arguments)
        looked.append((len(named["rows"]), outcome[1]))
        return outcome

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retraining, "train_and_measure", watched)
        runs = launch(recommend, config)
    (directory,) = (root / "work").glob("recommend-*")
    answer = influence.load(directory)
    return SimpleNamespace(config=config, runs=runs, looked=looked, answer=answer)


def test_every_retraining_is_in_the_table_and_measured_on_both_splits(recommended):
    table = recommended.answer.retrainings
    splits = {tuple(n for n in metrics if "accuracy" in n) for _, metrics in recommended.looked}
    assert splits == {("validation/accuracy", "test/accuracy")}
    assert len(table) - 1 == len(recommended.looked) == recommended.answer.outcome.retrainings
    assert not table.duplicated(["arm", "percent_pruned", "number"]).any()
    assert set(table["arm"]) <= {"", "random", "aum:ccs"}


def test_the_budget_holds_and_costs_add_up(recommended):
    table, outcome = recommended.answer.retrainings, recommended.answer.outcome
    assert table["spent"].iloc[-1] == pytest.approx(outcome.trainings)
    assert outcome.trainings == pytest.approx(outcome.scoring + table["cost"].sum())
    assert 1 < outcome.scoring < outcome.trainings <= recommended.config.trainings
    assert (np.diff(table["spent"]) > 0).all()
    full = table[table["arm"] == ""]
    assert (full["cost"] == np.where(full["number"] == step.SCORED, 0, 1)).all()


def test_what_is_reached_on_test_decides_nothing(recommended, tmp_path, monkeypatch):
    """Whatever test says, the same is retrained and recommended."""
    plain = step.measured

    def worse(*arguments):
        value, sealed = plain(*arguments)
        return value, (sealed or 0) / 2

    monkeypatch.setattr(step, "measured", worse)
    recommending = begun(recommended, tmp_path)
    with engine(recommending.config) as at:
        study = step.open_study(recommending)
        other = influence.load(finish(step.recommend(recommending, study, at)))
    here = recommended.answer
    pd.testing.assert_frame_equal(other.retrainings, here.retrainings)
    assert other.outcome.validation == here.outcome.validation
    ours, theirs = here.outcome.test, other.outcome.test
    assert ours and theirs and theirs.full["mean"] < 0.6 * ours.full["mean"]


def test_what_is_said_of_test_is_what_the_retrainings_reach_there(recommended):
    outcome, table = recommended.answer.outcome, recommended.answer.retrainings
    assert (table[table["arm"] == ""]["number"] >= 0).any()
    reached = [metrics["test/accuracy"] for kept, metrics in recommended.looked if kept == 121]
    assert outcome.test and outcome.test.full["mean"] == pytest.approx(np.mean(reached), abs=0.02)
    assert outcome.verdict.count(" on test") == 1
    assert list(outcome.table) == ["", "validation accuracy", "test accuracy"]


def test_the_subset_is_what_the_arm_keeps(recommended):
    answer, outcome = recommended.answer, recommended.answer.outcome
    subset = storage.open_saved(answer.subset)
    assert subset.count("train") == outcome.kept
    kept = round(121 * (1 - outcome.percent_pruned / 100))
    assert abs(outcome.kept - kept) <= 1
    assert str(answer.subset) in answer.command
    last = answer.retrainings.iloc[-1]
    assert (last["recommended"], last["recommended_percent"]) == (answer.arm, answer.percent_pruned)


def _page(path) -> str:
    return path.read_text(encoding="utf-8").replace("\u00a0", " ")


def test_the_run_shows_the_answer_and_how_it_came_about(recommended):
    parent, train, score, *others = recommended.runs
    assert not others
    assert [run.data.tags["step"] for run in (parent, train, score)] == [
        *("recommend", "train", "score")
    ]
    assert parent.data.tags["mlflow.note.content"].startswith(recommended.answer.verdict)
    folder = logged(parent, "recommendation")
    facts = json.loads((folder / "recommendation.json").read_text())
    assert facts["verdict"] == recommended.answer.verdict
    assert html.escape(recommended.answer.verdict) in _page(folder.parent / "report.html")
    spent = parent.data.metrics["recommend/trainings"]
    assert spent == pytest.approx(recommended.answer.outcome.trainings)


def test_a_notebook_shows_the_verdict_the_numbers_and_the_picture(recommended):
    shown = recommended.answer._repr_html_()
    assert recommended.answer.verdict.split("(")[0].strip() in shown.replace("&#x27;", "'")
    assert "<img" in shown and "full train set" in shown


def test_again_it_retrains_nothing_and_with_more_to_spend_it_goes_on(recommended, monkeypatch):
    made, plain = [], retraining.train_and_measure
    monkeypatch.setattr(
        retraining, "train_and_measure", lambda *given: made.append(1) or plain(*given)
    )
    config = recommended.config
    given = {name: getattr(config, name) for name in ("dataset", "workdir")}
    quick = tiny.FAST | {"observe_every": 0}
    again = influence.recommend(**given, **HERE, **SMALL, **quick)
    assert again.directory == recommended.answer.directory and not made
    more = influence.recommend(**given, **HERE, **(SMALL | {"trainings": 5.0}), **quick)
    first = recommended.answer.retrainings
    pd.testing.assert_frame_equal(more.retrainings.iloc[: len(first)], first)
    assert len(more.retrainings) - len(first) == len(made)


def scored(recommended) -> Scores:
    (directory,) = recommended.answer.directory.parent.glob("score-*")
    return Scores(directory)


def begun(recommended, tmp_path, **more):
    given = {"scores": str(scored(recommended).directory), "workdir": str(tmp_path)}
    config = RecommendStep(**given, **HERE, **(SMALL | more))
    return step.begin(config, scored(recommended))


def test_interrupted_it_leaves_what_can_be_recommended_and_goes_on(recommended, tmp_path, capsys):
    recommending = begun(recommended, tmp_path)
    study = step.open_study(recommending)
    with engine(recommending.config) as at:
        records = step.recommend(recommending, study, at)
        for _ in range(3):
            next(records)
        with pytest.raises(KeyboardInterrupt):
            records.throw(KeyboardInterrupt)
            finish(records)
        (early,) = tmp_path.glob("recommend-*")
        assert len(influence.load(early).retrainings) == 1 + 3
        assert "The same command goes on" in capsys.readouterr().err
        last = finish(step.recommend(recommending, step.open_study(recommending), at))
    whole = influence.load(last).retrainings
    assert len(whole) > 4 and last != early
    there = recommended.answer.retrainings
    pd.testing.assert_frame_equal(whole[["arm", "value"]], there[["arm", "value"]])


def test_an_interrupted_run_logs_what_it_leaves(recommended, tmp_path, monkeypatch):
    made, plain = [], step.measured

    def stopped(*arguments):
        made.append(1)
        if len(made) == 4:
            raise KeyboardInterrupt
        return plain(*arguments)

    monkeypatch.setattr(step, "measured", stopped)
    given = {"scores": str(scored(recommended).directory), "workdir": str(tmp_path)}
    before = {run.info.run_id for run in all_runs()}
    with pytest.raises(KeyboardInterrupt):
        recommend.main(RecommendStep(**given, **HERE, **SMALL))
    (run,) = [run for run in all_runs() if run.info.run_id not in before]
    assert run.info.status == "KILLED"
    facts = json.loads((logged(run, "recommendation") / "recommendation.json").read_text())
    assert facts["retrainings"] == 3
    assert run.data.tags["mlflow.note.content"].startswith(facts["verdict"])


def test_two_workers_share_a_study_and_its_budget(recommended, tmp_path):
    recommending, other = begun(recommended, tmp_path), begun(recommended, tmp_path)
    assert recommending.name == other.name
    one, two = step.open_study(recommending), step.open_study(other)
    assert not one.alone
    with engine(recommending.config) as at:
        first = step.recommend(recommending, one, at)
        second = step.recommend(other, two, at)
        for _ in range(2):
            next(first), next(second)
        done = finish(first)
        assert finish(second) == done
    known = retrainings.measured(one)
    assert len(known) > 3
    assert len({(m.cell, m.number) for m in known}) == len(known)
    assert recommending.spent(known) <= recommending.config.trainings + 1e-9


def test_the_scored_training_is_a_measurement_of_the_full_train_set(recommended):
    """Its validation accuracy, which it logged, under a seed that no retraining has."""
    first, *others = recommended.answer.retrainings.to_dict("records")
    assert (first["arm"], first["percent_pruned"], first["number"]) == ("", 0, step.SCORED)
    (directory,) = recommended.answer.directory.parent.glob("train-*")
    history = influence.load(directory).history
    assert first["value"] == pytest.approx(history["validation/accuracy"].iloc[-1])
    assert step.SCORED not in {row["number"] for row in others}


@pytest.mark.parametrize("more", [{"metric": "macro_f1"}, {"retrain_with": "learning_rate=0.002"}])
def test_a_scored_training_that_was_no_retraining_is_none(recommended, tmp_path, more):
    assert len(begun(recommended, tmp_path).given) == 1
    assert not begun(recommended, tmp_path, **more).given


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"arms": "el2n:easy"}, "arm 'el2n:easy' needs the score 'el2n', which"),
        ({"arms": "aum:d2"}, "needs the representation of every example"),
        ({"arms": "aum:nonsense"}, "nonsense"),
        ({"lowest": 96, "highest": 99}, "no multiple of 5 %"),
        ({"metric": "frame_accuracy"}, "frame_accuracy is for task=nlu"),
        ({"trainings": 0.5}, "trainings must be at least 1"),
    ],
)
def test_what_cannot_be_is_one_sentence(recommended, tmp_path, given, said):
    with pytest.raises(InputError, match=said):
        begun(recommended, tmp_path, **given)


def test_minutes_that_are_over_begin_nothing(recommended, tmp_path):
    for metric, said in (("accuracy", ""), ("macro_f1", "nothing was retrained")):
        recommending = begun(recommended, tmp_path, minutes=1e-9, metric=metric)
        study = step.open_study(recommending)
        with engine(recommending.config) as at:
            if not said:
                answer = influence.load(finish(step.recommend(recommending, study, at)))
                assert "no subset was tried yet" in answer.verdict
                continue
            with pytest.raises(InputError, match=said):
                finish(step.recommend(recommending, study, at))


def test_a_small_budget_is_spent_on_subsets_not_on_test(recommended, tmp_path):
    recommending = begun(recommended, tmp_path)
    scarce = begun(recommended, tmp_path, trainings=recommending.scoring + 1.5)
    planned = scarce.plan([], ())
    assert planned is not None and planned[0].percent > 0
    ample = begun(recommended, tmp_path, trainings=recommending.scoring + 2.5)
    known = []
    while planned := ample.plan(known, ()):
        known.append(Measured(*planned, 0.5))
    assert (FULL, 0) in {(one.cell, one.number) for one in known}


def test_a_model_that_guesses_gets_a_provisional_verdict(recommended):
    outcome = recommended.answer.outcome
    full = outcome.validation.full
    sure = replace(outcome, guessing=full["low"] - 0.01)
    assert with_verdict(sure, 5).verdict.startswith("Prune")
    guessing = replace(outcome, guessing=full["low"] + 0.01)
    assert with_verdict(guessing, 5).verdict.startswith(
        "Provisional, the model is not clearly better than always guessing"
    )
    assert with_verdict(replace(guessing, metric="macro_f1"), 5).verdict.startswith("Prune")


def test_the_verdict_says_what_was_tried_and_what_a_smaller_interval_costs(recommended):
    outcome = replace(recommended.answer.outcome, guessing=0.0)
    tried = ["aum:ccs", "random"]
    at_random = replace(outcome, arm="random", tried=tried, surer=3.4, retrainings=1)
    assert "; aum:ccs is not expected to do better (" in with_verdict(at_random, 5).verdict
    assert (
        "1 retraining; to halve the interval takes 3 trainings"
        in with_verdict(at_random, 5).verdict
    )
    early = replace(at_random, tried=["random"], surer=None)
    assert "no arm was tried yet (" in with_verdict(early, 5).verdict
    assert "takes more validation examples" in with_verdict(early, 5).verdict
    nothing = replace(outcome, arm="", percent_pruned=0, tried=["random"])
    assert "no subset was tried" in with_verdict(replace(nothing, tried=[]), 5).verdict
    assert with_verdict(nothing, 10).verdict.startswith("Keep everything: nothing is expected to")
    assert "not even at 10 % pruned" in with_verdict(nothing, 10).verdict


def test_scores_need_no_dataset_and_refuse_another(recommended, tmp_path):
    at = str(scored(recommended).directory)
    given = ["--scores", at, "--workdir", str(tmp_path)]
    assert parse_command(COMMANDS["recommend"], given).scores == at
    with pytest.raises(InputError, match="recommend needs dataset"):
        parse_command(COMMANDS["recommend"], [])
    with pytest.raises(InputError, match="so epochs=9 cannot be followed; leave one of the two"):
        influence.recommend(scores=at, epochs=9, workdir=tmp_path)
