"""Steps in a row, each in its MLflow run: what more than one command does."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from influence import artifacts, search_artifacts, steps, tracking
from influence.cluster import Engine
from influence.config import (
    Config,
    EvaluateStep,
    SampleStep,
    ScoreStep,
    SearchStep,
    TrainStep,
    narrow,
)
from influence.tracking import Run


def train_and_score(
    config: Config, engine: Engine, score: str, check: Callable[[pd.DataFrame], None] | None = None
) -> Path:
    """Train, and compute the scores listed in `score`; return their directory."""
    knobs = narrow(config, TrainStep)
    with tracking.run(knobs, "train", "Checkpoints and observations.", "train") as child:
        training = child.follow(steps.train(knobs, engine, score, check))
        artifacts.train(child, training)
    knobs = narrow(config, ScoreStep, training=str(training), score=score)
    with tracking.run(knobs, "score", "Influence scores.", "score") as child:
        scores = child.follow(steps.score(knobs, training, engine))
        artifacts.score(child, scores)
    return scores


def sample_and_evaluate(
    config: Config, engine: Engine, scores: Path, arm: str
) -> tuple[Path, Path]:
    """Sample by one arm and retrain; return the directories of its sample and its curve."""
    knobs = narrow(config, SampleStep, scores=str(scores), arm=arm)
    with tracking.run(knobs, f"sample {arm}", f"What {arm} keeps.", "sample") as child:
        sample = child.follow(steps.sample(knobs, scores))
        artifacts.sample(child, sample)
    knobs = narrow(config, EvaluateStep, sample=str(sample))
    with tracking.run(knobs, arm, f"The curve of {arm}.", "evaluate") as child:
        curve = child.follow(steps.evaluate(knobs, sample, engine))
        artifacts.evaluate(child, curve)
    return sample, curve


def search(config: SearchStep, engine: Engine, opened: Run) -> Path:
    """Search one dataset, scored here unless it was before; return the finished directory."""
    if config.scores:
        scores = tracking.resolve(config.scores)
    else:
        scores = train_and_score(config, engine, config.score or steps.score_list(config))
    scored = steps.open_scored(config, scores)
    study = steps.open_study(config, scored)
    shown = search_artifacts.study_run(opened, study)
    trials = steps.search(config, scored, study, engine)
    directory = search_artifacts.follow(shown, study, config.tolerance, trials)
    search_artifacts.search(shown, study, directory)
    return directory
