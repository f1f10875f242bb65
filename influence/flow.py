"""The Python API: the commands as functions of records, paths and data in memory.

Every function takes the parameters of its config as keywords (see `help` of each); lists stand
where a command line takes comma-separated text. MLflow logs nothing unless track=True.
"""

import contextlib
import functools
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from influence.config import signatures
from influence.config.commands import COMMANDS, Command, configured
from influence.config.steps import (
    EvaluateStep,
    MainStep,
    RecommendStep,
    SampleStep,
    ScoreStep,
    SearchStep,
    TrainStep,
)
from influence.errors import InputError, brief
from influence.runtime import environment
from influence.sampling.arrays import prune as prune

if TYPE_CHECKING:
    from influence.evaluation.result import Curve
    from influence.report.compared import Comparison
    from influence.sampling.result import Sample
    from influence.scoring.result import Scores
    from influence.searching.planning.result import Answer
    from influence.searching.result import Recommendation
    from influence.training.result import Training


def command(function: Callable[[Any], Any]) -> Callable[..., Any]:
    """Give a function of a config the parameters of the command of its name, and their help."""
    called = COMMANDS[function.__name__]
    shown = signatures.signature(called)

    @functools.wraps(function)
    def call(*given: Any, **parameters: Any) -> Any:
        environment.prepare()
        values = shown.bind_partial(*given).arguments | {"track": False} | parameters
        config = configured(called, _stored(called, values))
        if called.required and not getattr(config, called.required):
            raise TypeError(f"{called.name}() needs {called.required}")
        # What a command prints at its end is in the record here, so that stderr has it, too.
        with contextlib.redirect_stdout(sys.stderr):
            return function(config)

    call.__signature__ = shown  # type: ignore[attr-defined]
    call.__doc__ = f"{inspect.getdoc(function)}\n{signatures.parameters_text(called)}\n"
    call.__annotations__ = {}
    return call


@command
def train(config: TrainStep) -> "Training":
    """Fine-tune a classifier and keep its checkpoints and observations.

    `dataset` is a folder, a file, a hub id, the built-in assistant, a pandas.DataFrame, a
    datasets.Dataset, or a mapping of splits to these. From a single table validation and test are
    cut. Returns a Training. Raises InputError for data or parameters that do not fit.
    """
    from influence import pipeline

    return pipeline.train(config)


@command
def score(config: ScoreStep) -> "Scores":
    """Score every training example in one pass over all checkpoints.

    Returns Scores, whose `table` is a DataFrame. Raises InputError for an unknown score and for one
    that this training cannot give.
    """
    from influence import pipeline

    return pipeline.score(config)


@command
def sample(config: SampleStep) -> "Sample":
    """Choose the examples to keep at each fraction pruned, by an arm: score:rule[:normalize].

    Returns a Sample, whose `subset(0.3)` is a dataset to train on. Raises InputError for an unknown
    arm, and for a fraction that leaves too few examples.
    """
    from influence import pipeline

    return pipeline.sample(config)


@command
def evaluate(config: EvaluateStep) -> "Curve":
    """Retrain on each subset of a sample, under several seeds: the pruned-accuracy curve.

    Returns a Curve, whose `summary` holds means and 95 % intervals.
    """
    from influence import pipeline

    return pipeline.evaluate(config)


@command
def search(config: SearchStep) -> "Recommendation":
    """Find how much of a train set can be pruned, by which score and rule.

    Without `scores`, `dataset` is trained on and scored first. Returns a Recommendation.
    """
    from influence import pipeline

    (recommended,) = pipeline.search(config).values()
    return recommended


@command
def recommend(config: RecommendStep) -> "Answer":
    """Recommend how much of a train set to prune, and by which arm, at a given price.

    Retrains where that is expected to change the answer most, and stops when nothing is worth its
    price any more. Returns an Answer, whose `subset` is a dataset to train on.
    """
    from influence import pipeline

    return pipeline.recommend(config)


@command
def compare(config: MainStep) -> "Comparison":
    """Train, score, prune by each arm and retrain: curves against random pruning.

    Returns a Comparison, which a notebook shows as picture and table.
    """
    from influence import pipeline

    return pipeline.compare(config)


@command
def study(config: MainStep) -> "dict[str, Comparison]":
    """Run the study that a file describes; return a Comparison per value of what it varies."""
    from influence import pipeline

    return pipeline.study(config)


def load(
    directory: "str | Path | Training | Scores | Sample | Curve | Recommendation | Answer",
) -> "Training | Scores | Sample | Curve | Recommendation | Answer":
    """Open a finished step again: its directory, or `runs:/<id>/<folder>` where MLflow has it.

    A record is returned as it is. Raises InputError if there is no such directory, or it is not
    finished.
    """
    from influence import pipeline
    from influence.data.result import Result

    if isinstance(directory, Result):
        return directory
    if not isinstance(directory, str | os.PathLike):
        raise InputError(f"load takes the directory of a finished step, not {brief(directory)}")
    return pipeline.load(os.fspath(directory))


def _stored(called: Command, values: dict[str, Any]) -> dict[str, Any]:
    """Write a dataset in memory into the workdir, once, and name it by the folder that it got."""
    data = values.get("dataset", "")
    if isinstance(data, str | os.PathLike) or not any(
        field.name == "dataset" for field in called.fields
    ):
        return values
    from influence.data.sources import memory

    others = {name: value for name, value in values.items() if name != "dataset"}
    config = configured(called, others)
    return others | {"dataset": str(memory.write(memory.splits(data), Path(config.workdir)))}
