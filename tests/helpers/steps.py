"""Steps by themselves, in this process and without MLflow."""

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from influence.config.parameters import Config
from influence.runtime.engine import engine

HERE: dict[str, Any] = {"workers": 1, "threads": 1, "track": False}


def finish(records: Generator[Any, None, Any]) -> Any:
    """Exhaust a generator and return what it returns: of a step its finished directory."""
    while True:
        try:
            next(records)
        except StopIteration as end:
            return end.value


def perform(step: Callable[..., Generator], config: Config, *inputs: Path) -> Path:
    """Run a step of `influence.steps` that computes with an engine; return its directory."""
    with engine(config) as started:
        return finish(step(config, *inputs, started))
