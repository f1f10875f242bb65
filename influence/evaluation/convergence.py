"""Whether the models behind a comparison had converged; if not, it says little about the data.

A model that is still learning stops at a random place, and each pruned example is a lost step.
"""

import pandas as pd

from influence.training.history import on_validation

LAST = 0.25  # share of the training in which a converged model gains nothing
GAIN = 0.01  # of accuracy on validation in that part
FALL = 0.1  # share of the loss on validation that goes in that part
APART = 0.015  # standard deviation of accuracy over seeds, on the full train set
BEHIND = 0.05  # accuracy on validation that steps alone still bring
FELL = 0.02  # of accuracy on validation, which a training loses that goes on for too long


def reasons(history: pd.DataFrame, points: pd.DataFrame, metric: str) -> list[str]:
    """Return what shows that the model had not converged on the full train set, and what to change.

    `history`: run, step, epoch, validation/accuracy and validation/loss of the training that was
    scored, empty where another model is retrained; `points`: see `verdict.verdict`. A loss that
    rises is no sign: a model that has learned all it can grows too sure of it.
    """
    found = []
    accuracy, loss = (_ends(history, name) for name in ("accuracy", "loss"))
    if len(accuracy) == 1 and history["epoch"].max() <= 1:
        found.append("one epoch does not show whether it had; train with epochs=2 or more")
    if len(accuracy) > 1:
        longer = f"train with epochs={2 * round(float(history['epoch'].max()))}"
        gain = accuracy.iloc[-1] - _before(accuracy)
        if gain > GAIN:
            found.append(
                f"in the last quarter of the training accuracy on validation still rose by "
                f"{100 * gain:.1f} points; {longer}"
            )
        elif len(loss) > 1 and loss.iloc[-1] < (1 - FALL) * _before(loss):
            found.append(
                "in the last quarter of the training the loss on validation still fell, from "
                f"{_before(loss):.3g} to {loss.iloc[-1]:.3g}; {longer}"
            )
    full = points[(points["arm"] == "random") & (points["percent_pruned"] == 0)][metric]
    if len(full) > 1 and full.std(ddof=1) > APART:
        either = "" if overtrained(history) else "for more epochs, or "
        found.append(
            f"trained on the full train set, accuracy differs by {100 * full.std(ddof=1):.1f} "
            f"points (standard deviation) from seed to seed; train {either}with a lower "
            "learning_rate"
        )
    return found


def short_of_steps(history: pd.DataFrame, points: pd.DataFrame) -> list[str]:
    """Say from which fraction on a retraining has too few steps to tell what data are worth.

    It is the smallest at which the model on the full train set was clearly behind after as many.
    `history` and `points`: see `reasons`.
    """
    ends, taken = _ends(history), points.groupby("percent_pruned")["steps"].max()
    for percent, steps in taken.items() if len(ends) > 1 else ():
        reached = ends[ends.index <= steps / taken.iloc[0] * ends.index[-1]]
        if percent and len(reached) and ends.iloc[-1] - reached.max() > BEHIND:
            return [
                f"From {percent:g} % pruned on, part of the loss may come from fewer steps: after "
                f"as many, the model was {100 * (ends.iloc[-1] - reached.max()):.0f} points short "
                "of its accuracy on validation on the full train set as well. equal_steps=true "
                "tells them apart."
            ]
    return []


def overtrained(history: pd.DataFrame) -> list[str]:
    """Say after which epoch the model only got worse on validation; `history`: see `reasons`."""
    known = on_validation(history, "accuracy").set_index("epoch")["accuracy"]
    if not len(known) or known.max() - known.iloc[-1] <= FELL:
        return []
    return [
        f"After epoch {known.idxmax():g} accuracy on validation fell from "
        f"{100 * known.max():.1f} to {100 * known.iloc[-1]:.1f} %, as it does where a "
        "model learns single examples by heart, wrong labels too; train for fewer epochs."
    ]


def _ends(history: pd.DataFrame, measure: str = "accuracy") -> pd.Series:
    """Return a measure of the first run on validation by step, at the ends of its epochs."""
    return on_validation(history, measure).set_index("step")[measure]


def _before(ends: pd.Series) -> float:
    """Return the value at which the last quarter of the training began, or the first one."""
    before = ends[ends.index <= (1 - LAST) * ends.index[-1]]
    return float(before.iloc[-1] if len(before) else ends.iloc[0])
