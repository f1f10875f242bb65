"""recommend: how much of a train set to prune, and by which arm, for the price of ten trainings."""

import time
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from influence.config.parameters import RecommendConfig, RecommendStep
from influence.data.dataset import Dataset
from influence.errors import InputError
from influence.evaluation import retraining
from influence.evaluation.retraining import Place
from influence.models.fit import steps_per_epoch
from influence.runtime import store
from influence.runtime.engine import Engine
from influence.runtime.step import Record, Steps, Task, perform, say
from influence.sampling.arms import Arm
from influence.sampling.order import fraction_of, kept_count
from influence.sampling.step import parse_arms
from influence.scoring.result import Scores, open_scores
from influence.searching import space
from influence.searching.planning import result
from influence.searching.planning.landscape import FULL, Cell, Landscape, Measured
from influence.searching.planning.planner import Choice, Planner
from influence.searching.result import write_subset
from influence.searching.scored import (
    Scored,
    check_halves,
    check_metric,
    command,
    lacking,
    measure,
)
from influence.searching.space import STEP, Candidate

CODE = ("scores", "data", "models", "nlu", "scoring", "sampling", "evaluation", "searching")
EXECUTION = ("trainings", "minutes", "storage", "grace")  # these do not change a study
SCORED = -1  # the number of the scored training, whose seed is none of those of retrainings
AXES = ("metric on validation",)


class Recommending:
    """A recommendation under way: what it may choose from, and its planner."""

    def __init__(self, config: RecommendStep, scored: Scored) -> None:
        """Lay out every arm at every percent that leaves an example of each class."""
        self.config, self.scored = config, scored
        self.fit = retraining.retrained(scored.scores, config)
        low, high = space.check((), config.lowest, config.highest)
        classes = len(np.unique(scored.labels))
        rows = len(scored.labels)
        percents = [
            percent
            for percent in range(max(low, STEP), high + 1, STEP)
            if kept_count(rows, fraction_of(percent)) >= classes
        ]
        if not percents:
            raise InputError(
                f"{rows} train examples of {classes} classes are too few to prune {low} % of them"
            )
        self.arms = {str(arm): arm for arm in parse_arms(config.arms)}
        examples = scored.scores.data.count("validation")
        if scored.chosen_on is not None:
            examples = len(scored.chosen_on)
        landscape = Landscape(tuple(self.arms), tuple(percents), examples)
        costs = np.array([self._cost(cell) for cell in landscape.cells])
        self.planner = Planner(landscape, config.tolerance, costs, config.seed)
        self.scoring = scoring_cost(scored.scores)
        self.given = self._given()
        self.until = time.monotonic() + 60 * config.minutes if config.minutes else np.inf

    @property
    def name(self) -> str:
        """The name of the study: of everything that its retrainings and its plan depend on."""
        config, scores = self.config, self.scored.scores
        parameters = config.parameters(RecommendConfig)
        parameters = {k: v for k, v in parameters.items() if k not in EXECUTION}
        inputs = {"scores": scores.fingerprint, **retraining.inputs(config, scores)}
        digest = store.fingerprint("plan", {**parameters, "seed": config.seed}, inputs, CODE)
        dataset, model = Path(scores.dataset_name).name, Path(scores.fit.model).name
        return f"{dataset}-{model}-recommend-{digest}"

    def plan(
        self, measured: list[Measured], running: Sequence[tuple[Cell, int]]
    ) -> tuple[Cell, int] | None:
        """Return the retraining that is worth most now, None if nothing more is to be done."""
        if time.monotonic() > self.until:
            return None
        measured = [*self.given, *measured]
        under_way = sum(self.costs_of(Measured(*one, 0.0) for one in running))
        left = self.config.trainings - self.spent(measured) - under_way
        return self.planner.next(measured, running, left)

    def known(self, study) -> list[Measured]:
        """Return what is known by now: of the scored training, and of all retrainings."""
        from influence.searching.planning import retrainings

        return [*self.given, *retrainings.measured(study)]

    def spent(self, measured: Sequence[Measured]) -> float:
        """Return what scoring and these retrainings have cost, in full trainings."""
        return self.scoring + sum(self.costs_of(one for one in measured if one.number != SCORED))

    def costs_of(self, measured: Iterable[Measured]) -> list[float]:
        """Return the cost of each retraining."""
        places = self.planner.landscape.index
        return [float(self.planner.costs[places[one.cell]]) for one in measured]

    def _given(self) -> list[Measured]:
        """Return what the scored training says of the full train set, where it was a retraining.

        It was one unless it was imported, or of a probe, or another model is retrained.
        """
        scores, (run, *_) = self.scored.scores, self.scored.scores.cost["runs"]
        alike = run["seconds"] and not run["heads"] and not self.config.retrain_with
        plain = self.config.metric == "accuracy" and scores.task == "classify"
        if not (alike and plain) or self.scored.chosen_on is not None or scores.recall is None:
            return []
        labels = scores.data.array("validation", "label")
        right = scores.recall * np.bincount(labels, minlength=len(scores.recall))
        return [Measured(FULL, SCORED, float(right.sum() / len(labels)))]

    def kept(self, cell: Cell, number: int) -> np.ndarray:
        """Return the rows that stay in a cell under seed `number`."""
        if cell == FULL:
            return self.scored.everything
        return self.scored.kept(Candidate(self.arms[cell.arm], cell.percent, 1, {}), number)

    def _cost(self, cell: Cell) -> float:
        if self.config.budget == "steps":
            return 1.0
        rows, batch = len(self.scored.labels), self.fit.batch_size
        kept = kept_count(rows, fraction_of(cell.percent))
        return steps_per_epoch(kept, batch) / steps_per_epoch(rows, batch)


