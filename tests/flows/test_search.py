"""Search through its entry point: the study, its runs, its files, and what it never looks at."""

import dataclasses
import json
import re
from inspect import signature
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pytest

from entrypoints import search
from influence.config.steps import SearchStep
from influence.data import storage
from influence.evaluation import retraining
from influence.scoring.result import Scores
from influence.searching.recommendation import FULL
from tests.helpers import figures, tiny
from tests.helpers.runs import all_runs, launch, logged
from tests.helpers.tables import load
from tests.report.test_page import Outline

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")
HERE = {"workers": 1, "threads": 1}
TRIALS = 9


@pytest.fixture(scope="module")
def searched(tracking_store, tmp_path_factory) -> SimpleNamespace:
    """A search of a small dataset: its config, its runs, and every retraining that it made."""
    root = tmp_path_factory.mktemp("search")
    config = SearchStep(
        dataset=str(tiny.write(root / "talk", tiny.frames())),
        workdir=str(root / "work"),
        trials=TRIALS,
        tolerance=0.2,
        seeds=2,
        test_seeds=2,
        **HERE,
        **tiny.FAST,
    )
    looked, plain = [], retraining.train_and_measure

    def watched(*arguments):
        named = signature(plain).bind(*arguments).arguments
        looked.append((named["seed"], tuple(named["splits"])))
        return plain(*arguments)

    with figures.drawn(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(retraining, "train_and_measure", watched)
        runs = launch(search, config)
    return SimpleNamespace(config=config, runs=runs, looked=looked)


def found_by(run) -> dict:
    return json.loads((logged(run, "search") / "recommendation.json").read_text())


def of_trials(runs: list) -> list:
    return [run for run in runs if run.data.tags["step"] == "trial"]


def test_the_study_is_one_run_with_a_run_for_each_trial(searched):
    parent, train, score, *trials = searched.runs
    assert [run.data.tags["step"] for run in (parent, train, score)] == ["search", "train", "score"]
    assert len(trials) == TRIALS == len(of_trials(searched.runs))
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {parent.info.run_id}
    assert parent.data.tags["mlflow.note.content"] == found_by(parent)["verdict"]


def test_a_trial_s_run_says_what_was_tried_and_how_it_ended(searched):
    table = pd.read_csv(logged(searched.runs[0], "search") / "trials.csv").set_index("number")
    status = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
    for run in of_trials(searched.runs):
        row = table.loc[int(run.data.tags["trial"])]
        assert run.data.params["arm"] == row["arm"] and run.info.status == status[row["state"]]
        assert run.data.tags["state"] == row["state"]
        assert run.data.metrics["search/mean_difference"] == pytest.approx(row["difference"])
        assert run.info.end_time >= run.info.start_time > 0


def test_the_test_split_is_opened_once_the_study_is_over(searched):
    splits = [split for _, split in searched.looked]
    assert set(splits) == {("validation",), ("test",)}
    first = splits.index(("test",))
    assert set(splits[:first]) == {("validation",)} and set(splits[first:]) == {("test",)}
    seeds = {split: {seed for seed, s in searched.looked if s == split} for split in set(splits)}
    assert not seeds["validation",] & seeds["test",]
    assert len(splits[first:]) == 3 * searched.config.test_seeds


def test_what_is_opened_to_choose_on_holds_validation_alone(searched, tmp_path):
    source = Scores(logged(searched.runs[2], "scores"))
    dataset = source.data.dataset()
    opened = retraining._open(source, ("validation",), source.fit, "cpu", tmp_path)
    ((_, labels),) = opened.measured.values()
    np.testing.assert_array_equal(labels, dataset.validation["label"])
    read = (labels, opened.course.examples.labels)
    assert not {len(value) for value in read} & {len(dataset.test)}


@pytest.mark.slow
def test_what_is_chosen_does_not_depend_on_the_test_split(searched, tmp_path):
    frames = tiny.frames()
    frames["test"]["label"] = frames["test"]["label"].to_numpy()[::-1]
    config = dataclasses.replace(
        searched.config,
        dataset=str(tiny.write(tmp_path / "talk", frames)),
        workdir=str(tmp_path / "work"),
        track=False,
    )
    search.main(config)
    (other,) = (tmp_path / "work").glob("search-*")
    mine = logged(searched.runs[0], "search")
    times = ["started", "ended"]
    left, right = (pd.read_csv(at / "trials.csv").drop(columns=times) for at in (mine, other))
    pd.testing.assert_frame_equal(left, right, check_exact=True)
    points = [pd.read_csv(at / "points.csv")["test/accuracy"] for at in (mine, other)]
    assert not points[0].equals(points[1])


def test_the_subset_is_a_dataset_to_train_on(searched):
    directory = logged(searched.runs[0], "search")
    found, subset = found_by(searched.runs[0]), load(str(directory / "subset"))
    whole = storage.open_saved(logged(searched.runs[2], "scores") / "data").dataset()
    assert len(subset.train) == found["kept"] < len(whole.train)
    assert set(subset.train["id"]) < set(whole.train["id"])
    assert subset.test.equals(whole.test)
    assert f"-P dataset={searched.config.workdir}" in found["command"]
    assert "-P model=" not in found["command"]
    (epochs,) = re.findall(r"-P epochs=(\d+)", found["command"])
    assert int(epochs) > 2  # which take as many steps as 2 of all


def test_the_final_test_is_paired_over_seeds(searched):
    points = pd.read_csv(logged(searched.runs[0], "search") / "points.csv")
    found = found_by(searched.runs[0])
    by_arm = {arm: rows.set_index("seed")["test/accuracy"] for arm, rows in points.groupby("arm")}
    assert set(by_arm) == {FULL, "random", found["arm"]}
    difference = (by_arm[found["arm"]] - by_arm["random"]).mean()
    assert found["test"]["recommended_minus_random"]["mean"] == pytest.approx(difference)
    kept = points.groupby("arm")["kept"].unique()
    assert kept["random"].tolist() == kept[found["arm"]].tolist() == [found["kept"]]


def test_the_cost_is_what_was_retrained(searched):
    assert found_by(searched.runs[0])["cost"]["retrainings"] == len(searched.looked)


@pytest.mark.parametrize("name", ["landscape", "history", "slices", "importances"])
def test_the_run_holds_its_pictures(searched, name):
    plots = logged(searched.runs[0], "plots")
    assert (plots / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (plots / f"{name}.svg").read_text()


def forbid(*arguments):
    raise AssertionError("retrained what had been retrained")


def test_the_run_holds_its_page(searched):
    run = searched.runs[0]
    outline = Outline((logged(run, "") / "report.html").read_text())
    assert outline.sections == ["tested", "tried", "examples", "scores", "again"]
    text = " ".join(outline.texts)
    assert found_by(run)["verdict"].replace(" %", "\u00a0%") in text
    assert "mlflow run . -e search" in text and "seeds=2" in text
    assert text.count("el2n") > 1 and "random" in text


def test_the_same_command_again_computes_nothing_and_doubles_no_trial(searched, monkeypatch):
    monkeypatch.setattr(retraining, "train_and_measure", forbid)
    runs = launch(search, searched.config)
    assert not of_trials(runs)
    assert runs[0].data.tags["study_run"] == searched.runs[0].info.run_id
    parent = searched.runs[0].info.run_id
    below = all_runs(f"tags.mlflow.parentRunId = '{parent}' and tags.step = 'trial'")
    assert len(below) == TRIALS


@pytest.mark.slow
def test_a_study_made_without_tracking_is_logged_later(searched, tmp_path, monkeypatch):
    workdir = str(tmp_path / "work")
    launch(search, dataclasses.replace(searched.config, workdir=workdir, track=False))
    monkeypatch.setattr(retraining, "train_and_measure", forbid)
    runs = launch(search, dataclasses.replace(searched.config, workdir=workdir))
    assert len(of_trials(runs)) == TRIALS
    (study,) = [run for run in runs if run.data.tags["step"] == "search"]
    assert found_by(study)["arm"] == found_by(searched.runs[0])["arm"]


@pytest.mark.slow
def test_a_study_stopped_half_way_repeats_no_retraining(searched, tmp_path, monkeypatch):
    config = dataclasses.replace(searched.config, workdir=str(tmp_path / "work"), track=False)
    plain, made = retraining.train_and_measure, []

    def counted(*arguments):
        if len(made) == 8:
            raise KeyboardInterrupt
        _, rows, splits, *seed_and_steps = arguments
        made.append(str((rows.tolist(), tuple(splits), seed_and_steps)))
        return plain(*arguments)

    monkeypatch.setattr(retraining, "train_and_measure", counted)
    with pytest.raises(KeyboardInterrupt):
        search.main(config)
    made.append("")  # never 8 again
    search.main(config)
    assert len(set(made)) == len(made)
    (directory,) = Path(config.workdir).glob("search-*")
    table = pd.read_csv(directory / "trials.csv")
    assert (table["state"] != "failed").sum() == TRIALS


def test_scores_given_by_run_id_are_searched_as_they_are(searched):
    scores = f"runs:/{searched.runs[2].info.run_id}/scores"
    few = {"trials": 3, "seeds": 1, "test_seeds": 1, "goal": "frontier", "score": "el2n", **HERE}
    config = SearchStep(scores=scores, workdir=searched.config.workdir, rules="easy,random", **few)
    (run, *trials) = launch(search, config)
    assert len(trials) == 3 and found_by(run)["goal"] == "frontier"
    assert {trial.data.params["arm"].split(":")[0].split("@")[0] for trial in trials} <= {
        "el2n",
        "random",
    }
    assert found_by(run)["front"]


@pytest.mark.slow
def test_several_datasets_end_in_one_comparison(searched, tmp_path):
    base = searched.config
    config = dataclasses.replace(
        base,
        datasets=f"{base.dataset}?epochs=1&score=el2n@1,{base.dataset}?max_train=60",
        trials=3,
        seeds=1,
        test_seeds=1,
    )
    parent, *others = launch(search, config)
    studies = [run for run in others if run.data.tags["step"] == "search"]
    assert {run.data.tags["mlflow.parentRunId"] for run in studies} == {parent.info.run_id}
    assert [run.data.params["epochs"] for run in studies] == ["1", "2"]
    comparison = json.loads((logged(parent, "") / "comparison.json").read_text())
    assert len(comparison["data"]) == 2
    assert (logged(parent, "plots") / "comparison.png").is_file()
    assert (logged(parent, "") / "summary.md").read_text().count("|\n") == 4
    client = mlflow.MlflowClient()
    assert all(client.get_run(run.info.run_id).info.status == "FINISHED" for run in studies)
