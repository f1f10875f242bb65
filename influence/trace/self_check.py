"""The fused pass compared with plain autograd, with fp32, and with a forward pass alone."""

import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from influence.models.tokens import Tokens, sent
from influence.trace.gradient_norms import loop_norms
from influence.trace.meter import Collected, Measured, Meter, Opened, measure

MISMATCH = 1e-3  # relative error above which a pass is wrong and not merely rounded
ACROSS = 1e-2  # cosine below which the rounding of a product no longer shrinks with it
LARGEST = "largest "  # before the name of a product: the value that it has at most


def self_check(meter: Meter, tokens: Tokens, labels: np.ndarray, examples: int) -> float:
    """Compare the pass on the first examples with `reference`; return the largest relative error.

    Both run in fp32. Returns 0 if no measured quantity needs a gradient.
    """
    rows = np.arange(min(examples, len(tokens)))
    fused = meter.measure(tokens, labels, rows, int(tokens.lengths[rows].sum()), "fp32")
    slow = reference(meter, tokens, labels, rows)
    errors = []
    for key in fused.at.keys() & slow.at.keys():
        least = ACROSS * norm(slow.at[_largest(key)]) if _largest(key) in slow.at else 0.0
        errors.append(relative(fused.at[key], slow.at[key], least))
    errors += [relative(fused.over[key], slow.over[key]) for key in slow.over]
    return max(errors, default=0.0)


def rank_correlations(
    meter: Meter, tokens: Tokens, labels: np.ndarray, examples: int
) -> dict[str, float]:
    """Return Spearman's correlation of the meter's values with those of fp32, on some examples.

    By quantity, the lowest over checkpoints and windows; of logits only those of the labels count.
    1 where all values are equal.
    """
    rows = np.arange(min(examples, len(tokens)))
    whole = int(tokens.lengths[rows].max()) * 32
    own, exact = (meter.measure(tokens, labels, rows, whole, p) for p in (meter.precision, "fp32"))
    lowest: dict[str, float] = {}
    for part, right in ((own.at, exact.at), (own.over, exact.over)):
        for key, values in part.items():
            pair = (values, right[key])
            if key[1] == "logits":
                pair = tuple(v[rows, labels[rows]] for v in pair)
            ranked = all(np.ptp(v) for v in pair)
            correlation = float(stats.spearmanr(*pair).statistic) if ranked else 1.0
            lowest[key[1]] = min(lowest.get(key[1], 1.0), correlation)
    return lowest


def reference(meter: Meter, tokens: Tokens, labels: np.ndarray, rows: np.ndarray) -> Measured:
    """Measure norms, products and variances the slow, obvious way: plain autograd, one by one.

    Beside a product stands the largest value that it could have, see `_largest`.
    """
    collected = Collected(len(rows), meter.device)
    gradients: dict[tuple[int, int, str], list[Tensor]] = {}
    for number, resident in enumerate(meter.residents):
        opened = meter.opened(number)
        for place, row in enumerate(rows):
            where = sent(torch.tensor([place]), meter.device)
            inputs, label = meter.collated(tokens, labels, np.array([row]))
            for quantity, values in _slow_sums(opened, inputs, label).items():
                collected.put(collected.at, (resident.run, quantity, resident.step), values, where)
            for window in resident.windows:
                _, gradient, _ = measure(opened.model, inputs, label, True, None)
                gradients.setdefault((place, resident.run, window), []).append(gradient)
    for (place, run, window), seen in gradients.items():
        variance = torch.stack(seen).var(0, correction=0)
        for quantity, values in (
            ("gradient_variance", variance),
            ("gradient_deviation", variance.sqrt()),
        ):
            where = sent(torch.tensor([place]), meter.device)
            collected.put(collected.over, (run, quantity, window), values.mean().reshape(1), where)
    return collected.measured()


def slowdown(meter: Meter, tokens: Tokens, labels: np.ndarray, examples: int = 8) -> float:
    """Return how many times longer than a forward pass norms take one example at a time."""
    number = meter.slow.index(True)
    opened = meter.opened(number)
    inputs, gold = meter.collated(tokens, labels, np.arange(min(examples, len(tokens))))
    groups, directions = opened.groups, opened.directions
    loop = _seconds(lambda: loop_norms(opened.model, inputs, gold, groups, directions))
    return loop / _seconds(lambda: opened.model(**inputs))


def relative(values: np.ndarray, right: np.ndarray, least: float = 0.0) -> float:
    """Return the distance of `values` from the right ones, relative to the norm of the latter.

    `least`: what a smaller norm counts as.
    """
    return norm(values - right) / max(norm(right), least, 1e-12)


def norm(values: np.ndarray) -> float:
    """Return the norm of an array."""
    return float(np.linalg.norm(values))


def _slow_sums(opened: Opened, inputs: Mapping[str, Tensor], label: Tensor) -> dict[str, Tensor]:
    """Return norms and products of one example, and how large its products could be."""
    others = {key: direction.of(label) for key, direction in opened.directions.items()}
    groups = opened.groups | {LARGEST + key: list(other) for key, other in others.items()}
    if not groups:
        return {}
    sums = loop_norms(opened.model, inputs, label, groups, opened.directions)
    for key, other in others.items():
        squares = [gradient.square().sum() for gradient in other.values()]
        sums[LARGEST + key] = sums[LARGEST + key] * sum(squares, torch.zeros(())).sqrt()
    return sums


def _largest(key: tuple[int, str, int]) -> tuple[int, str, int]:
    run, quantity, step = key
    return run, LARGEST + quantity, step


def _seconds(work: Callable[[], object]) -> float:
    work()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
