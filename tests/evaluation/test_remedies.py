import numpy as np
import pandas as pd
import pytest

from influence.evaluation.remedies import remedies
from influence.sampling.result import Sample
from influence.scoring.result import Scores
from tests.helpers import finished

LABELS = np.repeat([0, 1], [90, 10])
NAMES = ("often", "rare")
HARD = np.where(LABELS, 0.0, 1.0) + np.arange(100) / 1000  # all rare ones are easy


def starving(arm: str = "el2n:easy", percent: float = 50.0) -> pd.DataFrame:
    """Of which the class `rare`, 10 of 100 examples, has clearly lost by an arm."""
    row = {"arm": arm, "percent_pruned": percent, "group": "class", "label": "rare", "before": 10}
    row |= {"kept_share": 0.0, "recall_change": -0.5, "recall_before": 0.9, "clear": True}
    return pd.DataFrame([row])


def scored(directory, recall) -> Scores:
    return finished.scores(finished.labelled(directory, LABELS, NAMES), {"el2n": HARD}, recall)


@pytest.fixture(scope="module")
def scores(tmp_path_factory) -> Scores:
    return scored(tmp_path_factory.mktemp("scores"), (0.9, 0.5))


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Sample:
    return finished.sample(tmp_path_factory.mktemp("sample"), [50.0], seed=0, min_per_class=1)


@pytest.fixture(scope="module")
def table(scores, sample) -> pd.DataFrame:
    return remedies(starving(), scores, sample).set_index("remedy")


def test_a_minimum_of_its_share_keeps_the_share_of_a_class(table):
    assert table.loc["as it is", "kept_share"] == pytest.approx(0.1)  # the one of min_per_class=1
    assert table.loc["min_per_class=5", "kept_share"] == pytest.approx(0.5)


def test_normalising_by_class_keeps_part_of_each(table):
    assert 0.3 < table.loc["el2n:easy:class", "kept_share"] < 0.7


def test_quotas_favour_the_class_of_lower_recall(table):
    assert table.loc["drop", "kept_share"] == 1.0
    assert table.loc["stratified", "kept_share"] == pytest.approx(0.5)
    assert (table["least_kept_share"] <= table["kept_share"]).all()


def test_what_cannot_be_had_has_no_row(sample, tmp_path):
    without = remedies(starving(), scored(tmp_path, None), sample)
    assert len(without) and "drop" not in set(without["remedy"])


def test_an_arm_that_starves_nobody_needs_no_remedy(scores, sample):
    assert not len(remedies(starving().assign(clear=False), scores, sample))
