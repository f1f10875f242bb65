"""A voice assistant through main: scores, blends, curves of its error rates, and their table."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from entrypoints import main, search, train
from influence.config.steps import MainStep, SearchStep, TrainStep
from influence.errors import InputError
from influence.nlu import stack, tables
from tests.helpers import tiny
from tests.helpers.runs import finished, launch, logged, of_step
from tests.helpers.tables import load
from tests.nlu.test_stack import frame

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
]
HERE = {"workers": 1, "threads": 1}
ARMS = ("random", "vog:linear:dataset", "vog+trail_entropy:linear:dataset")
QUICK = {**tiny.FAST, "epochs": 2, "task": "nlu"}


def frames():
    names = np.array(["music", "timer"])
    return {
        split: frame(size).assign(domain=lambda rows: names[rows["label"]]).drop(columns="label")
        for split, size in (("train", 96), ("validation", 24), ("test", 36))
    }


@pytest.fixture(scope="module")
def study(tracking_store, tmp_path_factory) -> SimpleNamespace:
    root = tmp_path_factory.mktemp("assistant")
    config = MainStep(
        dataset=str(tiny.write(root / "talk", frames())),
        workdir=str(root / "work"),
        arms=",".join(ARMS[1:]),
        fractions="0.5",
        seeds=2,
        **HERE,
        **QUICK,
    )
    return SimpleNamespace(config=config, runs=launch(main, config))


def test_main_shows_the_error_rates_of_every_arm(study):
    shown = json.loads((logged(study.runs[0], "") / "error_rates.json").read_text())
    table = pd.DataFrame(shown["data"], columns=shown["columns"])
    assert set(table["arm"]) == set(ARMS) and set(table["percent_pruned"]) == {50}
    for rate in (*tables.RATES, "tail_defect"):
        change = table[rate] / 0.5
        np.testing.assert_allclose(table[f"{rate}_sigma"], change)
    text = (logged(study.runs[0], "") / "error_rates.md").read_text()
    assert "σ of IRER" in text and all(f"`{arm}`" in text for arm in ARMS)


def test_the_table_by_domain_has_shares_before_and_after(study):
    shown = json.loads((logged(study.runs[0], "") / "error_rates_by_domain.json").read_text())
    table = pd.DataFrame(shown["data"], columns=shown["columns"])
    assert len(table) == 2 * len(ARMS) and set(table["domain"]) == {"music", "timer"}
    np.testing.assert_allclose(table.groupby("arm")["share_after"].sum(), 1)


def test_curves_have_the_rates_of_the_stack(study):
    for run in of_step(study.runs, "evaluate"):
        points = pd.read_csv(logged(run, "curve") / "points.csv")
        assert points["test/dcer"].to_numpy() == pytest.approx(1 - points["test/accuracy"])
        assert (points["test/irer"] >= points["test/icer"]).all()
        assert (points["test/icer"] >= points["test/dcer"]).all()
        assert "measures/irer" in run.data.metrics


def test_outcomes_are_of_every_request_and_retraining(study):
    outcomes = pd.read_parquet(logged(of_step(study.runs, "evaluate")[0], "curve/outcomes.parquet"))
    assert len(outcomes) == 36 * 2 * 2
    assert outcomes.groupby(["percent_pruned", "seed"])["any_error"].mean().between(0, 1).all()


def test_trail_entropy_is_computed_where_there_are_slots(study):
    (run,) = of_step(study.runs, "score")
    table = pd.read_parquet(logged(run, "scores") / "scores.parquet")
    # A timer is stopped in three words or, two times of three, in four: none of them a slot.
    timer = table[table["label"] == 1]["trail_entropy"]
    assert timer.to_numpy() == pytest.approx(np.log2(3) - 2 / 3)
    assert (table[table["label"] == 0]["trail_entropy"] > 1.5).all()


def test_a_sample_without_a_domain_is_refused_unless_a_floor_keeps_it(study, tmp_path):
    rare = frames()
    rare["train"] = pd.concat(
        [
            rare["train"],
            rare["train"]
            .tail(1)
            .assign(text="turn left", domain="rare", intent="turn", slots="O O"),
        ]
    )
    rare["test"] = pd.concat(
        [
            rare["test"],
            rare["test"]
            .tail(1)
            .assign(text="turn left", domain="rare", intent="turn", slots="O O"),
        ]
    )
    path = str(tiny.write(tmp_path / "talk", rare))
    given = {"dataset": path, "workdir": str(tmp_path / "work"), "track": False, "seeds": 1}
    common = {**given, "arms": "random", "fractions": "0.9", "draws": 1, **HERE, **QUICK}
    with pytest.raises(InputError, match="no example of domain 'rare' is left"):
        main.main(MainStep(min_per_class=0, **common))
    main.main(MainStep(min_per_class=1, **common))


def test_a_floor_keeps_some_of_every_intent(study, tmp_path):
    given = dataclasses.replace(study.config, workdir=str(tmp_path), track=False, arms="random")
    shape = {"seeds": 1, "draws": 1, "fractions": "0.8"}
    main.main(dataclasses.replace(given, min_per_intent=6, **shape))
    (directory,) = finished(str(tmp_path), "sample")
    kept = load(str(directory / "subsets/percent-80/draw-0"), task="nlu").train
    assert len(kept) == 19 and kept["intent"].value_counts().min() >= 6
    with pytest.raises(
        InputError, match="fewer than .* as min_per_class=1 and min_per_intent=7 requires"
    ):
        main.main(dataclasses.replace(given, min_per_intent=7, **shape))
    with pytest.raises(InputError, match="min_per_intent is for task=nlu"):
        main.main(dataclasses.replace(given, task="classify", min_per_intent=1, **shape))


def test_another_annotation_is_another_training(study, tmp_path):
    changed = frames()
    changed["train"]["slots"] = changed["train"]["slots"].str.replace("artist", "singer")
    config = TrainStep(
        dataset=str(tiny.write(tmp_path / "talk", changed)),
        workdir=study.config.workdir,
        track=False,
        **HERE,
        **QUICK,
    )
    before = finished(study.config.workdir, "train")
    train.main(config)
    assert len(finished(study.config.workdir, "train")) == len(before) + 1


def test_train_leaves_a_stack_that_parses(study, tmp_path):
    few = {"workdir": str(tmp_path), "stack": True, "null_model": False, "track": False}
    config = TrainStep(dataset=study.config.dataset, **few, **HERE, **{**QUICK, "epochs": 12})
    train.main(config)
    (directory,) = finished(str(tmp_path), "train")
    found = stack.open_saved(directory / "stack").parse(["play abba now", "stop the timer"])
    assert found.domains.tolist() == ["music", "timer"]
    assert found.intents.tolist() == ["play", "stop"] and found.slots[0] == (("artist", "abba"),)
    with pytest.raises(InputError, match="stack=true is for task=nlu"):
        train.main(dataclasses.replace(config, task="classify", label_column="domain"))


def test_a_search_may_look_at_whole_requests(study, tmp_path):
    (run,) = of_step(study.runs, "score")
    config = SearchStep(
        scores=f"runs:/{run.info.run_id}/scores",
        workdir=str(tmp_path),
        metric="frame_accuracy",
        trials=3,
        seeds=1,
        test_seeds=1,
        track=False,
        **HERE,
    )
    search.main(config)
    (directory,) = tmp_path.glob("search-*")
    found = json.loads((directory / "recommendation.json").read_text())
    assert found["metric"] == "frame_accuracy"
    assert "-P task=nlu" in found["command"]
    assert set(load(str(directory / "subset"), task="nlu").train["intent"]) <= {
        "play",
        "ask",
        "stop",
    }
