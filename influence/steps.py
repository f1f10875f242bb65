"""The steps: each reads directories, writes one directory, and finishes it with its manifest.

Every step is a generator of records (metrics at a step) that returns its finished directory, so
that whoever iterates decides what to log, plot or stop.
"""

from collections.abc import Callable
from dataclasses import replace

from influence.config.parameters import TrainStep, names
from influence.data.dataset import Dataset
from influence.evaluation.step import evaluate
from influence.runtime.engine import Engine
from influence.runtime.step import Steps
from influence.sampling.iterative import iterations, join, subset
from influence.sampling.step import check_sample, parse_arms, sample
from influence.scoring import measurable
from influence.scoring.plan import plan
from influence.scoring.spec import parse_spec
from influence.scoring.step import score, wanted
from influence.searching.step import check_search, open_scored, open_study, score_list, search
from influence.training import step as training
from influence.training.step import check_retraining

__all__ = [
    "check_retraining",
    "check_sample",
    "check_search",
    "evaluate",
    "join",
    "open_scored",
    "open_study",
    "parse_arms",
    "sample",
    "score",
    "score_list",
    "search",
    "subset",
    "train",
    "iterations",
    "wanted",
]


def train(
    config: TrainStep,
    engine: Engine,
    score: str = "",
    check: Callable[[Dataset], None] | None = None,
    paired: bool = False,
) -> Steps:
    """Check a whole request with its dataset, which is loaded once, then train.

    Raises InputError before any training if it could not give one of the scores in `score`; `check`
    is called with the dataset and may raise it too.
    """
    dataset = training.open_dataset(config)
    specs = [parse_spec(name) for name in names(score) if name != "all"]
    plan(specs, training.expected(config, len(dataset.train)))
    if check is not None:
        check(dataset)
    request = training.request(config, dataset, engine, paired)
    if not request.is_finished:
        notes = measurable.check_training(request.config, dataset, score)
        request = replace(request, notes=(*request.notes, *notes))
    return (yield from training.train(request, engine))
