"""Wrong labels found by a score: known answers, ties, and agreement with scikit-learn."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from influence.scoring import label_errors
from influence.scoring.compute import compute
from influence.scoring.spec import parse_spec
from tests.helpers.traces import make_checkpoints, make_trace


def test_a_perfect_score_finds_all_and_its_opposite_none():
    mislabeled = np.array([True, False, False, True])
    found = label_errors.detection(np.array([4.0, 1.0, 2.0, 3.0]), mislabeled)
    assert found == {"auroc": 1, "average_precision": 1, "precision": 1, "chance": 0.5}
    worst = label_errors.detection(np.array([1.0, 4.0, 3.0, 2.0]), mislabeled)
    assert (worst["auroc"], worst["precision"]) == (0, 0)
    assert worst["average_precision"] == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_a_constant_score_is_chance():
    mislabeled = np.arange(10) < 3
    found = label_errors.detection(np.zeros(10), mislabeled)
    assert found == pytest.approx(
        {"auroc": 0.5, "average_precision": 0.3, "precision": 0.3, "chance": 0.3}
    )


def test_where_all_or_none_are_flipped_nothing_can_be_told():
    for mislabeled in (np.ones(3, bool), np.zeros(3, bool)):
        assert all(
            np.isnan(value) for value in label_errors.detection(np.arange(3.0), mislabeled).values()
        )


@pytest.mark.parametrize("seed", range(5))
def test_scikit_learn_agrees(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(seed)
    mislabeled = generator.random(300) < 0.2
    hardness = np.round(generator.normal(size=300) + mislabeled, 1)  # with ties
    found = label_errors.detection(hardness, mislabeled)
    assert found["auroc"] == pytest.approx(metrics.roc_auc_score(mislabeled, hardness))
    expected = metrics.average_precision_score(mislabeled, hardness)
    assert found["average_precision"] == pytest.approx(expected)


def test_the_recall_curve_ends_with_everything():
    looked, found = label_errors.recall(
        np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False])
    )
    assert looked.tolist() == [0, 0.25, 0.75, 1] and found.tolist() == [0, 0.5, 1, 1]


def test_pruned_overlap_beside_its_chance():
    mislabeled = np.arange(10) < 4
    found = label_errors.pruned(
        np.array([0, 5, 6, 7, 8]), mislabeled
    )  # 1, 2, 3, 4 and 9 are pruned
    assert found["label_errors_pruned"] == 0.75 and found["jaccard"] == 3 / 6
    assert found["chance"] == pytest.approx(2 / (5 + 4 - 2))
    assert label_errors.pruned(np.arange(10), mislabeled) == {
        "label_errors_pruned": 0,
        "jaccard": 0,
        "chance": 0,
    }


def test_flags_are_there_only_where_something_is_wrong():
    assert label_errors.flags(pd.DataFrame({"label": [0]})) is None
    assert label_errors.flags(pd.DataFrame({"mislabeled": [False, None]})) is None
    assert label_errors.flags(pd.DataFrame({"mislabeled": [False, True]})).tolist() == [False, True]


@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(-2, 2).map(float), st.floats(allow_nan=False)), st.booleans()
        ),
        min_size=1,
        max_size=20,
    )
)
def test_whatever_the_scores_detection_is_that_of_all_pairs_and_all_cuts(rows):
    hardness, mislabeled = (np.array(column) for column in zip(*rows, strict=True))
    found = label_errors.detection(hardness, mislabeled)
    wrong, right = hardness[mislabeled], hardness[~mislabeled]
    if not len(wrong) or not len(right):
        assert np.isnan(list(found.values())).all()
        return
    pairs = [(w > r) + 0.5 * (w == r) for w in wrong for r in right]
    assert found["auroc"] == pytest.approx(np.mean(pairs))
    precisions, expected = [], 0.0
    for score, count in zip(*np.unique(wrong, return_counts=True), strict=True):
        precisions += [mislabeled[hardness >= score].mean()] * count
    above = 0
    for score in sorted(set(hardness.tolist()), reverse=True):
        tied = hardness == score
        taken = min(len(wrong) - above, tied.sum())
        expected += taken * mislabeled[tied].mean()
        above += taken
    assert found["average_precision"] == pytest.approx(np.mean(precisions))
    assert found["precision"] == pytest.approx(expected / len(wrong))
    assert found["chance"] == mislabeled.mean()
    looked, hit = label_errors.recall(hardness, mislabeled)
    assert (looked[0], hit[0], looked[-1], hit[-1]) == (0, 0, 1, 1)
    assert (np.diff(looked) > 0).all() and (np.diff(hit) >= 0).all()


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_the_overlap_is_that_of_two_sets(rows):
    stays, mislabeled = (np.array(column) for column in zip(*rows, strict=True))
    found = label_errors.pruned(np.flatnonzero(stays), mislabeled)
    gone, wrong = set(np.flatnonzero(~stays)), set(np.flatnonzero(mislabeled))
    both, either = gone & wrong, gone | wrong
    assert found["label_errors_pruned"] == (len(both) / len(wrong) if wrong else 0)
    assert found["jaccard"] == (len(both) / len(either) if either else 0)
    assert 0 <= found["chance"] <= 1


def test_margins_are_what_rules_read_with_folds_too():
    trace = make_trace()
    assert trace.out_of_fold_logits is not None
    read = compute(parse_spec(label_errors.MARGINS), trace).astype(float)
    np.testing.assert_array_equal(label_errors.margins(trace), read)
    assert not len(label_errors.margins(dataclasses.replace(trace, runs=())))


def test_margins_are_those_before_the_model_learns_by_heart():
    trace = make_trace()
    run = trace.runs[0]

    def read(early):
        marked = dataclasses.replace(run, checkpoints=make_checkpoints(4, early=early))
        return label_errors.margins(dataclasses.replace(trace, runs=(marked,)))

    assert [c.step for c in run.checkpoints] == [c.step for c in make_checkpoints(4)]
    for early, epochs in ((9, "1-4"), (2.5, "1-2"), (1, "1")):
        np.testing.assert_allclose(read(early), compute(parse_spec(f"aum@{epochs}"), trace))
    assert not len(read(0))


def test_a_model_that_was_read_early_alone_says_nothing_of_labels():
    trace = make_trace()
    run = trace.runs[0]
    ends = [checkpoint.step for checkpoint in run.checkpoints if "epochs" in checkpoint.series]

    def read(steps):
        logits = {step: run.at["logits"][step] for step in steps}
        runs = (dataclasses.replace(run, at=run.at | {"logits": logits}),)
        return label_errors.margins(dataclasses.replace(trace, runs=runs))

    assert len(read(ends[len(ends) // 2 :])) == len(trace.labels)
    assert not len(read(ends[:-1])) and not len(read(ends[-1:])) and len(ends) > 2


@pytest.mark.parametrize("share", (0.0, 0.05, 0.1, 0.2, 0.3))
def test_as_many_look_wrong_as_have_margins_that_mirror_those_of_the_others(share):
    generator = np.random.default_rng(0)
    margins = generator.normal(3, 1, 50_000) * np.where(np.arange(50_000) < share * 50_000, -1, 1)
    assert label_errors.share_wrong(margins) == pytest.approx(share, abs=0.01)


def test_where_less_than_a_third_is_below_0_no_more_than_a_third_looks_wrong():
    # Of few epochs, so that right labels are hardly ahead: the mirror image takes in more than is
    # below 0, and rules would take the model for one that has learned nothing.
    margins = np.append(np.full(30, -1.0), np.full(70, 0.5))
    assert label_errors.share_wrong(margins) == label_errors.UNLEARNED


def test_what_is_only_hard_does_not_look_wrong():
    generator = np.random.default_rng(0)
    margins = np.append(generator.normal(4, 1, 800), generator.normal(-1, 0.5, 200))
    assert label_errors.share_wrong(margins) < 0.01


@pytest.mark.parametrize(
    ("margins", "share"),
    (([1.0, 2.0], 0), ([-1.0, -2.0], 1), ([0.0, 0.0], 0), ([-1.0, -9.0, 2.0, 3.0], 0.5)),
)
def test_the_share_that_looks_wrong_at_its_ends(margins, share):
    assert label_errors.share_wrong(np.array(margins)) == share


def test_margins_of_learned_classes_compare_and_those_of_any_other_with_themselves():
    labels = np.array([2, 2, 2, 0, 0, 1, 1, 1])
    margins = np.array([2.0, 4.0, -6.0, 8.0, -4.0, 1.0, -2.0, -3.0])
    found, groups = label_errors.comparable(margins, labels)
    np.testing.assert_allclose(found, [2 / 3, 4 / 3, -2.0, 1.0, -0.5, 1.0, -2.0, -3.0])
    np.testing.assert_array_equal(groups, [0, 0, 0, 0, 0, 2, 2, 2])
