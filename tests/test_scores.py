"""Every score keeps the contract, gives the values computed by hand, and asks for what it reads."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influence import scores
from influence.errors import InputError
from influence.records import Checkpoint, RunTrace, Trace, load_trace, save_trace
from influence.scores import (
    QUANTITIES,
    REGISTRY,
    RunInfo,
    ScoreSpec,
    compute,
    hardness,
    parse_spec,
    plan,
)

SPECS = [ScoreSpec(name) for name in REGISTRY]
EXAMPLES, CLASSES = 30, 4


def make_checkpoints(epochs, steps=10, per_epoch=3, spread=True):
    """Checkpoints at `per_epoch` steps of each epoch, the last of them at its end."""
    rows = []
    for number in range(1, epochs * per_epoch + 1):
        series = {"spread"} if spread else set()
        series |= {"epochs"} if number % per_epoch == 0 else set()
        if series:
            rate = 0.1 / number
            step = number * steps
            rows.append(Checkpoint(step, number / per_epoch, frozenset(series), rate))
    return tuple(rows)


def make_infos(epochs=(4, 2), observations=True, null=True):
    """What runs that train for so many epochs offer; those after the first have no spread."""
    return tuple(
        RunInfo(seed, make_checkpoints(number, spread=seed == 0), observations, null)
        for seed, number in enumerate(epochs)
    )


def measure(plans, infos, examples=EXAMPLES, seed=0) -> Trace:
    """Random measurements of what the plans ask for, and of nothing else."""
    generator = np.random.default_rng(seed)
    shapes = {"logits": (examples, CLASSES), "null_logits": (CLASSES,)}
    runs = []
    for info, planned in zip(infos, plans, strict=True):
        at = {}
        for step, names in planned.at.items():
            for name in sorted(names):
                values = generator.normal(size=shapes.get(name, (examples,))).astype(np.float32)
                at.setdefault(name, {})[step] = values if "logits" in name else np.abs(values)
        over = {
            name: {key: generator.random(examples).astype(np.float32) for key in keys}
            for name, keys in sorted(planned.over.items())
        }
        whole = {name: generator.random((7, examples)) < 0.4 for name in sorted(planned.whole)}
        runs.append(RunTrace(info.seed, info.checkpoints, at, over, whole))
    ids = np.array([f"id-{i}" for i in range(examples)])
    return Trace(ids, generator.integers(0, CLASSES, examples), tuple(runs))


def make_trace(specs=SPECS, epochs=(4, 2), **kwargs) -> Trace:
    """A random trace that holds exactly what `specs` read."""
    infos = make_infos(epochs)
    return measure(plan(specs, infos), infos, **kwargs)


def take(trace, rows) -> Trace:
    """The trace of the examples `rows`, in that order."""

    def run_rows(run):
        at = {
            name: {k: v if name == "null_logits" else v[rows] for k, v in steps.items()}
            for name, steps in run.at.items()
        }
        over = {name: {k: v[rows] for k, v in keys.items()} for name, keys in run.over.items()}
        whole = {name: v[:, rows] for name, v in run.whole.items()}
        return dataclasses.replace(run, at=at, over=over, whole=whole)

    return Trace(trace.ids[rows], trace.labels[rows], tuple(map(run_rows, trace.runs)))


def arrays(trace):
    """Every array in a trace."""
    for run in trace.runs:
        yield from (v for steps in (*run.at.values(), *run.over.values()) for v in steps.values())
        yield from run.whole.values()
    yield from (trace.ids, trace.labels)


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
    np.testing.assert_allclose(compute(spec, take(trace, rows)), compute(spec, trace)[rows])


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
def test_a_score_is_the_same_in_blocks(spec, monkeypatch):
    trace = make_trace()
    whole = compute(spec, trace)
    monkeypatch.setattr(scores, "BLOCK", 7)
    np.testing.assert_allclose(compute(spec, trace), whole)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_score_survives_storage(spec, tmp_path):
    trace = make_trace([spec])
    save_trace(trace, tmp_path)
    np.testing.assert_array_equal(compute(spec, load_trace(tmp_path)), compute(spec, trace))


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


@pytest.mark.parametrize("name", ["confidence", "pvi", "correctness", "aum", "h_score"])
def test_hardness_turns_scores_whose_low_end_is_hard(name):
    values = np.array([1.0, -2.0])
    assert hardness(ScoreSpec(name), values).tolist() == [-1, 2]


@pytest.mark.parametrize("name", ["vog", "el2n", "forgetting", "variability", "dual", "loss"])
def test_hardness_keeps_scores_whose_high_end_is_hard(name):
    values = np.array([1.0, -2.0])
    result = hardness(ScoreSpec(name), values)
    assert result.tolist() == [1, -2]
    assert result is not values


# Runs and windows


@pytest.mark.parametrize(
    "text", ["el2n", "el2n@3", "vog@1-3", "aum@all", "grand@last", "forgetting"]
)
def test_a_spec_prints_as_it_was_typed(text):
    assert str(parse_spec(text)) == text


def test_a_spec_is_a_name_and_a_window():
    assert parse_spec(" el2n@2 ") == ScoreSpec("el2n", "2")
    assert parse_spec("el2n") == ScoreSpec("el2n", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("el3n", "unknown score 'el3n'; there is aum, .*vog_std"),
        ("", "unknown score ''"),
        ("el2n@", "unknown window '' in 'el2n@'; write el2n@2 or el2n@1-3"),
        ("el2n@two", "unknown window 'two'"),
        ("el2n@2-", "unknown window '2-'"),
        ("el2n@4-2", "window '4-2' ends before it starts; ask for el2n@2-4"),
        ("forgetting@2", "reads no checkpoints; ask for forgetting"),
    ],
)
def test_an_unreadable_spec_says_what_to_write(text, message):
    with pytest.raises(InputError, match=message):
        parse_spec(text)


def steps_of(text, epochs=(4, 2), run=0, name="logits"):
    """The steps at which a spec measures a quantity in a run."""
    planned = plan([parse_spec(text)], make_infos(epochs))[run]
    return sorted(step for step, names in planned.at.items() if name in names)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("el2n", [60]),
        ("el2n@1", [30]),
        ("el2n@1-3", [30, 60, 90]),
        ("loss", [120]),
        ("aum", [30, 60, 90, 120]),
        ("aum@2-3", [60, 90]),
        ("aum@last", [120]),
    ],
)
def test_a_window_chooses_checkpoints(text, steps):
    assert steps_of(text) == steps


def test_a_range_of_a_spread_score_takes_the_spread_checkpoints_between_its_epochs():
    assert steps_of("tracin@1-2", name="layer_norms") == [30, 40, 50, 60]
    assert steps_of("tracin@2", name="layer_norms") == [60]


def test_a_score_of_the_first_run_leaves_the_others_alone():
    assert steps_of("aum", run=1) == []
    assert steps_of("el2n", run=1) == [60]


@pytest.mark.parametrize("text", ["aum", "loss", "tracin@4"])
def test_a_score_of_the_first_run_ignores_equally_long_ones(text):
    plans = plan([parse_spec(text)], make_infos((4, 4)))
    assert plans[0].at and not plans[1].at


def test_an_epoch_is_its_end_even_for_a_score_of_the_spread_series():
    checkpoints = (
        Checkpoint(10, 1.0, frozenset({"epochs"}), 0.1),
        Checkpoint(15, 1.5, frozenset({"spread"}), 0.1),
    )
    (planned,) = plan([parse_spec("tracin@1")], (RunInfo(0, checkpoints, False, False),))
    assert planned.at == {10: frozenset({"layer_norms"})}


def test_only_runs_that_reach_the_window_are_measured():
    assert steps_of("el2n@3", run=1) == []
    assert steps_of("el2n@1-3", run=1) == []
    assert steps_of("grand@last", run=1, name="gradient_norms") == []


def test_a_sum_over_runs_takes_what_each_has():
    assert steps_of("h_score", run=1) == [30, 60]


def test_specs_that_share_a_checkpoint_share_its_measurement():
    infos = make_infos((4,))
    planned = plan([parse_spec("el2n"), parse_spec("pvi"), parse_spec("grand")], infos)[0]
    assert planned.at == {60: frozenset({"logits", "null_logits", "gradient_norms"})}
    assert planned.over == {} and planned.whole == frozenset()


def test_two_windows_of_one_quantity_are_planned_beside_each_other():
    planned = plan([parse_spec("vog"), parse_spec("vog@1-2")], make_infos((2,)))[0]
    windows = planned.over["gradient_variance"]
    assert sorted(windows.values()) == [(10, 20, 30, 40, 50, 60), (30, 40, 50, 60)]
    assert planned.at == {}


def test_two_windows_of_one_score_give_different_values():
    specs = [parse_spec("vog"), parse_spec("vog@1-2"), parse_spec("el2n"), parse_spec("el2n@1")]
    trace = make_trace(specs)
    columns = [compute(spec, trace) for spec in specs]
    assert not np.allclose(columns[0], columns[1])
    assert not np.allclose(columns[2], columns[3])


def test_observations_are_planned_for_every_run():
    plans = plan([parse_spec("forgetting")], make_infos())
    assert [planned.whole for planned in plans] == [frozenset({"observations"})] * 2


def test_a_mean_over_runs_is_the_mean_of_their_scores():
    spec = parse_spec("el2n")
    trace = make_trace([spec], epochs=(4, 2, 2))
    each = [scores.el2n(run.at["logits"][60][None], trace.labels) for run in trace.runs]
    np.testing.assert_allclose(compute(spec, trace), np.mean(each, axis=0))


def test_a_mean_over_runs_leaves_out_those_that_ended_before():
    spec = parse_spec("el2n@3")
    trace = make_trace([spec], epochs=(4, 2, 3))
    each = [scores.el2n(trace.runs[i].at["logits"][90][None], trace.labels) for i in (0, 2)]
    np.testing.assert_allclose(compute(spec, trace), np.mean(each, axis=0))


def test_h_score_counts_the_correct_epochs_of_all_runs():
    spec = parse_spec("h_score")
    trace = make_trace([spec])
    correct = [
        logits.argmax(-1) == trace.labels
        for run in trace.runs
        for logits in run.at["logits"].values()
    ]
    assert len(correct) == 6
    np.testing.assert_array_equal(compute(spec, trace), np.sum(correct, axis=0))


def test_tracin_uses_the_learning_rates_of_its_checkpoints():
    spec = parse_spec("tracin@1-2")
    trace = make_trace([spec])
    rates = {c.step: c.learning_rate for c in trace.runs[0].checkpoints}
    norms = trace.runs[0].at["layer_norms"]
    expected = sum(rates[step] * norms[step].astype(float) ** 2 for step in (30, 40, 50, 60))
    np.testing.assert_allclose(compute(spec, trace), expected)


# What a training cannot give


@pytest.mark.parametrize(
    ("text", "infos", "message"),
    [
        (
            "forgetting",
            make_infos(observations=False),
            "score 'forgetting' needs observations, but this training run holds checkpoints only; "
            "train again with observe_every=50",
        ),
        (
            "pvi",
            make_infos(null=False),
            "score 'pvi' needs a null model; train again with null_model=true",
        ),
        (
            "el2n",
            make_infos((1,)),
            "score 'el2n' reads the end of epoch 2, but this training run ends after epoch 1; "
            "ask for el2n@1 or train with epochs=2",
        ),
        (
            "el2n@7",
            make_infos((4, 2)),
            "score 'el2n@7' reads the end of epoch 7, but this training run ends after epoch 4; "
            "ask for el2n@4 or train with epochs=7",
        ),
        (
            "aum@2-6",
            make_infos((4,)),
            "score 'aum@2-6' reads epochs 2 to 6, but this training run ends after epoch 4; "
            "ask for aum@2-4 or train with epochs=6",
        ),
        (
            "el2n",
            (RunInfo(0, (Checkpoint(5, 0.5, frozenset({"spread"}), 0.1),), True, True),),
            "score 'el2n' reads the end of epoch 2, but this training run ends after epoch 0.5; "
            "train with epochs=2",
        ),
        (
            "vog",
            (RunInfo(0, (Checkpoint(9, 1.0, frozenset({"spread"}), 0.1),), True, True),),
            "score 'vog' needs at least 2 checkpoints in its window (the variance of one is 0), "
            "but this training run has 1 there; ask for a wider window or train with more "
            "checkpoints",
        ),
        (
            "el2n@0",
            make_infos((2,)),
            "score 'el2n@0' needs at least 1 checkpoint in its window, but this training run has "
            "0 there; ask for a wider window or train with more checkpoints",
        ),
    ],
    ids=["observations", "null", "epoch", "far", "range", "no epoch", "one", "start"],
)
def test_a_score_that_a_training_cannot_give_names_the_way_out(text, infos, message):
    with pytest.raises(InputError) as raised:
        plan([parse_spec("random"), parse_spec(text)], infos)
    assert str(raised.value) == message


@pytest.mark.parametrize("name", ["vog_std", "variability", "dual"])
def test_a_spread_over_checkpoints_needs_two(name):
    one = (RunInfo(0, (Checkpoint(9, 1.0, frozenset({"spread", "epochs"}), 0.1),), True, True),)
    with pytest.raises(InputError, match="at least 2 checkpoints"):
        plan([ScoreSpec(name)], one)


def test_a_trace_without_the_quantity_says_so():
    with pytest.raises(InputError, match="no 'gradient_norms' of seed 0; score again with grand"):
        compute(parse_spec("grand"), make_trace([parse_spec("el2n")]))
