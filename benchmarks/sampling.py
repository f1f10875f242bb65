"""Seconds to order and cut a train set by every rule, and by dPrune's pruners where installed.

Run: python -m benchmarks.environment; .venv-peers/bin/python -m benchmarks.sampling
Writes benchmarks/sampling.json and docs/images/sampling.png. Gamma-distributed scores of 10 million
examples in ten classes of falling size, half pruned, a min_per_class of one example a class;
medians of interleaved rounds. dPrune gets the size that it bears, and every rule is timed at that
size too; rules that compare examples at most at 100,000, with random vectors of 384 numbers that
are compared anew each time. Budgets are checked: how many examples stay besides how many should.
"""

import argparse
import importlib.util
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

import numpy as np

from benchmarks.measuring import bars, machine, medians, write
from influence.sampling.arms import Arm
from influence.sampling.order import Minimum, cut, kept_count, order
from influence.sampling.rules import REGISTRY
from influence.trace.neighbors import Representations

CLASSES, FRACTION = 10, 0.5
COMPARED, WIDTH = 100_000, 384  # examples at most that are compared with each other, and numbers


def main() -> None:
    """Measure both sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=10_000_000)
    parser.add_argument("--borne", type=int, default=1_000_000, help="examples for dPrune too")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    sizes = {arguments.borne: True, arguments.examples: False}
    found = {size: run(size, peer, arguments.rounds) for size, peer in sizes.items()}
    has_peer = importlib.util.find_spec("dprune") is not None
    libraries = {"dprune": version("dprune")} if has_peer else {}
    write(
        __file__,
        {
            "machine": machine(threads=1),
            "libraries": libraries,
            "rounds": arguments.rounds,
            "sizes": found,
        },
    )
    panels = {
        f"{size:,} examples": {name: row["seconds"] for name, row in rows.items()}
        for size, rows in found.items()
    }
    bars("sampling", panels, list(REGISTRY), "seconds")


def run(examples: int, peer: bool, rounds: int) -> dict[str, dict[str, float | int]]:
    """Return median seconds, and how many more examples stay than should, by rule or pruner."""
    generator = np.random.default_rng(0)
    scores = generator.gamma(2.0, size=examples)
    shares = 1 / np.arange(1, CLASSES + 1)
    labels = generator.choice(CLASSES, size=examples, p=shares / shares.sum())
    works: dict[str, Callable[[], object]] = {
        name: partial(_keep, name, scores, labels)
        for name, rule in REGISTRY.items()
        if examples <= COMPARED or "representations" not in rule.needs
    }
    if peer:
        works |= _dprune(scores)
    seconds, budget = medians(works, rounds), kept_count(examples, FRACTION)
    return {
        name: {"seconds": float(f"{seconds[name]:.3g}"), "over_budget": len(work()) - budget}
        for name, work in works.items()
    }


def _keep(name: str, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return what a rule keeps."""
    rule = REGISTRY[name]
    arm = Arm(("vog",) if rule.scored else (), name)
    recall = np.linspace(0.9, 0.3, CLASSES) if "recall" in rule.needs else None
    minimums, near = [Minimum(labels, 1)], None
    if "representations" in rule.needs:
        vectors = np.random.default_rng(0).normal(size=(len(labels), WIDTH)).astype(np.float16)
        near = Representations(vectors, labels)
    given = {"vog": scores}
    given |= {
        score: -np.random.default_rng(0).random(len(labels)) for score in rule.besides.values()
    }
    ordered = order(arm, given, labels, 0, minimums=minimums, recall=recall, representations=near)
    return cut(ordered, FRACTION, minimums)


def _dprune(scores: np.ndarray) -> dict[str, Callable[[], object]]:
    if importlib.util.find_spec("dprune") is None:
        return {}
    from datasets import Dataset
    from dprune import BottomKPruner, RandomPruner, StratifiedPruner, TopKPruner

    dataset = Dataset.from_dict({"score": scores})
    pruners = (TopKPruner, BottomKPruner, StratifiedPruner, RandomPruner)
    return {
        f"dPrune {kind.__name__}": partial(kind(1 - FRACTION).prune, dataset) for kind in pruners
    }


if __name__ == "__main__":
    main()
