"""search: find the score, rule and fraction that prune most before accuracy suffers."""

from collections.abc import Generator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from influence import scores as registry
from influence.config.lists import names
from influence.config.parameters import ScoreConfig, SearchConfig
from influence.config.steps import SearchStep
from influence.data.dataset import Dataset
from influence.errors import InputError
from influence.evaluation import result as curve
from influence.evaluation import retraining
from influence.evaluation.intervals import Correct
from influence.evaluation.retraining import retrain
from influence.jobs.engine import Engine
from influence.runtime import store
from influence.runtime.step import Record, Task, perform, say
from influence.sampling import rules
from influence.sampling.arms import Arm
from influence.scoring import spec as specs
from influence.scoring.result import Scores
from influence.scoring.step import possible
from influence.searching import result, space, trials
from influence.searching.recommendation import FULL, flat, recommendation
from influence.searching.scored import (
    Scored,
    check_halves,
    check_metric,
    command,
    lacking,
    measure,
    score_name,
    verified,
)
from influence.searching.space import Candidate, Space
from influence.searching.trials import Trial
from influence.training.step import expected

CODE = ("scores", "data", "models", "nlu", "scoring", "sampling", "evaluation", "searching")
USUAL = names(ScoreConfig.score)
FIRST_EPOCHS = 5  # epochs whose ends are worth a score of their own
EXECUTION = ("trials", "test_seeds", "storage", "grace")  # these do not change a study
Searching = Generator[Trial | Record, None, Path]


@dataclass(frozen=True, eq=False)
class Searched(Scored):
    """The scores to search, and the space to choose from."""

    space: Space


def check_search(config: SearchStep, dataset: Dataset | None = None) -> None:
    """Raise InputError for every mistake that can be detected before anything is trained.

    `dataset`: the dataset to train on; None where scores are given.
    """
    from influence.searching import study as search_study

    space.check(names(config.rules), config.lowest, config.highest)
    for name in names(config.score):
        specs.parse_spec(name)
    search_study.open_storage(search_study.meeting(config))
    check_halves(config, names(config.score))
    if dataset is not None:
        check_metric(config, config.task, "this search trains")
        if not config.score:
            _usual_scores(config, dataset)


def open_scored(config: SearchStep, scores: Scores) -> Searched:
    """Derive the space that `config` allows over these scores.

    Raises InputError for scores of a split other than train, for a score that is not among them,
    for an unknown rule, and for a model to retrain that does not fit its tokenizer or the texts.
    """
    scores = verified(config, scores, "search")
    columns, named = _columns(config.score, scores), names(config.rules)
    check_halves(config, columns)
    labels = scores.data.array("train", "label")
    counts = np.bincount(labels, minlength=len(scores.label_names)).tolist()
    named = named or _usable(scores)
    for name in named:
        if missing := _lacking(name, scores):
            raise InputError(
                f"rule {name!r} needs {missing}, which {scores.directory} does not hold; score "
                "again with it, or leave the rule out"
            )
    choice = space.build(columns, named, config.lowest, config.highest, counts)
    return Searched(scores, choice.scores, config.seed, choice)


def _usable(scores: Scores) -> tuple[str, ...]:
    """Return the rules for which these scores are enough; say which others there are, and why."""
    usable: list[str] = []
    left: dict[str, list[str]] = {}  # by what they need
    for name in rules.REGISTRY:
        if missing := _lacking(name, scores):
            left.setdefault(missing, []).append(name)
        else:
            usable.append(name)
    for missing, own in left.items():
        say(f"search: left out {', '.join(own)}: the scores lack {missing}")
    return tuple(usable)


def _lacking(rule: str, scores: Scores) -> str:
    return lacking(rule, scores, rules.REGISTRY[rule].besides.values())


def keeping(config: SearchStep, dataset: Dataset) -> SearchStep:
    """Return the config of a search that trains, with the representations that its rules read."""
    searched = names(config.rules) or rules.REGISTRY
    read = any("representations" in rules.REGISTRY[name].needs for name in searched)
    represented = expected(config, dataset)[0].represented
    return replace(config, representations=config.representations or (read and represented))


def study_name(config: SearchStep, scored: Searched) -> str:
    """Name a study after everything that its trials depend on: another space is another study."""
    parameters = {k: v for k, v in config.parameters(SearchConfig).items() if k not in EXECUTION}
    parameters |= {"space": scored.space.described(), "seed": config.seed}
    scores = scored.scores
    inputs = {"scores": scores.fingerprint, **retraining.inputs(config, scores)}
    digest = store.fingerprint("study", parameters, inputs, CODE)
    dataset, model = Path(scores.dataset_name).name, Path(scores.fit.model).name
    return f"{dataset}-{model}-{config.goal}-{digest}"


def open_study(config: SearchStep, scored: Searched):
    """Open the study of these scores, in the workdir unless a storage is named."""
    from influence.searching import study as search_study

    name = study_name(config, scored)
    return search_study.open_study(
        search_study.meeting(config),
        name,
        search_study.AXES[config.goal],
        space.recommended(scored.space)[: config.trials],
    )


