"""How far scores agree with themselves, and what labels the model doubts."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from influence.models.tokens import Tokens, starts_of
from influence.scoring.compute import compute
from influence.scoring.label_errors import softmax, suspects
from influence.scoring.plan import passes, plan, with_logits
from influence.scoring.spec import ScoreSpec, hardness
from influence.scoring.stability import agreement, between, halves, stability
from influence.trace import representations
from influence.trace.trace import Checkpoint, RunTrace, Trace
from tests.helpers import architectures
from tests.helpers.traces import make_infos, make_trace, measure

EL2N, VOG, PVI, FORGETTING = (ScoreSpec(name) for name in ("el2n", "vog", "pvi", "forgetting"))


def test_a_score_agrees_with_itself_and_not_with_its_opposite():
    values = np.arange(50.0)
    assert agreement(values, values) == {"spearman": 1.0, "overlap": 1.0, "chance": 0.1}
    opposite = agreement(values, -values)
    assert opposite["spearman"] == -1 and opposite["overlap"] == 0


def test_half_of_the_hardest_in_common_is_half():
    one, other = np.zeros(40), np.zeros(40)
    one[:4], other[2:6] = 1, 1
    assert agreement(one, other)["overlap"] == 0.5


def test_seeds_are_compared_as_if_each_were_the_only_one():
    trace = make_trace([EL2N, VOG, FORGETTING])
    found = stability([EL2N, VOG, FORGETTING], trace).set_index(["score", "across"])
    assert {name for name, _ in found.index} == {"el2n", "forgetting"}  # vog: of one run only
    alone = [
        hardness(EL2N, compute(EL2N, dataclasses.replace(trace, runs=(run,)))) for run in trace.runs
    ]
    want = pd.Series(alone[0]).rank().corr(pd.Series(alone[1]).rank())
    assert found.loc[("el2n", "seeds 0 and 1"), "spearman"] == pytest.approx(want)


def test_epochs_that_were_measured_are_compared_with_the_last_of_them():
    infos = make_infos((4,))
    plans = with_logits(plan([EL2N, VOG], infos), infos)
    found = stability([EL2N, VOG], measure(plans, infos))
    assert found["across"].tolist() == ["epochs 1 and 4", "epochs 2 and 4", "epochs 3 and 4"]


def test_scores_of_spread_checkpoints_are_compared_with_those_of_every_other_one():
    infos = make_infos((4,))
    tracin = ScoreSpec("tracin")
    more = halves([EL2N, VOG, tracin], infos)
    assert [str(spec) for spec in more] == ["vog@odd", "vog@even", "tracin@odd", "tracin@even"]
    trace = measure(plan([VOG, tracin, *more], infos), infos)
    found = stability([VOG, tracin], trace)
    assert found["across"].tolist() == ["odd and even checkpoints"] * 2
    odd, even = (compute(ScoreSpec("tracin", window), trace) for window in ("odd", "even"))
    assert np.allclose(odd + even, compute(tracin, trace))  # TracIn is a sum over checkpoints
    assert found.loc[1, "spearman"] == pytest.approx(agreement(odd, even)["spearman"])


def test_too_few_checkpoints_are_not_halved():
    infos = make_infos((1,))  # three checkpoints: a variance of the odd ones, not of the even one
    assert halves([VOG], infos) == []


def test_trainings_are_compared_on_the_examples_that_both_have():
    one = pd.DataFrame({"id": list("abcd"), "label": 0, "el2n": [4.0, 3, 2, 1], "pvi": 0.0})
    other = pd.DataFrame({"id": list("dcbx"), "label": 0, "el2n": [1.0, 2, 3, 9]})
    found = between({"seed=0": one, "seed=1": other})
    assert found["score"].tolist() == ["el2n"]
    assert found.loc[0, "across"] == "seed=0 and seed=1"
    assert found.loc[0, "spearman"] == pytest.approx(1) and found.loc[0, "overlap"] == 1


def test_logits_are_added_only_where_a_checkpoint_is_read_anyway():
    infos = make_infos((4,))
    alone = plan([EL2N], infos)
    assert with_logits(alone, infos) == alone  # the end of epoch 2, which has them
    (more,) = with_logits(plan([VOG], infos), infos)
    assert sorted(more.at) == [30, 60, 90, 120] and set(more.at.values()) == {frozenset({"logits"})}
    assert passes(plan([VOG], infos)) == passes([more]) == {"forward": 12, "backward": 12}
    assert passes(alone) == {"forward": 1, "backward": 0}


def test_the_model_doubts_labels_that_it_finds_less_likely_than_another():
    checkpoints = (Checkpoint(1, 1.0, frozenset({"epochs"}), 0.1),)
    sure = np.log([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3]]).astype(np.float32)
    runs = tuple(RunTrace(seed, checkpoints, {"logits": {1: sure}}, {}, {}) for seed in (0, 1))
    found = suspects(Trace(np.array(list("abc")), np.array([0, 0, 0]), runs))
    assert found["row"].tolist() == [1, 2] and found["predicted"].tolist() == [2, 1]
    assert found["doubt"].tolist() == pytest.approx([0.7, 0.1], abs=1e-6)


def test_without_logits_nobody_is_suspected():
    assert not len(suspects(dataclasses.replace(make_trace([FORGETTING]), out_of_fold_logits=None)))


def test_models_that_have_not_seen_an_example_doubt_it_in_the_others_place():
    trace = make_trace()
    found = suspects(trace)
    margins = softmax(trace.out_of_fold_logits)
    row = found.iloc[0]
    own = margins[int(row["row"]), trace.labels[int(row["row"])]]
    assert row["doubt"] == pytest.approx(margins[int(row["row"])].max() - own)


def test_principal_components_keep_distances_and_have_one_sign():
    vectors = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    found = representations.principal(vectors)
    assert found.shape == (20, 5)

    def apart(points):
        return np.linalg.norm(points[:, None] - points[None], axis=-1)

    np.testing.assert_allclose(apart(found), apart(vectors), atol=1e-5)
    np.testing.assert_allclose(representations.principal(-vectors), found, atol=1e-5)
    assert representations.principal(vectors, 2).shape == (20, 2)


@pytest.mark.parametrize("name", ["bert", "bart", "t5"])
def test_a_representation_is_the_mean_of_what_the_encoder_makes_of_the_tokens(name):
    model = architectures.build(name)
    lengths = np.array([3, 5], dtype=np.int32)
    ids = np.array([5, 6, 3, 7, 8, 9, 10, 3], dtype=np.int32)
    found = representations.represent(model, Tokens(ids, None, starts_of(lengths), lengths, 0))
    encoder = model.bert if name == "bert" else model.get_encoder()
    with torch.no_grad():
        for row, text in enumerate(([5, 6, 3], [7, 8, 9, 10, 3])):
            hidden = encoder(input_ids=torch.tensor([text])).last_hidden_state[0]
            np.testing.assert_allclose(found[row], hidden.mean(0), rtol=1e-4, atol=1e-6)
