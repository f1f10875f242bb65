"""Runs left running by commands that no longer exist."""

from pathlib import Path

from influence.runtime import locks
from influence.tracking import operations

MARKER = "process"  # tag naming the file that a live command holds
RUNNING = "running"  # the folder of these files


def end(experiment: str, ended: set[Path]) -> None:
    """End the runs of commands that have ended, as shown by their files or listed in `ended`."""
    left = list(operations.search(experiment, "attributes.status = 'RUNNING'"))
    tagged = {run.info.run_id: Path(run.data.tags.get(MARKER, "")) for run in left}
    # A store may be shared: any other file that a tag names is not ours to open or remove.
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
