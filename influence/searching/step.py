"""search: find the score, rule and fraction that prune most before accuracy suffers."""

from collections.abc import Generator, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from influence import scores as registry
from influence.config.lists import names
from influence.config.parameters import FitConfig, ScoreConfig, SearchConfig, SearchStep
from influence.data.dataset import Dataset
from influence.data.splits import reserved
from influence.errors import InputError
from influence.evaluation import result as curve
from influence.evaluation import retraining
from influence.evaluation.retraining import Place, retrain
from influence.models.metrics import of_predictions
from influence.runtime import store
from influence.runtime.engine import Engine
from influence.runtime.step import Record, Task, perform, say
from influence.sampling import rules
from influence.sampling.arms import Arm
from influence.sampling.order import Minimum, cut, fraction_of
from influence.sampling.step import order_of
from influence.scoring import spec as specs
from influence.scoring.result import Scores, open_scores
from influence.scoring.step import possible
from influence.searching import result, space, trials
from influence.searching.recommendation import FULL, flat, recommendation
from influence.searching.space import Candidate, Space
from influence.searching.trials import Trial
from influence.training.step import expected

CODE = ("scores", "data", "models", "nlu", "scoring", "sampling", "evaluation", "searching")
USUAL = names(ScoreConfig.score)
EARLY = 5  # epochs whose ends are worth a score of their own
EXECUTION = ("trials", "test_seeds", "storage", "grace")  # these do not change a study
Searching = Generator[Trial | Record, None, Path]


@dataclass(frozen=True, eq=False)
class Scored:
    """The scores to search, and the space to choose from."""

    scores: Scores
    space: Space
    seed: int

    @cached_property
    def labels(self) -> np.ndarray:
        """The class number of every train example (examples,)."""
        return self.scores.data.array("train", "label")

    @property
    def everything(self) -> np.ndarray:
        """The rows of the full train set (examples,)."""
        return np.arange(len(self.labels))

    @cached_property
    def chosen_on(self) -> np.ndarray | None:
        """The rows of validation that trials are measured on, None for all.

        Where a score reads the gradients of `reserved` rows, these are the others.
        """
        if not _read_validation(self.space.scores):
            return None
        rows = self.scores.data.read("validation", ["id", "label"])
        others = np.setdiff1d(np.arange(len(rows)), reserved(rows))
        if not len(others):
            raise InputError(
                f"value reads the gradients of all {len(rows)} validation examples, one of each "
                "class, so that none is left to choose on; leave it out of score, or name another "
                "validation_split"
            )
        return others

    def kept(self, candidate: Candidate, number: int) -> np.ndarray:
        """Return the rows that stay under seed `number`; rules that draw do so anew for each."""
        minimums = (Minimum(self.labels, candidate.min_per_class),)
        seed = self.seed + number
        order = order_of(self.scores, candidate.arm, seed, minimums, candidate.parameters)
        return cut(order, fraction_of(candidate.percent), minimums)


def check_search(config: SearchStep, dataset: Dataset | None = None) -> None:
    """Raise InputError for every mistake that can be detected before anything is trained.

    `dataset`: the dataset to train on; None where scores are given.
    """
    from influence.searching import study as search_study

    space.check(names(config.rules), config.lowest, config.highest)
    for name in names(config.score):
        specs.parse_spec(name)
    search_study.open_storage(_storage(config), config.grace, _locks(config))
    _check_halves(config, names(config.score))
    if dataset is not None:
        _check_metric(config, config.task, "this search trains")
        if not config.score:
            _usual_scores(config, dataset)


def open_scored(config: SearchStep, scores: Scores) -> Scored:
    """Derive the space that `config` allows over these scores.

    Raises InputError for scores of a split other than train, for a score that is not among them,
    for an unknown rule, and for a model to retrain that does not fit its tokenizer or the texts.
    """
    scores = open_scores(scores.directory)
    scores.verify()
    _check_metric(config, scores.task, f"{scores.directory} scores")
    for note in retraining.check(config, scores):
        say(f"search: {note}")
    columns, named = _columns(config.score, scores), names(config.rules)
    _check_halves(config, columns)
    labels = scores.data.array("train", "label")
    counts = np.bincount(labels, minlength=len(scores.label_names)).tolist()
    for name in named:
        if lacking := _lacking(name, scores):
            raise InputError(
                f"rule {name!r} needs {lacking}, which {scores.directory} does not hold; score "
                "again with it, or leave the rule out"
            )
    named = named or tuple(name for name in rules.REGISTRY if not _lacking(name, scores))
    choice = space.build(columns, named, config.lowest, config.highest, counts)
    return Scored(scores, choice, config.seed)


def keeping(config: SearchStep, dataset: Dataset) -> SearchStep:
    """Return the config of a search that trains, with the representations that its rules read."""
    searched = names(config.rules) or rules.REGISTRY
    read = any("representations" in rules.REGISTRY[name].needs for name in searched)
    represented = expected(config, dataset)[0].represented
    return replace(config, representations=config.representations or (read and represented))


