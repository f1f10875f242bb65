"""A model that was still learning is named, and the verdict on it is provisional."""

import numpy as np
import pandas as pd
import pytest

from influence.evaluation.convergence import overtrained, reasons, short_of_steps
from influence.evaluation.intervals import Retrainings
from influence.evaluation.verdict import compare

METRIC = "test/accuracy"


def history(*accuracies: float) -> pd.DataFrame:
    """Return what a training notes: at two steps an epoch, the accuracy at every second."""
    rows = [
        {"run": 0, "step": 2 * epoch + end, "epoch": epoch + end / 2, "train/loss": 1.0}
        | ({"validation/accuracy": value} if end == 2 else {})
        for epoch, value in enumerate(accuracies)
        for end in (1, 2)
    ]
    return pd.DataFrame(rows)


def points(*accuracies: float) -> pd.DataFrame:
    rows = [
        ("random", percent, seed, value)
        for seed, value in enumerate(accuracies)
        for percent in (0.0, 50.0)
    ]
    table = pd.DataFrame(rows, columns=["arm", "percent_pruned", "seed", METRIC])
    return table.assign(steps=100 - table["percent_pruned"])


STEADY = points(0.9, 0.902, 0.898)
SHARES = {
    "random": pd.DataFrame(columns=["group", "label", "percent_pruned", "kept_share"], dtype=object)
}
SHARES["random"]["before"] = np.nan


@pytest.mark.parametrize("last", [(0.9, 0.9), (0.9, 0.909), (0.92, 0.9)])
def test_a_model_that_gains_nothing_at_the_end_has_converged(last):
    assert reasons(history(0.5, 0.8, *last), STEADY, METRIC) == []


def test_a_model_that_still_gains_is_named_with_the_way_out():
    (said,) = reasons(history(0.5, 0.8, 0.87, 0.9), STEADY, METRIC)
    assert "rose by 3.0 points" in said and said.endswith("train with epochs=8")


def test_one_epoch_does_not_show_it_and_says_so():
    (said,) = reasons(history(0.9), STEADY, METRIC)
    assert said == "one epoch does not show whether it had; train with epochs=2 or more"


def test_a_model_that_got_worse_is_named_with_the_epoch_after_which():
    (said,) = overtrained(history(0.5, 0.8, 0.755, 0.77))
    assert said.startswith("After epoch 2 accuracy on validation fell from 80.0 to 77.0 %")
    assert said in compare(Retrainings(STEADY), SHARES, 0.5, history(0.5, 0.8, 0.755, 0.77)).notes
    (apart,) = reasons(history(0.5, 0.8, 0.755, 0.755), points(0.9, 0.87, 0.93), METRIC)
    assert apart.endswith("train with a lower learning_rate")
    assert not overtrained(history(0.5, 0.8, 0.755, 0.785)) and not overtrained(pd.DataFrame())
    assert not overtrained(history(0.5, 0.8, 0.7, 0.6).drop(columns="epoch"))


def test_another_model_and_imported_checkpoints_say_nothing():
    assert reasons(pd.DataFrame(), STEADY, METRIC) == []
    one = pd.DataFrame([{"run": 0, "step": 90, "validation/accuracy": 0.9}])
    assert reasons(one, STEADY, METRIC) == []


@pytest.mark.parametrize("last, moving", [(0.5, False), (0.46, False), (0.44, True), (0.9, False)])
def test_a_loss_that_still_falls_is_named(last, moving):
    table = history(0.8, 0.9, 0.9, 0.9)
    ends = table["validation/accuracy"].notna()
    table.loc[ends, "validation/loss"] = [0.7, 0.6, 0.5, last]
    said = reasons(table, STEADY, METRIC)
    assert len(said) == moving
    assert all("still fell, from 0.5 to 0.44; train with epochs=8" in one for one in said)


def test_only_the_first_run_and_the_last_quarter_count():
    others = history(0.1, 0.2, 0.3, 0.9).assign(run=1)
    assert reasons(pd.concat([history(0.7, 0.8, 0.9, 0.9), others]), STEADY, METRIC) == []


def test_seeds_that_are_far_apart_are_named():
    (said,) = reasons(history(0.9, 0.9), points(0.9, 0.87, 0.93), METRIC)
    assert "3.0 points (standard deviation)" in said
    assert reasons(history(0.9, 0.9), points(0.5), METRIC) == []


def test_the_verdict_on_such_a_model_is_provisional():
    still, done = (
        compare(Retrainings(STEADY), SHARES, 0.1, history=one).said
        for one in (history(0.5, 0.8, 0.87, 0.9), history(0.9, 0.9))
    )
    assert still[0].startswith("Provisional, the model had not converged: only random")
    assert still[1].startswith("Not converged: in the last quarter")
    assert done[0].startswith("Only random")


def test_a_fraction_whose_steps_did_not_suffice_is_named():
    learned = history(0.5, 0.6, 0.7, 0.85, 0.89, 0.9, 0.9, 0.9, 0.9, 0.9)
    steps = {0: 200, 30: 140, 50: 100, 70: 60, 90: 20}
    taken = pd.DataFrame({"percent_pruned": list(steps), "steps": list(steps.values())})
    (said,) = short_of_steps(learned, taken)
    assert said.startswith("From 70 % pruned on") and "20 points short" in said
    assert short_of_steps(learned, taken[:3]) == []
    assert short_of_steps(pd.DataFrame(), taken) == []
    assert short_of_steps(learned, taken.assign(steps=200)) == []
