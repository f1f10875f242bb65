"""A step that an experiment has a finished run of is linked there, and not logged twice."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest

from entrypoints import main
from influence.config.steps import MainStep
from influence.tracking import operations
from influence.tracking import run as tracking
from tests.conftest import new_experiment
from tests.helpers import tiny
from tests.helpers.faults import Bench, differences

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
]


def runs_of(name: str) -> list:
    """Return the runs of an experiment, oldest first."""
    found = mlflow.search_runs(experiment_names=[name], output_format="list")
    return sorted(found, key=lambda run: run.info.start_time)


def finished(runs: list) -> Counter:
    """Count the finished steps by name."""
    return Counter(
        run.info.run_name
        for run in runs
        if run.info.status == "FINISHED" and run.data.tags["step"] != "main"
    )


def history(run, name: str) -> list[tuple[int, float]]:
    points = mlflow.MlflowClient().get_metric_history(run.info.run_id, name)
    return [(point.step, point.value) for point in points]


@pytest.mark.long
def test_main_that_is_killed_four_times_leaves_the_finished_runs_of_one(tracking_store, tmp_path):
    bench = Bench(tmp_path, "main", tracking_store)
    bench.environment["MLFLOW_EXPERIMENT_NAME"] = name = new_experiment(tmp_path)
    generator = np.random.default_rng(7)
    killed = [bench.kill(float(generator.uniform(0, bench.seconds))) for _ in range(4)]
    assert any(killed) and bench.finish() == []
    runs = runs_of(name)
    arms = ("random", "vog:easy", "el2n:hard")
    steps = ["train", "score", *arms, *(f"sample {arm}" for arm in arms)]
    assert finished(runs) == Counter(steps)
    ended = Counter(run.info.status for run in runs if run.data.tags["step"] == "main")
    assert set(ended) <= {"FINISHED", "KILLED"} and ended.total() == 5
    # A process may be killed once its run has ended, so that this is the run of a killed one, too.
    assert 0 < ended["KILLED"] <= sum(killed)
    assert {run.info.status for run in runs} == {"FINISHED", "KILLED"}
    (last,) = [run for run in runs if run.data.tags["step"] == "main"][-1:]
    below, linked = operations.steps(last)
    assert sorted(run.info.run_name for run in [*below, *linked]) == sorted(steps)
    curves = [run for run in runs if run.data.tags["step"] == "evaluate"]
    complete = [run for run in curves if run.info.status == "FINISHED"]
    assert all(
        sorted(step for step, _ in history(run, "curve/accuracy")) == [0, 30, 60]
        for run in complete
    )


@pytest.fixture(scope="module")
def twice(tracking_store, tmp_path_factory):
    """The same main, given twice in one experiment: its config and the runs of both."""
    root, patch = tmp_path_factory.mktemp("twice"), pytest.MonkeyPatch()
    patch.setenv("MLFLOW_EXPERIMENT_NAME", name := new_experiment(root))
    config = MainStep(
        dataset=str(tiny.write(root / "talk", tiny.frames())),
        workdir=str(root / "work"),
        arms="el2n:easy",
        fractions="0.5",
        seeds=1,
        workers=1,
        threads=1,
        **tiny.FAST,
    )
    main.main(config)
    first = runs_of(name)
    main.main(replace(config, workdir=str(root / "work")))
    known = {run.info.run_id for run in first}
    yield config, first, [run for run in runs_of(name) if run.info.run_id not in known]
    patch.undo()


def test_a_command_that_is_repeated_links_every_step(twice):
    _, (top, *steps), again = twice
    (second,) = again  # the comparison alone
    ids = {run.info.run_id for run in steps}
    assert set(json.loads(second.data.tags[operations.LINKED])) == ids
    assert all(run_id in second.data.tags[operations.NOTE] for run_id in ids)
    assert operations.LINKED not in top.data.tags
    assert second.data.metrics == top.data.metrics
    text = "\n\nFinished before, in an earlier run: "
    assert second.data.tags[operations.NOTE].partition(text)[0] == top.data.tags[operations.NOTE]


def test_curves_and_report_take_in_linked_runs(twice):
    _, (top, *steps), (second,) = twice
    pages = [
        tracking.Run(run.info.run_id, run.info.experiment_id).curves() for run in (top, second)
    ]
    assert pages[0] == pages[1] != ""
    logged = [Path(tracking.Run(run.info.run_id).where("")) for run in (top, second)]
    assert set(differences(*logged)) <= {"report.html"}
    reports = [(place / "report.html").read_text(encoding="utf-8") for place in logged]
    # Plotly numbers its charts at random.
    one, other = (
        re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "", page) for page in reports
    )
    assert one == other


def test_a_linked_run_can_be_referred_to(twice):
    _, _, (second,) = twice
    _, linked = operations.steps(second)
    (scored,) = [run for run in linked if run.data.tags["step"] == "score"]
    assert (tracking.resolve(f"runs:/{scored.info.run_id}/scores") / "scores.parquet").is_file()


def test_a_linked_run_that_is_deleted_is_logged_again(twice, tracking_store):
    config, (_, *steps), _ = twice
    (scored,) = [run for run in steps if run.data.tags["step"] == "score"]
    mlflow.delete_run(scored.info.run_id)
    name = mlflow.get_experiment(scored.info.experiment_id).name
    before = {run.info.run_id for run in runs_of(name)}
    main.main(config)
    made = [run for run in runs_of(name) if run.info.run_id not in before]
    assert [run.data.tags["step"] for run in made] == ["main", "score"]
    assert made[1].data.metrics == scored.data.metrics
