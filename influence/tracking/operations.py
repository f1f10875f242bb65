"""Everything that is written to MLflow: one function per operation, each safe to repeat.

An operation is a JSON-serialisable dictionary: `do` names the function, `run` the run that it is
about, by its id or, if the server was away when the run began, by a key that stands for it until
the run is created. Nothing is logged in the background, whatever MLFLOW_ENABLE_ASYNC_LOGGING says:
a failure there would be lost silently.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from influence.errors import InputError, first_line
from influence.runtime import store
from influence.runtime.locks import locked
from influence.tracking import pages, places
from influence.tracking.outbox import Operation

KEY = "influence.key"  # tag that identifies a run before it has an id
PARENT = "mlflow.parentRunId"
FINGERPRINT = "fingerprint"  # tag with the result of a step, set once everything is logged
LINKED = "linked_runs"  # tag listing the steps of a run that earlier runs have finished
NOTE = "mlflow.note.content"  # tag that the UI shows as the description
TABLES = "mlflow.loggedArtifacts"  # tag by which the UI recognises tables
NOT_ALLOWED = re.compile(r"[^\w\-./: ]")  # in the names of metrics
TEMPORARY = (429, 502, 503, 504)  # HTTP status codes
PAGE = 1000  # runs fetched at a time, and metrics logged at a time

_ids: dict[str, str] = {}  # of runs that are identified by a key
_linked: set[str] = set()  # keys that stand for a run that was finished before


class Deleted(InputError):
    """The run that something is logged to was deleted."""


def send(operation: Operation, files: Path | None = None, again: bool = False) -> Any:
    """Perform one operation; with `again`, it was tried before and may already have arrived.

    With a `lock`, users of the same directory take turns: two at once could create the same run
    twice, and the store refuses the same tag or metric from both.
    """
    given = dict(operation)
    do, run, lock = given.pop("do"), given.pop("run"), given.pop("lock", "")
    about = given.get("parent", run)  # of a run that does not exist yet
    if is_linked(run):
        return None  # everything is logged already
    try:
        with locked(Path(lock)) if lock else nullcontext():
            if do == "create":
                return _create(run, again, **given)
            return _DO[do](run_of(run), files, **given)
    except Exception as error:
        if away(error) or isinstance(error, InputError) or not is_gone(about):
            raise
        raise Deleted(
            f"the run {run_of(about)} was deleted while this command logged to it; run the same "
            "command again for a new run: finished steps are kept"
        ) from None


def is_linked(name: str) -> bool:
    """Tell whether a key stands for a run of this experiment that was finished before."""
    return name in _linked


def run_of(name: str) -> str:
    """Return the id of a run, given its id or its key."""
    return _ids.get(name, name)


def away(error: BaseException) -> str:
    """Say in a few words why the server cannot be reached, "" for any other exception."""
    from requests import RequestException

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, RequestException):
            return _unreachable(cause)
        cause = cause.__cause__ or cause.__context__
    status = getattr(error, "get_http_status_code", lambda: 0)()
    return f"it answers with status {status}" if status in TEMPORARY else ""


def local_root(run_id: str) -> Path | None:
    """Return the directory of a run's artifacts, None if it is not on this machine."""
    return places.directory(_artifact_uri(run_id))


def fetch(run_id: str, folder: str) -> Path:
    """Return an artifact folder of a run: in place, or a copy on this machine."""
    return places.fetch(client().get_run(run_id).info.artifact_uri, folder)


def nested(experiment: str, parent: str) -> Iterator[Any]:
    """Yield the runs below a run."""
    yield from search(experiment, f"tags.`{PARENT}` = '{parent}'")


def search(experiment: str, query: str, page: int = PAGE) -> Iterator[Any]:
    """Yield all runs of an experiment that match a query; the store returns them in pages.

    A caller that changes what the query tests must collect them all first.
    """
    token = None
    while True:
        some = client().search_runs([experiment], query, max_results=page, page_token=token)
        yield from some
        if not (token := some.token):
            return


def steps(run: Any) -> tuple[list[Any], list[Any]]:
    """Return the runs below a run, and its steps that an earlier run has finished; oldest first.

    Deleted ones are left out.
    """
    ids = json.loads(run.data.tags.get(LINKED, "[]"))
    linked = [client().get_run(run_id) for run_id in ids if not is_gone(run_id)]
    below = nested(run.info.experiment_id, run.info.run_id)
    return _by_start(below), _by_start(linked)


def _by_start(runs: Iterable[Any]) -> list[Any]:
    return sorted(runs, key=lambda run: run.info.start_time)


def tags(run: str) -> Mapping[str, str]:
    """Return the tags of a run."""
    return client().get_run(run_of(run)).data.tags


def is_gone(run: str) -> bool:
    """Tell whether a run (id or key) is deleted, as far as the store can be reached."""
    from mlflow.exceptions import MlflowException

    try:
        return client().get_run(run_of(run)).info.lifecycle_stage != "active"
    except MlflowException as error:
        return not away(error)


@contextmanager
def unless_away() -> Iterator[None]:
    """Skip what fails because the server is away."""
    try:
        yield
    except Exception as error:
        if not away(error):
            raise


def client():
    """Return MLflow's client for the store of this process."""
    from mlflow import MlflowClient

    return MlflowClient()


