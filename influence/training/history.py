"""What validation says of a training as it goes: its measures, and when it learns by heart."""

import pandas as pd

# Epochs beyond those of the least loss on validation in which few examples are learned by heart.
PATIENCE = 1.5


def on_validation(history: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return a measure of the first run on validation: columns step, epoch and `measure`.

    In the order of the steps, at the ends of its epochs; empty where it was not measured or the
    epochs are not known. `measure`: accuracy or loss; `history`: see `Training.history`.
    """
    column = f"validation/{measure}"
    if not {column, "epoch"} <= set(history):
        return pd.DataFrame(columns=["step", "epoch", measure], dtype=float)
    first = history.loc[history["run"] == 0, ["step", "epoch", column]].dropna()
    return first.sort_values("step").rename(columns={column: measure})


def by_heart(history: pd.DataFrame) -> float:
    """Return the epoch after which a model learns single examples by heart, wrong labels too.

    Before that it learns what examples have in common (Arpit et al. 2017,
    https://arxiv.org/abs/1706.05394), and its loss on validation falls. It is PATIENCE times the
    epoch of the least such loss of the first run, infinite where none was measured. `history`: see
    `Training.history`.
    """
    known = on_validation(history, "loss").set_index("epoch")["loss"]
    return PATIENCE * float(known.idxmin()) if len(known) else float("inf")
