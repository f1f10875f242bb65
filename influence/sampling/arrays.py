"""Pruning of arrays alone, for people who have scores already: no disk, no model."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, get_args

import numpy as np
import pandas as pd

from influence.config.commands import value_of
from influence.config.parameters import SampleConfig
from influence.errors import InputError, brief, choose, first_line, listed
from influence.sampling import arms, order
from influence.sampling.rules import REGISTRY, Rule
from influence.trace.neighbors import Representations

# What a rule reads besides its values: what that is, its lowest and highest value, and in words.
SCALES = {
    "confidence": ("the mean p(label)", 0, 1, "numbers from 0 to 1"),
    "margins": ("the AUM", -np.inf, np.inf, "numbers"),
}
UNREADABLE = (TypeError, ValueError, RuntimeError)  # of what NumPy makes no array


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
    representations: Any = None,
    confidence: Any = None,
    margins: Any = None,
    **parameters: float | int,
) -> np.ndarray:
    """Return the rows to keep when `fraction` is pruned (kept,), ascending.

    values: one score per example (examples,), high = hard: negate AUM or a confidence. Several
    (scores, examples) are blended, by rule linear only; None for a rule that reads no score.
    labels: the class of each example (examples,), of any kind: texts or numbers.
    fraction: the share to prune, in [0, 1).
    rule: easy prunes the easiest, hard the hardest; docs/rules.md describes all.
    normalize: class reads z-scores of the values inside each class, dataset z-scores over all.
    min_per_class: examples of each class that are never pruned.
    seed: random seed for draws and ties; a larger fraction keeps part of what a smaller one keeps.
    recall: for rule drop: the validation recall of each class (classes,), labels sorted.
    representations: for rules d2 and dedup: a vector of each example (examples, width).
    confidence: for rule adaptive: the mean probability of each example's label (examples,).
    margins: for rules clean and ccs_clean: AUM (examples,), low where a label looks wrong.
    parameters: those of the rule, such as temperature of softmax, or beta and strata of ccs.

    Lists and Series are taken by position. Raises InputError for what is missing or unusable.
    Many parameters: they are those of `influence sample`, each with a default.
    """
    groups, known = _groups(labels), _rule(rule)
    choose("normalize", _text("normalize", normalize), get_args(arms.Normalize))
    named = _named(known, [] if values is None else _scores(values, len(groups)))
    minimums = (order.Minimum(groups, _whole("min_per_class", min_per_class)),)
    ordered = order.order(
        arms.Arm(tuple(named), known.name, normalize if named else "none"),
        named | _besides(known, {"confidence": confidence, "margins": margins}, len(groups)),
        groups,
        _whole("seed", seed),
        minimums=minimums,
        recall=None if recall is None else _recall(recall),
        representations=_representations(known, representations, groups),
        parameters=_parameters(parameters),
    )
    return np.sort(order.cut(ordered, _fraction(fraction), minimums))


def _rule(name: str) -> Rule:
    return REGISTRY[choose("rule", _text("rule", name), REGISTRY)]


def _named(rule: Rule, scores: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Return the scores that a rule reads, by names of their own; raise InputError if unfit."""
    if not rule.scored:
        return {}
    if not scores:
        bare = [one.name for one in REGISTRY.values() if not one.scored]
        raise InputError(
            f"rule {rule.name!r} needs values, one per example; only {listed(bare)} need none"
        )
    if len(scores) > 1 and not rule.blends:
        raise InputError(
            f"only rule 'linear' blends scores, but rule {rule.name!r} got {len(scores)}; give one "
            "value per example, or rule='linear'"
        )
    return {f"score_{number}": values for number, values in enumerate(scores)}


def _parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of rules, checked as those of a command are."""
    known = {name for rule in REGISTRY.values() for name in rule.parameters}
    declared = {field.name: field for field in fields(SampleConfig)}
    read = {
        name: value_of(declared[choose("parameter", name, known)], value)
        for name, value in given.items()
    }
    SampleConfig(**read)
    return read


def _groups(labels: Any) -> np.ndarray:
    """Return labels of any kind as numbers (examples,), in their sorted order."""
    try:
        array = np.asarray(labels)
    except UNREADABLE as error:
        raise InputError(
            f"labels must be a list or an array: {first_line(error).rstrip('.')}"
        ) from None
    if array.ndim != 1:
        raise InputError(f"labels must have one axis, not {array.ndim}")
    given = pd.Series(array)
    if not len(given):
        raise InputError("labels is empty; give the class of each example")
    if missing := given.isna().sum():
        first = int(np.flatnonzero(given.isna())[0])
        raise InputError(f"{missing} labels are missing, the first in row {first}; leave them out")
    return np.unique(given.astype("str") if given.dtype == object else given, return_inverse=True)[
        1
    ]


def _scores(values: Any, examples: int) -> list[np.ndarray]:
    """Return each score as floats (examples,); raises InputError for what has no place in order."""
    table = np.atleast_2d(_numbers("values", values, "one per example"))
    if table.ndim != 2 or table.shape[1] != examples:
        shape = " x ".join(map(str, np.shape(values) or (1,)))
        raise InputError(f"values has {shape} numbers, but there are {examples} labels")
    if missing := np.isnan(table).sum():
        row = int(np.flatnonzero(np.isnan(table).any(0))[0])
        raise InputError(f"{missing} values are nan, the first in row {row}; leave such rows out")
    return list(table)


def _numbers(name: str, values: Any, many: str) -> np.ndarray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be numbers, {many}") from None
    except RuntimeError as error:  # of a tensor that is part of a graph, with the way out
        raise InputError(
            f"{name} must be numbers, {many}: {first_line(error).rstrip('.')}"
        ) from None


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} must be a text, not {brief(value)}")
    return value


def _recall(given: Any) -> np.ndarray:
    recall = _numbers("recall", given, "one per class")
    if recall.ndim != 1:
        raise InputError(f"recall must have one axis, not {recall.ndim}")
    return recall


def _besides(rule: Rule, given: Mapping[str, Any], examples: int) -> dict[str, np.ndarray]:
    """Return what a rule reads besides its values, as the scores of that kind, high = hard."""
    read = {}
    for name, score in rule.besides.items():
        what, low, high, numbers = SCALES[name]
        if given[name] is None:
            raise InputError(f"rule {rule.name!r} needs {name}, {what} of each example")
        values = _numbers(name, given[name], "one per example")
        if values.shape != (examples,) or not np.all((values >= low) & (values <= high)):
            raise InputError(f"{name} must be {examples} {numbers}, one per example")
        read[score] = -values
    return read


def _representations(rule: Rule, given: Any, labels: np.ndarray) -> Representations | None:
    if "representations" not in rule.needs:
        return None
    if given is None:
        raise InputError(f"rule {rule.name!r} needs representations, a vector of each example")
    vectors = _numbers("representations", given, "a vector per example")
    if vectors.ndim != 2 or len(vectors) != len(labels):
        shape = " x ".join(map(str, vectors.shape)) or "1"
        raise InputError(
            f"representations has {shape} numbers; give a vector for each of {len(labels)} examples"
        )
    return Representations(vectors, labels)


def _fraction(value: Any) -> float:
    try:
        if not isinstance(value, bool | str | bytes):
            return float(value)
    except UNREADABLE:
        pass
    raise InputError(f"fraction must be a number, not {brief(value)}")


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise InputError(f"{name} must be a whole number of at least 0, not {brief(value)}")
    return int(value)
