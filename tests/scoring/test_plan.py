"""Scores read the checkpoints and runs they name, or say what the training would need."""

import numpy as np
import pandas as pd
import pytest

from influence import scores
from influence.config.parameters import ScoreConfig
from influence.errors import InputError
from influence.sampling.arms import parse_arm
from influence.scoring.compute import compute
from influence.scoring.plan import plan, too_early
from influence.scoring.spec import ScoreSpec, parse_spec
from influence.scoring.step import usual
from influence.trace.trace import Checkpoint
from tests.evaluation.test_convergence import history
from tests.helpers.traces import make_checkpoints, make_info, make_infos, make_trace

# Runs and windows


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


def test_an_early_window_ends_where_the_model_learns_by_heart():
    for text, name, steps in (
        ("aum@early", "logits", [30, 60]),
        ("tracin@early", "layer_norms", [10, 20, 30, 40, 50, 60, 70]),
    ):
        infos = (make_info(0, make_checkpoints(4, early=7 / 3)),)
        (planned,) = plan([parse_spec(text)], infos)
        assert sorted(step for step, names in planned.at.items() if name in names) == steps
    with pytest.raises(InputError, match="'aum@early' needs at least 1 checkpoint in its window"):
        plan([parse_spec("aum@early")], (make_info(0, make_checkpoints(4, early=0.5)),))


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
    (planned,) = plan([parse_spec("tracin@1")], (make_info(0, checkpoints, observations=False),))
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
            "train again with observe_every between 1 and 15",
        ),
        (
            "forgetting",
            (make_info(0, (Checkpoint(6, 1.0, frozenset({"epochs"}), 0.1),), observations=False),),
            "score 'forgetting' needs observations, but this training run holds checkpoints only; "
            "train again with observe_every=1",
        ),
        (
            "pvi",
            make_infos(null=0),
            "score 'pvi' needs a null model; train again with null_model=true",
        ),
        (
            "pvi@3",
            make_infos((4,), null=2),
            "score 'pvi@3' reads the null model at the end of epoch 3, but its training ends after "
            "epoch 2; ask for pvi@2 or train with observe_epochs=3",
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
            (make_info(0, (Checkpoint(5, 0.5, frozenset({"spread"}), 0.1),)),),
            "score 'el2n' reads the end of epoch 2, but this training run ends after epoch 0.5; "
            "train with epochs=2",
        ),
        (
            "vog",
            (make_info(0, (Checkpoint(9, 1.0, frozenset({"spread"}), 0.1),)),),
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
    ids=[
        "observations",
        "short",
        "null",
        "null epoch",
        "epoch",
        "far",
        "range",
        "no epoch",
        "one",
        "start",
    ],
)
def test_a_score_that_a_training_cannot_give_names_the_way_out(text, infos, message):
    with pytest.raises(InputError) as raised:
        plan([parse_spec("random"), parse_spec(text)], infos)
    assert str(raised.value) == message


@pytest.mark.parametrize("name", ["vog_std", "variability", "dual"])
def test_a_spread_over_checkpoints_needs_two(name):
    one = (make_info(0, (Checkpoint(9, 1.0, frozenset({"spread", "epochs"}), 0.1),)),)
    with pytest.raises(InputError, match="at least 2 checkpoints"):
        plan([ScoreSpec(name)], one)


def test_a_trace_without_the_quantity_says_so():
    with pytest.raises(InputError, match="no 'gradient_norms' of seed 0; score again with grand"):
        compute(parse_spec("grand"), make_trace([parse_spec("el2n")]))


def test_a_trace_without_the_checkpoint_or_the_window_says_so_in_words():
    with pytest.raises(InputError, match="no 'logits' of seed 0 at epoch 3; score again with el2n"):
        compute(parse_spec("el2n@3"), make_trace([parse_spec("el2n")]))
    with pytest.raises(InputError, match="no 'gradient_variance' of seed 0 in window 1-2; score"):
        compute(parse_spec("vog@1-2"), make_trace([parse_spec("vog")]))


def test_a_null_model_that_ended_before_the_window_is_not_asked_for_by_scoring_again():
    trace = make_trace([parse_spec("pvi"), parse_spec("el2n@3")])
    with pytest.raises(InputError) as raised:
        compute(parse_spec("pvi@3"), trace)
    assert str(raised.value) == (
        "score 'pvi@3' reads the null model at the end of epoch 3, but its training ends after "
        "epoch 2; ask for pvi@2 or train with observe_epochs=3"
    )


# Scores that nobody named


def test_of_the_default_scores_only_what_a_training_gives_is_computed(capsys):
    runs = make_infos((1,))
    assert usual([parse_arm("aum:ccs")], runs) == "vog,forgetting,tracin,aum"
    assert capsys.readouterr().err == (
        "compare: leaves out el2n and pvi of the default scores, which this training cannot give "
        "and no arm reads; name them with score to learn the reason\n"
    )
    assert usual([parse_arm("aum:ccs")], make_infos((2,))) == ScoreConfig.score
    assert usual([parse_arm("loss:ccs")], make_infos((2,))) == f"{ScoreConfig.score},loss"
    assert capsys.readouterr().err == ""


def test_what_an_arm_reads_is_computed_possible_or_not():
    runs = make_infos((1,))
    assert usual([parse_arm("el2n:easy")], runs) == "vog,forgetting,tracin,aum,el2n"


GUESSING = 0.2  # the accuracy of always guessing the most frequent class


def said(scores: str, *accuracies: float) -> list[str]:
    return too_early(
        [parse_spec(name) for name in scores.split(",")], history(*accuracies), GUESSING
    )


def test_a_score_of_an_epoch_before_half_was_learned_is_named():
    (sentence,) = said("aum,el2n,pvi,vog", 0.2, 0.22, 0.4, 0.55, 0.7, 0.8)
    assert sentence == (
        "el2n and pvi read the model at the end of epoch 2, where its accuracy on validation was "
        "22.0 %, of 80.0 % at the end: too early to tell examples apart. Train with "
        "observe_epochs=4 and ask for el2n@4 and pvi@4."
    )


def test_every_early_epoch_has_a_sentence():
    one, two = said("el2n,el2n@1,aum@1-2", 0.2, 0.22, 0.4, 0.5, 0.8)
    assert one.startswith("el2n@1 reads the model at the end of epoch 1")
    assert two.startswith("el2n and aum@1-2 read the model at the end of epoch 2")


@pytest.mark.parametrize(
    ("scores", "accuracies"),
    [
        ("el2n,pvi", (0.2, 0.6, 0.8)),  # it knew enough
        ("el2n@4,aum,vog,loss,random", (0.2, 0.2, 0.2, 0.6, 0.8)),  # late, or all epochs
        ("el2n", (0.2, 0.1, 0.2)),  # it never learned, which another remark says
        ("el2n", ()),
    ],
)
def test_nothing_is_said_of_others(scores, accuracies):
    assert said(scores, *accuracies) == []


def test_an_import_without_accuracies_says_nothing():
    rows = pd.DataFrame({"run": [0], "step": [1], "train/loss": [1.0]})
    for imported in (rows, rows.assign(epoch=1.0), rows.assign(**{"validation/accuracy": 0.9})):
        assert too_early([parse_spec("el2n")], imported, GUESSING) == []


def test_only_the_first_run_counts():
    other = history(0.2, 0.2, 0.8).assign(run=1)
    both = pd.concat([history(0.2, 0.7, 0.8), other])
    assert too_early([parse_spec("el2n")], both, GUESSING) == []
