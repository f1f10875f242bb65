"""evaluate: retrain on what is left, at every fraction and seed, into one curve."""

import hashlib
import json
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from influence import data, evaluation, models, store
from influence.cluster import Engine, hold
from influence.config import EvaluateConfig, EvaluateStep, FitConfig
from influence.evaluation import Point
from influence.sampling import kept_count
from influence.steps.inputs import encode
from influence.steps.step import Record, Steps, Task, inherited, perform
from influence.training import steps_per_epoch

CODE = (
    "batches",
    "data",
    "evaluation",
    "layers",
    "models",
    "sampling",
    "sources",
    "steps/evaluate",
    "steps/inputs",
    "training",
)
FIRST_SEED = 1000  # retrainings share no seed with the runs that were scored
SHOWN = ("accuracy", "macro_f1", "loss", "calibration_error")


def evaluate(config: EvaluateStep, sampled: Path, engine: Engine) -> Steps:
    """Retrain on every subset of a sample, and on the full train set, in `evaluate-<fingerprint>/`.

    Holds `points.csv` (one row per percent pruned and seed) and `curve.csv` (mean and 95 % interval
    per percent and metric). Every retraining is kept beside the steps under a name made of the kept
    ids, the seed and the training knobs, and none is ever repeated.
    """
    manifest = store.read_manifest(sampled, "sample")
    task = Task("evaluate", config.knobs(EvaluateConfig), {"sample": manifest["fingerprint"]}, CODE)

    def work(directory: Path) -> Generator[Record, None, dict]:
        return _evaluate(config, sampled, manifest, engine, directory)

    return (yield from perform(task, config.workdir, work))


def _evaluate(
    config: EvaluateStep, sampled: Path, manifest: dict, engine: Engine, directory: Path
) -> Generator[Record, None, dict]:
    store.verify(sampled, manifest)
    percents = sorted({0.0, *manifest["percents"]})
    keys = [(percent, number) for percent in percents for number in range(config.seeds)]
    retrainings = Path(config.workdir).absolute() / "retrainings"
    jobs = [(sampled, *key, config.budget, engine.device, retrainings) for key in keys]
    points: dict[float, list[Point]] = {percent: [] for percent in percents}
    for position, point in engine.run(retrain_point, jobs, f"evaluate {manifest['arm']}"):
        points[keys[position][0]].append(point)
        if len(points[point.percent_pruned]) == config.seeds:
            yield _record(points[point.percent_pruned])
    table = evaluation.table([p for some in points.values() for p in some], manifest["arm"])
    table.to_csv(directory / "points.csv", index=False)
    curves = [evaluation.summarise(table, f"test/{name}").assign(metric=name) for name in SHOWN]
    pd.concat(curves).to_csv(directory / "curve.csv", index=False)
    return {
        "arm": manifest["arm"],
        "percents": percents,
        **inherited(manifest),
    }


def retrain_point(
    sampled: Path, percent: float, number: int, budget: str, device: str, retrainings: Path
) -> Point:
    """Retrain one subset under one seed, unless it was done before; return its point."""
    dataset, fit, tokenizer, train, test, orders = hold(_inputs, sampled)
    order = orders[number % len(orders)]
    kept = np.sort(order[: kept_count(len(order), percent / 100)])
    full = fit.epochs * steps_per_epoch(len(order), fit.batch_size)
    steps = full if budget == "steps" else fit.epochs * steps_per_epoch(len(kept), fit.batch_size)
    seed = fit.seed + FIRST_SEED + number
    path = retrainings / _key(dataset, fit, kept, seed, steps) / "point.json"
    with store.locked(path.parent):
        if not path.exists():
            _, seconds, metrics = evaluation.retrain(
                fit,
                tokenizer,
                dataset.label_names,
                (train[0].take(kept), train[1][kept]),
                {"test": test},
                seed,
                steps,
                device,
            )
            store.write_json(
                path, {"kept": len(kept), "steps": steps, "seconds": seconds, "metrics": metrics}
            )
    return Point(percent, seed, **json.loads(path.read_text(encoding="utf-8")))


def _inputs(sampled: Path):
    """Open and tokenise a sample."""
    manifest = store.read_manifest(sampled, "sample")
    fit = FitConfig(**manifest["fit"])
    dataset = data.open_saved(sampled / "data")
    tokenizer = models.open_tokenizer(sampled / "tokenizer")
    splits = [
        (encode(tokenizer, frame, fit), frame["label"].to_numpy())
        for frame in (dataset.train, dataset.test)
    ]
    return dataset, fit, tokenizer, *splits, np.load(sampled / "order.npy")


def _key(dataset: data.Dataset, fit: FitConfig, kept: np.ndarray, seed: int, steps: int) -> str:
    """Name a retraining by all that it depends on."""
    ids = hashlib.sha256("\n".join(dataset.train["id"].to_numpy()[kept]).encode()).hexdigest()
    knobs = {**asdict(fit), "seed": seed, "steps": steps}
    inputs = {"dataset": dataset.digest, "kept": ids, "model": models.identity(fit)}
    return store.fingerprint("retraining", knobs, inputs, CODE)


def _record(points: list[Point]) -> Record:
    """Name metrics so that the UI, which makes sections of the names, shows the curve first."""
    metrics: dict[str, float] = {}
    for name in SHOWN:
        mean, low, high = evaluation.interval([point.metrics[f"test/{name}"] for point in points])
        metrics[f"curve/{name}" if name == "accuracy" else f"measures/{name}"] = mean
        metrics |= {f"interval/{name}_low": low, f"interval/{name}_high": high}
    metrics |= {
        "retraining/kept": float(points[0].kept),
        "retraining/steps": float(points[0].steps),
    }
    metrics["retraining/seconds"] = float(np.mean([point.seconds for point in points]))
    return Record(round(points[0].percent_pruned), metrics)
