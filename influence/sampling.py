"""Every rule from scores to kept examples: one function each, its registry, and the budget.

A rule gives every example a place in ONE order, from the first kept to the last; a fraction pruned
cuts that order. So budgets are exact and smaller subsets lie inside larger ones by construction.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from influence.errors import InputError, choose
from influence.scores import parse_spec
from influence.shapes import Float, Int

Examples = Float[np.ndarray, " examples"]
Indices = Int[np.ndarray, " examples"]
Labels = Int[np.ndarray, " examples"]
Normalize = Literal["none", "class", "dataset"]

REGISTRY: dict[str, "Rule"] = {}
GIVEN = {"hardness", "hardnesses", "labels", "generator", "recall"}  # every other name is a knob
NO_KNOBS: Mapping[str, float | int] = MappingProxyType({})
GUMBEL = "Kool et al. 2019, https://arxiv.org/abs/1903.06059"
PAPER = "Anand et al. 2023, {}, https://arxiv.org/abs/2311.16298"


@dataclass(frozen=True)
class Rule:
    """One entry of the registry; everything but the reference follows from the signature.

    scored: reads a score; blends: reads several at once; drawn: has randomness beyond ties; knobs:
    its knobs with their defaults.
    """

    name: str
    function: Callable[..., Any]
    needs: tuple[str, ...]
    scored: bool
    blends: bool
    drawn: bool
    knobs: Mapping[str, float | int]
    reference: str


@dataclass(frozen=True)
class Arm:
    """One way to prune: the scores it reads, its rule, how the scores are normalised."""

    scores: tuple[str, ...]
    rule: str
    normalize: Normalize = "none"

    def __str__(self) -> str:
        """Return the canonical `score:rule[:normalize]`."""
        suffix = () if self.normalize == "none" else (self.normalize,)
        return ":".join(
            ("+".join(self.scores), self.rule, *suffix) if self.scores else (self.rule,)
        )


def parse_arm(text: str) -> Arm:
    """Read `score:rule[:normalize]`, a blend `score+score:linear[:normalize]`, or a bare rule.

    Scores may carry a window (`el2n@3:easy`). Raises InputError naming what is wrong and what there
    is.
    """
    first, *rest = text.strip().split(":")
    if not rest:
        return _parse_bare_rule(first)
    if len(rest) > 2:
        raise InputError(f"arm {text!r} has {len(rest) + 1} parts; write score:rule[:normalize]")
    rule, normalize = REGISTRY[choose("rule", rest[0], REGISTRY)], (*rest, "none")[1]
    choose("normalize", normalize, get_args(Normalize))
    if not rule.scored:
        raise InputError(f"rule {rule.name!r} takes no score, unlike {text!r}; write {rule.name}")
    scores = tuple(str(parse_spec(score)) for score in first.split("+"))
    if len(scores) > 1 and not rule.blends:
        raise InputError(f"only rule 'linear' blends scores, unlike {text!r}; write {first}:linear")
    return Arm(scores, rule.name, normalize)


def order(
    arm: Arm,
    hardness: Mapping[str, Examples],
    labels: Labels,
    seed: int,
    *,
    floor: int = 1,
    recall: Float[np.ndarray, " classes"] | None = None,
    knobs: Mapping[str, float | int] = NO_KNOBS,
) -> Indices:
    """Return the indices of all examples in the order in which an arm keeps them, first kept first.

    `hardness` has one array per score of the arm, high = hard. The first `floor` examples of each
    class come before everything else; ties are broken at random. `recall` per class, from
    validation data, is for rule drop; of `knobs` a rule takes its own. Raises InputError for a
    score, recall or knob that is missing or unusable.
    """
    rule, generator = REGISTRY[arm.rule], np.random.default_rng(seed)
    for knob in knobs:
        choose("knob", knob, {name for entry in REGISTRY.values() for name in entry.knobs})
    normalized = [
        normalize(hardness[choose("score", name, hardness)], labels, arm.normalize)
        for name in arm.scores
    ]
    given: dict[str, Any] = {"labels": labels, "generator": generator, **knobs}
    if rule.scored:
        given |= {"hardness": normalized[0], "hardnesses": np.stack(normalized)}
    if "recall" in rule.needs:
        given["recall"] = _check_recall(recall, labels)
    priority = rule.function(**{name: given[name] for name in rule.needs if name in given})
    return _raise_floor(_descending(priority, generator), labels, floor)


def kept_count(examples: int, fraction: float) -> int:
    """Return how many of `examples` stay when `fraction` is pruned."""
    return round((1 - fraction) * examples)


def cut(
    order: Indices, fraction: float, labels: Labels, floor: int = 1
) -> Int[np.ndarray, " kept"]:
    """Return the kept indices, first kept first: the part of an order that a fraction leaves.

    Raises InputError for a fraction outside [0, 1), and for one that leaves fewer examples than the
    floor protects (`floor` of each class, or all of a smaller class; at least one in total).
    """
    if not 0 <= fraction < 1:
        raise InputError(f"the fraction pruned must be at least 0 and below 1, not {fraction}")
    kept = kept_count(len(order), fraction)
    protected = max(1, int(np.minimum(np.bincount(labels), floor).sum()))
    if kept < protected:
        largest = math.floor(round((1 - protected / len(order)) * 1e4, 6)) / 1e4
        raise InputError(
            f"pruning {fraction} leaves {kept} of {len(order)} examples, fewer than {protected}, "
            f"as floor={floor} requires; the largest possible fraction is {largest}"
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


def normalize(values: Examples, labels: Labels, how: Normalize) -> Examples:
    """Return z-scores inside each class or over the dataset, or the values; always finite.

    Infinite values first become the largest or smallest finite one. A constant class becomes 0.
    Raises InputError for NaN.
    """
    if missing := int(np.isnan(values).sum()):
        raise InputError(
            f"{missing} of {len(values)} scores are NaN and have no place in an order; "
            "score again from a training that did not diverge"
        )
    finite = _clip_infinite(values.astype(np.float64))
    if how == "none":
        return finite
    return _standardize(finite, labels if how == "class" else np.zeros(len(labels), dtype=int))


def linear_map(values: Examples, epsilon: float = 0.01, winsorize: float = 0.01) -> Examples:
    """Map scores linearly to [epsilon, 1] after clipping them at two quantiles.

    The quantiles are `winsorize` and 1 - `winsorize`: without them one outlier would flatten all
    other scores. Where both coincide (a score that is zero but for a few examples, as forgetting
    can be), clipping would erase the score, so it is left out.
    """
    low, high = 2 * np.quantile(values / 2, [winsorize, 1 - winsorize])  # halved: no overflow
    if low == high:
        low, high = values.min(), values.max()
    return epsilon + (1 - epsilon) * _to_unit(np.clip(values, low, high), low, high)


def rule(*, reference: str):
    """Register the decorated function as a rule: larger priority = kept first.

    Parameters by name: hardness (examples,) or hardnesses (scores, examples), labels, generator,
    recall (classes,); all others are knobs and carry a default.
    """

    def register(function):
        name, parameters = function.__name__, inspect.signature(function).parameters
        knobs = {key: p.default for key, p in parameters.items() if key not in GIVEN}
        scored, blends = {"hardness", "hardnesses"} & set(parameters), "hardnesses" in parameters
        drawn = "generator" in parameters
        REGISTRY[name] = Rule(
            name, function, tuple(parameters), bool(scored), blends, drawn, knobs, reference
        )
        return function

    return register


@rule(reference=PAPER.format("section 2.2"))
def easy(hardness: Examples) -> Examples:
    """Prune the easiest."""
    return hardness


@rule(reference=PAPER.format("section 2.2"))
def hard(hardness: Examples) -> Examples:
    """Prune the hardest."""
    return -hardness


@rule(reference=GUMBEL)
def softmax(
    hardness: Examples, generator: np.random.Generator, temperature: float = 1.0
) -> Examples:
    """Draw what to keep without replacement, with weights exp(hardness / temperature).

    One pass: the k largest of log weight + Gumbel noise are such a draw of k examples.
    """
    # Multiplying the noise gives the same order as dividing the scores, and cannot overflow.
    return hardness + temperature * generator.gumbel(size=len(hardness))


@rule(reference=PAPER.format("section 3") + " and " + GUMBEL)
def linear(
    hardnesses: Float[np.ndarray, "scores examples"],
    generator: np.random.Generator,
    epsilon: float = 0.01,
    winsorize: float = 0.01,
) -> Examples:
    """Draw what to keep without replacement, with weights linear in the score, see linear_map.

    Several scores blend into the mean of their weights.
    """
    weights = np.mean([linear_map(values, epsilon, winsorize) for values in hardnesses], axis=0)
    return np.log(weights) + generator.gumbel(size=len(weights))


@rule(reference="baseline: any subset is as likely as any other")
def random(labels: Labels, generator: np.random.Generator) -> Examples:
    """Prune at random."""
    return generator.random(len(labels))


@rule(reference="baseline: random that keeps the class shares")
def stratified(labels: Labels, generator: np.random.Generator) -> Examples:
    """Prune at random, every class at the same rate.

    The j-th of the n examples of a class takes place (j + 1/2) / n, so that every cut apportions
    its budget among the classes as Webster's method does: exact but for rounding.
    """
    return -_fractional_places(labels, generator)


@rule(reference="Zheng et al. 2023, https://arxiv.org/abs/2210.15809")
def ccs(
    hardness: Examples, generator: np.random.Generator, beta: float = 0.1, strata: int = 50
) -> Examples:
    """Cover all difficulties (coverage-centric): prune the hardest share, then thin out evenly.

    All but the hardest `beta` fall into strata of equal score width, which take turns in keeping a
    random example until they are empty. The paper removes the hardest altogether; here they come
    last, the very hardest at the end, so that budgets above 1 - beta are exact too.
    """
    examples = len(hardness)
    hardest = _largest(hardness, min(round(beta * examples), examples - 1), generator)
    rest = np.ones(examples, dtype=bool)
    rest[hardest] = False
    unit = _to_unit(hardness[rest], hardness[rest].min(), hardness[rest].max())
    stratum = np.minimum(unit * strata, strata - 1).astype(int)
    priority = np.empty(examples)
    priority[rest] = -_places(stratum, generator)
    priority[hardest] = np.arange(len(hardest)) - 2.0 * examples
    return priority


@rule(reference="Vysogorets et al. 2025, algorithm 1, https://arxiv.org/abs/2404.05579")
def drop(
    labels: Labels, generator: np.random.Generator, recall: Float[np.ndarray, " classes"]
) -> Examples:
    """Keep most of the classes that a model recalls worst; random inside a class.

    The kept share of a class is proportional to 1 - recall; once all of a class is kept, the others
    share what is left in the same proportions (water-filling). A class with recall 1 comes last.
    """
    weights = np.maximum(1 - recall, 1e-9)  # not 0: two such classes still share evenly
    return -_fractional_places(labels, generator) / weights[labels]


def _parse_bare_rule(name) -> Arm:
    """Read an arm without a colon: a rule that needs no score, else say what is missing."""
    bare = [rule.name for rule in REGISTRY.values() if not rule.scored]
    if name in bare:
        return Arm((), name)
    if not name:
        raise InputError(f"an arm is empty; write score:rule[:normalize] or {', '.join(bare)}")
    if name in REGISTRY:
        raise InputError(f"rule {name!r} needs a score; write score:{name}, such as el2n:{name}")
    for score in name.split("+"):
        parse_spec(score)
    raise InputError(f"arm {name!r} names no rule; write {name}:rule with {', '.join(REGISTRY)}")


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


def _descending(priority: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return indices from the largest priority to the smallest, equal ones in random order."""
    # The fastest sort leaves equal values in an order that depends on the processor; sorting the
    # tied groups again by a random permutation makes the result random yet reproducible.
    examples = len(priority)
    ranked = np.argsort(-priority)
    values = priority[ranked]
    group = np.cumsum(np.concatenate(([False], values[1:] != values[:-1]))[:examples])
    if not examples or group[-1] == examples - 1:
        return ranked
    return ranked[np.argsort(group * examples + generator.permutation(examples)[ranked])]


