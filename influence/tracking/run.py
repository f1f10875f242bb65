"""MLflow at the edge: runs, and what is logged to them; the modules below it import mlflow too.

What is logged goes straight to a local store (`operations`), and by way of an outbox to a server
(`outbox`). The run of a step begins with its work. A step that was finished before has no run of
its own where its experiment has one already: that one is linked.
"""

import re
import shlex
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from influence.config.parameters import ExecutionConfig
from influence.data.result import Result
from influence.errors import InputError, Terminated, first_line
from influence.runtime import locks, signals
from influence.runtime.step import Record, Steps, read_records
from influence.tracking import connection, first_run, killed, operations, orphans, outbox, pages
from influence.tracking.outbox import Outbox

EXPERIMENT = "influence"
FOLDER = re.compile(r"[\w./ -]*")  # MLflow decodes the rest of an address, such as %2e for a dot
PENDING = "pending-"  # begins the key of a run that no server has made yet
STEPS = ("train", "score", "sample", "evaluate")  # leave a directory that may be there already
NOT_LOGGED = {"track", "storage"}  # a URL may hold a password

_outbox: ContextVar[Outbox | None] = ContextVar("outbox", default=None)
_current: ContextVar["Run | None"] = ContextVar("run", default=None)


class Run:
    """One MLflow run, or nothing at all where tracking is off; made by `run`."""

    def __init__(self, run_id: str, experiment: str = "", marker: str = "", lock: str = "") -> None:
        """`run_id` empty: log nothing.

        `experiment`, `marker`: what runs below this one need; `lock`: the directory that several
        commands which log to this run hold in turns.
        """
        self.id, self.experiment, self.marker, self.lock = run_id, experiment, marker, lock
        self._planned: tuple[Run, dict[str, Any], dict[str, Any]] | None = None
        self._is_linked = self._is_followed = False

    @property
    def is_made(self) -> bool:
        """Tell whether a store holds this run: one begun while the server is away waits."""
        return bool(self.id) and not operations.run_of(self.id).startswith(PENDING)

    def follow(self, records: Steps) -> Path:
        """Log the records of a step as they come and return its finished directory."""
        while True:
            try:
                record = next(records)
            except StopIteration as end:
                return end.value
            self._is_followed = self._is_open()
            self.log(record)

    def log(self, *records: Record) -> None:
        """Log metrics at their step, in one call."""
        moment = _now()
        if rows := [row for record in records for row in _metrics(record, moment)]:
            self._put("metrics", values=rows)

    def log_step(self, result: Result, name: str) -> bool:
        """Log a finished step: its directory as folder `name`, its dataset as input, its records.

        The run gets the params of the training that it goes back to, so that a filter finds it.
        Files are linked where the store is local. Returns False where there is nothing more to log:
        without tracking, and for a step that an earlier run of the experiment has finished.
        """
        if not self._is_open(result.fingerprint):
            return False
        if not self._is_followed:
            self.log(*read_records(result.directory))
        facts = result.handed_on
        self.log_dataset(**facts["dataset"])
        self.params(dataset=result.dataset_name, **facts["fit"])
        self._put("artifacts", result.directory, folder=name, tables=[])
        self.tag(**{operations.FINGERPRINT: result.fingerprint})  # last: all of it is there
        return True

    def tag(self, **tags: Any) -> None:
        """Set tags."""
        self._put("tags", values={name: str(value) for name, value in tags.items()})

    def describe(self, text: str) -> None:
        """Describe this run: links to its curves, and to steps of earlier runs, follow the text."""
        self._put("note", text=text)

    def params(self, **values: Any) -> None:
        """Log the params that the run does not hold yet.

        `mlflow run` has logged its own as typed, and a param cannot change.
        """
        kept = {name: str(value) for name, value in values.items() if name not in NOT_LOGGED}
        self._put("params", values=kept)

    def log_children(self, children: Iterable["Child"]) -> None:
        """Log finished runs nested in this one, those that are there already left out.

        One whose logging was cut off is logged into the run that was begun for it.
        """
        shown = [
            {
                **asdict(child),
                "tags": dict(child.tags),
                "params": {name: str(value) for name, value in child.params.items()},
                "metrics": [row for one in child.metrics for row in _metrics(one, child.ended)],
                "above": _metrics(child.above, child.ended),
            }
            for child in children
        ]
        self._put("children", children=shown)

    def has_tag(self, name: str, value: str) -> bool:
        """Tell whether a tag has this value, as far as the store can be asked."""
        try:
            return self.is_made and operations.tags(self.id).get(name) == value
        except Exception as error:
            if operations.away(error):
                return False
            raise

    def log_figures(self, figures: Mapping[str, Any]) -> None:
        """Log matplotlib figures as plots/<name>.png and .svg."""
        if self._is_open():
            from influence.plots import scores

            with TemporaryDirectory() as temporary:
                for name, figure in figures.items():
                    scores.save(figure, Path(temporary), name)
                self._put("artifacts", Path(temporary), folder="plots", tables=[])

    def log_table(self, table: pd.DataFrame, name: str) -> None:
        """Log a table as JSON that the UI renders, in place of one of that name."""
        if self._is_open():
            text = table.to_json(orient="split", index=False, date_format="iso")
            self._log_file(text, f"{name}.json", [f"{name}.json"])

    def log_text(self, text: str, name: str) -> None:
        """Log a text file."""
        self._log_file(text, name, [])

    def curves(self) -> str:
        """Return the page of the UI, from # on, where the curves of this run are; "" if none."""
        if not self.is_made:
            return ""
        try:
            return _curves(operations.client().get_run(operations.run_of(self.id)))
        except Exception as error:
            if not operations.away(error):
                raise
            return ""

    def where(self, name: str) -> str:
        """Return the path of an artifact, its address where the store is not on this machine."""
        if not self.is_made:
            return f"{name} of this run, once the tracking server is back"
        try:
            root = operations.local_root(operations.run_of(self.id))
        except Exception as error:
            if not operations.away(error):
                raise
            root = None
        return str(root / name) if root else f"runs:/{operations.run_of(self.id)}/{name}"

    def log_dataset(self, name: str, digest: str) -> None:
        """Name the dataset that went into this run, under a digest of our own over all rows.

        A digest of mlflow's would look at the first 10,000 rows only.
        """
        self._put("dataset", name=name, digest=digest)

    def end(self, status: str) -> None:
        """End this run as FINISHED, FAILED or KILLED; one that was deleted has ended already."""
        self._planned = None
        with suppress(operations.Deleted):
            self._put("end", status=status, ended=_now())

    def nest(self, tags: Mapping[str, Any], params: Mapping[str, Any], step: str) -> "Run":
        """Return a run nested in this one; that of a step begins with what is logged first."""
        nested = Run("", self.experiment, self.marker)
        if self._is_open():
            nested._planned = self, {orphans.MARKER: self.marker, **tags}, dict(params)
        if step not in STEPS:
            nested._is_open()
        return nested

    def _is_open(self, fingerprint: str = "") -> bool:
        """Tell whether something can be logged here, for which a planned run begins.

        Not with a finished run of the same `fingerprint` in the experiment, which is linked.
        """
        if self._planned is not None:
            (parent, tags, params), self._planned = self._planned, None
            self._begin(parent, tags, fingerprint)
            self.params(**params)
        return bool(self.id) and not self._is_linked

    def _begin(self, parent: "Run", tags: Mapping[str, Any], fingerprint: str) -> None:
        key = PENDING + uuid.uuid4().hex
        shown = {name: str(value) for name, value in tags.items()}
        shown |= {operations.KEY: key} if _outbox.get() else {}
        given = {"parent": parent.id, "experiment": parent.experiment, "started": _now()}
        with signals.shielded():
            made = Run(key)._put("create", tags=shown, fingerprint=fingerprint, **given)
            self.id, self._is_linked = made or key, operations.is_linked(key)

    def _log_file(self, text: str, name: str, tables: list[str]) -> None:
        if self._is_open():
            with TemporaryDirectory() as temporary:
                Path(temporary, name).write_text(text, encoding="utf-8")
                self._put("artifacts", Path(temporary), folder="", tables=tables)

    def _put(self, do: str, files: Path | None = None, **given: Any) -> Any:
        if not self._is_open():
            return None
        operation = {"do": do, "run": self.id, **given} | ({"lock": self.lock} if self.lock else {})
        box = _outbox.get()
        return box.put(operation, files) if box else operations.send(operation, files)


