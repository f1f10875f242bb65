"""Whether a model numbers its classes as the dataset does, judged by names and predictions."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from influence.data.labels import plain
from influence.errors import InputError

BEYOND_CHANCE = 1.645  # standard errors: 5 % of the models that have learned nothing get this far

FAR = 3.0  # standard errors: beyond luck, even after searching all orders


def check_numbers(model: str, id2label: Mapping[int, str], label_names: Sequence[str]) -> None:
    """Raise InputError if `model`, a name for the message, numbers its classes differently.

    Names that the dataset does not have (LABEL_0, or negative where it has 0) say nothing: what the
    model predicts does, see `check_order`.
    """
    classes = max(id2label, default=1) + 1
    if classes != len(label_names) and id2label:
        raise InputError(
            f"{model} has {classes} classes, but the dataset has "
            f"{len(label_names)}: {', '.join(label_names)}; give the dataset that it was trained "
            "on, with train examples of all its classes"
        )
    own = [id2label.get(number, "") for number in range(len(label_names))]
    number_of = {plain(name): number for number, name in enumerate(label_names)}
    if any(number_of.get(plain(name), number) != number for number, name in enumerate(own)):
        raise InputError(
            f"{model} numbers its classes {', '.join(own)}, but the dataset "
            f"{', '.join(label_names)}; put id2label and the labels in the same order"
        )


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Return how many examples of each class (rows) are predicted as each class (columns)."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (labels, predicted), 1)
    return counts


def by_chance(counts: np.ndarray) -> float:
    """Return the accuracy of guesses that have nothing to do with the labels, in these shares."""
    return float(counts.sum(0) @ counts.sum(1)) / float(counts.sum()) ** 2


def beats_chance(counts: np.ndarray) -> bool:
    """Tell whether predictions have something to do with the labels: a one-sided test at 5 %."""
    chance, examples = by_chance(counts), counts.sum()
    error = math.sqrt(chance * (1 - chance) / examples)
    return bool(np.trace(counts) / examples - chance > BEYOND_CHANCE * error)


def keeps_its_word(counts: np.ndarray, sure: float, share: float = 0.5) -> bool:
    """Tell whether predictions are right about as often as the model says that they are.

    That is, as far beyond chance as this share of it at least, or no further off than by luck.

    `sure`: the mean probability of the predicted classes, which on the examples that a model was
    trained on is no more than its accuracy. Through the tokenizer of another model it is far more:
    a word is then always read as the same other one, so that even chance may be beaten a little.
    """
    right, chance = np.trace(counts) / counts.sum(), by_chance(counts)
    error = math.sqrt(max(sure * (1 - sure), 0.0) / counts.sum())
    return bool(right - chance >= share * (sure - chance) or sure - right <= FAR * error)


def check_order(
    model: str | Path, counts: np.ndarray, sure: float, label_names: Sequence[str]
) -> None:
    """Raise InputError if the predictions fit the labels far better with classes in another order.

    That is so if, among the examples of the classes that change places in the best order, most are
    right then, and more than before by three standard errors; and if the model is then right about
    as often as it says. `counts` as `confusion` gives them, `sure` as for `keeps_its_word`.
    """
    order = _best_order(counts)  # of each label its class number in the model
    moved = order != np.arange(len(order))
    before, after = np.diag(counts)[moved].sum(), counts[moved, order[moved]].sum()
    fits = beats_chance(counts[:, order]) and keeps_its_word(counts[:, order], sure, 0.75)
    most = fits and after > counts[moved].sum() / 2
    if most and after - before > FAR * math.sqrt(before + after):
        right, otherwise = np.trace(counts), counts[np.arange(len(order)), order].sum()
        read = ", ".join(label_names[label] for label in np.argsort(order))
        raise InputError(
            f"{model} fits the labels of {right / counts.sum():.0%} of {counts.sum()} train "
            f"examples as numbered, but of {otherwise / counts.sum():.0%} with its classes read as "
            f"{read} (the dataset has {', '.join(label_names)}); put the labels in the order of "
            "the checkpoint, for example as numbers"
        )


def _best_order(counts: np.ndarray) -> np.ndarray:
    """Return for each row a column of its own so that the sum of the entries is largest.

    Among equals a row keeps the column of its number.
    """
    size = len(counts)
    _, order = linear_sum_assignment(counts * (size + 1) + np.eye(size), maximize=True)
    return order
