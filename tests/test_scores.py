"""Every score keeps the contract and gives the values computed by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influence import scores
from influence.scores import QUANTITIES, REGISTRY
from influence.scoring.compute import compute
from influence.trace.trace import load_trace, save_trace
from tests.helpers.traces import EXAMPLES, SPECS, arrays, make_trace


def logits_of(*probabilities):
    """Logits (checkpoints, examples, classes) whose softmax is `probabilities`."""
    return np.log(np.array(probabilities))


# Contract


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_score_is_one_finite_value_per_example(spec):
    values = compute(spec, make_trace())
    assert values.shape == (EXAMPLES,)
    assert values.dtype == np.float64
    assert np.isfinite(values).all()
    assert len(np.unique(values)) > 1


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_score_follows_a_permutation_of_the_train_set(spec):
    trace, rows = make_trace(), np.random.default_rng(1).permutation(EXAMPLES)
    np.testing.assert_allclose(compute(spec, trace.take(rows)), compute(spec, trace)[rows])


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_score_leaves_the_trace_untouched(spec):
    trace = make_trace()
    before = [array.copy() for array in arrays(trace)]
    values = compute(spec, trace)
    values += 1
    for array, copy in zip(arrays(trace), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_score_needs_only_what_it_plans(spec):
    alone, together = make_trace([spec]), make_trace()
    assert np.isfinite(compute(spec, alone)).all()
    assert len(list(arrays(alone))) < len(list(arrays(together)))


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_score_is_the_same_in_blocks(spec):
    trace = make_trace()
    whole = compute(spec, trace)
    for block in (*range(1, 8), EXAMPLES - 1, EXAMPLES, EXAMPLES + 1):
        np.testing.assert_allclose(compute(spec, trace, block), whole)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_score_of_no_examples_is_empty(spec):
    none = make_trace().take(np.array([], dtype=int))
    assert compute(spec, none).shape == (0,)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_score_survives_storage(spec, tmp_path):
    trace = make_trace([spec])
    save_trace(trace, tmp_path / "trace")
    np.testing.assert_array_equal(
        compute(spec, load_trace(tmp_path / "trace")), compute(spec, trace)
    )


@pytest.mark.parametrize("name", REGISTRY)
def test_a_registered_score_says_what_it_is(name):
    score = REGISTRY[name]
    assert set(score.needs) <= set(QUANTITIES)
    assert score.function.__doc__
    assert score.reference
    assert bool(score.series) == bool(score.window)


def test_a_score_that_reads_an_unknown_quantity_cannot_be_registered():
    def lucky(moon_phase):
        """Never works."""

    with pytest.raises(TypeError, match="moon_phase"):
        scores.score(hard="high", reference="none")(lucky)
    assert "lucky" not in REGISTRY


@given(
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=12, max_size=12),
    st.lists(st.integers(0, 2), min_size=2, max_size=2),
)
@settings(max_examples=30, deadline=None)
def test_logit_scores_are_finite_for_extreme_logits(values, labels):
    logits = np.array(values, dtype=np.float32).reshape(2, 2, 3)
    for score in REGISTRY.values():
        if set(score.needs) <= {"logits", "labels"}:
            offered = {"logits": logits, "labels": np.array(labels)}
            assert np.isfinite(score.function(**{n: offered[n] for n in score.needs})).all()


# Known answers


def test_el2n_of_a_coin_flip_is_the_square_root_of_a_half():
    logits = np.zeros((1, 1, 2), dtype=np.float32)
    np.testing.assert_allclose(scores.el2n(logits, np.array([1])), [np.sqrt(0.5)])


def test_el2n_of_a_certain_mistake_is_the_square_root_of_two():
    logits = np.array([[[1e4, 0.0], [0.0, 1e4]]])
    np.testing.assert_allclose(scores.el2n(logits, np.array([1, 1])), [np.sqrt(2), 0])


@pytest.mark.parametrize(
    ("seen", "count"),
    [
        ("1111", 0),
        ("0011", 0),
        ("0110", 1),
        ("1010", 2),
        ("1001", 1),
        ("0001", 0),
        ("0000", 4),
    ],
)
def test_forgetting_counts_transitions_and_the_never_learned_get_the_maximum(seen, count):
    observations = np.array([[letter == "1"] for letter in seen])
    assert scores.forgetting(observations).tolist() == [count]


def test_pvi_of_equal_predictions_is_zero_bits():
    logits = logits_of([[0.2, 0.8], [0.2, 0.8]])
    values = scores.pvi(logits, logits_of([0.2, 0.8]), np.array([0, 1]))
    np.testing.assert_allclose(values, [0, 0], atol=1e-12)


def test_pvi_is_the_gain_in_bits():
    values = scores.pvi(logits_of([[0.8, 0.2]] * 2), logits_of([0.4, 0.6]), np.array([0, 1]))
    np.testing.assert_allclose(values, [1, np.log2(1 / 3)])


def test_tracin_weighs_squared_norms_by_the_learning_rate_of_each_checkpoint():
    norms = np.array([[1.0, 2.0], [3.0, 0.5]])
    values = scores.tracin(norms, np.array([0.1, 0.01]))
    np.testing.assert_allclose(values, [0.1 * 1 + 0.01 * 9, 0.1 * 4 + 0.01 * 0.25])


def test_grand_is_the_mean_norm():
    norms = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert scores.grand(norms).tolist() == [2, 3]
    assert scores.grand_last(norms).tolist() == [2, 3]


def test_loss_is_in_nats_and_safe_where_the_probability_vanishes():
    values = scores.loss(np.array([[[0.0, 0.0], [5000.0, 0.0]]]), np.array([0, 1]))
    np.testing.assert_allclose(values, [np.log(2), 5000])


def test_cartography_of_an_example_learned_in_the_second_epoch():
    logits, labels = logits_of([[0.4, 0.6]], [[0.9, 0.1]]), np.array([0])
    np.testing.assert_allclose(scores.confidence(logits, labels), [0.65])
    np.testing.assert_allclose(scores.variability(logits, labels), [0.25])
    np.testing.assert_allclose(scores.correctness(logits, labels), [0.5])
    np.testing.assert_allclose(scores.h_score(logits, labels), [1])


def test_aum_is_the_mean_margin_to_the_largest_other_logit():
    logits = np.array([[[3.0, 1.0, 2.0]], [[0.0, 5.0, 1.0]]])
    np.testing.assert_allclose(scores.aum(logits, np.array([0])), [(1 - 5) / 2])


def test_entropy_is_that_of_the_mean_prediction():
    logits = logits_of([[0.9, 0.1], [0.5, 0.5]], [[0.1, 0.9], [0.5, 0.5]])
    np.testing.assert_allclose(scores.entropy(logits), [np.log(2)] * 2)
    certain = np.array([[[0.0, 1e4]]])
    np.testing.assert_allclose(scores.entropy(certain), [0], atol=1e-12)


def test_dual_of_a_short_training_is_one_window():
    logits = logits_of([[0.2, 0.8]], [[0.6, 0.4]])
    expected = np.std([0.2, 0.6], ddof=1) * 0.6
    np.testing.assert_allclose(scores.dual(logits, np.array([0])), [expected])


def test_dual_of_eleven_epochs_averages_two_windows():
    gold = np.linspace(0.05, 0.95, 11) ** 2
    logits = np.log(np.stack([gold, 1 - gold], axis=-1))[:, None]
    parts = [np.std(w, ddof=1) * (1 - np.mean(w)) for w in (gold[:10], gold[1:])]
    np.testing.assert_allclose(scores.dual(logits, np.array([0])), [np.mean(parts)])


def course(epochs, classes=3, examples=5, seed=0):
    """Logits of a made-up training and labels."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(epochs, examples, classes)).astype(np.float32)
    return logits, generator.integers(0, classes, examples)


