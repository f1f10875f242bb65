"""Label errors: which the model doubts, how well a score finds known ones, what pruning removes.

Confident learning (Northcutt et al. 2021, https://arxiv.org/abs/1911.00068) is cleanlab's own,
where that is installed.
"""

import importlib.util

import numpy as np
import pandas as pd

from influence.shapes import Bool, Float, Int
from influence.trace.trace import Trace

COLUMNS = ["row", "predicted", "doubt"]  # of the table of suspects

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


def version() -> str:
    """Return the version of cleanlab, "" where it is not installed."""
    if importlib.util.find_spec("cleanlab") is None:
        return ""
    from importlib.metadata import version

    return version("cleanlab")


def issues(
    labels: Int[np.ndarray, " examples"], probabilities: Float[np.ndarray, "examples classes"]
) -> Bool[np.ndarray, " examples"]:
    """Tell which labels cleanlab takes for wrong (its default, pruning by noise rate).

    `probabilities` must be those of models that have not seen the example.
    """
    from cleanlab.filter import find_label_issues

    return np.asarray(find_label_issues(labels, probabilities, n_jobs=1), dtype=bool)


def suspects(trace: Trace) -> pd.DataFrame:
    """Return the examples whose label the model found less likely than another, most doubted first.

    Columns: row (of the train set), predicted (class number) and doubt: how much more probable that
    class was than the label (cleanlab's normalised margin with its sign turned). The probabilities
    are those of models that have not seen the example, where there are folds; else means over all
    measured checkpoints and runs. Empty where no logits were measured.
    """
    logits = [values for run in trace.runs for values in run.at.get("logits", {}).values()]
    if trace.held_out_logits is not None:
        logits = [trace.held_out_logits]
    if not logits:
        return pd.DataFrame(columns=COLUMNS)
    mean = np.zeros(logits[0].shape)
    for values in logits:
        mean += softmax(values) / len(logits)
    places = np.arange(len(trace.labels))
    own = mean[places, trace.labels].copy()
    mean[places, trace.labels] = -1.0
    doubt = mean.max(1) - own
    found = pd.DataFrame({"row": places, "predicted": mean.argmax(1), "doubt": doubt})
    ranked = found.sort_values("doubt", ascending=False, kind="stable", ignore_index=True)
    return ranked[ranked["doubt"] > 0]


def softmax(logits: Float[np.ndarray, "examples classes"]) -> Float[np.ndarray, "..."]:
    """Return the probabilities of each row, in 64 bits."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)
