"""The demo on a Ray cluster that loses a worker on the way, beside the demo in one process.

Run: pip install -c constraints.txt -e .[ray]; python -m benchmarks.lost_worker
Writes benchmarks/lost_worker.json: the files that differ between the two workdirs, which have to be
none. The demo runs with cluster=auto and two workers of one thread; once the first points of a
curve are there, one of the processes that do the next is killed. What is not compared is in
tests/helpers/faults.py: seconds of work.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import machine, write
from influence.evaluation.retraining import PREDICTIONS
from tests.helpers.faults import differences

ROOT = Path(__file__).parent.parent
PAUSE = 0.2


def main() -> None:
    """Run both, kill one worker of the second, and compare what they leave."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="assistant")
    parser.add_argument("--points", type=int, default=3, help="points there before the worker dies")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lost-") as root:
        alone, cluster = Path(root, "alone"), Path(root, "cluster")
        with launch(given.dataset, alone, "--workers", "1") as process:
            assert process.wait() == 0
        with launch(given.dataset, cluster, "--cluster", "auto", "--workers", "2") as process:
            lost = kill_one(cluster, given.points, process)
            assert process.wait() == 0
        points = sum(1 for _ in cluster.glob("evaluate-*/points.csv"))
        found = differences(alone, cluster)
    write(
        __file__,
        {
            "machine": machine(workers=2),
            "dataset": given.dataset,
            "lost": lost,
            "curves": points,
            "differences": found,
        },
    )


def launch(dataset: str, workdir: Path, *flags: str) -> subprocess.Popen:
    """Begin the demo in a workdir of its own, without tracking."""
    line = [sys.executable, "-m", "entrypoints.main", "--dataset", dataset, "--threads", "1"]
    return subprocess.Popen([*line, "--workdir", workdir, "--track", "False", *flags], cwd=ROOT)


def kill_one(workdir: Path, points: int, process: subprocess.Popen) -> str:
    """Kill a busy worker once so many points are there; return what it called itself."""
    while process.poll() is None:
        there = sum(1 for _ in workdir.glob(f"retrainings/**/{PREDICTIONS}"))
        busy = workers() if there >= points else {}
        if busy:
            number, title = next(iter(busy.items()))
            os.kill(number, signal.SIGKILL)
            return title
        time.sleep(PAUSE)
    raise SystemExit("the demo ended before a worker could be killed")


def workers() -> dict[int, str]:
    """Return the processes that do a job of Ray at this moment, and what they call themselves."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            title = entry.read_bytes().split(b"\0")[0].decode(errors="replace").strip()
        except OSError:  # it has just ended
            continue
        if title.startswith("ray::_prepared"):  # the others are Ray's own, or wait for a job
            found[int(entry.parent.name)] = title
    return found


if __name__ == "__main__":
    main()