def check_recommend(config: RecommendStep, dataset: Dataset | None = None) -> None:
    """Raise InputError for every mistake that can be detected before anything is trained."""
    from influence.searching import study as search_study

    space.check((), config.lowest, config.highest)
    arms = parse_arms(config.arms)
    search_study.open_storage(search_study.meeting(config))
    check_halves(config, _columns(arms))
    if dataset is not None:
        check_metric(config, config.task, "this recommendation trains")


def begin(config: RecommendStep, scores: Scores) -> Recommending:
    """Return a recommendation that chooses from these scores.

    Raises InputError for scores that do not hold what the arms read, and for a model to retrain
    that does not fit its tokenizer or the texts.
    """
    scores = open_scores(scores.directory)
    scores.verify()
    check_metric(config, scores.task, f"{scores.directory} scores")
    for note in retraining.check(config, scores):
        say(f"recommend: {note}")
    arms = parse_arms(config.arms)
    for arm in arms:
        missing = [name for name in arm.reads if name not in scores.names]
        if lacked := (f"the score {missing[0]!r}" if missing else lacking(arm.rule, scores)):
            raise InputError(
                f"arm {str(arm)!r} needs {lacked}, which {scores.directory} does not hold; score "
                "again with it, or leave the arm out"
            )
    return Recommending(config, Scored(scores, _columns(arms), config.seed))


def open_study(recommending: Recommending):
    """Open the study of a recommendation, in the workdir unless a storage is named."""
    from influence.searching import study as search_study

    return search_study.open_study(
        search_study.meeting(recommending.config), recommending.name, AXES
    )


def recommend(recommending: Recommending, study, engine: Engine) -> Steps:
    """Retrain what is worth it, then leave the recommendation in `recommend-<fingerprint>/`.

    Yields what is recommended after every retraining. The directory holds `retrainings.csv`,
    `landscape.csv`, `recommendation.json` and `subset/`, the recommended examples as a dataset.
    Interrupted, it leaves what can be recommended by then, and the next time goes on from there.
    Only the validation split is read.
    """

    try:
        yield from _retrain(recommending, study, engine)
    except KeyboardInterrupt:
        if any(one.cell == FULL for one in recommending.known(study)):
            directory = yield from _perform(recommending, study)
            verdict = result.Answer(directory).verdict
            say(f"recommend: interrupted; by now: {verdict} The same command goes on.")
        raise
    return (yield from _perform(recommending, study))


def scoring_cost(scores: Scores) -> float:
    """Return what the scores cost, in trainings on the full train set.

    A training step counts as three forward passes of its examples, a backward pass as two.
    """
    cost, epochs = scores.cost, scores.fit.epochs
    if cost["runs"][0]["heads"]:  # of a probe: these take about as long as its one forward pass
        return 2 / 3 / epochs
    folds = cost["folds"]
    trained = sum(run["epochs"] for run in cost["runs"])
    if folds:
        trained += (folds["count"] - 1) * folds["epochs"]
    return (trained + (cost["forward"] + 2 * cost["backward"]) / 3) / epochs


def _columns(arms: Sequence[Arm]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for arm in arms for name in arm.reads))


def _retrain(recommending: Recommending, study, engine: Engine) -> Generator[Record, None, None]:
    from influence.searching.planning import retrainings

    config, scored = recommending.config, recommending.scored
    place = retraining.place(config, scored.scores, "validation", engine)
    submit = partial(_submit, recommending, place, engine)
    ended = retrainings.carry_out(study, recommending.plan, submit, config.grace, engine.workers)
    with tqdm(desc="recommend", total=config.trainings, unit="training") as bar:
        _show(bar, recommending.spent(recommending.known(study)))
        for _ in ended:
            known = recommending.known(study)
            choice = recommending.planner.answer(known)
            bar.set_postfix_str(_in_short(choice), refresh=False)
            _show(bar, recommending.spent(known))
            yield Record(len(known), _metrics(recommending, known, choice))


