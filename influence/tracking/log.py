"""One MLflow run, and what is logged to it.

Data goes straight to a local store (`operations`), and through an outbox to a server (`outbox`).
The run of a step begins with its work. A step that was finished before gets no new run if its
experiment already has one: that run is linked.
"""

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from influence.data.result import Result
from influence.runtime import signals
from influence.runtime.step import Record, Steps, read_records
from influence.tracking import operations, orphans, pages
from influence.tracking.outbox import Outbox

PENDING = "pending-"  # prefix of the key of a run that no server has created yet
STEPS = ("train", "score", "sample", "evaluate")  # write a directory that may exist already
NOT_LOGGED = {"track", "storage"}  # a URL may hold a password

waiting: ContextVar[Outbox | None] = ContextVar("outbox", default=None)  # of this command


class Run:
    """One MLflow run, or nothing at all where tracking is off; made by `run`."""

    def __init__(self, run_id: str, experiment: str = "", marker: str = "", lock: str = "") -> None:
        """`run_id` empty: log nothing.

        `experiment`, `marker`: needed by runs below this one; `lock`: a directory that commands
        logging to the same run lock in turn.
        """
        self.id, self.experiment, self.marker, self.lock = run_id, experiment, marker, lock
        self._planned: tuple[Run, dict[str, Any], dict[str, Any]] | None = None
        self._is_linked = self._is_followed = False

    @property
    def is_made(self) -> bool:
        """Tell whether a store holds this run: while the server is away, its creation waits."""
        return bool(self.id) and not operations.run_of(self.id).startswith(PENDING)

    def follow(self, records: Steps) -> Path:
        """Log the records of a step as they arrive and return its finished directory."""
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

        The run gets the params of the training behind it, so that filters find it. In a local store
        files are hard-linked. Returns False if there is nothing more to log: without tracking, and
        for a step that an earlier run of the experiment has finished.
        """
        if not self._is_open(result.fingerprint):
            return False
        if not self._is_followed:
            self.log(*read_records(result.directory))
        facts = result.handed_on
        self.log_dataset(**facts["dataset"])
        self.params(dataset=result.dataset_name, **facts["fit"])
        self._put("artifacts", result.directory, folder=name, tables=[])
        self.tag(**{operations.FINGERPRINT: result.fingerprint})  # last: everything is logged
        return True

    def tag(self, **tags: Any) -> None:
        """Set tags."""
        self._put("tags", values={name: str(value) for name, value in tags.items()})

    def describe(self, text: str) -> None:
        """Set the description; links to its curves and to steps of earlier runs follow the text."""
        self._put("note", text=text)

    def params(self, **values: Any) -> None:
        """Log the params that the run does not hold yet.

        `mlflow run` has already logged its params as typed, and params cannot change.
        """
        kept = {name: str(value) for name, value in values.items() if name not in NOT_LOGGED}
        self._put("params", values=kept)

    def log_children(self, children: Iterable["Child"]) -> None:
        """Log finished runs nested in this one, except those that exist already.

        If logging one was interrupted, it continues in the run that was begun for it.
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
        """Tell whether a tag has this value, as far as the store can be reached."""
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
        """Log a table as JSON that the UI renders, replacing one of the same name."""
        if self._is_open():
            text = table.to_json(orient="split", index=False, date_format="iso")
            self._log_file(text, f"{name}.json", [f"{name}.json"])

    def log_text(self, text: str, name: str) -> None:
        """Log a text file."""
        self._log_file(text, name, [])

    def curves(self) -> str:
        """Return the UI page with the curves of this run, from # on; "" if it has none."""
        if not self.is_made:
            return ""
        try:
            return curves(operations.client().get_run(operations.run_of(self.id)))
        except Exception as error:
            if not operations.away(error):
                raise
            return ""

    def where(self, name: str) -> str:
        """Return the path of an artifact, or its address if the store is not on this machine."""
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
        """Log the dataset of this run under our own digest of all rows.

        MLflow's digest would cover only the first 10,000 rows.
        """
        self._put("dataset", name=name, digest=digest)

    def end(self, status: str) -> None:
        """End this run as FINISHED, FAILED or KILLED; a deleted run has already ended."""
        self._planned = None
        with suppress(operations.Deleted):
            self._put("end", status=status, ended=_now())

    def nest(self, tags: Mapping[str, Any], params: Mapping[str, Any], step: str) -> "Run":
        """Return a run nested in this one; that of a step begins when something is first logged."""
        nested = Run("", self.experiment, self.marker)
        if self._is_open():
            nested._planned = self, {orphans.MARKER: self.marker, **tags}, dict(params)
        if step not in STEPS:
            nested._is_open()
        return nested

    def _is_open(self, fingerprint: str = "") -> bool:
        """Tell whether this run can be logged to; a planned run begins at this point.

        If the experiment has a finished run of the same `fingerprint`, that one is linked instead.
        """
        if self._planned is not None:
            (parent, tags, params), self._planned = self._planned, None
            self._begin(parent, tags, fingerprint)
            self.params(**params)
        return bool(self.id) and not self._is_linked

    def _begin(self, parent: "Run", tags: Mapping[str, Any], fingerprint: str) -> None:
        key = PENDING + uuid.uuid4().hex
        shown = {name: str(value) for name, value in tags.items()}
        shown |= {operations.KEY: key} if waiting.get() else {}
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
        box = waiting.get()
        return box.put(operation, files) if box else operations.send(operation, files)


@dataclass(frozen=True)
class Child:
    """A finished run to be logged below another one: a trial of a search."""

    name: str
    status: str  # FINISHED, KILLED or FAILED
    started: int  # milliseconds since 1970
    ended: int
    tags: Mapping[str, str]
    params: Mapping[str, Any]
    metrics: Sequence[Record]
    above: Record  # metrics of the run that it is nested in


def curves(run: Any) -> str:
    """Return the UI page with the curves of a run and its linked steps, "" if there are none."""
    below, linked = operations.steps(run)
    return pages.curves(run.info.experiment_id, [*linked, *below])


def _metrics(record: Record, moment: int) -> list[list[Any]]:
    """Return (name, value, milliseconds, step) of every metric that is a number.

    A metric logged again with the same timestamp counts once.
    """
    named = {name: float(value) for name, value in record.metrics.items()}
    return [[name, value, moment, record.step] for name, value in named.items() if value == value]


def _now() -> int:
    return int(time.time() * 1000)
