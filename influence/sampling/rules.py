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
from influence.sampling.ranking import fractional_places, largest, places, to_unit
from influence.shapes import Float, Int

Examples = Float[np.ndarray, " examples"]
Labels = Int[np.ndarray, " examples"]
# Lowest and highest of a search, on a log scale where the lowest is > 0: values that are worth a
# trial, inside of what SampleConfig declares legal.
Range = tuple[float | int, float | int]

REGISTRY: dict[str, "Rule"] = {}
GIVEN = {"hardness", "hardnesses", "labels", "generator", "recall"}  # others are parameters
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


def rule(*, reference: str, **ranges: Range):
    """Register the decorated function as a rule: larger priority = kept first.

    What it reads, by name: hardness (examples,) or hardnesses (scores, examples), labels,
    generator, recall (classes,). All other names are its parameters, each with the
    default that SampleConfig declares and a range to search.
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
    examples = len(hardness)
    hardest = largest(hardness, min(round(beta * examples), examples - 1), generator)
    rest = np.ones(examples, dtype=bool)
    rest[hardest] = False
    unit = to_unit(hardness[rest], hardness[rest].min(), hardness[rest].max())
    stratum = np.minimum(unit * strata, strata - 1).astype(int)
    priority = np.empty(examples, dtype=np.int64)
    priority[rest] = -places(stratum, generator)
    priority[hardest] = np.arange(len(hardest)) - 2 * examples
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
