"""How well a score finds labels that are known to be wrong, and what pruning does with them."""

import numpy as np
import pandas as pd

from influence.shapes import Bool, Float, Int

Examples = Float[np.ndarray, " examples"]
Flipped = Bool[np.ndarray, " examples"]


def detection(hardness: Examples, flipped: Flipped) -> dict[str, float]:
    """Return how well high hardness tells the flipped labels from the others.

    auroc: how often a flipped one is harder than another, ties counting half; chance is 0.5.
    average_precision: precision at every flipped one, from the hardest on, averaged; precision:
    the share of flipped ones among as many hardest examples as there are flipped ones. Chance for
    both is `chance`, the share of flipped labels. Ties count as drawn in random order, and for
    average_precision as found at once. All are nan unless some labels are flipped and some not.
    """
    count, examples = int(flipped.sum()), len(flipped)
    if not 0 < count < examples:
        return dict.fromkeys(("auroc", "average_precision", "precision", "chance"), float("nan"))
    places = pd.Series(hardness).rank().to_numpy()[flipped]
    above = places.sum() - count * (count + 1) / 2  # of all pairs, Mann and Whitney's U
    hits, ends = _curve(hardness, flipped)
    gained = np.diff(hits, prepend=0)
    return {
        "auroc": float(above / (count * (examples - count))),
        "average_precision": float((gained * hits / ends).sum() / count),
        "precision": float(np.interp(count, [0, *ends], [0, *hits]) / count),
        "chance": count / examples,
    }


def recall(hardness: Examples, flipped: Flipped) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of examples looked at, from the hardest on, and of flipped ones among them.

    Both rise from 0 to 1, with a step per different value.
    """
    hits, ends = _curve(hardness, flipped)
    return np.append(0, ends / len(flipped)), np.append(0, hits / max(int(flipped.sum()), 1))


def pruned(kept: Int[np.ndarray, " kept"], flipped: Flipped) -> dict[str, float]:
    """Return how the pruned examples overlap with the flipped ones.

    flips_pruned: the share of the flipped ones that is pruned; jaccard: of both sets; chance: the
    Jaccard overlap of a set of that size in which flipped ones are as frequent as anywhere.
    """
    gone = np.ones(len(flipped), dtype=bool)
    gone[kept] = False
    both, expected = int((gone & flipped).sum()), gone.mean() * flipped.sum()
    total = gone.sum() + flipped.sum()
    return {
        "flips_pruned": both / max(int(flipped.sum()), 1),
        "jaccard": both / max(total - both, 1),
        "chance": float(expected / max(total - expected, 1)),
    }


def flags(train: pd.DataFrame) -> Flipped | None:
    """Return which labels of a train set are known to be wrong, None if none is."""
    if "flipped" not in train:
        return None
    found = train["flipped"].fillna(False).to_numpy(bool)
    return found if found.any() else None


def _curve(hardness: Examples, flipped: Flipped) -> tuple[np.ndarray, np.ndarray]:
    """Return, at the end of each group of equal values from the hardest on, hits and examples."""
    order = np.argsort(-hardness, kind="stable")
    values = hardness[order]
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True)) + 1
    return np.cumsum(flipped[order])[ends - 1], ends