def _largest(values: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Return the indices of the `count` < examples largest values, the largest first."""
    cut_off = np.partition(values, len(values) - count - 1)[len(values) - count - 1]
    candidates = np.flatnonzero(values >= cut_off)
    return candidates[_descending(values[candidates], generator)[:count]]


def _raise_floor(ranked: np.ndarray, labels: np.ndarray, floor: int) -> np.ndarray:
    """Move the first `floor` indices of each class to the front; keep the order otherwise."""
    by_class, counts = _group(labels[ranked])
    starts = np.cumsum(counts) - counts
    first = [by_class[s : s + min(floor, c)] for s, c in zip(starts, counts, strict=True)]
    front = np.sort(np.concatenate([np.empty(0, dtype=int), *first]))
    return np.concatenate([ranked[front], np.delete(ranked, front)])


def _group(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return positions sorted by group, in order inside each, and the size of each group."""
    counts = np.bincount(groups)
    narrow = groups.astype(np.min_scalar_type(len(counts)))  # up to 16 bits a linear-time sort
    return np.argsort(narrow, kind="stable"), counts


def _places(groups: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the place, from 0, of every example in its randomly ordered group."""
    shuffled = generator.permutation(len(groups))
    by_group, counts = _group(groups[shuffled])
    places = np.empty(len(groups))
    places[shuffled[by_group]] = np.arange(len(groups)) - np.repeat(
        np.cumsum(counts) - counts, counts
    )
    return places


def _fractional_places(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the place of every example in its randomly ordered class, as a share of the class."""
    return (_places(labels, generator) + 0.5) / np.bincount(labels)[labels]


def _clip_infinite(values: np.ndarray) -> np.ndarray:
    finite = np.isfinite(values)
    if finite.all():
        return values
    if not finite.any():
        return np.sign(values)
    return np.clip(values, values[finite].min(), values[finite].max())


def _standardize(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return z-scores inside each group.

    They do not change when each group is first mapped to [0, 1], after which no square overflows
    and a constant group is exactly 0.
    """
    low, high = np.full((2, groups.max(initial=0) + 1), [[np.inf], [-np.inf]])
    np.minimum.at(low, groups, values)
    np.maximum.at(high, groups, values)
    unit = _to_unit(values, low[groups], high[groups])
    counts = np.maximum(np.bincount(groups), 1)
    unit -= (np.bincount(groups, weights=unit) / counts)[groups]
    deviation = np.sqrt(np.bincount(groups, weights=unit**2) / counts)
    return unit / np.where(deviation > 0, deviation, 1.0)[groups]


def _to_unit(values: np.ndarray, low, high) -> np.ndarray:
    """Map [low, high] linearly to [0, 1], and to 0 where both are equal; halved: no overflow."""
    width = high / 2 - low / 2
    return (values / 2 - low / 2) / np.where(width > 0, width, 1.0)
