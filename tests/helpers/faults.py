"""Kill commands, run them again, and compare what they left but for what the clock says."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from influence.runtime import store
from tests.helpers import project, tiny

HERE = {"workers": 1, "threads": 1}
PAUSE = 0.002  # seconds between two looks
FIRST = {"score": "training", "sample": "scores", "evaluate": "sample", "search": "scores"}
BEFORE = {"score": ["train"], "sample": ["train", "score"], "search": ["train", "score"]}
BEFORE["evaluate"] = [*BEFORE["sample"], "sample"]
CASES: dict[str, dict[str, Any]] = {
    "train": {**tiny.FAST, "runs": 2, "folds": 2},
    "score": {"score": "vog,el2n,forgetting,pvi,tracin", "shard_size": 10},
    "sample": {"arm": "vog:linear:dataset", "draws": 3},
    "evaluate": {"seeds": 2},
    "main": {**tiny.FAST, "arms": "vog:easy,el2n:hard", "fractions": "0.3,0.6", "seeds": 1},
    "search": {"trials": 8, "seeds": 2, "test_seeds": 2, "tolerance": 0.2},
}

NOT_COMPARED = ("running", "studies")  # of a workdir: who lives; the database of a search
SECONDS = "seconds"  # of work; the name of a field, or the end of a metric's name
TIMED = {"trials.csv": ("started", "ended")}  # columns of single files that hold a time of day


class Bench:
    """A small dataset, the steps before the one to be killed, and its undisturbed result.

    All commands that are compared have had the same workdir, `work`: some results hold paths.
    """

    def __init__(self, root: Path, step: str, tracking: str = "", **changed: Any) -> None:
        """`root`: an empty directory; `tracking`: the URI of an MLflow store, or none."""
        self.step, self.work, self.whole = step, root / "work", root / "undisturbed"
        # What the fluent API leaves in this process's environment is not a user's.
        usual = {name: value for name, value in os.environ.items() if "MLFLOW_EXP" not in name}
        self.environment = usual | {"MLFLOW_TRACKING_URI": tracking}
        given = {**HERE, "track": False, **CASES[step], **changed}
        tiny.write(root / "talk", tiny.frames())
        if step in FIRST and "dataset" not in changed:
            given[FIRST[step]] = self._before(root, BEFORE[step])
        else:
            given.setdefault("dataset", root / "talk")
        self.parameters, self.said = {**given, "workdir": self.work}, root / "said.txt"
        began = self._until_it_writes(process := self.start())
        assert process.wait() == 0
        self.seconds = time.monotonic() - began
        self.work.rename(self.whole)
        self.parameters["track"] = bool(tracking)

    def _before(self, root: Path, steps: Iterable[str]) -> Path:
        found = root / "talk"
        for step in steps:
            what = {FIRST.get(step, "dataset"): found, "workdir": root / "before"}
            done = project.launch_step(step, **{**CASES[step], **HERE, "track": False, **what})
            assert done.returncode == 0, done.stderr
            (found,) = (root / "before").glob(f"{step}-*")
        return found

    def start(self) -> subprocess.Popen:
        """Begin the command, the first process of a group of its own."""
        # Each state is written: most of these trainings take less than the usual time between two.
        often = ("-m", "tests.helpers.often", f"entrypoints.{self.step}")
        line = [sys.executable, *often, *project.flags(self.parameters)]
        with self.said.open("a") as said:
            return subprocess.Popen(
                line,
                cwd=project.ROOT,
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
            )

    def kill(self, moment: float) -> bool:
        """Begin the command and kill it and its workers so many seconds after it began to write.

        Tells whether it was killed before it had come to its end.
        """
        process = self.start()
        self._until_it_writes(process)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait() == -signal.SIGKILL

    def finish(self) -> list[str]:
        """Run the command to its end and return what differs from the undisturbed result."""
        assert self.start().wait() == 0, self.said.read_text()
        return differences(self.whole, self.work)

    def clear(self) -> None:
        """Forget what the killed commands left."""
        shutil.rmtree(self.work)

    def moments(self, count: int, seed: int) -> list[float]:
        """Return random moments spread over the time that the command takes, one in each part."""
        drawn = np.random.default_rng([seed, count]).random(count)
        return [float(moment) for moment in (np.arange(count) + drawn) / count * self.seconds]

    def _until_it_writes(self, process: subprocess.Popen) -> float:
        """Return when the command first wrote below the workdir, or ended."""
        begun = time.time() - 0.02  # the clock of files is a coarse one
        while process.poll() is None and not self._newer(begun):
            time.sleep(PAUSE)
        return time.monotonic()

    def _newer(self, moment: float) -> bool:
        with suppress(FileNotFoundError):  # removed as it was looked at
            return any(path.stat().st_mtime > moment for path in self.work.rglob("*"))
        return True


def differences(one: Path, other: Path) -> list[str]:
    """Return the files of two directories that are not the same, or are in one alone.

    Left out are fields and columns that hold seconds of work, `TIMED`, and, in a manifest, size
    and digest of those files that hold one of these; everything else is compared byte by byte.
    """
    left, right = files(one), files(other)
    names = sorted(left.keys() | right.keys())
    return [name for name in names if left.get(name) != right.get(name)]


def files(root: Path) -> dict[str, Any]:
    """Return what each file holds, untimed, by its path below `root`."""
    paths = sorted(path for path in root.rglob("*") if path.is_file() and path.name != ".lock")
    named = {path.relative_to(root): path for path in paths}
    return {str(n): content(path) for n, path in named.items() if n.parts[0] not in NOT_COMPARED}


def content(path: Path) -> Any:
    """Return bytes, or, of a file that says how long something took, all else that it says."""
    raw = path.read_bytes()
    if path.name == store.MANIFEST:
        manifest = untimed(json.loads(raw))
        timed = [n for n in manifest["files"] if isinstance(content(path.parent / n), str)]
        return json.dumps(manifest | {"files": {**manifest["files"], **dict.fromkeys(timed)}})
    if path.suffix == ".json":
        found = untimed(json.loads(raw))
        return raw if found == json.loads(raw) else json.dumps(found)
    if path.suffix == ".jsonl":
        lines = [json.loads(line) for line in raw.splitlines()]
        return raw if untimed(lines) == lines else json.dumps(untimed(lines))
    if path.suffix == ".csv":
        table = pd.read_csv(io.BytesIO(raw), dtype=str, keep_default_na=False)
        clock = [name for name in (SECONDS, *TIMED.get(path.name, ())) if name in table]
        return table.drop(columns=clock).to_csv() if clock else raw
    return raw


def untimed(value: Any) -> Any:
    """Return a JSON value without the fields that hold seconds."""
    if isinstance(value, dict):
        own = {n: v for n, v in value.items() if n != SECONDS and not n.endswith(f"/{SECONDS}")}
        return {name: untimed(inner) for name, inner in own.items()}
    return [untimed(inner) for inner in value] if isinstance(value, list) else value
