"""evaluate: retrain on what is left, at every fraction and seed, into one curve."""

import shutil
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from influence.config.parameters import EvaluateConfig, EvaluateStep
from influence.data.storage import open_saved
from influence.evaluation import intervals, retraining
from influence.evaluation.retraining import Place, Point, retrain
from influence.models.metrics import by_group
from influence.runtime import store
from influence.runtime.engine import Engine
from influence.runtime.step import Record, Steps, Task, inherited, perform, say
from influence.sampling.order import kept_count
from influence.sampling.step import fraction, groups_of

CODE = ("data", "models", "nlu", "sampling", "evaluation")
SHOWN = ("accuracy", "macro_f1", "loss", "calibration_error")
RATES = ("dcer", "icer", "semer", "f_semer", "irer", "unrecoverable", "defect", "tail_defect")


def evaluate(config: EvaluateStep, sampled: Path, engine: Engine) -> Steps:
    """Retrain on every subset of a sample, and on the full train set, in `evaluate-<fingerprint>/`.

    Holds `points.csv` (one row per percent pruned and seed), `curve.csv` (mean and 95 % interval
    per percent and metric) and the sample's `class_shares.csv` and, if any, `label_errors.csv`;
    with task nlu also `outcomes.parquet` (percent_pruned, seed, and what became of every test
    request, in order). Every retraining is kept beside the steps under a name made of the kept ids,
    the seed and the training parameters, and none is ever repeated.
    """
    manifest = store.read_manifest(sampled, "sample")
    inputs = {"sample": manifest["fingerprint"], **retraining.inputs(config, sampled, "sample")}
    task = Task("evaluate", config.parameters(EvaluateConfig), inputs, CODE)
    if not store.is_finished(task.directory(config.workdir)):
        for note in retraining.check(config, sampled, "sample"):
            say(f"evaluate: {note}")

    def work(directory: Path) -> Generator[Record, None, dict]:
        return _evaluate(config, sampled, manifest, engine, directory)

    return (yield from perform(task, config.workdir, work))


def _evaluate(
    config: EvaluateStep, sampled: Path, manifest: dict, engine: Engine, directory: Path
) -> Generator[Record, None, dict]:
    store.verify(sampled, manifest)
    percents = sorted({0.0, *manifest["percents"]})
    source = open_saved(sampled / "data")
    labels = source.array("test", "label")
    groups = groups_of(source.read("test", manifest["groups"]), "test", manifest["groups"])
    keys = [(percent, number) for percent in percents for number in range(config.seeds)]
    place = retraining.place(config, sampled, "sample", "test", engine)
    jobs = [(place, *key) for key in keys]
    shown = SHOWN + RATES if manifest["task"] == "nlu" else SHOWN
    points: dict[float, list[Point]] = {percent: [] for percent in percents}
    for position, point in engine.run(retrain_point, jobs, f"evaluate {manifest['arm']}"):
        right = np.load(place.kept / point.key / retraining.PREDICTIONS) == labels
        found = {**point.metrics, **by_group(right, groups)}
        points[keys[position][0]].append(replace(point, metrics=found))
        if len(points[point.percent_pruned]) == config.seeds:
            yield _record(points[point.percent_pruned], shown)
    everyone = [point for some in points.values() for point in some]
    table = intervals.table(everyone, manifest["arm"])
    table.to_csv(directory / "points.csv", index=False)
    if manifest["task"] == "nlu":
        outcomes = [_outcomes(place, point) for point in everyone]
        pd.concat(outcomes).to_parquet(directory / retraining.OUTCOMES, index=False)
    for name in ("class_shares.csv", "label_errors.csv"):
        if (sampled / name).exists():
            shutil.copy(sampled / name, directory / name)
    curves = [intervals.summarise(table, f"test/{name}").assign(metric=name) for name in shown]
    pd.concat(curves).to_csv(directory / "curve.csv", index=False)
    return {
        "arm": manifest["arm"],
        "percents": percents,
        **inherited(manifest),
    }


def retrain_point(place: Place, percent: float, number: int) -> Point:
    """Retrain the subset of a sample that `percent` pruned leaves, under seed `number`."""
    orders = np.load(place.source / "order.npy", mmap_mode="r")
    order = orders[number % len(orders)]
    point = retrain(place, order[: kept_count(len(order), fraction(percent))], number)
    return replace(point, percent_pruned=percent)


def _outcomes(place: Place, point: Point) -> pd.DataFrame:
    found = pd.read_parquet(place.kept / point.key / retraining.OUTCOMES)
    found.insert(0, "percent_pruned", point.percent_pruned)
    found.insert(1, "seed", point.seed)
    return found


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