def study_name(config: SearchStep, scored: Scored) -> str:
    """Name a study after everything that its trials depend on: another space is another study."""
    parameters = {k: v for k, v in config.parameters(SearchConfig).items() if k not in EXECUTION}
    parameters |= {"space": scored.space.described(), "seed": config.seed}
    scores = scored.scores
    inputs = {"scores": scores.fingerprint, **retraining.inputs(config, scores)}
    digest = store.fingerprint("study", parameters, inputs, CODE)
    dataset, model = Path(scores.dataset_name).name, Path(scores.fit.model).name
    return f"{dataset}-{model}-{config.goal}-{digest}"


def open_study(config: SearchStep, scored: Scored):
    """Open the study of these scores, in the workdir unless a storage is named."""
    from influence.searching import study as search_study

    name = study_name(config, scored)
    return search_study.open_study(config, _storage(config), name, scored.space, _locks(config))


def search(config: SearchStep, scored: Scored, study, engine: Engine) -> Searching:
    """Search until the study has all its trials, then test the recommendation, in `search-<...>/`.

    Yields trials as this worker ends them. The directory holds `trials.csv`, `points.csv` (every
    retraining of the final test), `importances.csv`, `recommendation.json` and `subset/`, the
    recommended examples as a dataset ready to train on. Until the study is complete, only the
    validation split is read; the final test uses seeds that no trial has used.
    """
    parameters = {
        k: v for k, v in config.parameters(SearchConfig).items() if k not in ("storage", "grace")
    }
    task = Task("search", parameters, {"study": study.name}, CODE)
    if not store.is_finished(task.directory(config.workdir)):
        yield from _choose(config, scored, study, engine)
    return (
        yield from perform(
            task, config.workdir, lambda at: _report(config, scored, study, engine, at)
        )
    )


def score_list(config: SearchStep, dataset: Dataset) -> str:
    """Return the default scores, at every epoch, that a training on `dataset` will give.

    Raises InputError if it gives none.
    """
    return ",".join(_usual_scores(config, dataset, "search: left out"))


def measure(
    place: Place, kept: np.ndarray, number: int, metric: str, rows: np.ndarray | None = None
) -> float:
    """Return one metric of one retraining on the split of `place`, or on some rows of it."""
    point = retrain(place, kept, number)
    if rows is None:
        return point.metrics[f"{place.split}/{metric}"]
    labels = place.source.data.array(place.split, "label")[rows]
    return of_predictions(retraining.predictions(place, point)[rows], labels)[metric]


def _usual_scores(config: SearchStep, dataset: Dataset, otherwise: str = "") -> list[str]:
    """Return the scores that `score_list` lists; say after `otherwise` why others are left out."""
    own = {name: registry.REGISTRY[name].window for name in USUAL}
    epochs = [str(epoch) for epoch in range(1, min(config.epochs, EARLY) + 1)]
    windows = [
        f"{name}@{epoch}"
        for name in USUAL
        for epoch in epochs
        if own[name].isdigit() and epoch != own[name]
    ]
    runs = expected(config, dataset)
    given = [*possible(USUAL, runs, otherwise), *possible(windows, runs)]
    if not given:
        raise InputError(
            f"a training of {len(dataset.train)} examples for {config.epochs} epochs gives none of "
            f"{', '.join(USUAL)}; train for more epochs, or name others with score"
        )
    return [str(spec) for spec in given]


def _lacking(rule: str, scores: Scores) -> str:
    """Return what a rule reads besides the score that is searched and `scores` lack, else ""."""
    needs = rules.REGISTRY[rule].needs
    if "recall" in needs and scores.recall is None:
        return "the recall of every class on validation data"
    if "confidence" in needs and "confidence" not in scores.names:
        return "the score 'confidence'"
    if "representations" in needs and scores.representations is None:
        return "the representation of every example (representations=true)"
    return ""


def _locks(config: SearchStep) -> Path:
    return Path(config.workdir).absolute() / "studies"


def _storage(config: SearchStep) -> str:
    return config.storage or f"sqlite:///{_locks(config) / 'studies.db'}"


def _check_metric(config: SearchStep, task: str, what: str) -> None:
    if config.metric == "frame_accuracy" and task != "nlu":
        raise InputError(
            f"metric=frame_accuracy is for task=nlu, but {what} a classifier; choose accuracy or "
            "macro_f1"
        )


def _check_halves(config: SearchStep, columns: Sequence[str]) -> None:
    """Raise InputError for a metric of all of validation where a score reads half of it."""
    if config.metric == "frame_accuracy" and (reading := _read_validation(columns)):
        raise InputError(
            f"metric=frame_accuracy is measured on all of validation, of which {reading[0]} reads "
            "half; choose accuracy or macro_f1, or leave that score out with score"
        )


