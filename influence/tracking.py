"""MLflow: runs, params, metrics, artifacts. The only module that imports mlflow."""

import os
import re
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pandas as pd

from influence import store
from influence.config import ExecutionConfig
from influence.errors import InputError, Terminated
from influence.steps.step import Record, Steps

EXPERIMENT = "influence"
DESCRIPTION = """Which training examples does a text classifier need?

A top run's description is its verdict, its `report.html` the whole story. Below it lie the steps:
train, score, and of every arm a sample and an evaluation. Select the evaluations (tag `step` is
`evaluate`) and open the chart view: `curve/accuracy` over the percent pruned, random among them."""
NOT_ALLOWED = re.compile(r"[^\w\-./: ]")  # in metric names
FOLDER = re.compile(r"[\w./ -]*")  # MLflow decodes the rest of an address, such as %2e for a dot
MARKER = "process"  # the tag that says which file a living command holds
RUNNING = "running"  # the folder of these files
NOT_LOGGED = {"track", "storage"}  # a URL may hold a password

_held: ContextVar[Path | None] = ContextVar("marker", default=None)


class Run:
    """One MLflow run, or nothing at all where tracking is off; made by `run`."""

    def __init__(self, run_id: str) -> None:
        """`run_id` empty: log nothing."""
        self.id = run_id

    def follow(self, records: Steps) -> Path:
        """Log the records of a step as they come and return its finished directory."""
        while True:
            try:
                record = next(records)
            except StopIteration as end:
                return end.value
            self.log(record)

    def log(self, record: Record, moment: int = 0) -> None:
        """Log metrics at their step, in one call.

        `moment`: milliseconds since 1970, 0 for now; the same ones of the same moment count once.
        """
        if self.id and record.metrics:
            from mlflow.entities import Metric

            now = moment or int(time.time() * 1000)
            metrics = [
                Metric(NOT_ALLOWED.sub("-", name), value, now, record.step)
                for name, value in record.metrics.items()
                if value == value
            ]
            _client().log_batch(self.id, metrics=metrics)

    def tag(self, **tags: Any) -> None:
        """Set tags."""
        for name, value in tags.items() if self.id else ():
            _client().set_tag(self.id, name, value)

    def params(self, **values: Any) -> None:
        """Log the params that the run does not hold yet.

        `mlflow run` has logged its own as typed, and a param cannot change.
        """
        if self.id:
            import mlflow

            there = {*_client().get_run(self.id).data.params, *NOT_LOGGED}
            new = {name: value for name, value in values.items() if name not in there}
            mlflow.log_params(new, run_id=self.id)

    def log_step(self, directory: Path, step: str, name: str) -> dict[str, Any]:
        """Log the finished directory of `step` as folder `name`, and its dataset as input.

        The run gets the params of the training that it goes back to, so that a filter finds it.
        Files are linked where the store is local. Returns the manifest.
        """
        manifest = store.read_manifest(directory, step)
        if not self.id:
            return manifest
        self.log_dataset(**manifest["dataset"])
        self.params(dataset=manifest["dataset"]["name"], **manifest["fit"])
        place = self.where(name)
        if not place.startswith("runs:/"):
            store.copy_tree(directory, Path(place))
        else:
            _client().log_artifacts(self.id, str(directory), name)
        self.tag(fingerprint=manifest["fingerprint"])  # last: all of it is there
        return manifest

    def log_children(self, children: Iterable["Child"]) -> None:
        """Log finished runs nested in this one, those that are there already left out.

        One whose logging was cut off is logged into the run that was begun for it.
        """
        if self.id:
            experiment = _client().get_run(self.id).info.experiment_id
            there = {run.info.run_name: run.info for run in _nested(experiment, self.id)}
            for child in children:
                found = there.get(child.name)
                if found is None or found.status == "RUNNING":
                    self.log(child.above, child.ended)
                    _log_child(experiment, self.id, child, found.run_id if found else "")

    def has_tag(self, name: str, value: str) -> bool:
        """Tell whether a tag has this value."""
        return bool(self.id) and _client().get_run(self.id).data.tags.get(name) == value

    def log_figures(self, figures: Mapping[str, Any]) -> None:
        """Log matplotlib figures as plots/<name>.png and .svg."""
        if self.id:
            import tempfile

            from influence import plots

            with tempfile.TemporaryDirectory() as temporary:
                for name, figure in figures.items():
                    plots.save(figure, Path(temporary), name)
                _client().log_artifacts(self.id, temporary, "plots")

    def log_table(self, table: pd.DataFrame, name: str) -> None:
        """Log a table as JSON that the UI renders, in place of one of that name."""
        if self.id:
            import mlflow

            path = f"{name}.json"
            if path in (file.path for file in _client().list_artifacts(self.id)):
                # Left by a command that was killed, perhaps half-written; log_table would append.
                self.log_text(table.head(0).to_json(orient="split", index=False), path)
            mlflow.log_table(table, path, run_id=self.id)

    def log_text(self, text: str, name: str) -> None:
        """Log a text file."""
        if self.id:
            _client().log_text(self.id, text, name)

    def where(self, name: str) -> str:
        """Return the path of an artifact, its address where the store is not on this machine."""
        root = urlparse(_client().get_run(self.id).info.artifact_uri)
        if root.scheme in ("", "file"):
            return str(Path(unquote(root.path)) / name)
        return f"runs:/{self.id}/{name}"

    def log_dataset(self, name: str, digest: str) -> None:
        """Name the dataset that went into this run, under a digest of our own over all rows.

        A digest of mlflow's would look at the first 10,000 rows only.
        """
        if self.id:
            from mlflow import log_input
            from mlflow.data.code_dataset_source import CodeDatasetSource
            from mlflow.data.meta_dataset import MetaDataset

            source = CodeDatasetSource(tags={"dataset": name})
            log_input(MetaDataset(source, name=name, digest=digest))


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
    same workdir left running, because it was killed or its machine went down, is ended as KILLED.
    """
    if not config.track:
        yield Run("")
        return
    import mlflow

    signal.signal(signal.SIGTERM, _terminate)
    nested = mlflow.active_run() is not None
    if not nested and not {"MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME"} & set(os.environ):
        mlflow.set_experiment(EXPERIMENT)
    begun = mlflow.start_run(nested=nested)
    opened, status = Run(begun.info.run_id), "FAILED"
    try:
        with _holding(Path(config.workdir).absolute() / RUNNING / opened.id) as marker:
            if not nested:
                _end_orphans(begun.info.experiment_id)
                _describe(begun.info.experiment_id)
            opened.tag(**{MARKER: marker})
            opened.tag(**{"mlflow.runName": name, "mlflow.note.content": note, "step": step})
            opened.params(**config.knobs())
            yield opened
        status = "FINISHED"
    except (KeyboardInterrupt, Terminated):
        status = "KILLED"
        raise
    finally:
        mlflow.end_run(status)


@contextmanager
def _holding(marker: Path) -> Iterator[Path]:
    """Hold the file that says that this command lives: one for its run and all that are nested."""
    if held := _held.get():
        yield held
        return
    with store.alive(marker):
        token = _held.set(marker)
        try:
            yield marker
        finally:
            _held.reset(token)


def _describe(experiment: str) -> None:
    """Say in the UI how to read an experiment, unless somebody has described it."""
    note = "mlflow.note.content"
    if note not in _client().get_experiment(experiment).tags:
        _client().set_experiment_tag(experiment, note, DESCRIPTION)


def _end_orphans(experiment: str) -> None:
    """End the runs of commands that are no more and so could not end them."""
    left = _client().search_runs([experiment], "attributes.status = 'RUNNING'")
    tagged = {run.info.run_id: Path(run.data.tags.get(MARKER, "")) for run in left}
    # A store may be shared: what else a tag names is not ours to open, let alone to remove.
    markers = {run: path for run, path in tagged.items() if path.parent.name == RUNNING}
    lost = [run_id for run_id, marker in markers.items() if not store.is_alive(marker)]
    for run_id in lost:
        _client().set_terminated(run_id, "KILLED")
    for run_id in lost:
        markers[run_id].unlink(missing_ok=True)


def is_there(run_id: str) -> bool:
    """Tell whether this store holds a run and it is not deleted."""
    from mlflow.exceptions import MlflowException

    try:
        return _client().get_run(run_id).info.lifecycle_stage == "active"
    except MlflowException:
        return False


def end(run_id: str) -> None:
    """Mark a run as finished, whichever command had begun it, unless it is."""
    if _client().get_run(run_id).info.status != "FINISHED":
        _client().set_terminated(run_id, "FINISHED")


def resolve(reference: str) -> Path:
    """Return the local directory of a path or of `runs:/<id>/<folder>`.

    Raises InputError if there is none.
    """
    if not reference.startswith("runs:/"):
        path = Path(reference).absolute()
        if not path.is_dir():
            raise InputError(f"there is no directory {path}")
        return path
    import mlflow

    run_id, _, folder = reference.removeprefix("runs:/").partition("/")
    if not FOLDER.fullmatch(folder) or ".." in folder.split("/"):
        raise InputError(f"{reference!r} names no folder of a run; write runs:/<id>/training")
    try:
        # Not the reference itself: MLflow would copy even what is already on this machine.
        root = _client().get_run(run_id).info.artifact_uri
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=f"{root}/{folder}"))
    except Exception as error:  # the store's errors have no common class
        raise InputError(f"{reference} cannot be read from MLflow: {_first_line(error)}") from None


def where(port: int = 5000) -> str:
    """Return how to look at the curves: the command that starts the UI, and the page to open.

    The page shows charts at once; a new browser would open on another mode of the UI.
    """
    import mlflow

    experiment = mlflow.get_experiment_by_name(EXPERIMENT)
    number = experiment.experiment_id if experiment else 0
    page = f"http://127.0.0.1:{port}/#/experiments/{number}/runs"
    return (
        f"\nSee the curves:  .venv/bin/mlflow ui --port {port} "
        f"--backend-store-uri {mlflow.get_tracking_uri()}\n"
        f"then open        {page}?workflowType=machine_learning&compareRunsMode=CHART\n"
        "and press + beside the newest run: the curves of its arms lie over one another.\n"
    )


def _nested(experiment: str, parent: str) -> Iterator[Any]:
    token, query = None, f"tags.`mlflow.parentRunId` = '{parent}'"
    while True:
        page = _client().search_runs([experiment], query, max_results=1000, page_token=token)
        yield from page
        if not (token := page.token):
            return


def _log_child(experiment: str, parent: str, child: Child, begun: str) -> None:
    from mlflow.entities import Param

    tags = {"mlflow.parentRunId": parent, "mlflow.runName": child.name, **child.tags}
    begun = begun or _client().create_run(experiment, child.started, tags).info.run_id
    params = [Param(name, str(value)) for name, value in child.params.items()]
    _client().log_batch(begun, params=params)
    for record in child.metrics:
        Run(begun).log(record, child.ended)
    _client().set_terminated(begun, child.status, child.ended)


def _client():
    from mlflow import MlflowClient

    return MlflowClient()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _terminate(signum, frame) -> None:
    raise Terminated