def _create(
    key: str,
    again: bool,
    experiment: str,
    parent: str,
    started: int,
    tags: Mapping[str, str],
    fingerprint: str,
) -> str:
    """Create a nested run and return its id, or that of a finished run of the same `fingerprint`.

    The latter is linked: it stays where it is, the parent lists it in the tag `LINKED`, and
    whatever is logged under the key is there already.

    Many parameters: they are the fields of one line of the outbox, by name.
    """
    made = search(experiment, f"tags.`{KEY}` = '{key}'") if again else iter(())
    run, known = next(made, None), None
    if run is None and fingerprint:
        equal = f"tags.{FINGERPRINT} = '{fingerprint}' and tags.step = '{tags['step']}'"
        known = next(search(experiment, f"{equal} and attributes.status = 'FINISHED'", 1), None)
    if known is not None:
        _link(run_of(parent), known.info.run_id)
        _linked.add(key)
    run = run or known or client().create_run(experiment, started, {**tags, PARENT: run_of(parent)})
    _ids[key] = run.info.run_id
    return run.info.run_id


def _link(parent: str, run_id: str) -> None:
    there = json.loads(tags(parent).get(LINKED, "[]"))
    if run_id not in there:
        client().set_tag(parent, LINKED, json.dumps([*there, run_id]), synchronous=True)


def _metrics(run_id: str, files: None, values: list[list[Any]]) -> None:
    """Log (name, value, milliseconds, step); a store keeps a repeated one once."""
    from mlflow.entities import Metric

    metrics = [Metric(NOT_ALLOWED.sub("-", name), *rest) for name, *rest in values]
    for first in range(0, len(metrics), PAGE):
        client().log_batch(run_id, metrics=metrics[first : first + PAGE], synchronous=True)


def _tags(run_id: str, files: None, values: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    named = [RunTag(name, value) for name, value in values.items()]
    client().log_batch(run_id, tags=named, synchronous=True)


def _note(run_id: str, files: None, text: str) -> None:
    """Set the description of a run; its links need run ids, which are known only now."""
    run = client().get_run(run_id)
    described = pages.describe(text, run.info.experiment_id, *steps(run))
    client().set_tag(run_id, NOTE, described, synchronous=True)


def _params(run_id: str, files: None, values: Mapping[str, str]) -> None:
    """Log the params that the run does not hold yet: params cannot change."""
    from mlflow.entities import Param

    there = client().get_run(run_id).data.params
    new = [Param(name, value) for name, value in values.items() if name not in there]
    client().log_batch(run_id, params=new, synchronous=True)


def _dataset(run_id: str, files: None, name: str, digest: str) -> None:
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.entities import Dataset, DatasetInput

    source = CodeDatasetSource(tags={"dataset": name}).to_json()
    client().log_inputs(run_id, datasets=[DatasetInput(Dataset(name, digest, "code", source))])


def _artifacts(run_id: str, files: Path, folder: str, tables: list[str]) -> None:
    """Log all files of a directory into a folder, by hard links if the store is on this machine."""
    root = local_root(run_id)
    if root is not None:
        store.copy_tree(files, root / folder)
    else:
        # A copy by links leaves out what is no result, such as the lock of a step.
        with TemporaryDirectory(dir=files.parent, prefix=".upload-") as place:
            store.copy_tree(files, Path(place))
            _upload(run_id, place, folder)
    if tables:
        _name_tables(run_id, tables)


def _upload(run_id: str, directory: str, folder: str) -> None:
    """Upload a directory to the artifacts of a run.

    Raises InputError if the artifact store refuses it: its errors have no common class.
    """
    try:
        client().log_artifacts(run_id, directory, folder or None)
    except Exception as error:
        if away(error):
            raise
        raise InputError(
            f"the artifacts of run {run_id} cannot be sent to {_artifact_uri(run_id)} "
            f"({first_line(error)}); fix that and run the same command again: finished steps are "
            "kept"
        ) from None


def _name_tables(run_id: str, names: list[str]) -> None:
    """Tag files as tables, like `mlflow.log_table`, which would append to an existing table."""
    there = json.loads(client().get_run(run_id).data.tags.get(TABLES, "[]"))
    new = [{"path": name, "type": "table"} for name in names]
    value = [*there, *(table for table in new if table not in there)]
    client().set_tag(run_id, TABLES, json.dumps(value), synchronous=True)


def _children(run_id: str, files: None, children: list[Mapping[str, Any]]) -> None:
    """Log finished runs below this one; existing ones are skipped, or completed."""
    experiment = client().get_run(run_id).info.experiment_id
    there = {run.info.run_name: run.info for run in nested(experiment, run_id)}
    for child in children:
        info = there.get(child["name"])
        if info is not None and info.status != "RUNNING":
            continue
        tags = {PARENT: run_id, "mlflow.runName": child["name"], **child["tags"]}
        if info is None:
            info = client().create_run(experiment, child["started"], tags).info
        _params(info.run_id, None, child["params"])
        _metrics(run_id, None, child["above"])
        _metrics(info.run_id, None, child["metrics"])
        _end(info.run_id, None, child["status"], child["ended"])


def _end(run_id: str, files: None, status: str, ended: int) -> None:
    """End a run; if it already has this status, its end time stays."""
    if client().get_run(run_id).info.status != status:
        client().set_terminated(run_id, status, ended)


_DO = {
    "metrics": _metrics,
    "tags": _tags,
    "note": _note,
    "params": _params,
    "dataset": _dataset,
    "artifacts": _artifacts,
    "children": _children,
    "end": _end,
}


@cache
def _artifact_uri(run_id: str) -> str:
    return client().get_run(run_id).info.artifact_uri


def _unreachable(error: Any) -> str:
    """Say why a request did not reach the server, "" for a genuine answer."""
    from requests import exceptions

    if error.response is not None:
        status = error.response.status_code
        return f"it answers with status {status}" if status in (500, *TEMPORARY) else ""
    if isinstance(error, exceptions.Timeout):
        return "it does not answer in time"
    if isinstance(error, exceptions.RetryError):
        return "it answers with a server error"
    return "no connection" if isinstance(error, exceptions.ConnectionError) else ""
