"""Every command as a function of its config: it opens a run, follows a step, logs what that left.

Each returns the record of the finished directory. Without tracking nothing of MLflow is imported.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from influence.config import studies
from influence.config.lists import fractions, names
from influence.config.parameters import DataConfig, ExecutionConfig, ScoreConfig, narrow
from influence.config.parser import again, check_scored, expand
from influence.config.steps import (
    EvaluateStep,
    MainStep,
    RecommendStep,
    SampleStep,
    ScoreStep,
    SearchStep,
    TrainStep,
)
from influence.data.dataset import Dataset
from influence.errors import choose
from influence.evaluation import step as evaluation
from influence.evaluation import verdict
from influence.evaluation.intervals import Retrainings
from influence.evaluation.result import Curve
from influence.jobs import engine as engines
from influence.jobs.engine import Engine
from influence.models.fit import with_epochs
from influence.report import artifacts, search_artifacts
from influence.report.compared import Comparison
from influence.runtime import store
from influence.runtime.step import say
from influence.sampling import iterative
from influence.sampling import step as sampling
from influence.sampling.arms import AT_EQUAL_STEPS, Arm, parse_arm
from influence.sampling.result import Sample
from influence.scoring import measurable
from influence.scoring import step as scoring
from influence.scoring.plan import plan
from influence.scoring.result import Scores
from influence.scoring.spec import parse_spec
from influence.searching import step as searching
from influence.searching.planning import step as planning
from influence.searching.planning.result import Answer
from influence.searching.result import Recommendation
from influence.tracking import run
from influence.tracking.run import Run
from influence.training import step as training
from influence.training.result import Training
from influence.training.runs import check_folds

Scoring = TypeVar("Scoring", MainStep, RecommendStep)
# Parameters that made the dataset what it is: a subset of it is taken as it is.
AS_IT_IS = {f.name: f.default for f in fields(DataConfig) if f.name not in ("dataset", "task")}
AS_IT_IS["import_from"] = ""  # what is left is trained on, whoever made the first checkpoints


# One step each.


def train(config: TrainStep) -> Training:
    """Train and log the directory as `training`."""
    name = f"train {config.model} on {config.dataset}"
    note = "Checkpoints and training observations."
    with _opened(config, name, note, "train") as (opened, engine):
        request = checked(config, training.open_dataset(config), engine)
        return _train(request, engine, opened)


def score(config: ScoreStep, engine: Engine | None = None, name: str = "") -> Scores:
    """Score and log the directory as `scores`; `name`: of the run."""
    note = f"Influence scores of the {config.split} set."
    with _opened(config, name or f"score {config.score}", note, "score", engine) as (opened, at):
        trained = Training(run.resolve(config.training))
        scores = Scores(opened.follow(scoring.score(config, trained, at)))
        artifacts.score(opened, scores)
        return scores


def sample(config: SampleStep) -> Sample:
    """Sample and log the directory as `sample`."""
    with run.run(config, f"sample {config.arm}", f"What {config.arm} keeps.", "sample") as opened:
        scores = Scores(run.resolve(config.scores))
        return _sampled(opened, sampling.sample(config, scores))


def evaluate(config: EvaluateStep, engine: Engine | None = None, name: str = "") -> Curve:
    """Retrain on every subset and log the directory as `curve`, called `name` or as its arm."""
    note = f"The curve of {name}." if name else "The pruned-accuracy curve."
    with _opened(config, name or "evaluate", note, "evaluate", engine) as (opened, at):
        kept = Sample(run.resolve(config.sample))
        curve = Curve(opened.follow(evaluation.evaluate(config, kept, at)))
        artifacts.evaluate(opened, curve, name)
        return curve


# Steps in a row.


def main(config: MainStep) -> Comparison | dict[str, Comparison]:
    """Compare arms, or run the study that the config names."""
    return study(config) if config.study else compare(config)


def compare(
    config: MainStep, engine: Engine | None = None, name: str = "", note: str = ""
) -> Comparison:
    """Train, score, and sample and evaluate by every arm; log and return how they compare."""
    arms = sampling.parse_arms(config.arms)
    name = name or f"{config.dataset} · {config.model}"
    note = note or (
        f"Pruned-accuracy curves of {len(arms)} arms on {config.dataset} with {config.model}."
    )
    with _opened(config, name, note, "main", engine) as (opened, at):
        dataset = training.open_dataset(narrow(config, TrainStep))
        config = with_epochs(config, len(dataset.train), len(dataset.label_names))
        sampling.check_sample(config, dataset, config.task)
        wanted = _wanted(config, arms, dataset)
        training.check_retraining(config, config.retrain_with, dataset)
        request = checked(narrow(config, TrainStep), dataset, at, wanted)
        del dataset
        keeping = _keeping(config, arms)
        trained, scores = _train_and_score(request, keeping, at, wanted)
        samples, asked = _sample_all(keeping, at, scores, arms)
        asked = _with_seeds(asked, samples, at, plan_of_seeds(config))
        curves = {arm: evaluate(asked[arm], at, arm) for arm in samples}
        done = {arm: (samples[arm], curve) for arm, curve in curves.items()}
        retrained = not config.retrain_with and config.proxy == "none"
        history = trained.history if retrained else None
        command, looks = again("main", config), len(plan_of_seeds(config))
        outcome = artifacts.comparison(opened, scores, done, command, history, looks)
    return Comparison(trained, scores, samples, curves, outcome)


def study(config: MainStep) -> dict[str, Comparison]:
    """Run every variant of a study, each as a comparison of its own, and say what they come to."""
    asked = studies.read(config)
    for variant in (config, *asked.variants.values()):
        sampling.parse_arms(variant.arms)
    with _opened(config, asked.name, asked.question, "study") as (opened, engine):
        compared = {}
        for value, one in asked.variants.items():
            name = f"{asked.varied}={value}" if asked.varied else f"{one.dataset} · {one.model}"
            compared[value] = compare(one, engine, name, asked.question)
        artifacts.study(opened, asked, compared, again("main", config))
    return compared


def search(config: SearchStep) -> dict[str, Recommendation]:
    """Search every dataset, each in a run with its trials below it; then compare the datasets."""
    searches = expand(config)
    name = f"search {config.datasets or config.scores or config.dataset}"
    note = "Which score, rule and fraction?"
    with _opened(config, name, note, "search") as (opened, engine):
        requests = {title: _search_request(one, engine) for title, one in searches.items()}
        recommended = {}
        for title, one in searches.items():
            request = requests.pop(title)
            if len(searches) == 1:
                recommended[title] = _search(one, request, engine, opened)
                continue
            with run.run(one, f"search {title}", note, "search") as child:
                recommended[title] = _search(one, request, engine, child)
        search_artifacts.searches(opened, recommended)
    return recommended


def recommend(config: RecommendStep) -> Answer:
    """Recommend what to prune within a budget, and log the directory as `recommendation`."""
    arms = sampling.parse_arms(config.arms)
    name = f"recommend {config.scores or config.dataset}"
    with _opened(config, name, "How much can be pruned?", "recommend") as (opened, engine):
        if config.scores:
            check_scored(config)
            planning.check_recommend(config)
            scores = Scores(run.resolve(config.scores))
        else:
            dataset = training.open_dataset(narrow(config, TrainStep))
            config = with_epochs(config, len(dataset.train), len(dataset.label_names))
            planning.check_recommend(config, dataset)
            wanted = scoring.wanted(config.score, arms)
            training.check_retraining(config, config.retrain_with, dataset)
            request = checked(narrow(config, TrainStep), dataset, engine, wanted)
            del dataset
            _, scores = _train_and_score(request, _keeping(config, arms), engine, wanted)
        recommending = planning.begin(config, scores)
        study = planning.open_study(recommending)

        def log(directory: Path) -> Answer:
            answer, command = Answer(directory), again("recommend", config)
            search_artifacts.recommendation(opened, answer, scores, command)
            return answer

        try:
            return log(opened.follow(planning.recommend(recommending, study, engine)))
        except planning.Interrupted as early:
            log(early.directory)
            raise


def checked(
    config: TrainStep, dataset: Dataset, engine: Engine, scores: str = "", paired: bool = False
) -> training.Request:
    """Check a training, and that it can give the scores listed in `scores`, before any work.

    `paired`: see `training.request`. Raises InputError for what does not belong together.
    """
    check_folds(config.folds, len(dataset.train))
    specs = [parse_spec(name) for name in names(scores) if name != "all"]
    plan(specs, training.expected(config, dataset))
    trial = partial(measurable.check_start, config, dataset, scores)
    return training.request(config, dataset, engine, paired, trial)


def _wanted(config: MainStep, arms: Sequence[Arm], dataset: Dataset) -> str:
    """Return the scores to compute: what the arms read, and what `score` lists.

    Of the default list it is only what this training can give: nobody asked for the rest.
    """
    if config.score != ScoreConfig.score:
        return scoring.wanted(config.score, arms)
    return scoring.usual(arms, training.expected(config, dataset))


def _keeping(config: Scoring, arms: Sequence[Arm]) -> Scoring:
    """Return the config with the representations that its arms read."""
    return replace(
        config, representations=config.representations or any(arm.represents for arm in arms)
    )


@contextmanager
def _opened(
    config: ExecutionConfig, name: str, note: str, step: str, engine: Engine | None = None
) -> Iterator[tuple[Run, Engine]]:
    """Open a run, and an engine unless there is one that this step shares."""
    with store.reading_once(), run.run(config, name, note, step) as opened:
        if engine:
            yield opened, engine
            return
        with engines.engine(config) as own:
            yield opened, own


def _train(request: training.Request, engine: Engine, opened: Run) -> Training:
    trained = Training(opened.follow(training.train(request, engine)))
    artifacts.train(opened, trained)
    return trained


def _sampled(opened: Run, steps) -> Sample:
    kept = Sample(opened.follow(steps))
    artifacts.sample(opened, kept)
    return kept


def _train_and_score(
    request: training.Request,
    config: MainStep | SearchStep | RecommendStep,
    engine: Engine,
    wanted: str,
) -> tuple[Training, Scores]:
    """Do a training that was checked, and compute the scores listed in `wanted`."""
    parameters = narrow(config, TrainStep)
    with run.run(parameters, "train", "Checkpoints and observations.", "train") as child:
        trained = _train(request, engine, child)
    parameters = narrow(config, ScoreStep, training=str(trained.directory), score=wanted)
    return trained, score(parameters, engine, "score")


def _sample_all(
    config: MainStep, engine: Engine, scores: Scores, arms: Sequence[Arm]
) -> tuple[dict[str, Sample], dict[str, EvaluateStep]]:
    """Sample by every arm; return each sample and how to evaluate it.

    On a GPU the retrainings of an arm begin while the next arms are sampled.
    """
    samples: dict[str, Sample] = {}
    asked: dict[str, EvaluateStep] = {}

    def begin(arm: str) -> None:
        evaluation.begin(asked[arm], samples[arm], engine)

    for arm in map(str, arms):
        samples[arm] = _sample(config, engine, scores, arm)
        asked[arm] = narrow(config, EvaluateStep, sample=str(samples[arm].directory))
        if not config.rescore:  # the next arm then takes trainings and passes of its own
            begin(arm)
    if config.equal_steps:
        samples[AT_EQUAL_STEPS] = samples["random"]
        asked[AT_EQUAL_STEPS] = replace(asked["random"], budget="steps")
    for arm in samples:  # what has begun does not begin again
        begin(arm)
    return samples, asked


def plan_of_seeds(config: MainStep) -> list[int]:
    """Return after how many seeds a comparison is looked at: twice as many each time.

    A few looks: each has to allow for the false claims of all.
    """
    planned = [config.seeds]
    while planned[-1] < config.max_seeds:
        planned.append(min(2 * planned[-1], config.max_seeds))
    return planned


def _with_seeds(
    asked: dict[str, EvaluateStep], samples: dict[str, Sample], engine: Engine, planned: list[int]
) -> dict[str, EvaluateStep]:
    """Return how to evaluate with as many of the planned seeds as decide the verdict."""
    for seeds in planned:
        asked = {arm: replace(one, seeds=seeds) for arm, one in asked.items()}
        if seeds == planned[-1]:
            break
        for arm, one in asked.items():
            evaluation.begin(one, samples[arm], engine)
        done = {arm: evaluation.measure(one, samples[arm], engine) for arm, one in asked.items()}
        measured = Retrainings.joined(done, looks=len(planned))
        if verdict.decided(measured):
            break
        say(f"compare: {seeds} seeds leave the verdict open")
    return asked


def _sample(config: MainStep, engine: Engine, scores: Scores, arm: str) -> Sample:
    """Sample by an arm, rescored after every fraction if the config says so."""
    parameters = narrow(config, SampleStep, scores=str(scores.directory), arm=arm)
    if not (config.rescore and parse_arm(arm).scores):
        return sample(parameters)
    iterated = list(_iterations(config, engine, scores, arm))
    with run.run(parameters, f"sample {arm}", f"What {arm} keeps.", "sample") as child:
        return _sampled(child, iterative.join(parameters, scores, iterated))


def _iterations(config: MainStep, engine: Engine, scores: Scores, arm: str) -> Iterator[Sample]:
    """Yield a sample per fraction: of the train set, then of what the one before left, rescored."""
    for number, fraction in enumerate(iterative.iterations(config, scores)):
        own = narrow(
            config, SampleStep, scores=str(scores.directory), arm=arm, fractions=repr(fraction)
        )
        name = f"iteration {number + 1} of {arm}"
        with run.run(own, name, f"What {arm} keeps of what was left.", "sample") as child:
            kept = _sampled(child, sampling.sample(own, scores))
        yield kept
        if number + 1 < len(fractions(config.fractions)):
            left = replace(config, dataset=str(iterative.subset(kept)), **AS_IT_IS)
            wanted = scoring.wanted("", [parse_arm(arm)])
            dataset = training.open_dataset(narrow(left, TrainStep))
            request = checked(narrow(left, TrainStep), dataset, engine, wanted)
            _, scores = _train_and_score(request, left, engine, wanted)


def _search_request(config: SearchStep, engine: Engine) -> tuple[training.Request, str] | None:
    """Check the training that a search needs, and say which scores; None if it was scored before.

    The dataset is loaded here, once.
    """
    if config.scores:
        searching.check_search(config)
        return None
    dataset = training.open_dataset(narrow(config, TrainStep))
    config = with_epochs(config, len(dataset.train), len(dataset.label_names))
    searching.check_search(config, dataset)
    wanted = config.score or searching.score_list(config, dataset)
    training.check_retraining(config, config.retrain_with, dataset)
    return checked(narrow(config, TrainStep), dataset, engine, wanted), wanted


def _search(
    config: SearchStep, request: tuple[training.Request, str] | None, engine: Engine, opened: Run
) -> Recommendation:
    """Search one dataset, scored here unless it was before."""
    if request is None:
        scores = Scores(run.resolve(config.scores))
    else:
        keeping = searching.keeping(config, request[0].dataset)
        _, scores = _train_and_score(request[0], keeping, engine, request[1])
    scored = searching.open_scored(config, scores)
    study = searching.open_study(config, scored)
    shown = search_artifacts.study_run(opened, study)
    trials = searching.search(config, scored, study, engine)
    directory = search_artifacts.follow(shown, study, config.tolerance, trials)
    recommended = Recommendation(directory)
    search_artifacts.search(shown, study, recommended, scores, again("search", config))
    return recommended


def load(reference: str) -> Training | Scores | Sample | Curve | Recommendation | Answer:
    """Open a finished step: a directory, or `runs:/<id>/<folder>`."""
    directory = run.resolve(reference)
    kinds = {kind.step: kind for kind in (Training, Scores, Sample, Curve, Recommendation, Answer)}
    return kinds[choose("step", store.step_of(directory), kinds)](directory)
