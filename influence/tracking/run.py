"""Open and end runs, and resolve references to them; `log` has what is logged."""

import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from influence.config.parameters import ExecutionConfig
from influence.errors import InputError, Terminated, first_line
from influence.runtime import locks, signals
from influence.tracking import connection, first_run, killed, operations, orphans, outbox, pages
from influence.tracking.log import Run, curves, waiting
from influence.tracking.outbox import Outbox

EXPERIMENT = "influence"
FOLDER = re.compile(r"[\w./ -]*")  # MLflow decodes the rest of an address, such as %2e for a dot

_current: ContextVar[Run | None] = ContextVar("run", default=None)


@contextmanager
def run(config: ExecutionConfig, name: str, note: str, step: str) -> Iterator[Run]:
    """Open a run: nested if one is open, otherwise the one that `mlflow run` began, or a new one.

    The nested run of a step begins with its work; a step that was finished before, and that
    `Run.log_step` can link, gets none. The run ends as FINISHED or FAILED, on SIGTERM and Ctrl-C as
    KILLED. Runs that an earlier command in the same workdir left running, because it was killed or
    its machine went down, end as KILLED; its data for a server that was away is delivered.

    Raises InputError if a tracking server does not answer, and for a name that is not UTF-8.
    """
    _check_names(config)
    if not config.track:
        yield Run("")
        return
    tags = {"mlflow.runName": name, operations.NOTE: note, "step": step}
    with ExitStack() as stack:
        if parent := _current.get():
            with signals.shielded():
                opened = parent.nest(tags, config.parameters(), step)
                stack.enter_context(_ending(opened))
        else:
            opened = stack.enter_context(_command(config))
            opened.tag(**tags)
            opened.params(**config.parameters())
        stack.enter_context(_set(_current, opened))
        yield opened


def _check_names(config: ExecutionConfig) -> None:
    """Raise InputError for a name that is not UTF-8: steps and MLflow cannot write it."""
    workdir = str(Path(config.workdir).absolute())
    if not connection.is_text(workdir):
        raise InputError(
            f"workdir is {connection.bytes_of(workdir)}, a name that is not UTF-8; give a workdir "
            "elsewhere, or rename the directory"
        )
    for name, value in config.parameters().items():
        if config.track and not connection.is_text(str(value)):
            raise InputError(
                f"{name} is {connection.bytes_of(str(value))}, which is not UTF-8, and MLflow "
                "cannot store it; rename it, or log nothing with --track False"
            )


@contextmanager
def _command(config: ExecutionConfig) -> Iterator[Run]:
    """Open the first run of a command, and hold a file that shows that the command is running."""
    workdir = Path(config.workdir).absolute()
    server, starter = connection.connect(), signals.starter()
    with ExitStack() as stack:
        stack.enter_context(signals.stoppable())
        with signals.shielded():
            run_id, experiment = first_run.begin(EXPERIMENT, config.parameters())
            marker = workdir / orphans.RUNNING / run_id
            opened = Run(run_id, experiment, str(marker))
            try:
                stack.enter_context(locks.alive(marker))
            except InputError:
                opened.end("FAILED")
                raise
            if server:
                box = Outbox(workdir / "outbox" / run_id, server, operations.send, operations.away)
                stack.callback(box.close)
                stack.enter_context(_set(waiting, box))
            stack.enter_context(_ending(opened))
        opened.tag(**{orphans.MARKER: marker})
        ended = set()
        if server:
            ended = outbox.deliver(workdir / "outbox", server, operations.send, operations.away)
        with operations.unless_away():
            orphans.end(experiment, ended)
            _describe(experiment)
        try:
            yield opened
        except (KeyboardInterrupt, Terminated):
            if starter:
                killed.leave(run_id, starter)
            raise


@contextmanager
def _ending(opened: Run) -> Iterator[None]:
    status = "FAILED"
    try:
        yield
        status = "FINISHED"
    except (KeyboardInterrupt, Terminated):
        status = "KILLED"
        raise
    finally:
        with signals.shielded():
            opened.end(status)


@contextmanager
def _set(variable: ContextVar, value: Any) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def _describe(experiment: str) -> None:
    """Describe how to read the experiment in the UI, unless it has a description."""
    if operations.NOTE not in operations.client().get_experiment(experiment).tags:
        operations.client().set_experiment_tag(experiment, operations.NOTE, pages.DESCRIPTION)


def is_there(run_id: str) -> bool:
    """Tell whether the store holds a run that is not deleted; True if it cannot be reached."""
    from mlflow.exceptions import MlflowException

    try:
        return operations.client().get_run(run_id).info.lifecycle_stage == "active"
    except MlflowException as error:
        return bool(operations.away(error))


def resolve(reference: str) -> Path:
    """Return the local directory of a path or of `runs:/<id>/<folder>`.

    Raises InputError if there is none.
    """
    if not reference.startswith("runs:/"):
        path = Path(reference).absolute()
        if not path.is_dir():
            raise InputError(f"there is no directory {path}")
        return path
    run_id, _, folder = reference.removeprefix("runs:/").partition("/")
    if not FOLDER.fullmatch(folder) or ".." in folder.split("/"):
        raise InputError(f"{reference!r} names no folder of a run; write runs:/<id>/training")
    try:
        # Not through the reference: MLflow would copy even files that are on this machine.
        return operations.fetch(run_id, folder)
    except Exception as error:  # the store's errors have no common class
        raise InputError(f"{reference} cannot be read from MLflow: {first_line(error)}") from None


def home(port: int = 5000) -> str:
    """Return the address of the UI: the server's, or where `mlflow ui` shows a local store."""
    return connection.connect() or f"http://127.0.0.1:{port}"


def where(port: int = 5000) -> str:
    """Return how to view the results: the command that starts the UI, and the pages to open.

    Raises InputError if the store cannot be used, or the experiment is deleted.
    """
    server = connection.connect()
    number = first_run.number_of(EXPERIMENT)
    newest = next(operations.search(number, "tags.step = 'main'", page=1), None)
    named = {
        "newest curves": curves(newest) if newest else "",
        "all runs": pages.everything(number),
    }
    lines = [f"{name:14} {home(port)}/{page}" for name, page in named.items() if page]
    if not server:
        address = shlex.quote(connection.shown())
        begin = f".venv/bin/mlflow ui --port {port} --backend-store-uri {address}"
        lines = [f"{'start the UI':14} {begin}", *lines]
    return "\n" + "".join(f"{line}\n" for line in lines)
