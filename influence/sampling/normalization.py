"""Scores made comparable before a rule reads them: z-scores inside each class or over all."""

import numpy as np

from influence.errors import InputError
from influence.sampling.arms import Normalize
from influence.sampling.ranking import to_unit
from influence.shapes import Float, Int

Examples = Float[np.ndarray, " examples"]
Labels = Int[np.ndarray, " examples"]


def normalize(values: Examples, labels: Labels, how: Normalize) -> Examples:
    """Return z-scores inside each class or over the dataset, or `values` as is; always finite.

    Infinite values first become the largest or smallest finite one. A constant class becomes 0.
    Raises InputError for NaN.
    """
    if missing := int(np.isnan(values).sum()):
        raise InputError(
            f"{missing} of {len(values)} scores are NaN and have no place in an order; "
            "score again from a training that did not diverge"
        )
    finite = _clip_infinite(np.asarray(values, dtype=np.float64))
    if how == "none":
        return finite
    return _standardize(finite, labels) if how == "class" else _standardize_all(finite)


def _clip_infinite(values: np.ndarray) -> np.ndarray:
    finite = np.isfinite(values)
    if finite.all():
        return values
    if not finite.any():
        return np.sign(values)
    return np.clip(values, values[finite].min(), values[finite].max())


def _standardize_all(values: np.ndarray) -> np.ndarray:
    """Return z-scores over all, as `_standardize` does inside groups, with a copy and no more."""
    if not len(values):
        return values
    unit = to_unit(values, values.min(), values.max())
    unit -= unit.mean()
    deviation = unit.std()
    unit /= deviation if deviation > 0 else 1.0
    return unit


def _standardize(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return z-scores inside each group.

    They do not change when each group is first mapped to [0, 1], after which no square overflows
    and a constant group is exactly 0.
    """
    low, high = np.full((2, groups.max(initial=0) + 1), [[np.inf], [-np.inf]])
    np.minimum.at(low, groups, values)
    np.maximum.at(high, groups, values)
    unit = to_unit(values, low[groups], high[groups])
    counts = np.maximum(np.bincount(groups), 1)
    unit -= (np.bincount(groups, weights=unit) / counts)[groups]
    deviation = np.sqrt(np.bincount(groups, weights=unit**2) / counts)
    return unit / np.where(deviation > 0, deviation, 1.0)[groups]
