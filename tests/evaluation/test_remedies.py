import numpy as np
import pandas as pd
import pytest

from influence.evaluation.remedies import remedies

LABELS = np.repeat([0, 1], [90, 10])
NAMES = ("often", "rare")
RECALL = np.array([0.9, 0.5])


def starving(arm: str = "el2n:easy", percent: float = 50.0) -> pd.DataFrame:
    """Of which the class `rare`, 10 of 100 examples, has clearly lost by an arm."""
    row = {"arm": arm, "percent_pruned": percent, "group": "class", "label": "rare", "before": 10}
    row |= {"kept_share": 0.0, "recall_change": -0.5, "recall_before": 0.9, "clear": True}
    return pd.DataFrame([row])


def found(recall=RECALL, **parameters) -> pd.DataFrame:
    hardness = {"el2n": np.where(LABELS, 0.0, 1.0) + np.arange(100) / 1000}  # all rare ones easy
    table = remedies(
        starving(**parameters), hardness, LABELS, NAMES, recall, min_per_class=1, seed=0
    )
    return table.set_index("remedy")


def test_a_floor_of_its_share_keeps_the_share_of_a_class():
    table = found()
    assert table.loc["as it is", "kept_share"] == pytest.approx(0.1)  # the one of min_per_class=1
    assert table.loc["min_per_class=5", "kept_share"] == pytest.approx(0.5)


def test_normalising_by_class_keeps_part_of_each():
    assert 0.3 < found().loc["el2n:easy:class", "kept_share"] < 0.7


def test_quotas_favour_the_class_of_lower_recall():
    table = found()
    assert table.loc["drop", "kept_share"] == 1.0
    assert table.loc["stratified", "kept_share"] == pytest.approx(0.5)
    assert (table["least_kept_share"] <= table["kept_share"]).all()


def test_what_cannot_be_had_has_no_row():
    assert "drop" not in found(recall=None).index


def test_an_arm_that_starves_nobody_needs_no_remedy():
    healthy = starving().assign(clear=False)
    hardness = {"el2n": np.arange(100.0)}
    assert not len(remedies(healthy, hardness, LABELS, NAMES, None, min_per_class=1, seed=0))
