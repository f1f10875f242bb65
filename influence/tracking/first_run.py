"""The first run of a command and its experiment, as the environment names them.

It is the run that `mlflow.start_run` would begin: MLFLOW_RUN_ID comes first, then
MLFLOW_EXPERIMENT_NAME, then MLFLOW_EXPERIMENT_ID, which `mlflow.set_experiment` sets as well.
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
NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # the latter: invalid ids


def begin(experiment: str, params: Mapping[str, Any]) -> tuple[str, str]:
    """Begin the first run of a command; return the ids of the run and of its experiment.

    It is the run that MLFLOW_RUN_ID names, as inside `mlflow run`; otherwise a new one below the
    active run; otherwise a new one in the experiment that the environment names, or in
    `experiment`. `params`: what the command will log; it must not contradict params of the run.

    Raises InputError if the store cannot be used, or holds no such run or experiment.
    """
    with connection.opened():
        info = _begun(params) or _new(experiment)
    if connection.in_memory():
        say(
            f"the store {shown()} is in memory, so its runs are lost when this command ends; "
            "MLFLOW_TRACKING_URI=sqlite:///mlflow.db keeps them"
        )
    return info.run_id, info.experiment_id


def number_of(experiment: str) -> str:
    """Return the id of the experiment that `begin` would use, "0" if it does not exist yet.

    Raises InputError if it is deleted.
    """
    with connection.opened():
        known, _ = _experiment(experiment)
    return known.experiment_id if known else "0"


def _begun(params: Mapping[str, Any]):
    """Join the run that MLFLOW_RUN_ID names; return its info, None if the variable is not set."""
    if not (run_id := os.environ.get(RUN)):
        return None
    run = _run(f"{RUN} names the run", run_id, f"unset {RUN} to begin a new run")
    info = run.info
    places.check(info.artifact_uri)
    begun_by_mlflow_run = run.data.tags.get(SOURCE) == "PROJECT" and info.status == "RUNNING"
    if not begun_by_mlflow_run:  # it has logged the params of this command, as typed
        _check_params(run, params)
    if info.status in ENDED:
        say(f"{RUN} names the run {run_id}, which has ended ({info.status}): it is resumed")
    operations.client().update_run(run_id, status="RUNNING")
    del os.environ[RUN]  # a second command in this process gets its own run
    return info


def _check_params(run: Any, params: Mapping[str, Any]) -> None:
    """Raise InputError for a param that the run holds with another value: params cannot change."""
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
        known, name = _experiment(usual)
        number = known.experiment_id if known else _make(name)
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
    """Return the experiment of a new run, None if it does not exist yet, and its name.

    If no such experiment exists yet, NAME takes precedence; empty variables count as unset.
    """
    from mlflow import MlflowClient

    name, number = os.environ.get(NAME), os.environ.get(NUMBER)
    if name and not connection.is_text(name):
        raise InputError(f"{NAME} is {connection.bytes_of(name)}, not UTF-8; give another name")
    if number and not name:
        known = _numbered(number)
    else:
        known = MlflowClient().get_experiment_by_name(name or usual)
    if known and name and number and known.experiment_id != number:
        raise InputError(
            f"{NAME} names the experiment {name!r}, which has the id {known.experiment_id}, "
            f"but {NUMBER} is {number!r}; unset one of the two"
        )
    if known and known.lifecycle_stage != "active":
        raise InputError(
            f"the experiment {known.name!r} is deleted; restore it with `mlflow experiments "
            f"restore -x {known.experiment_id}`, or choose another with {NAME}"
        )
    return known, name or usual


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
    """Create an experiment and return its id; another command may just have created it."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient()
    try:
        return client.create_experiment(name)
    except MlflowException as error:
        if known := client.get_experiment_by_name(name):
            return known.experiment_id
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        raise InputError(
            f"{NAME} names an experiment that MLflow cannot create ({first_line(error)}): "
            f"{name[:50]!r}{'...' * (len(name) > 50)}; give another name"
        ) from None
