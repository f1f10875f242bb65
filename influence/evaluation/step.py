"""evaluate: retrain on what is left, at every fraction and seed, into one curve."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from influence.config.parameters import EvaluateConfig
from influence.config.steps import EvaluateStep
from influence.evaluation import intervals, result, retraining
from influence.evaluation.costs import Forecast
from influence.evaluation.result import OUTCOMES, Point
from influence.evaluation.retraining import Place, retrain
from influence.jobs.engine import Engine, keep
from influence.models.metrics import by_group
from influence.runtime import store
from influence.runtime.step import Record, Steps, Task, perform, say
from influence.sampling.order import fraction_of, kept_count
from influence.sampling.result import Sample

CODE = ("data", "models", "nlu", "sampling", "evaluation")
SHOWN = ("accuracy", "macro_f1", "loss", "calibration_error")
RATES = ("dcer", "icer", "semer", "f_semer", "irer", "unrecoverable", "defect", "tail_defect")


def evaluate(config: EvaluateStep, sample: Sample, engine: Engine) -> Steps:
    """Retrain on every subset of a sample, and on the full train set, in `evaluate-<fingerprint>/`.

    Holds `points.csv` (one row per percent pruned and seed), `curve.csv` (mean and 95 % interval
    per percent and metric), `correct.npy` (points x test examples, whether each is classified
    correctly), and the sample's `class_shares.csv` and, if any, `label_errors.csv`;
    with task nlu also `outcomes.parquet` (percent_pruned, seed, and what became of every test
    request, in order). Every retraining is kept beside the steps under a name made of the kept ids,
    the seed and the training parameters, and none is ever repeated.
    """
    task = _task(config, sample)
    if not store.is_finished(task.directory(config.workdir)):
        for note in retraining.check(config, sample):
            say(f"evaluate: {note}")

    def work(directory: Path) -> Generator[Record, None, dict]:
        return _evaluate(config, sample, engine, directory)

    return (yield from perform(task, config.workdir, work))


def begin(config: EvaluateStep, sample: Sample, engine: Engine) -> None:
    """Let the retrainings of `evaluate` begin, unless it is finished."""
    if not store.is_finished(_task(config, sample).directory(config.workdir)):
        engine.begin(retrain_point, _jobs(config, sample, engine))


def measure(
    config: EvaluateStep, sample: Sample, engine: Engine
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the points of the curve that `evaluate` would leave, and who is right in each.

    Nothing is left but the retrainings themselves, so that `evaluate` then takes no time.
    """
    points, correct = [], {}
    for point, right in _retrained(_jobs(config, sample, engine), sample, engine, "measure"):
        points.append(point)
        correct[point.percent_pruned, point.seed] = right
    return _in_order(points, correct, sample.arm)


def _task(config: EvaluateStep, sample: Sample) -> Task:
    inputs = {"sample": sample.fingerprint, **retraining.inputs(config, sample)}
    return Task("evaluate", config.parameters(EvaluateConfig), inputs, CODE)


def _jobs(config: EvaluateStep, sample: Sample, engine: Engine) -> list[tuple[Place, float, int]]:
    """Return a job for every percent pruned and seed."""
    place = retraining.place(config, sample, "test", engine)
    percents = sorted({0.0, *sample.percents})
    wanted = [(percent, number) for percent in percents for number in range(config.seeds)]
    rows = sample.data.count("train")
    steps = {percent: place.steps(kept_count(rows, fraction_of(percent))) for percent in percents}
    expected = [(percent, number, steps[percent]) for percent, number in wanted]
    _forecast(place).expect(sample.arm, config.budget, expected)
    return [(place, percent, number) for percent, number in wanted]


def _retrained(
    jobs: list[tuple[Place, float, int]], sample: Sample, engine: Engine, what: str
) -> Iterator[tuple[Point, np.ndarray]]:
    """Yield each retraining once it is done, and which test examples it classifies correctly."""
    labels, (place, _, _) = sample.data.array("test", "label"), jobs[0]
    for _, point in engine.run(retrain_point, jobs, f"{what} {sample.arm}"):
        _forecast(place).first(point, place.fit.batch_size, engine.workers)
        yield point, retraining.predictions(place, point) == labels


def _evaluate(
    config: EvaluateStep, sample: Sample, engine: Engine, directory: Path
) -> Generator[Record, None, dict]:
    sample.verify()
    jobs = _jobs(config, sample, engine)
    is_nlu = sample.task == "nlu"
    shown = SHOWN + RATES if is_nlu else SHOWN
    points: dict[float, list[Point]] = {percent: [] for _, percent, _ in jobs}
    correct: dict[tuple[float, int], np.ndarray] = {}
    for point, right in _retrained(jobs, sample, engine, "evaluate"):
        metrics = {**point.metrics, **by_group(right, sample.test_groups)}
        points[point.percent_pruned].append(replace(point, metrics=metrics))
        correct[point.percent_pruned, point.seed] = right
        if len(points[point.percent_pruned]) == config.seeds:
            yield _record(points[point.percent_pruned], shown)
    everyone = [point for some in points.values() for point in some]
    table, known = _in_order(everyone, correct, sample.arm)
    curves = [intervals.summarise(table, f"test/{name}").assign(metric=name) for name in shown]
    outcomes = (
        pd.concat([_outcomes(jobs[0][0].kept, point) for point in everyone]) if is_nlu else None
    )
    return result.write(sample, table, known, pd.concat(curves), outcomes, directory)


def _in_order(
    points: list[Point], correct: dict[tuple[float, int], np.ndarray], arm: str
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the table of all points, and who is right in each of its rows."""
    table = result.table(points, arm)
    keys = zip(table["percent_pruned"], table["seed"], strict=True)
    return table, np.stack([correct[key] for key in keys])


def _forecast(place: Place) -> Forecast:
    """Return the forecast of a comparison: its arms retrain one model on one dataset."""
    return keep(f"forecast of {place.source.data.digest} {place.fit}", Forecast)


def retrain_point(place: Place, percent: float, number: int) -> Point:
    """Retrain the subset of a sample that `percent` pruned leaves, under seed `number`."""
    sample = place.source
    assert isinstance(sample, Sample)
    kept = sample.kept(fraction_of(percent), number % sample.draws)
    return replace(retrain(place, kept, number), percent_pruned=percent)


def _outcomes(kept: Path, point: Point) -> pd.DataFrame:
    outcomes = pd.read_parquet(kept / point.key / OUTCOMES)
    outcomes.insert(0, "percent_pruned", point.percent_pruned)
    outcomes.insert(1, "seed", point.seed)
    return outcomes


def _record(points: list[Point], shown: tuple[str, ...]) -> Record:
    """Name metrics so that the UI, which makes sections of the names, shows the curve first."""
    metrics: dict[str, float] = {}
    for name in shown:
        mean, low, high = intervals.interval([point.metrics[f"test/{name}"] for point in points])
        metrics[f"curve/{name}" if name == "accuracy" else f"measures/{name}"] = mean
        metrics |= {f"interval/{name}_low": low, f"interval/{name}_high": high}
    metrics |= {
        "retraining/kept": float(points[0].kept),
        "retraining/steps": float(points[0].steps),
    }
    metrics["retraining/seconds"] = float(np.mean([point.seconds for point in points]))
    return Record(round(points[0].percent_pruned), metrics)
