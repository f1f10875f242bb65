"""MLflow at the edge: runs, and what is logged to them; the modules below it import mlflow too.

What is logged goes straight to a local store, and by way of an outbox to a server (`outbox`).
"""

import json
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
from urllib.parse import quote

import pandas as pd

from influence.config.parameters import ExecutionConfig
from influence.errors import InputError, Terminated, first_line
from influence.runtime import locks, signals, store
from influence.runtime.step import Record, Steps
from influence.tracking import connection, first_run, killed, operations, outbox
from influence.tracking.outbox import Outbox

EXPERIMENT = "influence"
DESCRIPTION = """Which training examples does a text classifier need?

A top run's description is its verdict, its `report.html` the whole story. Below it lie the steps:
train, score, and of every arm a sample and an evaluation. Select the evaluations (tag `step` is
`evaluate`) and open the chart view: `curve/accuracy` over the percent pruned, random among them."""
FOLDER = re.compile(r"[\w./ -]*")  # MLflow decodes the rest of an address, such as %2e for a dot
MARKER = "process"  # the tag that says which file a living command holds
RUNNING = "running"  # the folder of these files
PENDING = "pending-"  # begins the key of a run that no server has made yet
CURVE = "curve/accuracy"  # the metric that a curve is, at percent pruned as its steps
CLASSIC = "workflowType=machine_learning"  # a new browser would open the UI in another mode
NOT_LOGGED = {"track", "storage"}  # a URL may hold a password

_outbox: ContextVar[Outbox | None] = ContextVar("outbox", default=None)
_current: ContextVar["Run | None"] = ContextVar("run", default=None)


class Deleted(InputError):
    """A run that is logged to is no more."""


