"""The steps by themselves, in this process and without MLflow, each a generator of records."""

from collections.abc import Callable, Generator
from typing import Any

from influence import pipeline
from influence.config.parameters import Config
from influence.config.steps import TrainStep
from influence.data.result import Result
from influence.evaluation.step import evaluate
from influence.jobs.engine import Engine, engine
from influence.runtime.step import Steps
from influence.sampling.step import sample
from influence.scoring.step import score
from influence.training import step

__all__ = ["evaluate", "finish", "perform", "sample", "score", "train"]
HERE: dict[str, Any] = {"workers": 1, "threads": 1, "track": False}


def train(config: TrainStep, engine: Engine, scores: str = "", paired: bool = False) -> Steps:
    """Check a training and that it gives these scores, then do it; see `pipeline.checked`."""
    request = pipeline.checked(config, step.open_dataset(config), engine, scores, paired)
    return (yield from step.train(request, engine))


def finish(records: Generator[Any, None, Any]) -> Any:
    """Exhaust a generator and return what it returns: of a step its finished directory."""
    while True:
        try:
            next(records)
        except StopIteration as end:
            return end.value


def perform(step: Callable[..., Generator], config: Config, *inputs: Result) -> Any:
    """Run a step that computes with an engine; return its directory."""
    with engine(config) as started:
        return finish(step(config, *inputs, started))
