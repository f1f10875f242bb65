"""The state of an unfinished training: kept at its stops, and where the same command resumes."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from influence.errors import Terminated, first_line
from influence.models.fit import Progress, State
from influence.runtime import store
from influence.runtime.step import say

EVERY = 60.0  # seconds between two states of a training that are written


@contextmanager
def kept(path: Path) -> Iterator[Callable[[Progress, Any], None]]:
    """Give a function that keeps the state of a stop in `path`, and what JSON can hold beside it.

    A state may be hundreds of MiB, and the next one seconds away: one is written `EVERY` seconds at
    most, and where the command is interrupted the last one too. A kill costs the time since the
    one that was written. One file, so that weights, optimiser and notes are always of one step.
    """
    written, waiting = time.monotonic(), None

    def keep(progress: Progress, noted: Any) -> None:
        nonlocal written, waiting
        metadata = {"step": str(progress.step), "noted": json.dumps(noted, default=float)}
        due = time.monotonic() - written >= EVERY
        # Training goes on in the very tensors: a state that waits is a copy.
        tensors = {
            name: tensor.contiguous() if due else tensor.detach().to("cpu", copy=True)
            for name, tensor in progress.tensors().items()
        }
        if due:
            write(path, tensors, metadata)
            written, waiting = time.monotonic(), None
        else:
            waiting = (tensors, metadata)

    try:
        yield keep
    except (KeyboardInterrupt, Terminated):
        if waiting:
            write(path, *waiting)
        raise


def write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Replace the state in `path`."""
    with store.replacing(path) as temporary:
        save_file(tensors, temporary, metadata)


def read(path: Path, nothing: Any) -> tuple[State | None, Any]:
    """Return the state in `path` and what was noted, None and `nothing` where there is none.

    One that cannot be read costs the time that it would have saved, and no more.
    """
    if not path.exists():
        return None, nothing
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata()
    except (SafetensorError, OSError) as error:
        say(f"train: starts again, because {path} cannot be read ({first_line(error)})")
        return None, nothing
    return State(int(metadata["step"]), tensors), json.loads(metadata["noted"])
