"""Pruning of arrays alone, for people who have scores already: no disk, no model."""

from typing import Any

import numpy as np
import pandas as pd

from influence.errors import InputError
from influence.sampling import arms, order
from influence.sampling.rules import REGISTRY


def prune(
    values: Any,
    labels: Any,
    fraction: float | int,
    *,
    rule: str = "easy",
    normalize: str = "none",
    min_per_class: int = 1,
    seed: int = 0,
    recall: Any = None,
    **parameters: float | int,
) -> np.ndarray:
    """Return the rows to keep when `fraction` is pruned (kept,), ascending.

    values: one score per example (examples,), high = hard: negate a score whose low values are the
    hard ones, such as AUM or a confidence; None for a rule that reads no score (random, stratified,
    drop). Several scores (scores, examples) are blended, by rule linear only.
    labels: the class of each example (examples,), of any kind: texts or numbers.
    fraction: the share to prune, in [0, 1).
    rule: easy prunes the easiest, hard the hardest; softmax, linear and ccs read the score too.
    normalize: class gives the scores of each class mean 0 and deviation 1 first, dataset those of
    all examples, none leaves them as they are.
    min_per_class: examples of each class that are never pruned.
    seed: random seed for draws and ties; the rows of a larger fraction are among those of a
    smaller one.
    recall: the validation recall of each class (classes,), in the sorted order of the labels, which
    rule drop needs.
    parameters: temperature of softmax, epsilon and winsorize of linear, beta and strata of ccs.

    Lists, arrays and Series are taken by position. Raises InputError for values that are missing,
    of another length than the labels, or unusable.

    Many parameters: they are those of `influence sample`, each with a default.
    """
    groups = _groups(labels)
    named = [] if values is None or rule in _bare() else _scores(values, len(groups))
    names = [f"score_{number}" for number in range(len(named))]
    arm = _arm(names, rule, normalize)
    minimums = (order.Minimum(groups, _whole("min_per_class", min_per_class)),)
    ordered = order.order(
        arm,
        dict(zip(names, named, strict=True)),
        groups,
        _whole("seed", seed),
        minimums=minimums,
        recall=None if recall is None else np.asarray(recall, dtype=np.float64),
        parameters=parameters,
    )
    return np.sort(order.cut(ordered, float(fraction), minimums))


def _bare() -> list[str]:
    return [rule.name for rule in REGISTRY.values() if not rule.scored]


def _arm(names: list[str], rule: str, normalize: str) -> arms.Arm:
    """Return the arm of scores without a name of their own, checked as one on a command line."""
    if rule in _bare():
        return arms.parse_arm(rule)
    if rule in REGISTRY and not names:
        raise InputError(f"rule {rule!r} needs values, one per example; only {_bare()} need none")
    text = "+".join(["el2n"] * max(1, len(names)))  # any score: only the rule is looked at
    parsed = arms.parse_arm(f"{text}:{rule}:{normalize}")
    return arms.Arm(tuple(names), parsed.rule, parsed.normalize)


def _groups(labels: Any) -> np.ndarray:
    """Return labels of any kind as numbers (examples,), in their sorted order."""
    given = pd.Series(np.asarray(labels).ravel() if np.ndim(labels) == 1 else _not_one(labels))
    if not len(given):
        raise InputError("labels is empty; give the class of each example")
    if missing := given.isna().sum():
        first = int(np.flatnonzero(given.isna())[0])
        raise InputError(f"{missing} labels are missing, the first in row {first}; leave them out")
    return np.unique(given.astype("str") if given.dtype == object else given, return_inverse=True)[
        1
    ]


def _not_one(labels: Any) -> Any:
    raise InputError(f"labels must have one axis, not {np.ndim(labels)}")


def _scores(values: Any, examples: int) -> list[np.ndarray]:
    """Return each score as floats (examples,); raises InputError for what has no place in order."""
    try:
        table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError):
        raise InputError("values must be numbers, one per example") from None
    if table.ndim != 2 or table.shape[1] != examples:
        shape = " x ".join(map(str, np.shape(values)))
        raise InputError(f"values has {shape} numbers, but there are {examples} labels")
    if missing := np.isnan(table).sum():
        row = int(np.flatnonzero(np.isnan(table).any(0))[0])
        raise InputError(f"{missing} values are nan, the first in row {row}; leave such rows out")
    return list(table)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise InputError(f"{name} must be a whole number of at least 0, not {value!r}")
    return int(value)
