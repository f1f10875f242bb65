"""A command that was killed leaves runs RUNNING; the next one ends them, and no living one's."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest

from influence import store, tracking
from influence.config import ExecutionConfig
from tests.test_end_to_end import all_runs

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")
ROOT = Path(__file__).parent.parent
LASTING = """
import sys, time
from pathlib import Path
import mlflow
from influence import tracking
from influence.config import ExecutionConfig
mlflow.set_tracking_uri(sys.argv[1])
config = ExecutionConfig(workdir=sys.argv[2])
with tracking.run(config, "top", "", "main"), tracking.run(config, "middle", "", "search"):
    with tracking.run(config, "inner", "", "train"):
        Path(sys.argv[2], "begun").touch()
        time.sleep(3600)
"""


def named(name: str) -> str:
    return all_runs(f"attributes.run_name = '{name}'")[-1].info.status


def test_what_a_killed_command_left_running_is_ended_by_the_next(tracking_store, tmp_path):
    program = [sys.executable, "-c", LASTING, tracking_store, str(tmp_path)]
    with subprocess.Popen(program, cwd=ROOT) as process:
        while not (tmp_path / "begun").exists():
            assert process.poll() is None
            time.sleep(0.1)
        config = ExecutionConfig(workdir=str(tmp_path / "other"))
        with tracking.run(config, "first", "", "main"):
            assert [named(name) for name in ("top", "middle", "inner")] == ["RUNNING"] * 3
        process.send_signal(signal.SIGKILL)
    with tracking.run(config, "second", "", "main"):
        assert [named(name) for name in ("top", "middle", "inner")] == ["KILLED"] * 3
        assert named("second") == "RUNNING"
    assert named("second") == "FINISHED"
    assert mlflow.active_run() is None
    assert not any((tmp_path / "running").iterdir())


def test_a_file_that_is_not_there_is_another_machine_s(tmp_path):
    assert store.is_alive(tmp_path / "absent")
    (tmp_path / "left").touch()
    assert not store.is_alive(tmp_path / "left")
    with store.alive(tmp_path / "held"):
        assert store.is_alive(tmp_path / "held")
    assert not (tmp_path / "held").exists()
    assert store.is_alive(tmp_path)  # cannot be opened


def test_a_tag_that_names_another_file_removes_nothing(tracking_store, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    config = ExecutionConfig(workdir=str(tmp_path / "work"))
    with tracking.run(config, "first", "", "main") as first:
        client = mlflow.MlflowClient()
        other = client.create_run(mlflow.get_run(first.id).info.experiment_id, run_name="strange")
        client.set_tag(other.info.run_id, tracking.MARKER, str(tmp_path / "mine.txt"))
    with tracking.run(config, "second", "", "main"):
        assert (tmp_path / "mine.txt").exists() and named("strange") == "RUNNING"
    client.set_terminated(other.info.run_id)
