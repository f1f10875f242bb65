"""Several commands that start at once where there is no store yet: it is made once, and whole."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from influence.tracking import connection

ROOT = Path(__file__).parent.parent.parent
COMMANDS = 8
# Each command is a process of its own, forked before it has seen the store.
PROGRAM = f"""
import os, sys
import mlflow, mlflow.store.tracking.sqlalchemy_store
from influence.config.parameters import ExecutionConfig
from influence.tracking import run as tracking
children, (ready, go) = [], os.pipe()
for number in range({COMMANDS}):
    if not (child := os.fork()):
        os.close(go)
        os.read(ready, 1)  # until all are there
        with tracking.run(ExecutionConfig(), f"command {{number}}", "", "main") as opened:
            opened.tag(number=number)
        sys.stdout.flush()
        os._exit(0)
    children.append(child)
os.close(go)
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""


@pytest.mark.slow
def test_eight_commands_at_once_make_one_whole_store(tmp_path):
    environment = {name: v for name, v in os.environ.items() if not name.startswith("MLFLOW_")}
    environment |= {"PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
        runs = database.execute("select name, status from runs").fetchall()
        tags = database.execute("select value from tags where key = 'number'").fetchall()
        experiments = database.execute("select name from experiments").fetchall()
    database.close()
    assert sorted(runs) == [(f"command {number}", "FINISHED") for number in range(COMMANDS)]
    assert sorted(tags) == [(str(number),) for number in range(COMMANDS)]
    assert sorted(experiments) == [("Default",), ("influence",)]


def test_only_a_store_in_a_file_is_waited_for(monkeypatch, tmp_path):
    import mlflow

    for address in ("http://there:1", "postgresql://there/mlflow", "sqlite:////nowhere/at/all.db"):
        monkeypatch.setattr(mlflow, "get_tracking_uri", lambda address=address: address)
        with connection.opening(), connection.opening():
            pass  # without a lock, nothing waits
