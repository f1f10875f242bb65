"""Commands in processes of their own, as a user runs them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def launch(*arguments: str) -> subprocess.CompletedProcess:
    """Run `python -m ...` in the project's directory with the tracking store of the tests."""
    import mlflow

    # What the fluent API leaves in this process's environment is not a user's.
    environment = {name: value for name, value in os.environ.items() if "MLFLOW_EXP" not in name}
    environment |= {
        "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def launch_step(step: str, **parameters: object) -> subprocess.CompletedProcess:
    """Run an entry point by itself."""
    return launch(f"entrypoints.{step}", *flags(parameters))


def mlflow_run(entry: str, **parameters: object) -> subprocess.CompletedProcess:
    """Run an entry point with `mlflow run`."""
    options = [f"-P{name}={value}" for name, value in parameters.items()]
    how = ("--env-manager", "local", "--experiment-name", "influence")
    return launch("mlflow", "run", ".", "-e", entry, *how, *options)


def flags(parameters: dict) -> list[str]:
    """Write parameters as on a command line."""
    return [str(part) for name, value in parameters.items() for part in (f"--{name}", value)]
