"""How a command reaches its tracking store: the address, the first opening, the first run.

Which run and experiment that is follows the environment, as in `mlflow.start_run`: MLFLOW_RUN_ID,
then MLFLOW_EXPERIMENT_NAME, then MLFLOW_EXPERIMENT_ID, which `mlflow.set_experiment` sets too.
"""

import fcntl
import logging
import os
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from influence import delivery
from influence.errors import InputError, environmental, first_line, hide_password
from influence.steps.step import say

SECONDS = "60"  # after which a server that says nothing is away
RUN, NAME, NUMBER = "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"
SAID_TWICE = {  # loggers, and the level from which what they show is raised, too
    "mlflow.store.db.utils": logging.ERROR,
    "mlflow.utils.databricks_utils": logging.WARNING,
}
ENDED = ("FINISHED", "FAILED", "KILLED")
OTHERWISE = "set another MLFLOW_TRACKING_URI, or log nothing with --track False"


def connect() -> str:
    """Return the address of the tracking server, "" where the store is of another kind.

    A user and password in the address go where MLflow reads them too, so that no message, log or
    report shows them. Requests are made once, whatever MLflow's own settings are: what fails waits
    in the outbox, and a run whose creation is asked for twice would be there twice.
    """
    import mlflow

    address = mlflow.get_tracking_uri()
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise InputError(f"{shown()!r} is no address of a store ({error}); {OTHERWISE}") from None
    if parts.scheme not in ("http", "https"):
        return ""
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", SECONDS)
    if not parts.username:
        return address
    if not parts.password:
        raise InputError(
            "the tracking URI has a user without a password; write user:password@, or set "
            "MLFLOW_TRACKING_TOKEN"
        )
    os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(parts.username)
    os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(parts.password)
    mlflow.set_tracking_uri(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl())
    return mlflow.get_tracking_uri()


def begin(experiment: str, params: Mapping[str, Any]) -> tuple[str, str]:
    """Begin the first run of a command; return its id and its experiment's.

    It is the one that MLFLOW_RUN_ID names, as `mlflow run` sets it, or a new one, below the active
    run if there is one, else in the experiment that the environment names, else in `experiment`.
    `params`: what the command will log, which may not contradict what an ended run holds.

    Raises InputError if the store cannot be used, or holds no such run or experiment.
    """
    with opened():
        info = _begun(params) or _new(experiment)
    return info.run_id, info.experiment_id


@contextmanager
def opening() -> Iterator[None]:
    """Let commands that start at once open a local store one after the other.

    MLflow makes and migrates a new database without a lock, and several that do it at once leave
    it unusable.
    """
    directory = _directory()
    if directory is None:
        yield
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def shown() -> str:
    """Return the address of the store without a password."""
    import mlflow

    return hide_password(mlflow.get_tracking_uri())


def number_of(experiment: str) -> str:
    """Return the number of the experiment that `begin` would take, "0" if it has yet to be made.

    Raises InputError if it is deleted.
    """
    with opened():
        found, _ = _experiment(experiment)
    return found.experiment_id if found else "0"


@contextmanager
def opened() -> Iterator[None]:
    """Open the store; raise InputError where it cannot be used, be it away or no store at all."""
    with _usable(), opening():
        yield


@contextmanager
def _usable() -> Iterator[None]:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with _said_once():
            yield
    except InputError:
        raise
    except Exception as error:
        # A database that fails has the status of a server that is away, too.
        if shown().lower().startswith("http") and (why := delivery.away(error)):
            raise InputError(
                f"the tracking server {shown()} is away ({why}); start it, {OTHERWISE}"
            ) from None
        # ValueError: what MLflow raises for a setting of the environment that it cannot read.
        kinds = (MlflowException, SQLAlchemyError, ImportError, OSError, ValueError)
        if not isinstance(error, kinds) or environmental(error, ""):
            raise
        raise InputError(_why_not(error)) from None


@contextmanager
def _said_once() -> Iterator[None]:
    """Keep MLflow from logging what it also raises."""
    with ExitStack() as stack:
        for name, level in SAID_TWICE.items():
            logger, keeps = logging.getLogger(name), partial(_is_below, level)
            logger.addFilter(keeps)
            stack.callback(logger.removeFilter, keeps)
        yield


def _is_below(level: int, record: logging.LogRecord) -> bool:
    return record.levelno < level