@dataclass(frozen=True)
class Child:
    """A finished run to be logged below another: a trial of a search."""

    name: str
    status: str  # FINISHED, KILLED or FAILED
    started: int  # milliseconds since 1970
    ended: int
    tags: Mapping[str, str]
    params: Mapping[str, Any]
    metrics: Sequence[Record]
    above: Record  # metrics of the run that it is nested in


@contextmanager
def run(config: ExecutionConfig, name: str, note: str, step: str) -> Iterator[Run]:
    """Open a run: nested if one is open, else the one that `mlflow run` has begun, or a new one.

    A nested run of a step begins with its work: none is made for a step that was finished before
    and that `Run.log_step` can link. Ends the run as FINISHED, FAILED, or, on SIGTERM and Ctrl-C,
    KILLED. What an earlier command in the same workdir left running, because it was killed or its
    machine went down, is ended as KILLED; what it could not deliver to a server that was away is
    delivered.

    Raises InputError if the store is a server and does not answer, or for a name that is not UTF-8.
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
    """Raise InputError for a name that only its file system takes: steps and MLflow write UTF-8."""
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
    """Open the first run of a command, which holds a file that says that the command lives."""
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
                stack.enter_context(_set(_outbox, box))
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
    """Say in the UI how to read an experiment, unless somebody has described it."""
    if operations.NOTE not in operations.client().get_experiment(experiment).tags:
        operations.client().set_experiment_tag(experiment, operations.NOTE, pages.DESCRIPTION)


def is_there(run_id: str) -> bool:
    """Tell whether this store holds a run and it is not deleted; what cannot be asked has it."""
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
        # Not by the reference itself: MLflow would copy even what is already on this machine.
        return operations.fetch(run_id, folder)
    except Exception as error:  # the store's errors have no common class
        raise InputError(f"{reference} cannot be read from MLflow: {first_line(error)}") from None


def home(port: int = 5000) -> str:
    """Return the address of the UI: the server's, or where `mlflow ui` shows a local store."""
    return connection.connect() or f"http://127.0.0.1:{port}"


