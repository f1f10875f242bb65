"""What a model is worth, and what a pruned train set costs: metrics, retraining, intervals."""

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from influence.config.parameters import FitConfig
from influence.errors import InputError
from influence.models import classifier
from influence.models.fit import fit, steps_per_epoch
from influence.models.tokens import Tokens

BINS = 15  # of the expected calibration error
LEVEL = 0.95  # of every interval
GROUPED = "test/group/"  # of metrics of the values of a column
CLASS = "class"  # the group of classes, beside those of other columns
AT_EQUAL_STEPS = "random at equal steps"  # a second baseline beside random at equal epochs


@dataclass(frozen=True)
class Point:
    """One retraining: how much was pruned, under which seed, and what came out."""

    percent_pruned: float
    seed: int
    kept: int  # train examples
    steps: int  # optimiser steps
    seconds: float
    metrics: dict[str, float]  # "test/accuracy", "validation/loss", "test/recall/<label>", ...
    key: str = ""  # the name under which the retraining is kept


def metrics(logits: np.ndarray, labels: np.ndarray, label_names: Sequence[str]) -> dict[str, float]:
    """Return accuracy, macro F1, loss (nats), calibration error and the recall of every class.

    `logits` (examples, classes), `labels` (examples,). Macro F1 averages over the classes present
    in `labels`. The calibration error is the expected one in 15 equal-width bins of confidence
    (Guo et al. 2017). A class that is absent has no recall. Raises InputError for logits that are
    no finite numbers.
    """
    if not np.isfinite(logits).all():
        raise InputError(
            f"what the model says of {int((~np.isfinite(logits)).any(1).sum())} of {len(logits)} "
            "examples is no finite number: the training that it comes from diverged; lower its "
            "learning_rate"
        )
    log_probabilities = _log_softmax(logits)
    predicted, classes = logits.argmax(1), range(logits.shape[1])
    right = predicted == labels
    present = [c for c in classes if (labels == c).any()]
    return {
        "accuracy": float(right.mean()),
        "macro_f1": float(np.mean([_f1(predicted == c, labels == c) for c in present])),
        "loss": float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        "calibration_error": _calibration_error(np.exp(log_probabilities).max(1), right),
        **{f"recall/{label_names[c]}": float(right[labels == c].mean()) for c in present},
    }


def retrain(
    config: FitConfig,
    tokenizer,
    label_names: tuple[str, ...],
    train: tuple[Tokens, np.ndarray],
    splits: dict[str, tuple[Tokens, np.ndarray]],
    seed: int,
    steps: int = 0,
    device: str = "cpu",
) -> tuple[int, float, dict[str, float], dict[str, np.ndarray]]:
    """Train from the starting weights on `train` and measure on each of `splits`.

    `steps` 0: `config.epochs` epochs. Returns optimiser steps, seconds of training, the metrics of
    every split under "<split>/<metric>", and its logits (examples, classes). `splits` is all that
    can be looked at: whoever must choose without the test split does not pass it.
    """
    tokens, labels = train
    steps = steps or config.epochs * steps_per_epoch(len(tokens), config.batch_size)
    model = classifier.build(config, tokenizer, label_names, seed).to(device)
    start = time.perf_counter()
    for _ in fit(model, tokens, labels, config, seed, stops=(steps,), steps=steps):
        pass
    seconds = time.perf_counter() - start
    found: dict[str, float] = {}
    logits = {split: classifier.predict(model, some) for split, (some, _) in splits.items()}
    for split, (_, split_labels) in splits.items():
        values = metrics(logits[split], split_labels, label_names)
        found |= {f"{split}/{name}": value for name, value in values.items()}
    return steps, seconds, found, logits


def by_group(right: np.ndarray, groups: pd.DataFrame) -> dict[str, float]:
    """Return the accuracy on the examples of every value of every column of `groups`.

    `right` (examples,): which predictions are right. Keys are as `group_metric` makes them.
    """
    return {
        group_metric(column, value): float(right[rows].mean())
        for column in groups
        for value, rows in groups.groupby(column).indices.items()
    }


def group_metric(column: str, value: str) -> str:
    """Name the accuracy on the test examples whose column has this value."""
    return f"{GROUPED}{column}={value}"


def table(points: Collection[Point], arm: str) -> pd.DataFrame:
    """Return one row per point: arm, percent_pruned, seed, kept, steps, seconds, metrics."""
    rows = [
        {
            "arm": arm,
            "percent_pruned": p.percent_pruned,
            "seed": p.seed,
            "kept": p.kept,
            "steps": p.steps,
            "seconds": p.seconds,
            **p.metrics,
        }
        for p in points
    ]
    return pd.DataFrame(rows).sort_values(["percent_pruned", "seed"], ignore_index=True)


def interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float, float]:
    """Return mean, low and high end of Student's interval; the ends are nan for one value."""
    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    if len(array) < 2:
        return mean, float("nan"), float("nan")
    half = students_t(level, len(array) - 1) * float(array.std(ddof=1)) / math.sqrt(len(array))
    return mean, mean - half, mean + half


@cache
def students_t(level: float, degrees: int) -> float:
    """Return the t that Student's t stays within, on both sides, with the probability `level`.

    Our own, because evaluation runs where scipy is not installed. With an angle whose tangent is
    t / sqrt(degrees), the probability is a finite sum of powers of its cosine: Abramowitz and
    Stegun 1964, 26.7.3 and 26.7.4.
    """

    def inside(angle: float) -> float:
        odd, cosine = degrees % 2, math.cos(angle)
        term = total = cosine**odd
        for k in range(2 + odd, degrees, 2):
            term *= cosine**2 * (k - 1) / k
            total += term
        if not odd:
            return math.sin(angle) * total
        return 2 / math.pi * (angle + (math.sin(angle) * total if degrees > 1 else 0))

    low, high = 0.0, math.pi / 2
    for _ in range(64):  # of halving, after which no digit changes
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) < level else (low, middle)
    return math.sqrt(degrees) * math.tan(low)


def summarise(points: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return arm, percent_pruned, mean, low, high, seeds: each arm's curve with 95 % intervals."""
    rows = []
    for (arm, percent), group in _by_point(points):
        mean, low, high = interval(group[metric].tolist())
        rows.append((arm, percent, mean, low, high, len(group)))
    return pd.DataFrame(rows, columns=["arm", "percent_pruned", "mean", "low", "high", "seeds"])


def differences(
    points: pd.DataFrame, metric: str, baseline: str = "random", level: float = LEVEL
) -> pd.DataFrame:
    """Return each arm minus `baseline`, paired by seed.

    Columns: arm, percent_pruned, difference, low, high (at `level`), seeds. Seeds that one of
    the two lacks are left out, and so is the fraction 0, where all arms are the full train set.
    """
    keys = ["percent_pruned", "seed"]
    base = points[points["arm"] == baseline].set_index(keys)[metric]
    rows = []
    for (arm, percent), group in _by_point(points):
        paired = (group.set_index(keys)[metric] - base).dropna()
        if arm != baseline and percent > 0 and len(paired):
            rows.append((arm, percent, *interval(paired.tolist(), level), len(paired)))
    columns = ["arm", "percent_pruned", "difference", "low", "high", "seeds"]
    return pd.DataFrame(rows, columns=columns)


def _by_point(points: pd.DataFrame) -> Any:
    return points.groupby(["arm", "percent_pruned"], sort=True)


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def _f1(predicted: np.ndarray, actual: np.ndarray) -> float:
    return 2 * float((predicted & actual).sum()) / float(predicted.sum() + actual.sum())


def _calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(right))
