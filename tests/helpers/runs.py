"""Runs of the tracking store of the tests: what a command made, and what it logged."""

import json
from pathlib import Path
from types import ModuleType

import mlflow
import pandas as pd

from influence.config.parameters import Config
from influence.tracking import run as tracking


def launch(entry_point: ModuleType, config: Config) -> list:
    """Call an entry point and return the runs that it made, oldest first."""
    before = {run.info.run_id for run in all_runs()}
    entry_point.main(config)
    return [run for run in all_runs() if run.info.run_id not in before]


def all_runs(query: str = "") -> list:
    """Return the runs that a filter of MLflow lets through, oldest first."""
    return mlflow.search_runs(
        search_all_experiments=True,
        filter_string=query,
        order_by=["attributes.start_time"],
        output_format="list",
    )


def running() -> list:
    """Return the runs that have not ended."""
    return all_runs("attributes.status = 'RUNNING'")


def of_step(runs: list, step: str) -> list:
    """Return those of the runs that are of one step."""
    return [run for run in runs if run.data.tags["step"] == step]


def logged(run, folder: str) -> Path:
    """Return the local path of an artifact folder."""
    return tracking.resolve(f"runs:/{run.info.run_id}/{folder}")


def finished(workdir: str, step: str) -> list[Path]:
    """Return the directories of a step in a workdir."""
    return sorted(Path(workdir).glob(f"{step}-*/"))


def table(run, name: str) -> pd.DataFrame:
    """Return a table that a run logged as `<name>.json`."""
    shown = json.loads((logged(run, "") / f"{name}.json").read_text())
    return pd.DataFrame(shown["data"], columns=shown["columns"])
