"""The steps as generators of records, each of which leaves a finished directory."""

from influence import pipeline
from influence.config.parameters import TrainStep
from influence.evaluation.step import evaluate
from influence.runtime.engine import Engine
from influence.runtime.step import Steps
from influence.sampling.step import sample
from influence.scoring.step import score
from influence.training import step

__all__ = ["evaluate", "sample", "score", "train"]


def train(config: TrainStep, engine: Engine, scores: str = "", paired: bool = False) -> Steps:
    """Check a training and that it gives these scores, then do it; see `pipeline.checked`."""
    request = pipeline.checked(config, step.open_dataset(config), engine, scores, paired)
    return (yield from step.train(request, engine))