def _submit(
    recommending: Recommending, place: Place, engine: Engine, cell: Cell, number: int
) -> Future:
    rows, metric = recommending.scored.chosen_on, recommending.config.metric
    return engine.submit(measure, place, recommending.kept(cell, number), number, metric, rows)


def _show(bar: tqdm, spent: float) -> None:
    bar.n = round(spent, 1)
    bar.refresh()


def _in_short(choice: Choice) -> str:
    if choice.cell == FULL:
        return "keep everything"
    spread = 50 * (choice.gain.high - choice.gain.low)
    gained = f"{100 * choice.gain.mean:+.1f} ± {spread:.1f}"
    return f"{choice.cell.percent} % by {choice.cell.arm}, {gained}"


def _metrics(
    recommending: Recommending, known: Sequence[Measured], choice: Choice
) -> dict[str, float]:
    """Return what the run shows after a retraining."""
    return {
        "recommend/percent_pruned": float(choice.cell.percent),
        "recommend/gain": choice.gain.mean,
        "recommend/gain_low": choice.gain.low,
        "recommend/gain_high": choice.gain.high,
        "recommend/gain_of_random": choice.of_random.mean,
        "recommend/trainings": recommending.spent(known),
    }


def _perform(recommending: Recommending, study) -> Steps:
    """Leave the recommendation that follows from what was measured."""

    known, config = recommending.known(study), recommending.config
    if not any(one.cell == FULL for one in known):
        raise InputError(
            f"nothing was retrained within minutes={config.minutes:g} and trainings="
            f"{config.trainings:g}, of which scoring takes {recommending.scoring:.1f}; allow more"
        )
    parameters = config.parameters(RecommendConfig)
    parameters = {k: v for k, v in parameters.items() if k not in EXECUTION}
    listed = store.fingerprint("retrainings", {"known": [list(one) for one in known]}, {}, ())
    task = Task("recommend", parameters, {"study": study.name, "retrainings": listed}, CODE)
    return (
        yield from perform(
            task, config.workdir, lambda at: _report(recommending, study.name, known, at)
        )
    )


def _report(
    recommending: Recommending, study: str, known: Sequence[Measured], directory: Path
) -> Generator[Record, None, dict]:
    scores, planner = recommending.scored.scores, recommending.planner
    choice = planner.answer(known)
    kept = np.sort(recommending.kept(choice.cell, 0))
    outcome = _outcome(recommending, known, choice, len(kept))
    subset = write_subset(scores, kept, directory)
    also = {"study": study, "command": command(subset, scores.task, recommending.fit)}
    tables = {
        result.RETRAININGS: _history(recommending, known),
        result.LANDSCAPE: planner.table(known),
    }
    yield Record(len(known), _metrics(recommending, known, choice))
    return result.write(outcome, also, tables, scores, directory)


def _outcome(
    recommending: Recommending, known: Sequence[Measured], choice: Choice, kept: int
) -> result.Recommended:
    spent, cell = recommending.spent(known), choice.cell
    saved = 1 - recommending.costs_of([Measured(cell, 0, 0.0)])[0]
    labels = recommending.scored.scores.data.array("validation", "label")
    outcome = result.Recommended(
        verdict="",
        metric=recommending.config.metric,
        tolerance=recommending.config.tolerance,
        arm=cell.arm,
        percent_pruned=cell.percent,
        kept=kept,
        full=asdict(choice.full),
        gain=asdict(choice.gain),
        random=asdict(choice.of_random),
        over_random=asdict(choice.over_random),
        trainings=spent,
        scoring=recommending.scoring,
        retrainings=len(known) - len(recommending.given),
        tried=sorted({one.cell.arm for one in known} - {""}),
        surer=recommending.planner.surer(known, choice),
        break_even=spent / saved if saved > 0 else np.inf,
        worth=choice.worth,
        guessing=float(np.bincount(labels).max() / len(labels)),
    )
    lowest = recommending.planner.landscape.percents[0]
    return result.with_verdict(outcome, lowest)


def _history(recommending: Recommending, known: Sequence[Measured]) -> pd.DataFrame:
    rows, spent = [], recommending.scoring
    for place, (one, cost) in enumerate(zip(known, recommending.costs_of(known), strict=True), 1):
        cost = 0.0 if one.number == SCORED else cost  # it is in the cost of the scores
        spent += cost
        choice = recommending.planner.answer(known[:place])
        best, gain = choice.cell, choice.gain
        said = (best.arm, best.percent, gain.mean, gain.low, gain.high)
        rows.append((*one.cell, one.number, one.value, cost, spent, *said))
    return result.history(rows)
