"""A command that was killed leaves runs RUNNING; the next one ends them, and no living one's."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest

from influence.config.parameters import ExecutionConfig
from influence.errors import Terminated
from influence.runtime import locks
from influence.runtime import signals as stopping
from influence.tracking import killed, orphans
from influence.tracking import run as tracking
from tests.flows.test_end_to_end import all_runs

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")
ROOT = Path(__file__).parent.parent.parent
LASTING = """
import sys, time
from pathlib import Path
import mlflow
from influence.config.parameters import ExecutionConfig
from influence.tracking import run as tracking
mlflow.set_tracking_uri(sys.argv[1])
config = ExecutionConfig(workdir=sys.argv[2])
with tracking.run(config, "top", "", "main"), tracking.run(config, "middle", "", "search"):
    with tracking.run(config, "inner", "", "train") as inner:
        inner.tag(begun=True)
        Path(sys.argv[2], "begun").touch()
        time.sleep(3600)
"""


JOB = """
import os, time
from pathlib import Path

def job(place):
    Path(place, f"begun {os.getpid()} {os.getppid()}").touch()
    time.sleep(3600)
"""
STOPPED = """
import sys
import mlflow
from lasting import job
from influence import __main__ as command
from influence.config.parameters import ExecutionConfig
from influence.jobs import engine as cluster
from influence.tracking import run as tracking

def main(config):
    with tracking.run(config, "top", "", "main"), cluster.engine(config) as engine:
        with tracking.run(config, "middle", "", "search"):
            with tracking.run(config, "inner", "", "train") as inner:
                inner.tag(begun=True)
                list(engine.run(job, [(sys.argv[2],)] * 2, "jobs"))

if __name__ == "__main__":
    mlflow.set_tracking_uri(sys.argv[1])
    config = ExecutionConfig(workdir=sys.argv[2], workers=2, threads=1)
    command.parse = lambda step, arguments: config
    command.run("main", main)
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
    assert locks.is_alive(tmp_path / "absent")
    (tmp_path / "left").touch()
    assert not locks.is_alive(tmp_path / "left")
    with locks.alive(tmp_path / "held"):
        assert locks.is_alive(tmp_path / "held")
    assert not (tmp_path / "held").exists()
    assert locks.is_alive(tmp_path)  # cannot be opened


def test_a_tag_that_names_another_file_removes_nothing(tracking_store, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    config = ExecutionConfig(workdir=str(tmp_path / "work"))
    with tracking.run(config, "first", "", "main") as first:
        client = mlflow.MlflowClient()
        other = client.create_run(mlflow.get_run(first.id).info.experiment_id, run_name="strange")
        client.set_tag(other.info.run_id, orphans.MARKER, str(tmp_path / "mine.txt"))
    with tracking.run(config, "second", "", "main"):
        assert (tmp_path / "mine.txt").exists() and named("strange") == "RUNNING"
    client.set_terminated(other.info.run_id)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signals", "status"),
    [
        pytest.param([signal.SIGINT] * 3, 130, marks=pytest.mark.long),
        ([signal.SIGTERM, signal.SIGINT], 143),
    ],
)
def test_a_stopped_command_ends_its_runs_and_workers(tracking_store, tmp_path, signals, status):
    (tmp_path / "stopped.py").write_text(STOPPED)
    (tmp_path / "lasting.py").write_text(JOB)  # a worker does not run the program again
    program = [sys.executable, str(tmp_path / "stopped.py"), tracking_store, str(tmp_path)]
    before = set(ids())
    with subprocess.Popen(
        program,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        # A shell's background job, such as a test run may be, ignores Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        stderr=subprocess.PIPE,
    ) as process:
        while len(list(tmp_path.glob("begun *"))) < 2:
            assert process.poll() is None, process.stderr.read().decode()
            time.sleep(0.1)
        for number in signals:
            process.send_signal(number)
            time.sleep(0.05)  # signals that are there at once would be one
        process.stderr.read()
    assert process.returncode == status
    made = [run for run in all_runs() if run.info.run_id not in before]
    found = sorted((run.data.tags["mlflow.runName"], run.info.status) for run in made)
    assert found == [(name, "KILLED") for name in ("inner", "middle", "top")]
    for path in tmp_path.glob("begun *"):
        worker, server = map(int, path.name.split()[1:])
        assert not killed._lives(worker)
        while killed._lives(server):  # it ends by itself
            time.sleep(0.01)


def ids() -> list[str]:
    return [run.info.run_id for run in all_runs()]


@pytest.fixture
def foreground():
    """Let Ctrl-C arrive, which a background job, such as a test run may be, ignores."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_signal_waits_while_a_run_begins_or_ends(foreground):
    said = []
    with pytest.raises(Terminated), stopping.stoppable():
        with stopping.shielded(), stopping.shielded():
            os.kill(os.getpid(), signal.SIGTERM)
            said.append("inner")
        said.append("never")
    assert said == ["inner"]
    with pytest.raises(KeyboardInterrupt), stopping.stoppable():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        finally:
            with stopping.shielded():
                os.kill(os.getpid(), signal.SIGTERM)
                said.append("ended")
    assert said == ["inner", "ended"]
    assert signal.getsignal(signal.SIGTERM) != stopping._stop


def test_killed_is_the_last_word_where_mlflow_run_writes_failed(tracking_store):
    client = mlflow.MlflowClient()
    for status, last in (("FAILED", "KILLED"), ("KILLED", "KILLED"), ("FINISHED", "FINISHED")):
        run_id = client.create_run("0").info.run_id
        with subprocess.Popen([sys.executable, "-c", ""]) as gone:
            pass
        client.set_terminated(run_id, status)
        killed.speak(run_id, gone.pid)
        assert client.get_run(run_id).info.status == last