def probabilities_of(logits):
    """The softmax, number by number."""
    exponentials = np.exp(logits.astype(np.float64))
    return exponentials / exponentials.sum(-1, keepdims=True)


def test_dyn_unc_of_a_short_training_is_one_window():
    logits = logits_of([[0.2, 0.8]], [[0.6, 0.4]])
    expected = np.std([0.2, 0.6], ddof=1)
    np.testing.assert_allclose(scores.dyn_unc(logits, np.array([0])), [expected])


@pytest.mark.parametrize("epochs", [10, 11, 13])
def test_dyn_unc_averages_the_deviations_of_windows_of_ten_epochs(epochs):
    logits, labels = course(epochs)
    for row, value in enumerate(scores.dyn_unc(logits, labels)):
        gold = probabilities_of(logits)[:, row, labels[row]]
        parts = [np.std(gold[k : k + 10], ddof=1) for k in range(epochs - 9)]
        assert value == pytest.approx(sum(parts) / len(parts))


def test_tdds_of_three_epochs_is_the_deviation_of_two_changes():
    # Changes |q log(q / p)|, summed: 1/2 -> 1/4 gives ln 2 / 4 + 3/4 ln 3/2, then nothing moves.
    logits = logits_of([[0.5, 0.5]], [[0.25, 0.75]], [[0.25, 0.75]])
    change = np.log(2) / 4 + 0.75 * np.log(1.5)
    np.testing.assert_allclose(scores.tdds(logits), [0.9 * change / np.sqrt(2)], rtol=1e-6)


@pytest.mark.parametrize("epochs", [4, 10, 11, 13])
def test_tdds_weighs_windows_of_ten_epochs_from_the_last_one_back(epochs):
    logits, _ = course(epochs)
    probabilities, size = probabilities_of(logits), min(epochs, 10)
    for row, value in enumerate(scores.tdds(logits)):
        changes = []
        for before, after in zip(probabilities[:-1, row], probabilities[1:, row], strict=True):
            terms = [
                q * (np.log(q + 1e-8) - np.log(p + 1e-8))
                for p, q in zip(before, after, strict=True)
            ]
            changes.append(sum(abs(term) for term in terms))
        expected = 0.0
        for start in range(epochs - size + 1):
            own = changes[start : start + size - 1]
            mean = sum(own) / len(own)
            deviation = sum((change - mean) ** 2 for change in own) ** 0.5
            expected = 0.1 * expected + 0.9 * deviation
        assert value == pytest.approx(expected)


def test_tdds_of_a_prediction_that_never_moves_is_zero():
    logits = np.repeat(course(1)[0], 12, axis=0)
    np.testing.assert_allclose(scores.tdds(logits), 0, atol=1e-12)


def test_vog_is_the_measured_variance():
    measured = np.array([0.5, 2.0], dtype=np.float32)
    assert scores.vog(measured).tolist() == scores.vog_std(measured).tolist() == [0.5, 2]


def test_random_is_uniform_and_depends_on_the_id_alone():
    ids = np.array([f"example {i}" for i in range(2000)])
    values = scores.random(ids)
    assert len(np.unique(values)) == len(ids)
    assert values.min() >= 0 and values.max() < 1
    assert np.histogram(values, 10, (0, 1))[0].min() > 150
    np.testing.assert_array_equal(scores.random(ids[::-1].copy()), values[::-1])
    assert scores.random(np.array(["a"])).tolist() == [0.18460693099188663]
