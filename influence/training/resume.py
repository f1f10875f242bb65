"""The state of an unfinished training: kept at its stops, and where the same command resumes."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from influence.errors import first_line
from influence.models.fit import Progress, State
from influence.runtime import store
from influence.runtime.step import say


def keep(path: Path, progress: Progress, noted: Any) -> None:
    """Replace the state in `path` by that of this stop; `noted`: what JSON can hold beside it.

    One file, so that weights, optimiser and notes are always of the same step.
    """
    tensors = {name: tensor.contiguous() for name, tensor in progress.tensors().items()}
    metadata = {"step": str(progress.step), "noted": json.dumps(noted, default=float)}
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
