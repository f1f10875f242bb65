"""How a command reaches its tracking store: the address, the first opening, the first run."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from influence import delivery
from influence.errors import InputError, hide_password

SECONDS = "60"  # after which a server that says nothing is away


def connect() -> str:
    """Return the address of the tracking server, "" where the store is of another kind.

    A user and password in the address go where MLflow reads them too, so that no message, log or
    report shows them. Requests are made once, whatever MLflow's own settings are: what fails waits
    in the outbox, and a run whose creation is asked for twice would be there twice.
    """
    import mlflow

    address = mlflow.get_tracking_uri()
    parts = urlsplit(address)
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


def begin(experiment: str) -> tuple[str, str]:
    """Begin the first run of a command; return its id and its experiment's.

    It is the one that `mlflow run` has begun, or a new one, below the active run if there is one.
    Raises InputError if the server does not answer.
    """
    with _reached(), opening():
        info = _begun() or _new(experiment)
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
    """Return the number of an experiment, "0" where there is none yet."""
    with _reached(), opening():
        found = delivery.client().get_experiment_by_name(experiment)
    return found.experiment_id if found else "0"


@contextmanager
def _reached() -> Iterator[None]:
    """Raise InputError where the server does not answer."""
    try:
        yield
    except Exception as error:
        if not (why := delivery.away(error)):
            raise
        raise InputError(
            f"the tracking server {shown()} is away ({why}); start it, set another "
            "MLFLOW_TRACKING_URI, or log nothing with --track False"
        ) from None


def _begun():
    """Join the run that `mlflow run` has begun; return its info, None if there is none."""
    client = delivery.client()
    if not (run_id := os.environ.get("MLFLOW_RUN_ID")):
        return None
    info = client.get_run(run_id).info
    if info.lifecycle_stage != "active":
        raise InputError(f"MLFLOW_RUN_ID names the run {run_id}, which is deleted")
    client.update_run(run_id, status="RUNNING")
    del os.environ["MLFLOW_RUN_ID"]  # a second command in this process has a run of its own
    return info


def _new(experiment: str):
    import mlflow
    from mlflow.tracking.context.registry import resolve_tags

    client, active, tags = delivery.client(), mlflow.active_run(), {}
    if active:
        experiment_id = active.info.experiment_id
        tags = {delivery.PARENT: active.info.run_id}
    else:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", experiment)
        experiment_id = mlflow.set_experiment(name).experiment_id
    return client.create_run(experiment_id, int(time.time() * 1000), resolve_tags(tags)).info


def _directory() -> Path | None:
    import mlflow
    from sqlalchemy.engine import make_url

    address = mlflow.get_tracking_uri()
    if not address.startswith("sqlite"):
        return None
    directory = Path(make_url(address).database or "").absolute().parent
    return directory if directory.is_dir() else None
