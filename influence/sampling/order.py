"""Orders and cuts: from scores to the examples that stay.

A rule gives every example a place in ONE order, from the first kept to the last; a fraction pruned
cuts that order. So budgets are exact and smaller subsets lie inside larger ones by construction.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, SupportsFloat

import numpy as np
import pandas as pd

from influence.errors import InputError, choose
from influence.sampling.arms import Arm
from influence.sampling.normalization import normalize
from influence.sampling.ranking import by_group, descending
from influence.sampling.rules import REGISTRY, Rule
from influence.shapes import Float, Int
from influence.trace.neighbors import Representations

Examples = Float[np.ndarray, " examples"]
Indices = Int[np.ndarray, " examples"]
Labels = Int[np.ndarray, " examples"]
PART = 65536  # places of an order that are looked at together
Parameters = Mapping[str, float | int]  # of rules, by name
NO_PARAMETERS: Parameters = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Minimum:
    """What is never pruned: `count` examples of each group, or all of a smaller group."""

    groups: Labels
    count: int
    name: str = "min_per_class"  # the parameter that sets it


def order(
    arm: Arm,
    hardness: Mapping[str, Examples],
    labels: Labels,
    seed: int,
    *,
    minimums: Sequence[Minimum] = (),
    recall: Float[np.ndarray, " classes"] | None = None,
    representations: Representations | None = None,
    parameters: Parameters = NO_PARAMETERS,
) -> Indices:
    """Return the indices of all examples in the order in which an arm keeps them, first kept first.

    `hardness` has one array per score that the arm reads, high = hard. The first examples of each
    group that `minimums` protect come before everything else; ties are broken at random. `recall`
    per class, from validation data, is for rule drop, `representations` for d2 and dedup; of
    `parameters` a rule takes its own. Raises InputError for what is missing or unusable.

    Many parameters: an order is a function of arrays and a seed alone, whoever has them.
    """
    rule, generator = REGISTRY[arm.rule], np.random.default_rng(seed)
    for parameter in parameters:
        choose(
            "parameter",
            parameter,
            {name for entry in REGISTRY.values() for name in entry.parameters},
        )
    given: dict[str, Any] = {"labels": labels, "generator": generator, **parameters}
    given |= _read(rule, arm, hardness, labels)
    del hardness  # of a large train set each array is many megabytes
    if "recall" in rule.needs:
        given["recall"] = _check_recall(recall, labels)
    if "representations" in rule.needs:
        given["representations"] = _check_representations(rule.name, representations)
    if "lots" in rule.needs:
        given["lots"] = generator.permutation(len(labels))
    priority = [rule.function(**{name: given[name] for name in rule.needs if name in given})]
    del given
    return _protected_first(descending(priority.pop(), generator), minimums)


def kept_count(examples: int, fraction: float | int) -> int:
    """Return how many of `examples` stay when `fraction` is pruned."""
    return round((1 - fraction) * examples)


def percent_of(fraction: float | int) -> float:
    """Return a fraction in percent, without binary crumbs: 0.07 is 7."""
    return round(100 * fraction, 6)


def fraction_of(percent: SupportsFloat) -> float:
    """Return the very fraction that `percent` names, which leaves as many examples."""
    return round(float(percent) / 100, 8)


def cut(order: Indices, fraction: float, minimums: Sequence[Minimum]) -> Int[np.ndarray, " kept"]:
    """Return the kept indices, first kept first: the part of an order that a fraction leaves.

    Raises InputError for a fraction outside [0, 1), and for one that leaves fewer examples than the
    `minimums` protect, at least one in total. How many two minimums protect together depends on the
    order, since an example may count for both.
    """
    if not 0 <= fraction < 1:
        raise InputError(f"the fraction pruned must be at least 0 and below 1, not {fraction}")
    kept = kept_count(len(order), fraction)
    protected = max(1, _protected_count(order, minimums))
    if kept < protected:
        required = (
            " and ".join(f"{minimum.name}={minimum.count}" for minimum in minimums if minimum.count)
            or "training"
        )
        largest = math.floor(round((1 - protected / len(order)) * 1e4, 6)) / 1e4
        raise InputError(
            f"pruning {fraction} leaves {kept} of {len(order)} examples, fewer than {protected}, "
            f"as {required} requires; the largest possible fraction is {largest}"
        )
    return order[:kept]


def class_shares(
    labels: Labels, kept: Int[np.ndarray, " kept"], label_names: Sequence[str]
) -> pd.DataFrame:
    """Return one row per class: its examples and its share of all, before and after pruning.

    kept_share = after / before; 1 for a class that had no examples, as nothing of it was pruned.
    """
    before = np.bincount(labels, minlength=len(label_names))
    after = np.bincount(labels[kept], minlength=len(label_names))
    return pd.DataFrame(
        {
            "label": list(label_names),
            "before": before,
            "after": after,
            "share_before": before / max(before.sum(), 1),
            "share_after": after / max(after.sum(), 1),
            "kept_share": np.where(before > 0, after / np.maximum(before, 1), 1.0),
        }
    )


def _read(
    rule: Rule, arm: Arm, hardness: Mapping[str, Examples], labels: Labels
) -> dict[str, np.ndarray]:
    """Return the scores that a rule reads, by the names of its parameters."""
    given = {
        name: -normalize(hardness[choose("score", score, hardness)], labels, "none")
        for name, score in arm.besides.items()
    }
    normalized = [
        normalize(hardness[choose("score", name, hardness)], labels, arm.normalize)
        for name in arm.scores
    ]
    if rule.blends:
        one = len(normalized) == 1  # which needs no copy
        given["hardnesses"] = normalized[0][None] if one else np.stack(normalized)
    elif rule.scored:
        given["hardness"] = normalized[0]
    return given


def _check_representations(rule: str, known: Representations | None) -> Representations:
    """Return representations if they are there and finite, else raise InputError."""
    if known is None:
        raise InputError(
            f"rule {rule!r} needs the representation of every example: representations=true where "
            "they are scored"
        )
    if not (finite := np.isfinite(known.vectors).all(1)).all():
        raise InputError(
            f"{int((~finite).sum())} of {len(finite)} representations are not finite, and rule "
            f"{rule!r} cannot compare them; score again from a training that did not diverge"
        )
    return known


def _check_recall(recall, labels) -> np.ndarray:
    """Return `recall` if it has a usable value for every class, else raise InputError."""
    if recall is None:
        raise InputError("rule 'drop' needs the recall of every class on validation data")
    if len(recall) <= labels.max(initial=-1) or not np.all((recall >= 0) & (recall <= 1)):
        raise InputError(
            f"rule 'drop' needs a recall in [0, 1] for each of {labels.max() + 1} classes (0 for "
            f"one without validation examples), not {np.array2string(recall, threshold=20)}"
        )
    return recall


def _protected(ranked: np.ndarray, minimums: Sequence[Minimum], part: int = PART) -> np.ndarray:
    """Tell which places of an order hold the first examples of a group that a minimum keeps."""
    front = np.zeros(len(ranked), dtype=bool)
    for minimum in minimums:
        missing = np.minimum(np.bincount(minimum.groups), minimum.count)
        for start in range(0, len(ranked), part):
            if not missing.any():  # as a rule after the first part
                break
            positions, counts = by_group(minimum.groups[ranked[start : start + part]])
            found = np.minimum(missing[: len(counts)], counts)
            begins = np.cumsum(counts) - counts
            for begin, count in zip(begins, found, strict=True):
                front[start + positions[begin : begin + count]] = True
            missing[: len(counts)] -= found
    return front


def _protected_first(ranked: np.ndarray, minimums: Sequence[Minimum]) -> np.ndarray:
    """Return an order in which what the minimums keep comes first, and nothing else moves."""
    front = _protected(ranked, minimums)
    found, count = np.empty_like(ranked), np.count_nonzero(front)
    np.compress(front, ranked, out=found[:count])
    np.logical_not(front, out=front)
    np.compress(front, ranked, out=found[count:])
    return found


def _protected_count(ranked: np.ndarray, minimums: Sequence[Minimum]) -> int:
    """Return how many places `_protected` finds; for one minimum the group sizes tell it."""
    if len(minimums) == 1:
        return int(np.minimum(np.bincount(minimums[0].groups), minimums[0].count).sum())
    return int(_protected(ranked, minimums).sum())
