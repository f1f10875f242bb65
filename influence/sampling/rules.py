"""Every rule from scores to an order: one function each, and the registry of them.

A rule gives every example a priority, larger = kept first; its parameter names say what it reads
(see GIVEN); all other names are the rule's own parameters.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from influence.config.parameters import SampleConfig
from influence.sampling.ranking import (
    descending,
    fractional_places,
    largest,
    members,
    one_by_one,
    places,
    to_unit,
)
from influence.scoring.label_errors import MARGINS, UNLEARNED, comparable, share_wrong
from influence.shapes import Float, Int
from influence.trace.neighbors import NEAREST, Representations

Examples = Float[np.ndarray, " examples"]
Labels = Int[np.ndarray, " examples"]
Indices = Int[np.ndarray, " examples"]
# Lowest and highest of a search, on a log scale where the lowest is > 0: values that are worth a
# trial, inside of what SampleConfig declares legal.
Range = tuple[float | int, float | int]

REGISTRY: dict[str, "Rule"] = {}
# What rules read; all other names are parameters.
GIVEN = {"hardness", "hardnesses", "labels", "generator", "lots", "recall"}
GIVEN |= {"representations", "confidence", "margins"}
# Scores that a rule reads whatever its arm's own is, by the name under which it reads them. Margins
# end where the model begins to learn wrong labels by heart.
BESIDES = {"confidence": "confidence", "margins": MARGINS}
# Half as many again as look wrong hold almost all that is: 96 to 99 % where 9 to 28 % of the
# labels of MASSIVE's domains were made wrong. To prune first what has an AUM below 0 was four
# points behind random on MASSIVE's intents, of which 19 % are only hard or were learned late.
MISSED = 1.5
# Share pruned from which on rule ccs_clean prunes all of the hardest `beta` first. The authors of
# ccs tune beta for each share, and it grows with it. A tenth at once, where 20 % were pruned, was
# behind random on validation of MASSIVE and CLINC150, and two points behind what this keeps on the
# built-in assistant.
HALF = 0.5
GUMBEL = "Kool et al. 2019, https://arxiv.org/abs/1903.06059"
PAPER = "Anand et al. 2023, {}, https://arxiv.org/abs/2311.16298"


@dataclass(frozen=True)
class Rule:
    """One entry of the registry; everything but the reference follows from the signature.

    scored: reads a score; blends: reads several at once; drawn: has randomness beyond ties;
    parameters: its parameters with their defaults; ranges: where a search looks for them, see
    Range.
    """

    name: str
    function: Callable[..., Any]
    needs: tuple[str, ...]
    scored: bool
    blends: bool
    drawn: bool
    parameters: Mapping[str, float | int]
    ranges: Mapping[str, Range]
    reference: str

    @property
    def besides(self) -> dict[str, str]:
        """The scores that it reads whatever its arm's own is, by the name under which it does."""
        return {name: score for name, score in BESIDES.items() if name in self.needs}