def search(config: SearchStep, scored: Searched, study, engine: Engine) -> Searching:
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


def _usual_scores(config: SearchStep, dataset: Dataset, otherwise: str = "") -> list[str]:
    """Return the scores that `score_list` lists; say after `otherwise` why others are left out."""
    own = {name: registry.REGISTRY[name].window for name in USUAL}
    epochs = [str(epoch) for epoch in range(1, min(config.epochs, FIRST_EPOCHS) + 1)]
    windows = [
        f"{name}@{epoch}"
        for name in USUAL
        for epoch in epochs
        if own[name].isdigit() and epoch != own[name]
    ]
    windows += [name for name in rules.BESIDES.values() if score_name(name) in USUAL]
    runs = expected(config, dataset)
    given = [*possible(USUAL, runs, otherwise), *possible(windows, runs)]
    if not given:
        raise InputError(
            f"a training of {len(dataset.train)} examples for {config.epochs} epochs gives none of "
            f"{', '.join(USUAL)}; train for more epochs, or name others with score"
        )
    return [str(spec) for spec in given]


def _columns(text: str, scores: Scores) -> list[str]:
    """Return the scores that `text` names: each with all its windows, or with one."""
    usable = [name for name in scores.names if score_name(name) != "random"]
    columns: list[str] = []
    for name in names(text):
        spec = specs.parse_spec(name)
        own = [c for c in usable if c == name or (not spec.window and score_name(c) == name)]
        if not own:
            raise InputError(
                f"{scores.directory} holds no score {name!r} to search over; it holds "
                f"{', '.join(usable)}"
            )
        columns += own
    return list(dict.fromkeys(columns)) or usable


def _choose(
    config: SearchStep, scored: Searched, study, engine: Engine
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
    config: SearchStep, scored: Searched, study, engine: Engine, directory: Path
) -> Generator[Record, None, dict]:
    from influence.searching import study as search_study

    scores, ended = scored.scores, search_study.trials_of(study)
    chosen = trials.recommend(ended, config.tolerance, config.goal)
    points, correct = _test(config, scored, _tested(scored, chosen, config.test_seeds), engine)
    share, digest = partial(scored.share, config), partial(_digest, scored)
    outcome = recommendation(config, share, ended, digest, points, correct)
    kept = _recommended(scored, chosen)
    subset = result.write_subset(scores, kept, directory)
    fit = retraining.on_subset(scores, config, len(kept))
    also = {"study": study.name, "command": command(subset, scores.task, fit)}
    tables = {
        result.TRIALS: trials.table(ended, config.tolerance),
        result.IMPORTANCES: search_study.importances(study),
        result.POINTS: points,
    }
    facts = result.write(outcome, also, tables, scores, directory)
    yield Record(0, flat(outcome))
    return facts


def _digest(scored: Searched, candidate: Candidate, number: int) -> str:
    """Return a digest of the examples that a candidate keeps under seed `number`."""
    return retraining.kept_digest(scored.kept(candidate, number))


def _tested(scored: Searched, chosen: Trial | None, seeds: int) -> dict[str, list[np.ndarray]]:
    """Return the rows to retrain on, by arm and seed: all, random at the fraction, the choice."""
    arms = {FULL: [scored.everything] * seeds}
    if chosen is not None and chosen.candidate is not None:
        random = Candidate(Arm((), "random"), chosen.percent, 1, {})
        for candidate in (random, chosen.candidate):
            kept = [scored.kept(candidate, number) for number in range(seeds)]
            arms[str(candidate.arm)] = kept
    return arms


def _test(
    config: SearchStep, scored: Searched, arms: dict[str, list[np.ndarray]], engine: Engine
) -> tuple[pd.DataFrame, Correct | None]:
    """Return a row for each retraining; if accuracy counts, also who its model gets right."""
    place = retraining.place(config, scored.scores, "test", engine)
    keys = [(arm, number) for arm, kept in arms.items() for number in range(len(kept))]
    jobs = [(place, arms[arm][number], number) for arm, number in keys]
    points: dict[str, list] = {arm: [] for arm in arms}
    for position, point in engine.run(retrain, jobs, "test"):
        points[keys[position][0]].append(point)
    table = pd.concat([curve.table(some, arm) for arm, some in points.items()])
    if config.metric != "accuracy":
        return table, None
    labels = scored.scores.data.array("test", "label")
    ordered = [sorted(some, key=lambda point: point.seed) for some in points.values()]
    right = [retraining.predictions(place, point) == labels for point in chain(*ordered)]
    return table, np.array(right)


def _recommended(scored: Searched, chosen: Trial | None) -> np.ndarray:
    """Return the rows of the recommended subset, ascending; all where nothing is recommended."""
    if chosen is None or chosen.candidate is None:
        return scored.everything
    return np.sort(scored.kept(chosen.candidate, 0))
