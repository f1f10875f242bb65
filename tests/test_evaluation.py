import numpy as np
import pandas as pd
import pytest

from influence import evaluation
from influence.evaluation import Point

NAMES = ("a", "b", "c")


def logits_of(predictions: list[int], confidence: float = 0.9) -> np.ndarray:
    rest = (1 - confidence) / 2
    return np.log([[confidence if c == p else rest for c in range(3)] for p in predictions])


def test_metrics_of_a_small_case_worked_out_by_hand():
    found = evaluation.metrics(logits_of([0, 0, 1, 1]), np.array([0, 1, 1, 1]), NAMES)
    assert found["accuracy"] == 0.75
    assert found["recall/a"] == 1 and found["recall/b"] == pytest.approx(2 / 3)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found["loss"] == pytest.approx(-(3 * np.log(0.9) + np.log(0.05)) / 4)
    assert found["calibration_error"] == pytest.approx(0.9 - 0.75)


def test_a_class_absent_from_the_split_has_no_recall_and_no_part_in_macro_f1():
    found = evaluation.metrics(logits_of([0, 1]), np.array([0, 1]), NAMES)
    assert "recall/c" not in found
    assert found["macro_f1"] == 1


def test_a_sure_and_right_model_is_calibrated():
    found = evaluation.metrics(logits_of([0, 1, 2], 1 - 1e-9), np.array([0, 1, 2]), NAMES)
    assert found["calibration_error"] == pytest.approx(0, abs=1e-8)


def test_the_interval_is_students():
    # mean 2, standard deviation 1, n 3: half width 4.3027 / sqrt(3)
    assert evaluation.interval([1, 2, 3]) == pytest.approx((2, 2 - 2.4841, 2 + 2.4841), abs=1e-3)


def test_one_value_has_no_interval():
    mean, low, high = evaluation.interval([0.5])
    assert mean == 0.5 and np.isnan(low) and np.isnan(high)


def curve(arm: str, values: dict[tuple[float, int], float]) -> pd.DataFrame:
    points = [
        Point(percent, seed, 10, 5, 1.0, {"test/accuracy": value})
        for (percent, seed), value in values.items()
    ]
    return evaluation.table(points, arm)


def test_differences_pair_by_seed_and_leave_out_the_full_train_set():
    random = curve("random", {(0, 1): 0.9, (0, 2): 0.9, (30, 1): 0.5, (30, 2): 0.7, (30, 3): 0.1})
    arm = curve("el2n:easy", {(0, 1): 0.9, (0, 2): 0.9, (30, 1): 0.6, (30, 2): 0.8})
    found = evaluation.differences(pd.concat([random, arm]), "test/accuracy")
    assert found[["arm", "percent_pruned", "seeds"]].values.tolist() == [["el2n:easy", 30, 2]]
    # The seeds differ by 0.2, the arms by 0.1 under each: pairing removes the former.
    assert found.loc[0, "difference"] == pytest.approx(0.1)
    assert found.loc[0, "high"] - found.loc[0, "low"] == pytest.approx(0, abs=1e-9)


def test_the_summary_has_one_row_per_arm_and_percent():
    points = pd.concat([curve(arm, {(0, 1): 1, (50, 1): 0.5, (50, 2): 0.7}) for arm in ("a", "b")])
    found = evaluation.summarise(points, "test/accuracy")
    assert found[["arm", "percent_pruned", "seeds"]].values.tolist() == [
        ["a", 0, 1],
        ["a", 50, 2],
        ["b", 0, 1],
        ["b", 50, 2],
    ]
    assert found["mean"].tolist() == pytest.approx([1, 0.6, 1, 0.6])
