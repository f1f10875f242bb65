"""Whether predictions on a train set are those of a model that was trained on it."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from influence.data.class_order import beats_chance, by_chance, confusion, keeps_its_word

UNEVEN = 0.1  # nats that the shares of the classes tell of a label, from which on they are uneven
LEARNED = 0.75  # share of that which a model says that has learned the shares
BEYOND = 6.0  # standard errors beyond chance that no tokenizer of other texts reaches
NOISY = 0.25  # of what a model says to know beyond chance, the share that wrong labels may leave


def readings(rows: pd.DataFrame, classes: int) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
    """Yield labels, the places of the rows that they are of, and a word on which labels they are.

    First those given; then, where labels are known to be wrong, the others and the right ones.
    """
    labels = rows["label"].to_numpy()
    yield labels, np.arange(len(rows)), "the labels"
    if "mislabeled" not in rows:
        return
    wrong, right = rows["mislabeled"].fillna(False).to_numpy(bool), labels
    clean = rows.get("clean_label")
    if (
        clean is not None
        and pd.api.types.is_integer_dtype(clean)
        and clean.between(0, classes - 1).all()
    ):
        right = clean.to_numpy()
    known = np.flatnonzero(~wrong | (right != labels))
    if wrong.any() and len(known):
        yield right[known], known, "the labels that are known to be right"


def verdict(
    probabilities: np.ndarray, labels: np.ndarray, label_names: Sequence[str]
) -> tuple[bool, str]:
    """Return whether predictions may be of a model trained on these labels, and what to add.

    They must beat chance and be right about as often as the model says. Two other kinds pass with a
    note: a model that has learned no more than the shares of uneven classes, and one that is right
    far beyond chance, though less often than it says, as where labels are wrong. A model that has
    learned nothing passes as neither: it does not know the shares, and where classes are even,
    knowing the shares shows nothing.
    """
    counts = confusion(labels, probabilities.argmax(1), probabilities.shape[1])
    sure = float(probabilities.max(1).mean())
    right, chance = float(np.trace(counts) / counts.sum()), by_chance(counts)
    honest = keeps_its_word(counts, sure)
    if honest and beats_chance(counts):
        return True, ""
    if honest and _knows_the_shares(probabilities, labels):
        most = label_names[int(counts.sum(1).argmax())]
        return True, (
            f", no more than guesses would, {chance:.1%}: all that it has learned is how frequent "
            f"the classes are ({most} most of all), so whether this is its tokenizer and dataset "
            "cannot be known"
        )
    error = math.sqrt(chance * (1 - chance) / counts.sum())
    if right - chance > max(BEYOND * error, NOISY * (sure - chance)):
        return True, (
            f", though by its own probabilities it should {sure:.1%}: this happens where about "
            f"{1 - right / sure:.0%} of the labels are wrong; if they are not, it was trained with "
            "another tokenizer or dataset"
        )
    return False, ""


def _knows_the_shares(probabilities: np.ndarray, labels: np.ndarray) -> bool:
    """Tell whether classes are uneven, and a model knows most of what their shares say."""
    classes = probabilities.shape[1]
    shares = np.bincount(labels, minlength=classes) / len(labels)
    information = math.log(classes) + float((shares * np.log(np.maximum(shares, 1e-12))).sum())
    gold = probabilities[np.arange(len(labels)), labels]
    known = math.log(classes) + float(np.log(np.maximum(gold, 1e-12)).mean())
    return information >= UNEVEN and known >= LEARNED * information
