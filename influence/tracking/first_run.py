"""The first run of a command, and the experiment that it is in, as the environment names them.

It is the run that `mlflow.start_run` would have begun: MLFLOW_RUN_ID comes first, then
MLFLOW_EXPERIMENT_NAME, then MLFLOW_EXPERIMENT_ID, which `mlflow.set_experiment` sets, too.
"""

import os
import shlex
import time
from collections.abc import Mapping
from typing import Any

from influence.errors import InputError, first_line, hide_password
from influence.runtime.step import say
from influence.tracking import connection, operations, places
from influence.tracking.connection import shown

RUN, NAME, NUMBER = "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"
SOURCE = "mlflow.source.type"
ENDED = ("FINISHED", "FAILED", "KILLED")
NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # the latter: no such id can be


def begin(experiment: str, params: Mapping[str, Any]) -> tuple[str, str]:
    """Begin the first run of a command; return its id and its experiment's.

    It is the one that MLFLOW_RUN_ID names, as `mlflow run` sets it, or a new one, below the active
    run if there is one, else in the experiment that the environment names, else in `experiment`.
    `params`: what the command will log, which may not contradict what a run holds already.

    Raises InputError if the store cannot be used, or holds no such run or experiment.
    """
    with connection.opened():
        info = _begun(params) or _new(experiment)
    if connection.in_memory():
        say(
            f"the store {shown()} is in memory, so what is logged is gone when this command ends; "
            "MLFLOW_TRACKING_URI=sqlite:///mlflow.db keeps it"
        )
    return info.run_id, info.experiment_id


def number_of(experiment: str) -> str:
    """Return the number of the experiment that `begin` would take, "0" if it has yet to be made.

    Raises InputError if it is deleted.
    """
    with connection.opened():
        found, _ = _experiment(experiment)
    return found.experiment_id if found else "0"


def _begun(params: Mapping[str, Any]):
    """Join the run that MLFLOW_RUN_ID names; return its info, None if there is none."""
    if not (run_id := os.environ.get(RUN)):
        return None
    run = _run(f"{RUN} names the run", run_id, f"unset {RUN} to begin a new run")
    info = run.info
    places.check(info.artifact_uri)
    begun_by_mlflow_run = run.data.tags.get(SOURCE) == "PROJECT" and info.status == "RUNNING"
    if not begun_by_mlflow_run:  # which has logged the params of this command, as typed
        _check_params(run, params)
    if info.status in ENDED:
        say(f"{RUN} names the run {run_id}, which has ended ({info.status}): it is resumed")
    operations.client().update_run(run_id, status="RUNNING")
    del os.environ[RUN]  # a second command in this process has a run of its own
    return info


def _check_params(run: Any, params: Mapping[str, Any]) -> None:
    """Raise InputError for a param that a run holds with another value: it cannot change."""
    for name, value in params.items():
        held = run.data.params.get(name, str(value))
        if held not in (str(value), shlex.quote(str(value))):
            pair = hide_password(f"{name}={held} and cannot hold {name}={value} too")
            raise InputError(
                f"{RUN} names the run {run.info.run_id} ({run.info.status}), which holds {pair}; "
                f"unset {RUN} to begin a new run"
            )


def _new(usual: str):
    import mlflow
    from mlflow.tracking.context.registry import resolve_tags

    tags, client = {}, mlflow.MlflowClient()
    if active := mlflow.active_run():
        way_out = "end it with mlflow.end_run()"
        parent = _run("MLflow has the active run", active.info.run_id, way_out)
        tags, number = {operations.PARENT: parent.info.run_id}, parent.info.experiment_id
    else:
        found, name = _experiment(usual)
        number = found.experiment_id if found else _make(name)
    places.check(client.get_experiment(number).artifact_location)
    return operations.client().create_run(number, int(time.time() * 1000), resolve_tags(tags)).info


def _run(said: str, run_id: str, way_out: str):
    """Return a run of this store; raise InputError if there is none, or it is deleted."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        run = MlflowClient().get_run(run_id)
    except MlflowException as error:
        if error.error_code not in NOT_THERE:
            raise
        raise InputError(
            f"{said} {run_id!r}, which is not in the store {shown()}; {way_out}, "
            "or set the MLFLOW_TRACKING_URI of its store"
        ) from None
    if run.info.lifecycle_stage != "active":
        raise InputError(
            f"{said} {run_id}, which is deleted; {way_out}, or restore it: "
            f"mlflow runs restore --run-id {run_id}"
        )
    return run


def _experiment(usual: str) -> tuple[Any, str]:
    """Return the experiment of a new run, None if it has yet to be made, and its name.

    Of NAME and NUMBER, NAME counts if there is no such experiment yet; empty ones are not set.
    """
    from mlflow import MlflowClient

    name, number = os.environ.get(NAME), os.environ.get(NUMBER)
    if name and not connection.is_text(name):
        raise InputError(f"{NAME} is {connection.bytes_of(name)}, not UTF-8; give another name")
    if number and not name:
        found = _numbered(number)
    else:
        found = MlflowClient().get_experiment_by_name(name or usual)
    if found and name and number and found.experiment_id != number:
        raise InputError(
            f"{NAME} names the experiment {name!r}, which has the number {found.experiment_id}, "
            f"but {NUMBER} is {number!r}; unset one of the two"
        )
    if found and found.lifecycle_stage != "active":
        raise InputError(
            f"the experiment {found.name!r} is deleted; restore it with `mlflow experiments "
            f"restore -x {found.experiment_id}`, or choose another with {NAME}"
        )
    return found, name or usual


def _numbered(number: str):
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        return MlflowClient().get_experiment(number)
    except MlflowException as error:
        if error.error_code not in NOT_THERE:
            raise
        raise InputError(
            f"{NUMBER} is {number!r}, but the store {shown()} has no such experiment; unset it, "
            f"or choose an experiment with {NAME}"
        ) from None


def _make(name: str) -> str:
    """Make an experiment and return its number; another command may have made it just now."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient()
    try:
        return client.create_experiment(name)
    except MlflowException as error:
        if found := client.get_experiment_by_name(name):
            return found.experiment_id
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        raise InputError(
            f"{NAME} names an experiment that MLflow cannot make ({first_line(error)}): "
            f"{name[:50]!r}{'...' * (len(name) > 50)}; give another name"
        ) from None
