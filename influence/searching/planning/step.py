"""recommend: how much of a train set to prune, and by which arm, for the price of ten trainings."""

from collections.abc import Generator, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from influence.config.lists import names
from influence.config.steps import RecommendStep
from influence.data.dataset import Dataset
from influence.errors import InputError
from influence.evaluation import retraining
from influence.evaluation.retraining import Place
from influence.jobs.engine import Engine
from influence.models.metrics import by_guessing
from influence.runtime import store
from influence.runtime.step import Record, Steps, Task, perform, say
from influence.sampling.step import parse_arms
from influence.scoring.result import Scores
from influence.scoring.step import wanted
from influence.searching import space
from influence.searching.planning import result
from influence.searching.planning.landscape import FULL, Cell, Measured
from influence.searching.planning.planner import Choice
from influence.searching.planning.recommending import CODE, SCORED, Recommending
from influence.searching.result import pruned, write_subset
from influence.searching.scored import (
    Scored,
    check_halves,
    check_metric,
    command,
    lacking,
    measured,
    verified,
)

AXES = ("metric on validation",)


class Interrupted(KeyboardInterrupt):
    """Raised where a recommendation was interrupted once something could be recommended."""

    def __init__(self, directory: Path) -> None:
        """`directory` holds what can be recommended by now."""
        super().__init__()
        self.directory = directory


def check_recommend(config: RecommendStep, dataset: Dataset | None = None) -> None:
    """Raise InputError for every mistake that can be detected before anything is trained."""
    from influence.searching import study as search_study

    space.check((), config.lowest, config.highest)
    arms = parse_arms(config.arms)
    search_study.open_storage(search_study.meeting(config))
    check_halves(config, names(wanted("", arms)))
    if dataset is not None:
        check_metric(config, config.task, "this recommendation trains")


def begin(config: RecommendStep, scores: Scores) -> Recommending:
    """Return a recommendation that chooses from these scores.

    Raises InputError for scores that do not hold what the arms read, and for a model to retrain
    that does not fit its tokenizer or the texts.
    """
    scores = verified(config, scores, "recommend")
    arms = parse_arms(config.arms)
    for arm in arms:
        if lacked := lacking(arm.rule, scores, arm.reads):
            raise InputError(
                f"arm {str(arm)!r} needs {lacked}, which {scores.directory} does not hold; score "
                "again with it, or leave the arm out"
            )
    return Recommending(config, Scored(scores, names(wanted("", arms)), config.seed))


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
    On Ctrl-C it leaves what can be recommended by then and raises Interrupted; the next time goes
    on from there.
    Validation alone is chosen by; what the retrainings reach on test is looked at in the end.
    """
    try:
        yield from _retrain(recommending, study, engine)
    except KeyboardInterrupt:
        if any(one.cell == FULL for one in recommending.known(study)):
            directory = yield from _perform(recommending, study)
            verdict = result.Answer(directory).verdict
            say(f"recommend: interrupted; by now: {verdict} The same command goes on.")
            raise Interrupted(directory) from None
        raise
    return (yield from _perform(recommending, study))


def _retrain(recommending: Recommending, study, engine: Engine) -> Generator[Record, None, None]:
    from influence.searching.planning import retrainings

    config, scored = recommending.config, recommending.scored
    place = retraining.place(config, scored.scores, "validation", engine, sealed=True)
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
    return engine.submit(measured, place, recommending.kept(cell, number), number, metric, rows)


def _show(bar: tqdm, spent: float) -> None:
    bar.n = round(spent, 1)
    bar.refresh()


def _in_short(choice: Choice) -> str:
    if choice.cell == FULL:
        return "keep everything"
    spread = 50 * (choice.gain.high - choice.gain.low)
    gained = f"{100 * choice.gain.mean:+.1f} ± {spread:.1f}"
    return f"{pruned(choice.cell.percent, choice.cell.arm)}, {gained}"


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
    listed = store.fingerprint("retrainings", {"known": [list(one) for one in known]}, {}, ())
    task = Task(
        "recommend", recommending.parameters, {"study": study.name, "retrainings": listed}, CODE
    )
    return (
        yield from perform(task, config.workdir, lambda at: _report(recommending, study, known, at))
    )


def _report(
    recommending: Recommending, study, known: Sequence[Measured], directory: Path
) -> Generator[Record, None, dict]:
    scores, planner = recommending.scored.scores, recommending.planner
    choice = planner.answer(known)
    kept = np.sort(recommending.kept(choice.cell, 0))
    tested = recommending.on_test(study, known, choice.cell)
    outcome = _outcome(recommending, known, choice, tested, len(kept))
    subset = write_subset(scores, kept, directory)
    fit = retraining.on_subset(scores, recommending.config, len(kept))
    also = {"study": study.name, "command": command(subset, scores.task, fit)}
    tables = {
        result.RETRAININGS: _history(recommending, known),
        result.LANDSCAPE: planner.table(known),
    }
    yield Record(len(known), _metrics(recommending, known, choice))
    return result.write(outcome, also, tables, scores, directory)


def _outcome(
    recommending: Recommending,
    known: Sequence[Measured],
    choice: Choice,
    tested: Choice | None,
    kept: int,
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
        validation=_evidence(choice),
        test=_evidence(tested) if tested else None,
        trainings=spent,
        scoring=recommending.scoring,
        retrainings=len(known) - len(recommending.given),
        tried=sorted({one.cell.arm for one in known} - {""}),
        surer=None if cell == FULL else recommending.planner.surer(known, choice),
        break_even=spent / saved if saved > 0 else np.inf,
        worth=choice.worth,
        guessing=by_guessing(labels),
    )
    lowest = recommending.planner.landscape.percents[0]
    return result.with_verdict(outcome, lowest)


def _evidence(choice: Choice) -> result.Evidence:
    return result.Evidence(
        asdict(choice.full),
        asdict(choice.gain),
        asdict(choice.of_random),
        asdict(choice.over_random),
    )


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