def where(port: int = 5000) -> str:
    """Return how to look at the results: the command that starts the UI, and the pages to open.

    Raises InputError if the store cannot be used, or the experiment is deleted.
    """
    server = connection.connect()
    number = first_run.number_of(EXPERIMENT)
    newest = next(operations.search(number, "tags.step = 'main'", page=1), None)
    named = {
        "newest curves": _curves(newest) if newest else "",
        "all runs": pages.everything(number),
    }
    lines = [f"{name:14} {home(port)}/{page}" for name, page in named.items() if page]
    if not server:
        address = shlex.quote(connection.shown())
        begin = f".venv/bin/mlflow ui --port {port} --backend-store-uri {address}"
        lines = [f"{'start the UI':14} {begin}", *lines]
    return "\n" + "".join(f"{line}\n" for line in lines)


def _curves(run: Any) -> str:
    below, linked = operations.steps(run)
    return pages.curves(run.info.experiment_id, [*linked, *below])


def _metrics(record: Record, moment: int) -> list[list[Any]]:
    """Return (name, value, milliseconds, step) of every metric that is a number.

    The same one of the same moment counts once, however often it is logged.
    """
    named = {name: float(value) for name, value in record.metrics.items()}
    return [[name, value, moment, record.step] for name, value in named.items() if value == value]


def _now() -> int:
    return int(time.time() * 1000)
