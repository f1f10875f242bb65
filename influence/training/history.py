"""What validation says of a training as it goes: its measures, and when it learns by heart."""

import pandas as pd

# How many times its least the loss on validation may be after an epoch in which few examples are
# learned by heart. At a constant rate it rises by half and more; where the rate decays, late epochs
# are small steps, and what they tell of wrong labels is worth having.
RISEN = 1.2


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


def by_heart(history: pd.DataFrame, risen: float = RISEN) -> float:
    """Return the epoch after which a model learns single examples by heart, wrong labels too.

    Before that it learns what examples have in common (Arpit et al. 2017,
    https://arxiv.org/abs/1706.05394); after it, what it becomes sure of is wrong more often, and
    the loss on validation rises. It is the last epoch of the first run after which that loss is at
    most `risen` times the least; infinite where the last of all is, and where none was measured.
    `history`: see `Training.history`.
    """
    known = on_validation(history, "loss").set_index("epoch")["loss"]
    near = known.index[known <= risen * known.min()]
    return float("inf") if known.empty or near[-1] == known.index[-1] else float(near[-1])
