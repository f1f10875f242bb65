"""Label errors: which labels the model doubts, how scores detect known errors, what is pruned.

Confident learning (Northcutt et al. 2021, https://arxiv.org/abs/1911.00068) comes from cleanlab,
where that is installed.
"""

import importlib.util

import numpy as np
import pandas as pd
from scipy import special, stats
from sklearn.metrics import average_precision_score, roc_auc_score

from influence.scores import aum
from influence.shapes import Bool, Float, Int
from influence.trace.trace import EARLY, Trace

# Where a larger share of the labels looks wrong, the model has not learned them, right or wrong.
UNLEARNED = 1 / 3
MOST = 0.5  # share of the epochs whose logits tell what labels look wrong
MARGINS = "aum@early"  # the score that `margins` is, which rules read
COLUMNS = ["row", "predicted", "doubt"]  # of the table of suspects

Examples = Float[np.ndarray, " examples"]
Mislabeled = Bool[np.ndarray, " examples"]


def detection(hardness: Examples, mislabeled: Mislabeled) -> dict[str, float]:
    """Return how well high hardness detects the mislabeled examples.

    auroc: how often a mislabeled example is harder than a correctly labelled one, ties counting
    half; chance is 0.5. average_precision: the mean over mislabeled examples, from the hardest
    down, of the precision at each; ties are taken together. precision: the share of mislabeled
    examples among the k hardest, k being the number of mislabeled examples; ties in random order.
    Chance for both is `chance`, the share of mislabeled examples. All are nan unless some examples
    are mislabeled and some are not.
    """
    count, examples = int(mislabeled.sum()), len(mislabeled)
    if not 0 < count < examples:
        return dict.fromkeys(("auroc", "average_precision", "precision", "chance"), float("nan"))
    hits, ends = _curve(hardness, mislabeled)
    ranks = stats.rankdata(hardness)  # scikit-learn refuses infinite scores
    return {
        "auroc": float(roc_auc_score(mislabeled, ranks)),
        "average_precision": float(average_precision_score(mislabeled, ranks)),
        "precision": float(np.interp(count, [0, *ends], [0, *hits]) / count),
        "chance": count / examples,
    }


def recall(hardness: Examples, mislabeled: Mislabeled) -> tuple[np.ndarray, np.ndarray]:
    """Return shares of examples, from the hardest on, and of the mislabeled ones among them.

    Both rise from 0 to 1, with one step per distinct value.
    """
    hits, ends = _curve(hardness, mislabeled)
    return np.append(0, ends / len(mislabeled)), np.append(0, hits / max(int(mislabeled.sum()), 1))


def pruned(kept: Int[np.ndarray, " kept"], mislabeled: Mislabeled) -> dict[str, float]:
    """Return how the pruned examples overlap with the mislabeled ones.

    label_errors_pruned: the share of the mislabeled examples that is pruned; jaccard: the overlap
    of both sets; chance: the Jaccard overlap of a pruned set of that size in which mislabeled
    examples are as frequent as in the whole train set.
    """
    gone = np.ones(len(mislabeled), dtype=bool)
    gone[kept] = False
    both, expected = int((gone & mislabeled).sum()), gone.mean() * mislabeled.sum()
    total = gone.sum() + mislabeled.sum()
    return {
        "label_errors_pruned": both / max(int(mislabeled.sum()), 1),
        "jaccard": both / max(total - both, 1),
        "chance": float(expected / max(total - expected, 1)),
    }


def flags(train: pd.DataFrame) -> Mislabeled | None:
    """Return which labels of a train set are known to be wrong, None if no errors are known."""
    if "mislabeled" not in train:
        return None
    wrong = train["mislabeled"].fillna(False).to_numpy(bool)
    return wrong if wrong.any() else None


