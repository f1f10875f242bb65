"""The arithmetic of orders: ranks, places inside groups, and scores on the unit interval."""

import heapq

import numpy as np

from influence.shapes import Float, Int

Examples = Float[np.ndarray, " examples"]
Indices = Int[np.ndarray, " examples"]
Groups = Int[np.ndarray, " examples"]


def descending(priority: Examples | Indices, generator: np.random.Generator) -> Indices:
    """Return indices from the largest priority to the smallest, equal ones in random order.

    One key holds the place of the priority and, after it, a lot that is drawn for the example: the
    fastest sort may be used then, though it leaves equal keys in an order that depends on the
    processor. Whole numbers make such keys as they are, others have to be ranked first. Of a large
    train set each array is many megabytes, so that none is kept for longer than it is read.
    """
    examples = len(priority)
    narrow = np.int32 if examples < 2**31 else np.int64
    if _fit_into_keys(priority):
        lots = generator.permutation(np.arange(examples, dtype=narrow))
        keys = (priority.max() - priority) * examples
        keys += lots
    else:
        ranked = np.argsort(priority)[::-1]
        values = priority[ranked]
        del priority
        ranked, differs = ranked.astype(narrow), values[1:] != values[:-1]
        del values
        if differs.all():
            return ranked
        keys = np.cumsum(np.concatenate(([False], differs)))
        del differs
        keys *= examples
        lots = generator.permutation(np.arange(examples, dtype=narrow))
        keys += lots[ranked]
        del ranked
    keys.sort()
    keys %= examples  # the lots, in order
    holders = np.empty_like(lots)
    holders[lots] = np.arange(examples, dtype=narrow)
    return holders[keys]


def largest(
    values: Examples, count: int, generator: np.random.Generator
) -> Int[np.ndarray, " count"]:
    """Return the indices of the `count` < examples largest values, the largest first."""
    cut_off = np.partition(values, len(values) - count - 1)[len(values) - count - 1]
    candidates = np.flatnonzero(values >= cut_off)
    return candidates[descending(values[candidates], generator)[:count]]


def by_group(groups: Groups) -> tuple[Indices, Int[np.ndarray, " groups"]]:
    """Return positions sorted by group, in order inside each, and the size of each group."""
    counts = np.bincount(groups)
    narrow = groups.astype(np.min_scalar_type(len(counts)))  # up to 16 bits a linear-time sort
    return np.argsort(narrow, kind="stable"), counts


def members(groups: Groups) -> list[Int[np.ndarray, "..."]]:
    """Return the positions of each group that has any, in order."""
    positions, counts = by_group(groups)
    return np.split(positions, np.cumsum(counts[counts > 0])[:-1])


def places(groups: Groups, generator: np.random.Generator) -> Indices:
    """Return the place, from 0, of every example in its randomly ordered group."""
    shuffled = generator.permutation(len(groups))
    positions, counts = by_group(groups[shuffled])
    result = np.empty(len(groups), dtype=np.int64)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    result[shuffled[positions]] = np.arange(len(groups)) - starts
    return result


def fractional_places(labels: Groups, generator: np.random.Generator) -> Examples:
    """Return the place of every example in its randomly ordered class, as a share of the class."""
    return (places(labels, generator) + 0.5) / np.bincount(labels)[labels]


def one_by_one(
    features: Examples,
    rows: Int[np.ndarray, "examples neighbors"],
    weights: Float[np.ndarray, "examples neighbors"],
    lots: Indices,
) -> Indices:
    """Return examples by the largest feature left, which then lowers those of its neighbours.

    A heap holds an entry per example and one more for each time its feature was lowered; an entry
    that is out of date is skipped. Of equal features the one with the smaller lot comes first.
    """
    now, waiting = features.tolist(), np.ones(len(features), dtype=bool)
    drawn, near, by = lots.tolist(), rows.tolist(), weights.tolist()
    heap = [(-value, drawn[row], row) for row, value in enumerate(now)]
    heapq.heapify(heap)
    ranked = []
    while heap:
        value, _, row = heapq.heappop(heap)
        if not waiting[row] or -value != now[row]:
            continue
        waiting[row] = False
        ranked.append(row)
        for other, weight in zip(near[row], by[row], strict=True) if value < 0 else ():
            if weight and waiting[other]:
                now[other] += weight * value
                heapq.heappush(heap, (-now[other], drawn[other], other))
    return np.array(ranked)


def to_unit(values: Examples, low: Examples | float, high: Examples | float) -> Examples:
    """Map [low, high] linearly to [0, 1], and to 0 where both are equal; halved: no overflow."""
    width = high / 2 - low / 2
    unit = values / 2
    unit -= low / 2
    unit /= np.where(width > 0, width, 1.0)
    return unit


def _fit_into_keys(priority: Examples | Indices) -> bool:
    """Tell whether one key can hold every (whole) priority and a number below their count."""
    if not len(priority) or priority.dtype != np.int64:
        return False
    return (int(priority.max()) - int(priority.min()) + 1) * len(priority) < 2**63