def _read_validation(columns: Sequence[str]) -> list[str]:
    """Return the scores that read gradients of validation examples."""
    needs = {column: registry.REGISTRY[_name(column)].needs for column in columns}
    return [column for column in columns if {*needs[column]} & {*registry.PRODUCTS}]


def _columns(text: str, scores: Scores) -> list[str]:
    """Return the scores that `text` names: each with all its windows, or with one."""
    usable = [name for name in scores.names if _name(name) != "random"]
    columns: list[str] = []
    for name in names(text):
        spec = specs.parse_spec(name)
        own = [c for c in usable if c == name or (not spec.window and _name(c) == name)]
        if not own:
            raise InputError(
                f"{scores.directory} holds no score {name!r} to search over; it holds "
                f"{', '.join(usable)}"
            )
        columns += own
    return list(dict.fromkeys(columns)) or usable


def _name(column: str) -> str:
    return specs.parse_spec(column).name


def _choose(
    config: SearchStep, scored: Scored, study, engine: Engine
) -> Generator[Trial, None, None]:
    from influence.searching import explore as search
    from influence.searching import study as search_study

    place = retraining.place(config, scored.scores, "validation", engine)
    numbers = range(config.seeds)
    how = (config.metric, scored.chosen_on)
    jobs = [(place, scored.everything, number, *how) for number in numbers]
    full = dict(engine.run(measure, jobs, FULL))

    def submit(candidate: Candidate, number: int) -> Future:
        kept = scored.kept(candidate, number)
        return engine.submit(measure, place, kept, number, *how)

    reference = [full[number] for number in numbers]
    ended = search.explore(study, scored.space, config, reference, submit, engine.workers)
    with tqdm(desc="search", total=config.trials, unit="trial") as bar:
        bar.update(search_study.count_finished(study))
        for trial in ended:
            best = trials.recommend(search_study.trials_of(study), config.tolerance, config.goal)
            bar.set_postfix_str(f"best: {best.candidate if best else 'none within tolerance yet'}")
            bar.update(search_study.count_finished(study) - bar.n)
            yield trial


def _report(
    config: SearchStep, scored: Scored, study, engine: Engine, directory: Path
) -> Generator[Record, None, dict]:
    from influence.searching import study as search_study

    scores, ended = scored.scores, search_study.trials_of(study)
    chosen = trials.recommend(ended, config.tolerance, config.goal)
    points = _test(config, scored, _tested(scored, chosen, config.test_seeds), engine)
    fit = retraining.retrained(scores, config)
    outcome = recommendation(config, fit, len(scored.labels), ended, points)
    subset = result.write_subset(scores, _recommended(scored, chosen), directory)
    also = {"study": study.name, "command": _command(subset, scores.task, fit)}
    tables = {
        result.TRIALS: trials.table(ended, config.tolerance),
        result.IMPORTANCES: search_study.importances(study),
        result.POINTS: points,
    }
    facts = result.write(outcome, also, tables, scores, directory)
    yield Record(0, flat(outcome))
    return facts


def _tested(scored: Scored, chosen: Trial | None, seeds: int) -> dict[str, list[np.ndarray]]:
    """Return the rows to retrain on, by arm and seed: all, random at the fraction, the choice."""
    arms = {FULL: [scored.everything] * seeds}
    if chosen is not None and chosen.candidate is not None:
        random = Candidate(Arm((), "random"), chosen.percent, 1, {})
        for candidate in (random, chosen.candidate):
            kept = [scored.kept(candidate, number) for number in range(seeds)]
            arms[str(candidate.arm)] = kept
    return arms


def _test(
    config: SearchStep, scored: Scored, arms: dict[str, list[np.ndarray]], engine: Engine
) -> pd.DataFrame:
    place = retraining.place(config, scored.scores, "test", engine)
    keys = [(arm, number) for arm, kept in arms.items() for number in range(len(kept))]
    jobs = [(place, arms[arm][number], number) for arm, number in keys]
    points: dict[str, list] = {arm: [] for arm in arms}
    for position, point in engine.run(retrain, jobs, "test"):
        points[keys[position][0]].append(point)
    return pd.concat([curve.table(some, arm) for arm, some in points.items()])


def _recommended(scored: Scored, chosen: Trial | None) -> np.ndarray:
    """Return the rows of the recommended subset, ascending; all where nothing is recommended."""
    if chosen is None or chosen.candidate is None:
        return scored.everything
    return np.sort(scored.kept(chosen.candidate, 0))


def _command(subset: Path, task: str, fit: FitConfig) -> str:
    """Return the command that trains on the subset as the study did."""
    usual = {"task": "classify", **asdict(FitConfig())}
    own = {"task": task, **asdict(fit)}
    parameters = "".join(f" -P {name}={own[name]}" for name in own if own[name] != usual[name])
    whole = " -P stack=true" if task == "nlu" else ""
    return f"mlflow run . -e train -P dataset={subset}{parameters}{whole}"