def _curve(hardness: Examples, mislabeled: Mislabeled) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts of hits and examples after each group of ties, from the hardest on."""
    order = np.argsort(-hardness, kind="stable")
    values = hardness[order]
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True)) + 1
    return np.cumsum(mislabeled[order])[ends - 1], ends


def version() -> str:
    """Return the version of cleanlab, "" if it is not installed."""
    if importlib.util.find_spec("cleanlab") is None:
        return ""
    from importlib.metadata import version

    return version("cleanlab")


def issues(
    labels: Int[np.ndarray, " examples"], probabilities: Float[np.ndarray, "examples classes"]
) -> Bool[np.ndarray, " examples"]:
    """Tell which labels cleanlab flags as wrong (its default: pruning by noise rate).

    `probabilities` must come from models that have not seen the example.
    """
    from cleanlab.filter import find_label_issues

    return np.asarray(find_label_issues(labels, probabilities, n_jobs=1), dtype=bool)


def suspects(trace: Trace) -> pd.DataFrame:
    """Return the examples for which the model prefers another class, most doubted first.

    Columns: row (of the train set), predicted (class number) and doubt: how much more probable that
    class was than the label (cleanlab's normalised margin with its sign turned). The probabilities
    come from models that have not seen the example where there are folds, otherwise they are means
    over all measured checkpoints and runs. Empty where no logits were measured.

    Not all of their labels are wrong: what is hard, or learned late, is doubted too.
    """
    logits = [values for run in trace.runs for values in run.at.get("logits", {}).values()]
    if trace.out_of_fold_logits is not None:
        logits = [trace.out_of_fold_logits]
    if not logits:
        return pd.DataFrame(columns=COLUMNS)
    mean = np.zeros(logits[0].shape)
    for values in logits:
        mean += softmax(values) / len(logits)
    places = np.arange(len(trace.labels))
    own = mean[places, trace.labels].copy()
    mean[places, trace.labels] = -1.0
    doubt = mean.max(1) - own
    table = pd.DataFrame({"row": places, "predicted": mean.argmax(1), "doubt": doubt})
    ranked = table.sort_values("doubt", ascending=False, kind="stable", ignore_index=True)
    return ranked[ranked["doubt"] > 0]


def margins(trace: Trace) -> Examples:
    """Return how far the label is ahead of the other classes, in logits, in the mean over epochs.

    It is `aum@early`, which rules read: later models have learned wrong labels by heart. Models of
    folds, which have not seen the example, say less: to them what is hard looks as wrong. Empty
    where no logits were measured, or not those of MOST of these epochs and of the last one: a model
    that has only begun to learn doubts labels that are right.
    """
    if not trace.runs:
        return np.empty(0)
    run = trace.runs[0]
    measured = run.at.get("logits", {})
    early = [c for c in run.checkpoints if EARLY in c.series]
    ends = [c.step for c in early if "epochs" in c.series]
    # A training may keep no model at the ends of its epochs.
    ends = ends or sorted(c.step for c in early)
    read = [step for step in ends if step in measured]
    if not read or read[-1] != ends[-1] or len(read) < MOST * len(ends):
        return np.empty(0)
    return aum(np.stack([measured[step] for step in read]), trace.labels)


def share_wrong(margins: Examples) -> float:
    """Return which share of the labels is wrong, as their margins tell it; at least one is given.

    The margin of a wrong label is about minus that of a right one, so that half of the wrong ones
    lie below minus the median of what is above 0. What is only hard, or learned late, lies just
    below 0 and does not count. What it says of planted errors is in docs/rules.md.

    Where the share below 0 is larger than UNLEARNED, it is that share; otherwise it is not more
    than UNLEARNED.
    """
    below = float((margins < 0).mean())
    if below > UNLEARNED or not (margins > 0).any():
        return below
    return min(UNLEARNED, 2 * float((margins < -np.median(margins[margins > 0])).mean()))


def comparable(
    margins: Examples, labels: Int[np.ndarray, " examples"]
) -> tuple[Examples, Int[np.ndarray, " examples"]]:
    """Return margins on a common scale, and the number of the group in which each compares.

    The classes that were learned are one group. A model is surer of some than of others, so margins
    count in medians of those above 0 in their class: -1 mirrors a usual one. Confident learning has
    a threshold per class for the same reason (Northcutt et al. 2021,
    https://arxiv.org/abs/1911.00068). A class with less than half of its margins above 0 was
    learned late, or most of its labels are wrong, and its margins do not tell which: it is a group
    of its own, with margins as they were.
    """
    values = pd.Series(margins)
    usual = values.where(values > 0).groupby(labels).transform("median").to_numpy()
    learned = (values > 0).groupby(labels).transform("mean").to_numpy() >= 0.5
    return margins / np.where(learned, usual, 1.0), np.where(learned, 0, labels + 1)


def softmax(logits: Float[np.ndarray, "examples classes"]) -> Float[np.ndarray, "..."]:
    """Return the probabilities of each row, in 64-bit precision."""
    return special.softmax(logits.astype(np.float64), axis=-1)
