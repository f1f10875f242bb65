"""What would keep more of a starved class: a minimum, normalising by class, quotas.

Nothing is retrained: the order of the train set alone says how much of each class is kept.
"""

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from influence.errors import InputError
from influence.evaluation.by_class import minimum_of, starved
from influence.sampling import order as sampling
from influence.sampling import rules
from influence.sampling.arms import CLASS, Arm, parse_arm
from influence.sampling.order import Minimum, fraction_of
from influence.sampling.result import Sample
from influence.sampling.step import order_of
from influence.scoring.result import Scores

COLUMNS = ["arm", "percent_pruned", "label", "remedy", "kept_share", "least_kept_share"]


def remedies(table: pd.DataFrame, scores: Scores, sample: Sample) -> pd.DataFrame:
    """Return how much would be kept of the class that each arm starves most, under each remedy.

    `table`: that of `by_class`; `sample`: of any of the arms, for the seed and the minimum that all
    were run with. Columns: arm, percent_pruned, label, remedy ("as it is" first), kept_share (of
    that class), and least_kept_share (of the class that keeps least). A remedy that is impossible
    has no row.
    """
    labels, names = scores.data.array("train", "label"), scores.label_names
    rows = []
    for worst in starved(table[table["group"] == CLASS]):
        place = [worst[key] for key in ("arm", "percent_pruned", "label")]
        arm, number = parse_arm(str(worst["arm"])), names.index(worst["label"])
        for name, other, least in _tried(arm, sample.min_per_class, minimum_of(worst)):
            minimums = (Minimum(labels, least),)
            try:
                order = order_of(scores, other, sample.seed, minimums)
                kept = sampling.cut(order, fraction_of(worst["percent_pruned"]), minimums)
            except InputError:  # no recall, or the minimums exceed what is kept
                continue
            shares = sampling.class_shares(labels, kept, names)["kept_share"]
            rows.append((*place, name, shares[number], shares.min()))
    return pd.DataFrame(rows, columns=COLUMNS)


def _tried(arm: Arm, min_per_class: int, needed: int) -> Iterator[tuple[str, Arm, int]]:
    """Yield the name of each remedy, its arm and its min_per_class."""
    yield "as it is", arm, min_per_class
    if needed > min_per_class:
        yield f"min_per_class={needed}", arm, needed
    if rules.REGISTRY[arm.rule].scored and arm.normalize != "class":
        other = replace(arm, normalize="class")
        yield str(other), other, min_per_class
    for name in ("drop", "stratified"):
        if arm.rule != name:
            yield name, parse_arm(name), min_per_class
