import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats
from sklearn import metrics as reference

from influence.errors import InputError
from influence.evaluation import intervals
from influence.evaluation.result import Point, table
from influence.models.metrics import metrics_of

NAMES = ("a", "b", "c")


def logits_of(predictions: list[int], confidence: float = 0.9) -> np.ndarray:
    rest = (1 - confidence) / 2
    return np.log([[confidence if c == p else rest for c in range(3)] for p in predictions])


def test_metrics_of_a_small_case_worked_out_by_hand():
    found = metrics_of(logits_of([0, 0, 1, 1]), np.array([0, 1, 1, 1]), NAMES)
    assert found["accuracy"] == 0.75
    assert found["recall/a"] == 1 and found["recall/b"] == pytest.approx(2 / 3)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found["loss"] == pytest.approx(-(3 * np.log(0.9) + np.log(0.05)) / 4)
    assert found["calibration_error"] == pytest.approx(0.9 - 0.75)


def test_a_class_absent_from_the_split_has_no_recall_and_no_part_in_macro_f1():
    found = metrics_of(logits_of([0, 1]), np.array([0, 1]), NAMES)
    assert "recall/c" not in found
    assert found["macro_f1"] == 1


def test_a_sure_and_right_model_is_calibrated():
    found = metrics_of(logits_of([0, 1, 2], 1 - 1e-9), np.array([0, 1, 2]), NAMES)
    assert found["calibration_error"] == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_have_no_metrics(value):
    logits = logits_of([0, 1, 2])
    logits[1, 0] = value
    with pytest.raises(InputError, match="says of 1 of 3 examples is no finite number"):
        metrics_of(logits, np.array([0, 1, 2]), NAMES)


def test_the_interval_is_students():
    # mean 2, standard deviation 1, n 3: half width 4.3027 / sqrt(3)
    assert intervals.interval([1, 2, 3]) == pytest.approx((2, 2 - 2.4841, 2 + 2.4841), abs=1e-3)


def test_one_value_has_no_interval():
    mean, low, high = intervals.interval([0.5])
    assert mean == 0.5 and np.isnan(low) and np.isnan(high)


def curve(arm: str, values: dict[tuple[float, int], float]) -> pd.DataFrame:
    points = [
        Point(percent, seed, 10, 5, 1.0, {"test/accuracy": value})
        for (percent, seed), value in values.items()
    ]
    return table(points, arm)


def test_differences_pair_by_seed_and_leave_out_the_full_train_set():
    random = curve("random", {(0, 1): 0.9, (0, 2): 0.9, (30, 1): 0.5, (30, 2): 0.7, (30, 3): 0.1})
    arm = curve("el2n:easy", {(0, 1): 0.9, (0, 2): 0.9, (30, 1): 0.6, (30, 2): 0.8})
    found = intervals.differences(pd.concat([random, arm]), "test/accuracy")
    assert found[["arm", "percent_pruned", "seeds"]].values.tolist() == [["el2n:easy", 30, 2]]
    # The seeds differ by 0.2, the arms by 0.1 under each: pairing removes the former.
    assert found.loc[0, "difference"] == pytest.approx(0.1)
    assert found.loc[0, "high"] - found.loc[0, "low"] == pytest.approx(0, abs=1e-9)


def test_the_summary_has_one_row_per_arm_and_percent():
    points = pd.concat([curve(arm, {(0, 1): 1, (50, 1): 0.5, (50, 2): 0.7}) for arm in ("a", "b")])
    found = intervals.summarise(points, "test/accuracy")
    assert found[["arm", "percent_pruned", "seeds"]].values.tolist() == [
        ["a", 0, 1],
        ["a", 50, 2],
        ["b", 0, 1],
        ["b", 50, 2],
    ]
    assert found["mean"].tolist() == pytest.approx([1, 0.6, 1, 0.6])


# Against others


