"""What a classifier is worth on a split: accuracy, macro F1, loss, calibration, recalls."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import log_softmax
from sklearn.metrics import f1_score

from influence.errors import InputError

BINS = 15  # of the expected calibration error
RECALL = "test/recall/"  # of metrics of the classes
GROUPED = "test/group/"  # of those of the values of a column


def metrics_of(
    logits: np.ndarray, labels: np.ndarray, label_names: Sequence[str]
) -> dict[str, float]:
    """Return accuracy, macro F1, loss (nats), calibration error and the recall of every class.

    `logits` (examples, classes), `labels` (examples,). Macro F1 averages over the classes present
    in `labels`. The calibration error is the expected one in 15 equal-width bins of confidence
    (Guo et al. 2017). A class that is absent has no recall. Raises InputError for logits that are
    not finite.
    """
    if not np.isfinite(logits).all():
        raise InputError(
            f"the model's logits are not finite for {int((~np.isfinite(logits)).any(1).sum())} of "
            f"{len(logits)} examples: its training diverged; lower the learning_rate"
        )
    log_probabilities = log_softmax(logits.astype(np.float64), axis=1)
    predicted, present = logits.argmax(1), np.unique(labels)
    right = predicted == labels
    return {
        **of_predictions(predicted, labels),
        "loss": float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        "calibration_error": _calibration_error(np.exp(log_probabilities).max(1), right),
        **{f"recall/{label_names[c]}": float(right[labels == c].mean()) for c in present},
    }


def of_predictions(predicted: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return accuracy and macro F1 of predicted classes (examples,), see `metrics_of`."""
    present = np.unique(labels)
    return {
        "accuracy": float((predicted == labels).mean()),
        "macro_f1": float(f1_score(labels, predicted, labels=present, average="macro")),
    }


def by_group(right: np.ndarray, groups: pd.DataFrame) -> dict[str, float]:
    """Return the accuracy on the examples of every value of every column of `groups`.

    `right` (examples,): which predictions are right. Keys are as `group_metric` makes them.
    """
    return {name: float(right[rows].mean()) for name, rows in _rows_of(groups).items()}


def examples_of(
    labels: np.ndarray, label_names: Sequence[str], groups: pd.DataFrame
) -> dict[str, np.ndarray]:
    """Return the test examples that each class's recall, and each group's accuracy, is of.

    Keys are the names of the metrics; `labels` (examples,).
    """
    present = np.unique(labels)
    recalls = {f"{RECALL}{label_names[c]}": np.flatnonzero(labels == c) for c in present}
    return recalls | _rows_of(groups)


def _rows_of(groups: pd.DataFrame) -> dict[str, np.ndarray]:
    return {
        group_metric(column, value): rows
        for column in groups
        for value, rows in groups.groupby(column).indices.items()
    }


def group_metric(column: str, value: str) -> str:
    """Name the accuracy on the test examples whose column has this value."""
    return f"{GROUPED}{column}={value}"


def _calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(right))


def by_guessing(labels: np.ndarray) -> float:
    """Return the accuracy of always guessing the most frequent class of labels (examples,)."""
    counts = np.bincount(labels)
    return float(counts.max() / counts.sum())
