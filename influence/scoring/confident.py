"""Confident learning as its authors ship it: the only module that imports cleanlab, if it is there.

Northcutt et al. 2021, https://arxiv.org/abs/1911.00068
"""

import importlib.util

import numpy as np

from influence.shapes import Bool, Float, Int


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
