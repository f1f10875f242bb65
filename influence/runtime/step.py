"""The part that all steps share: find the directory, reuse a finished one, record, finish."""

import json
import platform
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from influence.runtime import store
from influence.runtime.locks import locked

RECORDS = "records.jsonl"


@dataclass(frozen=True)
class Record:
    """Metrics at a step: optimiser steps in train, percent pruned in evaluate."""

    step: int
    metrics: dict[str, float]


BEGUN = Record(0, {})  # yielded before the work, by a step that is not finished yet
Steps = Generator[Record, None, Path]


@dataclass(frozen=True)
class Task:
    """One step to be done: its name, and everything that its result depends on."""

    name: str
    parameters: Mapping[str, Any]
    inputs: Mapping[str, str]  # digests or fingerprints of what it reads
    code: tuple[str, ...]  # modules of this package that compute it

    @property
    def fingerprint(self) -> str:
        """Name of the result: equal tasks have equal results."""
        return store.fingerprint(self.name, self.parameters, self.inputs, self.code)

    def directory(self, workdir: str) -> Path:
        """Return where the result is, or will be, written."""
        return Path(workdir).absolute() / f"{self.name}-{self.fingerprint}"


def perform(
    task: Task, workdir: str, work: Callable[[Path], Generator[Record, None, dict]]
) -> Steps:
    """Yield `BEGUN` and the records of `task`, and return its finished directory.

    `work` writes into the directory it is given and returns further entries of the manifest. If
    the task was finished before, no work is done and nothing is yielded: `read_records` has what
    was recorded. A second process with the same task waits for the first.
    """
    directory = task.directory(workdir)
    with locked(directory):
        if store.is_finished(directory):
            say(f"{task.name}: finished before, reusing {directory}")
            store.discard_unfinished(directory)  # of a process killed before it did
            return directory
        yield BEGUN
        more = yield from _recorded(directory, work(directory))
        store.finish(
            directory,
            task.name,
            {
                "fingerprint": task.fingerprint,
                "parameters": dict(task.parameters),
                "inputs": dict(task.inputs),
                "versions": versions(),
                **more,
            },
        )
    return directory


def read_records(directory: Path) -> Iterator[Record]:
    """Yield the records that a finished step left."""
    for line in (directory / RECORDS).read_text(encoding="utf-8").splitlines():
        yield Record(**json.loads(line))


def versions() -> dict[str, str]:
    """Return the versions that the numbers depend on."""
    from importlib.metadata import version

    names = ("torch", "transformers", "tokenizers", "numpy", "pandas")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def say(sentence: str) -> None:
    """Print a message for the user on stderr, without breaking the progress bars."""
    print(sentence, file=sys.stderr, flush=True)


def _recorded(
    directory: Path, records: Generator[Record, None, dict]
) -> Generator[Record, None, dict]:
    with open(directory / RECORDS, "w", encoding="utf-8") as file:
        while True:
            try:
                record = next(records)
            except StopIteration as end:
                return end.value
            file.write(json.dumps({"step": record.step, "metrics": record.metrics}) + "\n")
            yield record
