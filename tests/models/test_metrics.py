"""Metrics of a split: known answers by hand, and whatever the logits, those of the definitions."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as reference

from influence.errors import InputError
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
    with pytest.raises(InputError, match="not finite for 1 of 3 examples"):
        metrics_of(logits, np.array([0, 1, 2]), NAMES)


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
    both = [((predicted == c) & (labels == c)).sum() for c in present]
    either = [(predicted == c).sum() + (labels == c).sum() for c in present]
    f1 = [2 * own / total for own, total in zip(both, either, strict=True)]
    assert found["macro_f1"] == pytest.approx(np.mean(f1), rel=1e-12)
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