LOGITS = st.one_of(st.floats(-30, 30), st.sampled_from([0.0, -0.0, 1e4, -1e4, 3e38, -3e38]))


@given(st.data(), st.integers(1, 5), st.integers(1, 20))
def test_metrics_are_those_of_scikit_learn_and_of_their_definitions(data, classes, examples):
    shape = (examples, classes)
    logits = data.draw(arrays.arrays(np.float64, shape, elements=LOGITS))
    labels = data.draw(arrays.arrays(np.int64, examples, elements=st.integers(0, classes - 1)))
    found = metrics_of(logits, labels, tuple("abcde"))
    predicted = logits.argmax(1)
    present = sorted(set(labels.tolist()))
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(labels, predicted))
    expected = reference.f1_score(labels, predicted, labels=present, average="macro")
    assert found["macro_f1"] == pytest.approx(expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a single class
        recalls = reference.recall_score(labels, predicted, labels=present, average=None)
    assert [found[f"recall/{'abcde'[c]}"] for c in present] == pytest.approx(recalls.tolist())
    assert sum(name.startswith("recall/") for name in found) == len(present)
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    confidence = probabilities.max(1)
    error = 0.0
    for low in range(15):
        inside = (confidence * 15 >= low) & ((confidence * 15 < low + 1) | (low == 14))
        if inside.any():
            gap = (predicted == labels)[inside].mean() - confidence[inside].mean()
            error += inside.mean() * abs(gap)
    if np.abs(confidence * 15 - np.round(confidence * 15))[confidence < 1].min(initial=1) > 1e-9:
        assert found["calibration_error"] == pytest.approx(error, abs=1e-9)  # none is on an edge
    if np.abs(logits).max() <= 30:
        expected = -np.log(probabilities[np.arange(examples), labels]).mean()
        assert found["loss"] == pytest.approx(expected, abs=1e-9)
    assert found["loss"] >= 0 and np.isfinite(found["loss"])


SHARES = st.floats(0, 1)


@given(st.lists(SHARES, min_size=2, max_size=8), st.floats(0.5, 0.999))
def test_the_interval_is_scipys(values, level):
    mean, low, high = intervals.interval(values, level)
    assume(np.std(values) > 1e-9)
    expected = stats.ttest_1samp(values, 0).confidence_interval(level)
    assert (mean, low, high) == pytest.approx((np.mean(values), *expected))


POINTS = st.dictionaries(
    st.tuples(
        st.sampled_from(["random", "a", "b"]), st.sampled_from([0.0, 30.0, 50.0]), st.integers(0, 3)
    ),
    SHARES,
    min_size=1,
)


@given(POINTS)
def test_summaries_and_differences_are_those_of_a_loop(values):
    rows = [(*key, value) for key, value in values.items()]
    points = pd.DataFrame(rows, columns=["arm", "percent_pruned", "seed", "x"])
    summary = intervals.summarise(points, "x").set_index(["arm", "percent_pruned"])
    beside = intervals.differences(points, "x").set_index(["arm", "percent_pruned"])
    assert sorted(summary.index) == sorted({key[:2] for key in values})
    expected = set()
    for arm, percent in summary.index:
        own = {seed: v for (a, p, seed), v in values.items() if (a, p) == (arm, percent)}
        base = {seed: v for (a, p, seed), v in values.items() if (a, p) == ("random", percent)}
        assert summary.loc[(arm, percent), "mean"] == pytest.approx(np.mean(list(own.values())))
        assert summary.loc[(arm, percent), "seeds"] == len(own)
        changes = [own[seed] - base[seed] for seed in sorted(own.keys() & base.keys())]
        if arm != "random" and percent and changes:
            expected.add((arm, percent))
            found = beside.loc[(arm, percent)]
            ends = intervals.interval(changes)
            assert found[["difference", "low", "high"]].tolist() == pytest.approx(
                ends, nan_ok=True, abs=1e-12
            )
            assert found["seeds"] == len(changes)
    assert set(beside.index) == expected