def _why_not(error: Exception) -> str:
    """Say why MLflow cannot use the store, and what can be done."""
    from mlflow.tracking.registry import UnsupportedModelRegistryStoreURIException

    if isinstance(error, UnsupportedModelRegistryStoreURIException):
        return (
            f"MLflow knows no store of the kind of {shown()!r}: write http://host:port or "
            "sqlite:///path/mlflow.db into MLFLOW_TRACKING_URI, or log nothing with --track False"
        )
    if "MLFLOW_ALLOW_FILE_STORE" in str(error):
        return (
            f"{shown()!r} is a folder of files, which MLflow no longer writes runs to: set "
            "MLFLOW_TRACKING_URI=sqlite:///mlflow.db (`mlflow migrate-filestore` moves what is "
            "there), or MLFLOW_ALLOW_FILE_STORE=true"
        )
    if "syntax error" in str(error) and {"'", '"'} <= set(os.getcwd()):
        return (
            f"MLflow makes no store while the working directory, {os.getcwd()}, has both ' and \" "
            "in its name: start the command in another one, or log nothing with --track False"
        )
    why = hide_password(first_line(error)).split(". ")[0]
    return f"MLflow cannot use {shown()!r} ({why}); {OTHERWISE}"


def _begun(params: Mapping[str, Any]):
    """Join the run that MLFLOW_RUN_ID names; return its info, None if there is none."""
    if not (run_id := os.environ.get(RUN)):
        return None
    run = _run(run_id, RUN, f"unset {RUN} to begin a new run")
    info = run.info
    delivery.check_artifacts(info.artifact_uri)
    if info.status in ENDED:
        for name, value in params.items():
            held = run.data.params.get(name, str(value))
            if held not in (str(value), shlex.quote(str(value))):
                raise InputError(
                    f"{RUN} names the run {run_id}, which has ended ({info.status}) with "
                    f"{name}={held} and cannot hold {name}={value} too; unset {RUN} to begin a "
                    "new run"
                )
        say(f"{RUN} names the run {run_id}, which has ended ({info.status}): it is resumed")
    delivery.client().update_run(run_id, status="RUNNING")
    del os.environ[RUN]  # a second command in this process has a run of its own
    return info


def _new(usual: str):
    import mlflow
    from mlflow.tracking.context.registry import resolve_tags

    tags, client = {}, mlflow.MlflowClient()
    if active := mlflow.active_run():
        parent = _run(active.info.run_id, "the active run of MLflow", "end it with mlflow.end_run")
        tags, number = {delivery.PARENT: parent.info.run_id}, parent.info.experiment_id
    else:
        found, name = _experiment(usual)
        number = found.experiment_id if found else _make(name)
    delivery.check_artifacts(client.get_experiment(number).artifact_location)
    return delivery.client().create_run(number, int(time.time() * 1000), resolve_tags(tags)).info


def _run(run_id: str, called: str, way_out: str):
    """Return a run of this store; raise InputError if there is none, or it is deleted."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        run = MlflowClient().get_run(run_id)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise InputError(
            f"{called} names the run {run_id!r}, which is not in the store {shown()}; {way_out}, "
            "or set the MLFLOW_TRACKING_URI of its store"
        ) from None
    if run.info.lifecycle_stage != "active":
        raise InputError(
            f"{called} names the run {run_id}, which is deleted; {way_out}, or restore it: "
            f"mlflow runs restore --run-id {run_id}"
        )
    return run


def _experiment(usual: str) -> tuple[Any, str]:
    """Return the experiment of a new run, None if it has yet to be made, and its name.

    Of NAME and NUMBER, NAME counts if there is no such experiment yet; empty ones are not set.
    """
    from mlflow import MlflowClient

    name, number = os.environ.get(NAME), os.environ.get(NUMBER)
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
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
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
    except MlflowException:
        if not (found := client.get_experiment_by_name(name)):
            raise
        return found.experiment_id


def _directory() -> Path | None:
    """Return the directory of a store of files on this machine, None for another store."""
    import mlflow
    from mlflow.utils.file_utils import local_file_uri_to_path
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    address = mlflow.get_tracking_uri()
    scheme = urlsplit(address).scheme.partition("+")[0]
    path = None
    if scheme == "sqlite":
        with suppress(ArgumentError):  # MLflow will say so
            path = make_url(address).database or ""
    elif scheme in ("", "file"):
        path = local_file_uri_to_path(address)
    directory = None if path is None else Path(path).absolute().parent
    return directory if directory and directory.is_dir() else None
