"""Made-up scores and the orders of rules on them, for the tests of rules and of sampling."""

import numpy as np

from influence.sampling.arms import Arm
from influence.sampling.order import Minimum, order
from influence.sampling.rules import BESIDES, REGISTRY
from influence.trace.neighbors import Representations
from tests.helpers.shapes import unchecked

RULES = list(REGISTRY)
RECALL = np.array([0.9, 0.5, 0.7, 0.0])


def make_arm(rule, normalize="none"):
    """An arm of this rule that reads the score "el2n" where the rule reads one."""
    return Arm(("el2n",) if REGISTRY[rule].scored else (), rule, normalize)


def make_data(examples=400, seed=0):
    """Distinct scores and unbalanced labels of four classes."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(4, examples, p=[0.6, 0.25, 0.13, 0.02])
    labels[:4] = range(4)
    return generator.exponential(size=examples), labels


def make_representations(labels, seed=0):
    """Random vectors of examples with these labels."""
    return Representations(np.random.default_rng(seed).normal(size=(len(labels), 9)), labels)


def make_besides(examples, seed=0):
    """Random p(label) and AUM of examples, the scores that some rules read besides."""
    generator = np.random.default_rng(seed)
    return {
        "confidence": -generator.random(examples),
        BESIDES["margins"]: -generator.normal(1, 1, examples),
    }


def ordered(rule, hardness, labels, seed=0, normalize="none", min_per_class=1, **parameters):
    """The order of one rule on one score."""
    arm = make_arm(rule, normalize)
    recall = np.resize(RECALL, labels.max() + 1)
    minimums = (Minimum(labels, min_per_class),)
    return order(
        arm,
        {"el2n": hardness, **make_besides(len(labels))},
        labels,
        seed,
        minimums=minimums,
        recall=recall,
        representations=make_representations(labels),
        parameters=parameters,
    )


def keep_rates(draw, examples, kept, draws=1500):
    """How often each example is among the first `kept`, over many seeds."""
    draw(0)  # with its shapes checked
    counts = np.zeros(examples)
    with unchecked():
        for seed in range(draws):
            counts[draw(seed)[:kept]] += 1
    return counts / draws