class Run:
    """One MLflow run, or nothing at all where tracking is off; made by `run`."""

    def __init__(self, run_id: str, experiment: str = "", marker: str = "", lock: str = "") -> None:
        """`run_id` empty: log nothing.

        `experiment`, `marker`: what runs below this one need; `lock`: the directory that several
        commands which log to this run hold in turns.
        """
        self.id, self.experiment, self.marker, self.lock = run_id, experiment, marker, lock

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
            self.log(record)

    def log(self, record: Record) -> None:
        """Log metrics at their step, in one call."""
        if record.metrics:
            self._put("metrics", values=_metrics(record, _now()))

    def tag(self, **tags: Any) -> None:
        """Set tags."""
        self._put("tags", values={name: str(value) for name, value in tags.items()})

    def params(self, **values: Any) -> None:
        """Log the params that the run does not hold yet.

        `mlflow run` has logged its own as typed, and a param cannot change.
        """
        kept = {name: str(value) for name, value in values.items() if name not in NOT_LOGGED}
        self._put("params", values=kept)

    def log_step(self, directory: Path, step: str, name: str) -> dict[str, Any]:
        """Log the finished directory of `step` as folder `name`, and its dataset as input.

        The run gets the params of the training that it goes back to, so that a filter finds it.
        Files are linked where the store is local. Returns the manifest.
        """
        manifest = store.read_manifest(directory, step)
        self.log_dataset(**manifest["dataset"])
        self.params(dataset=manifest["dataset"]["name"], **manifest["fit"])
        self._put("artifacts", directory, folder=name, tables=[])
        self.tag(fingerprint=manifest["fingerprint"])  # last: all of it is there
        return manifest

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
        if self.id:
            from influence.plots import scores

            with TemporaryDirectory() as temporary:
                for name, figure in figures.items():
                    scores.save(figure, Path(temporary), name)
                self._put("artifacts", Path(temporary), folder="plots", tables=[])

    def log_table(self, table: pd.DataFrame, name: str) -> None:
        """Log a table as JSON that the UI renders, in place of one of that name."""
        if self.id:
            text = table.to_json(orient="split", index=False, date_format="iso")
            self._log_file(text, f"{name}.json", [f"{name}.json"])

    def log_text(self, text: str, name: str) -> None:
        """Log a text file."""
        self._log_file(text, name, [])

    def curves(self) -> str:
        """Return the page of the UI, from # on, where the curves below this run are; "" if none."""
        if not self.is_made:
            return ""
        try:
            return _curves(self.experiment, operations.run_of(self.id))
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
        with suppress(Deleted):
            self._put("end", status=status, ended=_now())

    def begin(self, tags: Mapping[str, Any]) -> "Run":
        """Begin a run nested in this one."""
        key = PENDING + uuid.uuid4().hex
        shown = {name: str(value) for name, value in tags.items()}
        shown |= {operations.KEY: key} if _outbox.get() else {}
        given = {"experiment": self.experiment, "started": _now(), "tags": shown}
        made = Run(key)._put("create", parent=self.id, **given)
        return Run(made or key, self.experiment, self.marker)

    def _log_file(self, text: str, name: str, tables: list[str]) -> None:
        if self.id:
            with TemporaryDirectory() as temporary:
                Path(temporary, name).write_text(text, encoding="utf-8")
                self._put("artifacts", Path(temporary), folder="", tables=tables)

    def _put(self, do: str, files: Path | None = None, **given: Any) -> Any:
        if not self.id:
            return None
        operation = {"do": do, "run": self.id, **given} | ({"lock": self.lock} if self.lock else {})
        box = _outbox.get()
        try:
            return box.put(operation, files) if box else operations.send(operation, files)
        except Exception as error:
            about = given.get("parent", self.id)  # of a run that has yet to be made
            if isinstance(error, InputError) or not operations.is_gone(about):
                raise
            raise Deleted(
                f"the run {operations.run_of(about)} was deleted while this command logged to it; "
                "give the same command again for a new run: what was finished is kept"
            ) from None


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

    Ends it as FINISHED, FAILED, or, on SIGTERM and Ctrl-C, KILLED. What an earlier command in the
    same workdir left running, because it was killed or its machine went down, is ended as KILLED;
    what it could not deliver to a server that was away is delivered.

    Raises InputError if the store is a server and does not answer, or for a name that is not UTF-8.
    """
    _check_names(config)
    if not config.track:
        yield Run("")
        return
    tags = {"mlflow.runName": name, "mlflow.note.content": note, "step": step}
    with ExitStack() as stack:
        if parent := _current.get():
            with signals.shielded():
                opened = parent.begin({MARKER: parent.marker, **tags})
                stack.enter_context(_ending(opened))
        else:
            opened = stack.enter_context(_command(config))
            opened.tag(**tags)
        stack.enter_context(_set(_current, opened))
        opened.params(**config.parameters())
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
            marker = workdir / RUNNING / run_id
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
        opened.tag(**{MARKER: marker})
        ended = set()
        if server:
            ended = outbox.deliver(workdir / "outbox", server, operations.send, operations.away)
        with operations.unless_away():
            _end_orphans(experiment, ended)
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
    note = "mlflow.note.content"
    if note not in operations.client().get_experiment(experiment).tags:
        operations.client().set_experiment_tag(experiment, note, DESCRIPTION)


def _end_orphans(experiment: str, ended: set[Path]) -> None:
    """End the runs of commands that are no more, as the files that they held say, or `ended`."""
    left = list(operations.search(experiment, "attributes.status = 'RUNNING'"))
    tagged = {run.info.run_id: Path(run.data.tags.get(MARKER, "")) for run in left}
    # A store may be shared: what else a tag names is not ours to open, let alone to remove.
    markers = {run: path for run, path in tagged.items() if path.parent.name == RUNNING}
    lost = [
        run_id
        for run_id, marker in markers.items()
        if marker in ended or not locks.is_alive(marker)
    ]
    for run_id in lost:
        operations.client().set_terminated(run_id, "KILLED")
    for run_id in lost:
        markers[run_id].unlink(missing_ok=True)


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
    """Return how to look at the curves: the command that starts the UI, and the page to open.

    The page shows charts at once; a new browser would open on another mode of the UI. Raises
    InputError if the store cannot be used, or the experiment is deleted.
    """
    server = connection.connect()
    number = first_run.number_of(EXPERIMENT)
    pages = [f"#/experiments/{number}/runs?{CLASSIC}&compareRunsMode=CHART"]
    newest = next(operations.search(number, "tags.step = 'main'", page=1), None)
    pages += [_curves(number, newest.info.run_id)] if newest else []
    store_address = shlex.quote(connection.shown())
    begin = f"  .venv/bin/mlflow ui --port {port} --backend-store-uri {store_address}"
    address = home(port)
    shown = [f"{address}/{page}" for page in pages if page]
    return f"\nSee all runs:{'' if server else begin}\nthen open      {shown[0]}\n" + "".join(
        f"newest curves  {page}\n" for page in shown[1:]
    )


def _curves(experiment: str, parent: str) -> str:
    """Return the page of the UI on which the curves below a run lie over one another, "" if none.

    It begins with #, so that it is a link within the UI, too.
    """
    runs = [
        run.info.run_id
        for run in operations.nested(experiment, parent)
        if run.data.tags.get("step") == "evaluate"
    ]
    if not runs:
        return ""
    asked = {
        "runs": runs,
        "metric": CURVE,
        "experiments": [experiment],
        "plot_metric_keys": [CURVE],
    }
    query = "&".join(
        f"{name}={quote(json.dumps(value, separators=(',', ':')))}" for name, value in asked.items()
    )
    return f"#/metric?{query}&x_axis=step&{CLASSIC}"


def _metrics(record: Record, moment: int) -> list[list[Any]]:
    """Return (name, value, milliseconds, step) of every metric that is a number.

    The same one of the same moment counts once, however often it is logged.
    """
    named = {name: float(value) for name, value in record.metrics.items()}
    return [[name, value, moment, record.step] for name, value in named.items() if value == value]


def _now() -> int:
    return int(time.time() * 1000)
