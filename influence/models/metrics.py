"""What a classifier is worth on a split: accuracy, macro F1, loss, calibration, recalls."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from influence.errors import InputError

BINS = 15  # of the expected calibration error

GROUPED = "test/group/"  # of metrics of the values of a column


def metrics_of(
    logits: np.ndarray, labels: np.ndarray, label_names: Sequence[str]
) -> dict[str, float]:
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


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def _f1(predicted: np.ndarray, actual: np.ndarray) -> float:
    return 2 * float((predicted & actual).sum()) / float(predicted.sum() + actual.sum())


def _calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(right))
