"""Commands whose trainings run side by side, as on a GPU, give what one at a time gives."""

import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers import project, tiny

pytestmark = [pytest.mark.slow, pytest.mark.long]
SHORT = {"track": False, "threads": 1, "workers": 3, "seeds": 1, "fractions": "0.3,0.6"}


@pytest.fixture(scope="module")
def parameters(tmp_path_factory):
    """Give what main is asked for, but for the workdir."""
    talk = tiny.write(tmp_path_factory.mktemp("talk") / "talk", tiny.frames())
    many = {"dataset": talk, "score": "all", "arms": "vog:easy:class,el2n@1:hard"}
    return SHORT | tiny.FAST | many | {"runs": 2, "folds": 2}


@pytest.fixture(scope="module")
def alone(parameters, tmp_path_factory):
    """Give the workdir of main whose trainings ran one at a time."""
    return end(start(1, parameters, tmp_path_factory.mktemp("alone")))


def test_scores_and_curves_do_not_depend_on_what_runs_beside_them(parameters, alone, tmp_path):
    assert_equal(alone, end(start(3, parameters, tmp_path)))


def test_what_was_killed_and_interrupted_with_several_trainings_under_way_ends_the_same(
    parameters, alone, tmp_path
):
    process = until("train-*/unfinished/runs/*/run.safetensors", parameters, tmp_path)
    process.kill()
    process.communicate()
    process = until("retrainings/*/point.json", parameters, tmp_path)
    process.terminate()
    assert process.wait(60) == 143
    process.communicate()
    assert_equal(alone, end(start(3, parameters, tmp_path)))


def test_a_voice_assistant_trains_side_by_side(tmp_path):
    asked = {
        "dataset": "assistant:500",
        "max_train": 150,
        "task": "nlu",
        "stack": True,
        "arms": "aum:easy",
    }
    given = SHORT | tiny.FAST | asked | {"score": "aum", "null_model": False, "epochs": 1}
    given |= {"seeds": 1, "fractions": "0.5"}  # a point trains a model for each domain
    started = [start(count, given, tmp_path / str(count)) for count in (1, 3)]
    assert_equal(*map(end, started))


def assert_equal(one: Path, other: Path) -> None:
    """Assert that two workdirs hold the same scores and points, bit for bit."""
    tables = [*one.glob("score-*/scores.parquet"), *one.glob("evaluate-*/points.csv")]
    assert len(tables) > 2
    for path in tables:
        own, others = (read(root / path.relative_to(one)) for root in (one, other))
        pd.testing.assert_frame_equal(own, others, rtol=0, atol=0)


def read(path: Path) -> pd.DataFrame:
    """Read a table without its times."""
    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    return table.drop(columns="seconds", errors="ignore")


def start(count: int, parameters: dict, root: Path) -> tuple[subprocess.Popen, Path]:
    """Start main with so many trainings at once; return its process and its workdir."""
    asked = project.flags(parameters | {"workdir": root / "work"})
    command = [sys.executable, "-m", "tests.helpers.graphs", str(count), "entrypoints.main", *asked]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=project.ROOT, **pipes), root / "work"


def until(moment: str, parameters: dict, root: Path) -> subprocess.Popen:
    """Start main with three trainings at once; return its process when a file is there."""
    process, workdir = start(3, parameters, root)
    while not list(workdir.glob(moment)):
        assert process.poll() is None
        time.sleep(0.01)
    return process


def end(started: tuple[subprocess.Popen, Path]) -> Path:
    """Wait for main and return its workdir."""
    process, workdir = started
    said = process.communicate()[1]
    assert process.returncode == 0, said
    return workdir
