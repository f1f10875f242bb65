"""Which predictions may be those of a model that was trained on the labels."""

import numpy as np
import pandas as pd
import pytest

from influence.training.plausibility import readings, verdict

NAMES = ("common", "rare")


def said(predicted: np.ndarray, sure: float, classes: int = 2) -> np.ndarray:
    """Return probabilities that are as sure of each prediction."""
    found = np.full((len(predicted), classes), (1 - sure) / (classes - 1))
    found[np.arange(len(predicted)), predicted] = sure
    return found


def test_a_model_that_learned_how_frequent_uneven_classes_are_is_taken_and_that_is_said():
    labels = np.repeat([0, 1], [382, 18])  # 95.5 %
    fits, told = verdict(said(np.zeros(400, int), 0.953), labels, NAMES)
    assert fits and "no more than guesses would, 95.5%" in told and "common most of all" in told


@pytest.mark.parametrize("sure", [0.5, 0.55, 0.62, 0.999])
def test_a_constant_that_does_not_know_how_frequent_the_classes_are_is_refused(sure):
    labels = np.repeat([0, 1], [360, 40])
    assert verdict(said(np.zeros(400, int), sure), labels, NAMES) == (False, "")
    rare = said(np.ones(400, int), sure)
    assert verdict(rare, labels, NAMES) == (False, "")


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_of_even_classes_a_constant_is_refused_however_unsure(classes):
    labels = np.arange(600) % classes
    constant = said(np.zeros(600, int), 1 / classes + 0.01, classes)
    assert verdict(constant, labels, [str(n) for n in range(classes)]) == (False, "")


def test_random_heads_are_refused_as_before():
    generator = np.random.default_rng(0)
    for labels in (np.arange(600) % 3, np.repeat([0, 1, 2], [400, 150, 50])):
        passed = 0
        for _ in range(40):
            logits = generator.normal(0, 0.3, 3) + generator.normal(0, 0.1, (600, 3))
            found = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
            passed += verdict(found, labels, ["a", "b", "c"])[0]
        assert passed <= 4  # 5 % come so far by luck


@pytest.mark.parametrize(("wrong", "share"), [(0.25, "2[34]%"), (0.3, "2[89]%"), (0.35, "3[34]%")])
def test_a_model_of_clean_labels_is_taken_where_many_are_wrong_and_that_is_said(wrong, share):
    clean = np.arange(1000) % 2
    labels = np.where(np.arange(1000) % 20 < 20 * wrong, 1 - clean, clean)
    fits, told = verdict(said(clean, 0.98), labels, NAMES)
    assert fits
    if wrong > 0.25:
        assert "by its own probabilities it should 98.0%" in told
        assert pd.Series([told]).str.contains(f"about {share} of the labels are wrong").all()


def test_a_model_that_is_sure_and_a_little_better_than_chance_is_refused():
    clean = np.arange(1000) % 2
    for right in (510, 560, 600):
        labels = np.where(np.random.default_rng(0).permutation(1000) < right, clean, 1 - clean)
        assert verdict(said(clean, 0.95), labels, NAMES) == (False, ""), right


def test_a_model_that_fits_needs_no_word():
    labels = np.arange(400) % 2
    assert verdict(said(labels, 0.97), labels, NAMES) == (True, "")


def test_labels_before_they_were_redrawn_and_those_not_flagged_are_read_as_well():
    rows = pd.DataFrame({"label": [0, 1, 1, 0], "mislabeled": [False, True, False, True]})
    (first, _, _), (labels, places, which) = readings(rows, 2)
    assert first.tolist() == [0, 1, 1, 0]
    assert (labels.tolist(), places.tolist()) == ([0, 1], [0, 2])
    assert which == "the labels that are known to be right"
    redrawn = rows.assign(clean_label=[0, 0, 1, 0])  # the last was flagged before
    _, (labels, places, _) = readings(redrawn, 2)
    assert (labels.tolist(), places.tolist()) == ([0, 0, 1], [0, 1, 2])
    named = rows.assign(clean_label=["a", "b", "a", "b"])  # a column of the user's own
    assert [list(r[1]) for r in readings(named, 2)][1] == [0, 2]
    assert len(list(readings(rows[["label"]], 2))) == 1
    assert len(list(readings(rows.assign(mislabeled=False), 2))) == 1
