"""Steps in a row, each in its MLflow run: what more than one command does."""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

from influence import steps
from influence.config.parameters import (
    Config,
    DataConfig,
    EvaluateStep,
    MainStep,
    SampleStep,
    ScoreStep,
    SearchStep,
    TrainStep,
    fractions,
    narrow,
)
from influence.config.parser import again
from influence.config.studies import Study
from influence.data.dataset import Dataset
from influence.report import artifacts, search_artifacts
from influence.report.artifacts import Compared
from influence.runtime.engine import Engine
from influence.sampling.arms import AT_EQUAL_STEPS, parse_arm
from influence.tracking import run
from influence.tracking.run import Run

# Parameters that made the dataset what it is: a subset of it is taken as it is.
AS_IT_IS = {f.name: f.default for f in fields(DataConfig) if f.name not in ("dataset", "task")}
AS_IT_IS["import_from"] = ""  # what is left is trained on, whoever made the first checkpoints


def train_and_score(
    config: Config, engine: Engine, score: str, check: Callable[[Dataset], None] | None = None
) -> Path:
    """Train, and compute the scores listed in `score`; return their directory."""
    parameters = narrow(config, TrainStep)
    with run.run(parameters, "train", "Checkpoints and observations.", "train") as child:
        training = child.follow(steps.train(parameters, engine, score, check))
        artifacts.train(child, training)
    parameters = narrow(config, ScoreStep, training=str(training), score=score)
    with run.run(parameters, "score", "Influence scores.", "score") as child:
        scores = child.follow(steps.score(parameters, training, engine))
        artifacts.score(child, scores)
    return scores


def compare(config: MainStep, engine: Engine, opened: Run) -> Compared:
    """Train, score, and sample and evaluate by every arm; log and return how they compare."""
    arms = steps.parse_arms(config.arms)

    def check(dataset: Dataset) -> None:
        steps.check_sample(config, dataset, config.task)
        steps.check_retraining(config, config.retrain_with, dataset)

    scores = train_and_score(config, engine, steps.wanted(config.score, arms), check)
    done = {str(arm): sample_and_evaluate(config, engine, scores, str(arm)) for arm in arms}
    if config.equal_steps:
        sampled = done["random"][0]
        parameters = narrow(config, EvaluateStep, sample=str(sampled), budget="steps")
        done[AT_EQUAL_STEPS] = (sampled, evaluate(parameters, engine, sampled, AT_EQUAL_STEPS))
    compared = artifacts.comparison(opened, scores, done, again("main", config))
    return Compared(compared, scores)


def study(asked: Study, given: MainStep, engine: Engine, opened: Run) -> None:
    """Run every variant of a study, each as a main of its own, and tell what they come to."""
    found = {}
    for value, config in asked.variants.items():
        name = f"{asked.varied}={value}" if asked.varied else f"{config.dataset} · {config.model}"
        with run.run(config, name, asked.question, "main") as child:
            found[value] = compare(config, engine, child)
    artifacts.study(opened, asked, found, again("main", given))


def sample_and_evaluate(
    config: MainStep, engine: Engine, scores: Path, arm: str
) -> tuple[Path, Path]:
    """Sample by one arm and retrain; return the directories of its sample and its curve."""
    parameters = narrow(config, SampleStep, scores=str(scores), arm=arm)
    iterated = []
    if config.rescore and parse_arm(arm).scores:
        iterated = list(_iterations(config, engine, scores, arm))
    with run.run(parameters, f"sample {arm}", f"What {arm} keeps.", "sample") as child:
        joined = (
            steps.join(parameters, scores, iterated)
            if iterated
            else steps.sample(parameters, scores)
        )
        sample = child.follow(joined)
        artifacts.sample(child, sample)
    parameters = narrow(config, EvaluateStep, sample=str(sample))
    return sample, evaluate(parameters, engine, sample, arm)


def evaluate(config: EvaluateStep, engine: Engine, sample: Path, name: str) -> Path:
    """Retrain on every subset of a sample; return the directory of the curve called `name`."""
    with run.run(config, name, f"The curve of {name}.", "evaluate") as child:
        curve = child.follow(steps.evaluate(config, sample, engine))
        artifacts.evaluate(child, curve, name)
    return curve


def _iterations(config: MainStep, engine: Engine, scores: Path, arm: str) -> Iterator[Path]:
    """Yield a sample per fraction: of the train set, then of what the one before left, rescored."""
    for number, fraction in enumerate(steps.iterations(config, scores)):
        own = narrow(config, SampleStep, scores=str(scores), arm=arm, fractions=repr(fraction))
        name = f"iteration {number + 1} of {arm}"
        with run.run(own, name, f"What {arm} keeps of what was left.", "sample") as child:
            sample = child.follow(steps.sample(own, scores))
        yield sample
        if number + 1 < len(fractions(config.fractions)):
            left = replace(config, dataset=str(steps.subset(sample)), **AS_IT_IS)
            scores = train_and_score(left, engine, steps.wanted("", [parse_arm(arm)]))


def search(config: SearchStep, engine: Engine, opened: Run) -> Path:
    """Search one dataset, scored here unless it was before; return the finished directory."""
    if config.scores:
        scores = run.resolve(config.scores)
    else:
        check = partial(steps.check_retraining, config, config.retrain_with)
        asked = config.score or steps.score_list(config)
        scores = train_and_score(config, engine, asked, check)
    scored = steps.open_scored(config, scores)
    study = steps.open_study(config, scored)
    shown = search_artifacts.study_run(opened, study)
    trials = steps.search(config, scored, study, engine)
    directory = search_artifacts.follow(shown, study, config.tolerance, trials)
    search_artifacts.search(shown, study, directory, scores, again("search", config))
    return directory