def rule(*, reference: str, **ranges: Range):
    """Register the decorated function as a rule: larger priority = kept first.

    What it reads, by name: hardness (examples,) or hardnesses (scores, examples), labels,
    generator, recall (classes,), representations, lots, a random number for each example that
    breaks ties, and two scores (examples,), confidence and margins, which is AUM: low = hard, see
    `Arm.besides`. All other names are its parameters, each with the default that SampleConfig
    declares and a range to search.
    """

    def register(function):
        name, signature = function.__name__, inspect.signature(function).parameters
        parameters = {key: p.default for key, p in signature.items() if key not in GIVEN}
        if set(parameters) != set(ranges):
            raise TypeError(
                f"rule {name} has the parameters {set(parameters)}, but ranges of {set(ranges)}"
            )
        scored, blends = {"hardness", "hardnesses"} & set(signature), "hardnesses" in signature
        drawn = "generator" in signature
        REGISTRY[name] = Rule(
            name,
            function,
            tuple(signature),
            bool(scored),
            blends,
            drawn,
            parameters,
            ranges,
            reference,
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


@rule(reference=GUMBEL, temperature=(0.1, 10.0))
def softmax(
    hardness: Examples,
    generator: np.random.Generator,
    temperature: float = SampleConfig.temperature,
) -> Examples:
    """Draw what to keep without replacement, with weights exp(hardness / temperature).

    One pass: the k largest of log weight + Gumbel noise are such a draw of k examples.
    """
    # Multiplying the noise gives the same order as dividing the scores, and cannot overflow.
    return hardness + temperature * generator.gumbel(size=len(hardness))


@rule(
    reference=PAPER.format("section 3") + " and " + GUMBEL,
    epsilon=(0.001, 1.0),
    winsorize=(0.0, 0.1),
)
def linear(
    hardnesses: Float[np.ndarray, "scores examples"],
    generator: np.random.Generator,
    epsilon: float = SampleConfig.epsilon,
    winsorize: float = SampleConfig.winsorize,
) -> Examples:
    """Draw what to keep without replacement, with weights linear in the score, see linear_map.

    Several scores blend into the mean of their weights.
    """
    weights = linear_map(hardnesses[0], epsilon, winsorize)
    for values in hardnesses[1:]:
        weights += linear_map(values, epsilon, winsorize)
    weights /= len(hardnesses)
    weights = np.log(weights, out=weights)  # in place: of a large train set it is many megabytes
    weights += generator.gumbel(size=len(weights))
    return weights


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
    return -fractional_places(labels, generator)


@rule(
    reference="Zheng et al. 2023, https://arxiv.org/abs/2210.15809",
    beta=(0.0, 0.5),
    strata=(5, 100),
)
def ccs(
    hardness: Examples,
    generator: np.random.Generator,
    beta: float = SampleConfig.beta,
    strata: int = SampleConfig.strata,
) -> Int[np.ndarray, " examples"]:
    """Cover all difficulties (coverage-centric): prune the hardest share, then thin out evenly.

    All but the hardest `beta` fall into strata of equal score width, which take turns in keeping a
    random example until they are empty. The paper removes the hardest altogether; here they come
    last, the very hardest at the end, so that budgets above 1 - beta are exact too.
    """
    hardest = largest(hardness, _share(beta, len(hardness)), generator)
    rest = np.ones(len(hardness), dtype=bool)
    rest[hardest] = False
    unit = to_unit(hardness[rest], hardness[rest].min(), hardness[rest].max())
    stratum = np.minimum(unit * strata, strata - 1).astype(int)
    priority = np.empty(len(hardness), dtype=np.int64)
    priority[rest] = -places(stratum, generator)
    priority[hardest] = np.arange(len(hardest)) - 2 * len(hardness)
    return priority


@rule(reference="lowest AUM, Pleiss et al. 2020, https://arxiv.org/abs/2001.10528, then random")
def clean(margins: Examples, labels: Labels, generator: np.random.Generator) -> Examples:
    """Prune what looks mislabeled first, see MISSED, then at random."""
    last = looking_mislabeled(margins, labels, generator)
    priority = generator.random(len(margins))
    priority[last] = np.arange(len(last)) - len(last)
    return priority


@rule(
    reference="Zheng et al. 2023, https://arxiv.org/abs/2210.15809, inside each class",
    beta=(0.0, 0.5),
    strata=(5, 100),
)
def ccs_class(
    hardness: Examples,
    labels: Labels,
    generator: np.random.Generator,
    beta: float = SampleConfig.beta,
    strata: int = SampleConfig.strata,
) -> Examples:
    """Cover all difficulties of each class, every class at the same rate.

    Rule `ccs` orders each class by itself; the classes share a budget as in `stratified`.
    """
    return _class_by_class(
        labels, lambda own: descending(ccs(hardness[own], generator, beta, strata), generator)
    )


@rule(
    reference="lowest AUM, Pleiss et al. 2020, https://arxiv.org/abs/2001.10528, then ccs_class",
    beta=(0.0, 0.5),
    strata=(5, 100),
)
def ccs_clean(
    hardness: Examples,
    margins: Examples,
    labels: Labels,
    generator: np.random.Generator,
    beta: float = SampleConfig.beta,
    strata: int = SampleConfig.strata,
) -> Examples:
    """Prune what looks mislabeled first, see MISSED; cover all difficulties of each class.

    Where more than `beta` of the labels are wrong, `ccs` prunes too few of them, and the others lie
    in strata of which it keeps almost all; and of classes that are hard it leaves too little. Here
    every class is thinned at the same rate, and its hardest go by and by, see HALF, up to `beta`,
    of which what looks mislabeled is a part. By a model that has not learned the labels, see
    UNLEARNED, this is rule `stratified`.
    """
    # With 28 % wrong labels, by margins that said as little, covering all difficulties kept the
    # wrong ones and was four to nine points behind random.
    if share_wrong(margins) > UNLEARNED:
        return stratified(labels, generator)
    last = looking_mislabeled(margins, labels, generator)
    rest = np.ones(len(margins), dtype=bool)
    rest[last] = False
    harder, own_beta = hardness[rest], max(0.0, beta * len(margins) - len(last)) / rest.sum()

    def ordered(own: Indices) -> Indices:
        covered = descending(ccs(harder[own], generator, own_beta, strata), generator)
        return _gradually(covered, _share(own_beta, len(own)))

    priority = np.empty(len(margins))
    priority[rest] = _class_by_class(labels[rest], ordered)
    priority[last] = np.arange(len(last)) - len(last) - 1
    return priority


@rule(
    reference="Cho et al. 2025, Beta sampling, https://arxiv.org/abs/2502.06905",
    exponent=(1.0, 12.0),
)
def adaptive(
    hardness: Examples,
    confidence: Examples,
    generator: np.random.Generator,
    exponent: float = SampleConfig.exponent,
) -> Examples:
    """Draw by score and p(label), from easier examples the more is pruned (DUAL's Beta sampling).

    Where the fraction r is pruned, an example's weight is its score, mapped to [0, 1], times the
    density of Beta(16 - b, b) at its mean p(label), with b = 15 (1 - m) (1 - r^exponent) and m the
    mean of p(label) over the ten examples with the largest scores, as in the authors' code.

    The paper draws each fraction anew. Here each hundredth of the order is drawn, by the weights at
    its fraction, from what the larger fractions left, all with the same noise, so that subsets are
    nested; they hold some more of the easy examples than the paper's.
    """
    examples = len(hardness)
    score = np.maximum(to_unit(hardness, hardness.min(), hardness.max()), 1e-12)
    right = np.clip(confidence, 1e-6, 1 - 1e-6)
    noise = np.log(score) + generator.gumbel(size=examples)
    anchor = 15 * (1 - right[descending(hardness, generator)[:10]].mean())
    up, down = np.log(right), np.log1p(-right)
    left, ranked = np.arange(examples), []
    for step in range(1, 101):
        b = anchor * (1 - (1 - step / 100) ** exponent)
        weight = noise[left] + (15 - b) * up[left] + (b - 1) * down[left]
        if count := round(step / 100 * examples) - (examples - len(left)):
            drawn = np.argpartition(weight, len(left) - count)[len(left) - count :]
            ranked.append(left[drawn[np.argsort(-weight[drawn], kind="stable")]])
            left = np.delete(left, drawn)
    priority = np.empty(examples)
    priority[np.concatenate(ranked)] = -np.arange(examples)
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
    return -fractional_places(labels, generator) / weights[labels]


@rule(
    reference="Maharana et al. 2024, https://arxiv.org/abs/2310.07931",
    beta=(0.0, 0.5),
    neighbors=(1, NEAREST),
    gamma=(0.0, 1.0),
)
def d2(
    hardness: Examples,
    representations: Representations,
    lots: Indices,
    beta: float = SampleConfig.beta,
    neighbors: int = SampleConfig.neighbors,
    gamma: float = SampleConfig.gamma,
) -> Indices:
    """Keep what is hard in hard neighbourhoods, but not near what is kept already (D2 pruning).

    The score of an example, mapped to [0, 1], first gains exp(-d^2) times that of each of its
    nearest `neighbors`. Then the largest is kept again and again, and lowers those of its own
    neighbours by exp(-`gamma` d^2) times its own. As with `ccs`, and in the authors' code, the
    hardest `beta`, among which are wrong labels, come last.

    Unlike in the paper neighbours are classmates, d is the distance of Representations, and a
    value that fell below 0 lowers no other: in the formula it would raise them.
    """
    hardest = np.lexsort((lots, -hardness))[: _share(beta, len(hardness))]
    rest = np.delete(hardness, hardest)
    unit = to_unit(hardness, rest.min(), rest.max())
    unit[hardest] = 0
    rows, similarities = (found[:, :neighbors] for found in representations.nearest)
    squares = np.minimum(2 - 2 * similarities, 1e9)  # of a neighbour that a small class lacks
    features = unit + (np.exp(-squares) * unit[rows]).sum(1)
    features[hardest] = -np.inf
    weights = np.where(similarities > -np.inf, np.exp(-gamma * squares), 0.0)
    priority = np.empty(len(hardness), dtype=np.int64)
    priority[one_by_one(features, rows, weights, lots)] = -np.arange(len(hardness))
    priority[hardest] = np.arange(len(hardest)) - 2 * len(hardness)
    return priority


@rule(reference="Abbas et al. 2023, https://arxiv.org/abs/2303.09540", similarity=(0.9, 0.999))
def dedup(
    representations: Representations,
    generator: np.random.Generator,
    similarity: float = SampleConfig.similarity,
) -> Examples:
    """Prune near duplicates first, the nearest before others; then at random (SemDeDup).

    A near duplicate is more similar than `similarity` to a classmate that is farther from the mean
    of the class: of a group of them the farthest stays, as in the paper. The classes take the place
    of its clusters, and the similarity is that of Representations.
    """
    nearest = representations.repeats
    return np.where(nearest > similarity, -nearest, generator.random(len(nearest)))


def linear_map(
    values: Examples,
    epsilon: float = SampleConfig.epsilon,
    winsorize: float = SampleConfig.winsorize,
) -> Examples:
    """Map scores linearly to [epsilon, 1] after clipping them at two quantiles.

    The quantiles are `winsorize` and 1 - `winsorize`: without them one outlier would flatten all
    other scores. Where both coincide (a score that is zero but for a few examples, as forgetting
    can be), clipping would erase the score, so it is left out.
    """
    halves, ends = values / 2, [winsorize, 1 - winsorize]  # halved: no overflow
    low, high = 2 * np.quantile(halves, ends, overwrite_input=True)
    del halves
    if low == high:
        low, high = values.min(), values.max()
    unit = to_unit(np.clip(values, low, high), low, high)
    unit *= 1 - epsilon
    unit += epsilon
    return unit


def _class_by_class(labels: Labels, ordered: Callable[[Indices], Indices]) -> Examples:
    """Return priorities that keep the same share of every class, each in its own order.

    ordered: given the positions of a class, their order, first kept first, as places among them.
    """
    priority = np.empty(len(labels))
    for own in members(labels):
        priority[own[ordered(own)]] = -(np.arange(len(own)) + 0.5) / len(own)
    return priority


def _gradually(ranked: Indices, hardest: int) -> Indices:
    """Return an order, first kept first, in which the last `hardest` ones go by and by, see HALF.

    Where the share f of all is pruned, (f / HALF)^2 of the hardest are, the very hardest first, and
    otherwise what comes last among the others.
    """
    examples, turn = len(ranked), np.arange(hardest)
    slots = (HALF * examples * np.sqrt((turn + 0.5) / max(hardest, 1))).astype(int)
    # Many hardest take every slot from some place on, and at the latest the last ones.
    slots = np.minimum(np.maximum.accumulate(slots - turn) + turn, examples - hardest + turn)
    pruned = np.delete(np.arange(examples), slots)
    backwards = np.empty_like(ranked)
    backwards[slots] = ranked[examples - hardest :][::-1]
    backwards[pruned] = ranked[: examples - hardest][::-1]
    return backwards[::-1]


def looking_mislabeled(
    margins: Examples, labels: Labels, generator: np.random.Generator
) -> Int[np.ndarray, " mislabeled"]:
    """Return the examples that hold almost all that is mislabeled, what looks worst first.

    Every group of `comparable` margins loses the same share: the lowest margins of all would take
    most of a class that was learned late. None go first where so many look wrong that the margins
    say nothing of the labels, see UNLEARNED.
    """
    wrong = share_wrong(margins)
    share = 0.0 if wrong > UNLEARNED else MISSED * wrong
    margins, groups = comparable(margins, labels)
    first, shares = [], []
    for own in members(groups):  # of which only what goes first is ordered: all takes twice as long
        lowest = largest(-margins[own], round(share * len(own)), generator)
        first.append(own[lowest])
        shares.append((np.arange(len(lowest)) + 0.5) / len(own))
    return np.concatenate(first)[np.argsort(np.concatenate(shares), kind="stable")]


def _share(beta: float, examples: int) -> int:
    """Return how many examples are the hardest `beta` of all; at least one is not."""
    return min(round(beta * examples), examples - 1)
