"""How a command reaches its tracking store: its address, and opening it for the first time."""

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from influence.errors import InputError, environmental, first_line, hide_password
from influence.runtime.locks import held
from influence.tracking import operations

SECONDS = "60"  # until a server that does not answer counts as away
SAID_TWICE = {  # loggers, and the level from which their messages are raised as well
    "mlflow.store.db.utils": logging.ERROR,
    "mlflow.utils.databricks_utils": logging.WARNING,
}
OTHERWISE = "set another MLFLOW_TRACKING_URI, or log nothing with --track False"


def connect() -> str:
    """Return the address of the tracking server, "" for a store of another kind.

    A user and password in the address move to the variables that MLflow also reads, so that no
    message, log or report shows them. Requests are made once, whatever MLflow's own settings are:
    a failed one waits in the outbox, and a repeated request could create a run twice.
    """
    import mlflow

    try:
        address = mlflow.get_tracking_uri()
        address.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"the address of the store has a name that is not UTF-8 ({bytes_of(error.object)}): "
            f"start the command in another directory, {OTHERWISE}"
        ) from None
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise InputError(f"{shown()!r} is not a store address ({error}); {OTHERWISE}") from None
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


@contextmanager
def opening() -> Iterator[None]:
    """Let commands that start at the same time open a local store one after the other.

    MLflow creates and migrates a new database without a lock; several commands that do so at the
    same time would leave it unusable.
    """
    with ExitStack() as stack:
        if (lock := _lock_file()) is not None:
            with suppress(OSError):  # a directory that is not writable or does not support locks
                stack.enter_context(held(lock))
        yield


def bytes_of(name: str) -> str:
    """Return a printable form of a name that is not UTF-8, with escapes where needed."""
    try:
        return repr(os.fsencode(name))[1:]
    except UnicodeEncodeError:  # a lone surrogate, which no file name has
        return repr(name)


def is_text(name: str) -> bool:
    """Tell whether a name can be written as UTF-8: a file name may be any bytes."""
    return name.isascii() or name == name.encode(errors="ignore").decode()


def shown() -> str:
    """Return the address of the store without a password."""
    return hide_password(_address())


@contextmanager
def opened() -> Iterator[None]:
    """Open the store; raise InputError if it cannot be used, whether away or not a store at all."""
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
        # A failing database gives the same status as a server that is away.
        if shown().lower().startswith("http") and (why := operations.away(error)):
            raise InputError(
                f"the tracking server {shown()} is away ({why}); start it, {OTHERWISE}"
            ) from None
        # ValueError: MLflow raises it for an environment variable that it cannot read.
        kinds = (MlflowException, SQLAlchemyError, ImportError, OSError, ValueError)
        if not isinstance(error, kinds) or environmental(error, ""):
            raise
        raise InputError(_why_not(error)) from None


@contextmanager
def _said_once() -> Iterator[None]:
    """Keep MLflow from logging messages that it also raises."""
    with ExitStack() as stack:
        for name, level in SAID_TWICE.items():
            logger, keeps = logging.getLogger(name), partial(_is_below, level)
            logger.addFilter(keeps)
            stack.callback(logger.removeFilter, keeps)
        yield


def _is_below(level: int, record: logging.LogRecord) -> bool:
    return record.levelno < level


def _why_not(error: Exception) -> str:
    """Say why MLflow cannot use the store, and what to do."""
    from mlflow.tracking.registry import UnsupportedModelRegistryStoreURIException

    if isinstance(error, UnsupportedModelRegistryStoreURIException):
        return (
            f"MLflow does not support stores such as {shown()!r}: write http://host:port or "
            "sqlite:///path/mlflow.db into MLFLOW_TRACKING_URI, or log nothing with --track False"
        )
    if database := _bare_database():
        return (
            f"{shown()!r} is {'a file' if database.exists() else 'the name of a file'}, and MLflow "
            "reads a path as a folder of files: set MLFLOW_TRACKING_URI="
            f"sqlite:///{database} if it is an SQLite database"
        )
    if "MLFLOW_ALLOW_FILE_STORE" in str(error):
        return (
            f"{shown()!r} is a folder of files, which MLflow no longer writes runs to: set "
            "MLFLOW_TRACKING_URI=sqlite:///mlflow.db (`mlflow migrate-filestore` moves what is "
            "there), or MLFLOW_ALLOW_FILE_STORE=true"
        )
    if "surrogates not allowed" in str(error) and not is_text(os.getcwd()):
        return (
            f"the working directory, {bytes_of(os.getcwd())}, has a name that is not UTF-8, which "
            "MLflow cannot store: start the command in another one, or log nothing with "
            "--track False"
        )
    if "syntax error" in str(error) and {"'", '"'} <= set(os.getcwd()):
        return (
            f"MLflow cannot create a store while the name of the working directory, {os.getcwd()}, "
            "has both ' and \": start the command in another one, or log nothing with --track False"
        )
    why = hide_password(first_line(error)).split(". ")[0]
    return f"MLflow cannot use {shown()!r} ({why}); {OTHERWISE}"


def in_memory() -> bool:
    """Tell whether the store is an SQLite database in memory, which ends with the process."""
    from sqlalchemy.engine import make_url

    if urlsplit(_address()).scheme.partition("+")[0] != "sqlite":
        return False
    url = make_url(_address())
    name = url.database or ":memory:"
    return ":memory:" in name or url.query.get("mode") == "memory"


def _bare_database() -> Path | None:
    """Return the database file if the address is its bare path, otherwise None."""
    path = _path()
    if path is None or urlsplit(_address()).scheme.partition("+")[0] == "sqlite":
        return None
    named = not path.exists() and path.suffix in (".db", ".sqlite", ".sqlite3")
    return path.absolute() if named or path.is_file() else None


def _lock_file() -> Path | None:
    """Return the lock of a file store on this machine, None for another store.

    It lies among the temporary files, so that the working directory gets no unexpected file.
    """
    path = _path()
    if path is None or in_memory() or not path.absolute().parent.is_dir():
        return None
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"influence-store-{digest}.lock"


def _path() -> Path | None:
    """Return the path of a file store on this machine, None for another store."""
    from mlflow.utils.file_utils import local_file_uri_to_path
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    scheme = urlsplit(_address()).scheme.partition("+")[0]
    if scheme == "sqlite":
        with suppress(ArgumentError):  # MLflow will report it
            return Path(make_url(_address()).database or "")
    return Path(local_file_uri_to_path(_address())) if scheme in ("", "file") else None


def _address() -> str:
    import mlflow

    return mlflow.get_tracking_uri()
