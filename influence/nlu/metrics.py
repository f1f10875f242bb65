"""The error rates of a voice-assistant stack: domain, then intent and slots of that domain.

An outcome is what one utterance adds to sums; every rate is a function of sums. So the tail, a
domain and a bootstrap resample are nothing but other choices of rows.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from influence.shapes import Bool, Float, Shaped

LEVEL = 0.95  # of the bootstrap intervals
TAIL = 0.4  # of the traffic
BLOCK = 2**20  # draws of utterances in memory at a time
SUMMED = (
    *("domain_error", "intent_error", "gold_slots", "predicted_slots"),
    *("missed_slots", "spurious_slots", "any_error", "unrecoverable", "defect"),
)


@dataclass(frozen=True, eq=False)
class Parses:
    """What utterances mean, by annotation or by a stack: one domain, intent and slots for each."""

    domains: Shaped[np.ndarray, " utterances"]
    intents: Shaped[np.ndarray, " utterances"]
    slots: tuple[tuple[tuple[str, str], ...], ...]  # (label, words) pairs of every utterance
    confidences: Float[np.ndarray, " utterances"]  # the domain classifier's largest probability


def outcomes(gold: Parses, predicted: Parses, threshold: float) -> pd.DataFrame:
    """Return one row per utterance: which errors it has and how many slots; all columns add up.

    Bool: domain_error; intent_error; any_error (domain, intent or a slot); unrecoverable (a
    confidence below `threshold`); defect (any_error or unrecoverable). Int: gold_slots and
    predicted_slots; missed_slots and spurious_slots, those of the former without a counterpart.

    A counterpart has the same label and the same words, wherever they stand, and is the
    counterpart of one slot only. In a wrong domain nothing is right, even where names agree: the
    models of another domain answered.
    """
    wrong = predicted.domains != gold.domains
    pairs = zip(gold.slots, predicted.slots, strict=True)
    shared = np.array([(Counter(g) & Counter(p)).total() for g, p in pairs], dtype=int) * ~wrong
    rows = pd.DataFrame({"domain_error": wrong})
    rows["intent_error"] = wrong | (predicted.intents != gold.intents)
    rows["gold_slots"] = np.array([len(slots) for slots in gold.slots], dtype=int)
    rows["predicted_slots"] = np.array([len(slots) for slots in predicted.slots], dtype=int)
    rows["missed_slots"] = rows["gold_slots"] - shared
    rows["spurious_slots"] = rows["predicted_slots"] - shared
    slot_error = rows["missed_slots"] + rows["spurious_slots"] > 0
    rows["any_error"] = rows["intent_error"] | slot_error
    rows["unrecoverable"] = predicted.confidences < threshold
    rows["defect"] = rows["any_error"] | rows["unrecoverable"]
    return rows


def rates(rows: pd.DataFrame) -> dict[str, float]:
    """Return dcer, icer, semer, f_semer, irer, unrecoverable and defect of rows of `outcomes`.

    dcer, icer, unrecoverable and defect: the share of utterances with that error; irer: with any.
    SEMER with reference R is (intent errors + slots of R without a counterpart) / (utterances +
    slots of R); semer has the gold as R, and f_semer is the harmonic mean of both references, 0 as
    soon as one is. A substituted slot counts once in each reference, an inserted one with the
    predictions as reference only, a deleted one with the gold only: semer cannot see insertions.
    All are nan without rows. Anand et al. 2023, appendix C, https://arxiv.org/abs/2311.16298
    """
    sums = _columns(rows).sum(0, keepdims=True)
    return {name: value.item() for name, value in _rates(sums).items()}


def tail(groups: Collection[Hashable], share: float = TAIL) -> Bool[np.ndarray, " utterances"]:
    """Return which utterances are of the rarest groups that make at most `share` of the traffic.

    `groups` holds one group (such as an intent) per utterance. Groups are taken from the rarest
    up, ties by name, until one would exceed the share; the rarest is taken even if it does.
    """
    counts = Counter(groups)
    rarest = sorted(counts, key=lambda group: (counts[group], str(group)))
    # A quotient of counts rounds as the literal does (29 / 100 == 0.29); 100 * 0.29 is below 29.
    shares = np.cumsum([counts[group] for group in rarest]) / len(groups)
    chosen = set(rarest[: max(1, np.searchsorted(shares, share, side="right"))])
    return np.array([group in chosen for group in groups], dtype=bool)


def relative_change(before: float, after: float) -> float:
    """Return (after - before) / before: 0 if both are 0, inf if only `before` is."""
    return float(_relative_changes(np.array(before, dtype=float), np.array(after, dtype=float)))


def efficiency(change: float, pruned: float) -> float:
    """Return the data-score efficiency: relative change of the error per share of data pruned.

    Positive where pruning raised the error, 0 where it did not change it, nan if nothing was
    pruned. The paper divides by the change of the data, which is -`pruned`: here the sign says
    what became of the error. Anand et al. 2023, section 3, https://arxiv.org/abs/2311.16298
    """
    return change / pruned if pruned else float("nan")


def bootstrap_change(
    before: Sequence[pd.DataFrame],
    after: Sequence[pd.DataFrame],
    metric: str,
    seed: int,
    resamples: int = 1000,
    level: float = LEVEL,
    block: int = BLOCK,
) -> tuple[float, float, float]:
    """Return the relative change of a rate, low and high end of its paired bootstrap interval.

    `before[i]` and `after[i]` are the outcomes of the same utterances, row by row, of two stacks
    trained under seed i. A stack's rate is the mean over its seeds. Each resample draws utterances
    with replacement, the same for every frame, and training seeds, the same for both stacks; the
    ends are percentiles of the resampled changes, inf where a rate rose from 0. Equal `seed`, equal
    draws for every metric. Raises ValueError if frames or seeds do not pair.

    Many parameters: two samples and a rate, then how a bootstrap is drawn, each with its default.
    """
    columns = np.stack([np.stack([_columns(rows) for rows in stack]) for stack in (before, after)])
    rng = np.random.default_rng(seed)
    seeds = rng.integers(len(before), size=(resamples, 1, len(before)))
    blocks = _resampled_sums(columns, resamples, rng, block)
    values = np.concatenate([_rates(sums)[metric] for sums in blocks])
    drawn = np.take_along_axis(values, seeds, axis=2).mean(2)
    # Percentiles among the values themselves: interpolating towards inf would give nan.
    ends = np.quantile(
        _relative_changes(drawn[:, 0], drawn[:, 1]),
        [(1 - level) / 2, (1 + level) / 2],
        method="inverted_cdf",
    )
    whole = _rates(columns.sum(2))[metric].mean(1)
    return relative_change(*whole), float(ends[0]), float(ends[1])


def per_domain(
    gold_domains: Shaped[np.ndarray, " utterances"],
    rows_before: Sequence[pd.DataFrame],
    rows_after: Sequence[pd.DataFrame],
    share_before: Mapping[str, float],
    share_after: Mapping[str, float],
) -> pd.DataFrame:
    """Return one row per gold domain: domain, utterances, and all before, after and their change.

    `<rate>_before` and `<rate>_after` are means over the frames (training seeds), `<rate>_change`
    the relative change between them; so are `share_before`, `share_after` and `share_change` of
    the domain's share of the train set, 0 where a mapping lacks the domain.
    """
    table = []
    for domain in np.unique(gold_domains):
        inside = gold_domains == domain
        before, after = _mean_rates(rows_before, inside), _mean_rates(rows_after, inside)
        before["share"], after["share"] = (
            share_before.get(domain, 0.0),
            share_after.get(domain, 0.0),
        )
        row = {"domain": str(domain), "utterances": int(inside.sum())}
        for name in before:
            row[f"{name}_before"], row[f"{name}_after"] = before[name], after[name]
            row[f"{name}_change"] = relative_change(before[name], after[name])
        table.append(row)
    return pd.DataFrame(table)


def _columns(rows: pd.DataFrame) -> Float[np.ndarray, "utterances columns"]:
    """Return what adds up, in the order of SUMMED, and a last column that counts utterances."""
    summed = rows[list(SUMMED)].to_numpy(dtype=float)
    return np.column_stack([summed, np.ones(len(rows))])


def _rates(sums: Float[np.ndarray, "... columns"]) -> dict[str, np.ndarray]:
    """Return every rate of sums over `_columns`, whatever axes come before."""
    total = {name: sums[..., i] for i, name in enumerate((*SUMMED, "utterances"))}
    utterances, intent_errors = total["utterances"], total["intent_error"]
    with np.errstate(invalid="ignore"):
        semer = (intent_errors + total["missed_slots"]) / (utterances + total["gold_slots"])
        reverse = (intent_errors + total["spurious_slots"]) / (
            utterances + total["predicted_slots"]
        )
        return {
            "dcer": total["domain_error"] / utterances,
            "icer": intent_errors / utterances,
            "semer": semer,
            "f_semer": 2 * semer * reverse / np.where(semer + reverse == 0, 1, semer + reverse),
            "irer": total["any_error"] / utterances,
            "unrecoverable": total["unrecoverable"] / utterances,
            "defect": total["defect"] / utterances,
        }


def _mean_rates(stack: Sequence[pd.DataFrame], chosen: np.ndarray) -> dict[str, float]:
    return pd.DataFrame([rates(rows[chosen]) for rows in stack]).mean().to_dict()


def _relative_changes(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((before == 0) & (after == 0), 0.0, (after - before) / before)


def _resampled_sums(
    columns: Float[np.ndarray, "stacks seeds utterances columns"],
    resamples: int,
    rng: np.random.Generator,
    block: int,
) -> Iterator[Float[np.ndarray, "resamples stacks seeds columns"]]:
    """Yield the sums of resamples, block by block: how often each utterance is drawn, times it."""
    utterances = columns.shape[2]
    size = max(1, block // utterances)
    for start in range(0, resamples, size):
        count = min(size, resamples - start)
        drawn = rng.integers(utterances, size=(count, utterances))
        places = drawn + utterances * np.arange(count)[:, None]
        times = np.bincount(places.ravel(), minlength=count * utterances)
        yield np.tensordot(times.reshape(count, utterances).astype(float), columns, axes=(1, 2))
