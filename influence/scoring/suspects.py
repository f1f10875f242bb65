"""Which labels the model itself doubts: candidates for a look, not a verdict."""

import numpy as np
import pandas as pd

from influence.shapes import Float
from influence.trace.trace import Trace

COLUMNS = ["row", "predicted", "doubt"]


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
