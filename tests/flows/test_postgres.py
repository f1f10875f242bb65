"""A real PostgreSQL: several workers search with it, and it keeps what a run leaves in MLflow."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest
from optuna.trial import TrialState

from influence.searching import study as search_study
from tests.helpers import landscapes, postgres, project, tiny
from tests.helpers.landscapes import config, open_study

ROOT = Path(__file__).parent.parent.parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.skipif(postgres.binaries() is None, reason="PostgreSQL is not installed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
]


@pytest.fixture(scope="module")
def server():
    with postgres.server() as started:
        yield started


def test_a_database_that_restarts_under_four_workers_loses_no_trial(server, tmp_path):
    storage, trials = server.create("studies"), 30
    with landscapes.workers(tmp_path, trials, 0.2, storage) as workers:
        for worker in workers[:2]:
            assert worker.stdout.readline()  # it has ended a trial and is at the next
            server.stop()
            time.sleep(2)
            server.start()
        assert [worker.wait(timeout=240) for worker in workers] == [0] * 4
    study = open_study(tmp_path, config(trials=trials, storage=storage))
    ended = Counter(trial.state for trial in search_study.trials_of(study))
    assert ended["complete"] + ended["pruned"] == trials
    assert not study.optuna.get_trials(states=(TrialState.RUNNING,))
    assert set(Counter((tmp_path / "made").read_text().splitlines()).values()) == {1}
    study.optuna._storage.remove_session()
    study.optuna._storage._backend.engine.dispose()


@contextmanager
def mlflow_server(backend: str, artifacts: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    where = ["--backend-store-uri", backend, "--artifacts-destination", str(artifacts)]
    command = [sys.executable, "-m", "mlflow", "server", "--port", port, "--workers", "1", *where]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while True:
                assert process.poll() is None
                try:
                    urllib.request.urlopen(f"{address}/health", timeout=5)
                    break
                except OSError:
                    time.sleep(0.5)
            yield address
        finally:
            process.terminate()


@pytest.mark.long
def test_a_server_on_postgresql_keeps_every_run_and_its_artifacts(server, tmp_path):
    dataset = tiny.write(tmp_path / "talk", tiny.frames())
    given = {"dataset": dataset, "workdir": tmp_path / "work", "workers": 1, "threads": 1}
    given |= {**tiny.FAST, "arms": "el2n:easy", "fractions": "0.5", "seeds": 2}
    with mlflow_server(server.create("mlflow"), tmp_path / "artifacts") as address:
        environment = {**os.environ, "MLFLOW_TRACKING_URI": address}
        command = [sys.executable, "-m", "entrypoints.main", *project.flags(given)]
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
        client = mlflow.MlflowClient(tracking_uri=address)
        (experiment,) = (e for e in client.search_experiments() if e.name == "influence")
        runs = client.search_runs([experiment.experiment_id])
        assert {run.info.status for run in runs} == {"FINISHED"}
        steps = Counter(run.data.tags["step"] for run in runs)
        assert steps == {"main": 1, "train": 1, "score": 1, "sample": 2, "evaluate": 2}
        (top,) = (run for run in runs if run.data.tags["step"] == "main")
        kept = {file.path for file in client.list_artifacts(top.info.run_id)}
        assert "report.html" in kept
