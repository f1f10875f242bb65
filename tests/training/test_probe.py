"""proxy=probe: a head on a frozen encoder is trained, scored and pruned by like a model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import softmax

from influence import pipeline
from influence.config.steps import MainStep, ScoreStep, SearchStep, TrainStep
from influence.errors import InputError
from influence.evaluation import costs
from influence.jobs import engine as cluster
from influence.models import classifier
from influence.models.fitting import probe
from influence.models.inputs import encode
from influence.scoring.result import Scores
from influence.searching.step import keeping
from influence.trace.trace import EARLY
from influence.training import step as training_step
from influence.training.result import Training
from tests.helpers import architectures, steps, tiny
from tests.helpers.steps import HERE, perform
from tests.helpers.tables import load

EPOCHS = 3
NAMED = ("vog@2-3", "el2n@1", "pvi@3", "value@odd")  # beside all
LEFT_OUT = {"trail_entropy"}  # of all scores: the texts have no slots


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> dict:
    """A dataset, a small encoder that passes for a pretrained one, and a probe of it."""
    root, frames = tmp_path_factory.mktemp("probe"), tiny.frames()
    tokens = architectures.tokens_of(frames["train"]["text"].tolist())
    own = {"model": str(architectures.save(root / "encoder", tokens)), "proxy": "probe"}
    own |= {"epochs": EPOCHS, "max_length": 16, "batch_size": 16}
    return own | HERE | {"dataset": str(tiny.write(root / "talk", frames)), "label_noise": 0.1}


def trained(given: dict, workdir: Path, **more) -> Training:
    config = TrainStep(**given | {"workdir": str(workdir)} | more)
    return Training(perform(steps.train, config))


def scored(training: Training, workdir: Path, **more) -> Scores:
    config = ScoreStep(training=str(training.directory), workdir=str(workdir), **HERE, **more)
    return Scores(perform(steps.score, config, training))


@pytest.fixture(scope="module")
def training(given, tmp_path_factory) -> Training:
    return trained(given, tmp_path_factory.mktemp("work"), runs=2, folds=2)


@pytest.fixture(scope="module")
def scores(training, tmp_path_factory) -> Scores:
    names = ",".join(("all", *NAMED))
    workdir = tmp_path_factory.mktemp("scored")
    return scored(training, workdir, score=names, representations=True)


def test_it_gives_every_score_of_a_training_with_weights(training, scores):
    from influence.scores import REGISTRY

    assert set(scores.names) == {*REGISTRY, *NAMED, "aum@early"} - LEFT_OUT
    assert np.isfinite(scores.table.drop(columns=["id", "label"]).to_numpy()).all()
    assert not training.has_weights and training.is_probe
    assert 0 < scores.self_check_error < 1e-5
    assert scores.cost["forward"] == scores.cost["backward"] == 0 and scores.cost["seconds"] > 0


def test_what_it_will_hold_is_known_before(given, training):
    config = TrainStep(**given | {"runs": 2, "folds": 2})
    expected = training_step.expected(config, load(given["dataset"], label_noise=0.1))
    assert [_without_early(run) for run in expected] == [_without_early(r) for r in training.runs]


def _without_early(run):
    """A run without the marks that only its losses tell."""
    checkpoints = (replace(c, series=c.series - {EARLY}) for c in run.checkpoints)
    return replace(run, checkpoints=tuple(checkpoints))


def test_scores_are_those_of_the_heads_by_hand(training, scores):
    vectors = probe.standardised(training.vectors("train"))
    labels = np.array(training.data.array("train", "label"))
    ends = [checkpoint.step for checkpoint in training.runs[0].checkpoints]
    rows = np.arange(len(labels))

    def logits(step: int, run: int = 0) -> np.ndarray:
        return probe.predict(probe.opened(training.heads([step], run)[step]), vectors)

    def el2n(step: int) -> np.ndarray:
        errors = [softmax(logits(step, run), axis=1) - np.eye(3)[labels] for run in (0, 1)]
        return np.linalg.norm(errors, axis=2).mean(0)

    np.testing.assert_allclose(scores.values("el2n"), el2n(ends[1]), rtol=1e-4)
    np.testing.assert_allclose(scores.values("el2n@1"), el2n(ends[0]), rtol=1e-4)
    own = np.stack([softmax(logits(step), axis=1)[rows, labels] for step in ends])
    np.testing.assert_allclose(scores.values("confidence"), own.mean(0), rtol=1e-4)
    prior = np.bincount(labels) / len(labels)
    both = [softmax(logits(ends[2], run), axis=1)[rows, labels] for run in (0, 1)]
    pvi = np.mean([np.log2(one) - np.log2(prior[labels]) for one in both], axis=0)
    np.testing.assert_allclose(scores.values("pvi@3"), pvi, atol=1e-4)
    gradients = []
    for step in ends[1:]:
        given = vectors[:].requires_grad_(True)
        chosen = probe.opened(training.heads([step])[step])(given).logits[rows, labels]
        gradients.append(torch.autograd.grad(chosen.sum(), given)[0].numpy())
    np.testing.assert_allclose(
        scores.values("vog@2-3"), np.var(gradients, axis=0).mean(1), rtol=1e-4
    )


def test_forgetting_observes_every_epoch(training, scores):
    seen = np.stack([training.observations(run) for run in (0, 1)])
    assert seen.shape == (2, EPOCHS, 121)
    events = (seen[:, :-1] & ~seen[:, 1:]).sum(1)
    counts = np.where(seen.any(1), events, EPOCHS).mean(0)
    np.testing.assert_array_equal(scores.values("forgetting"), counts)


def test_out_of_fold_predictions_are_of_heads_that_have_not_seen_the_example(given, training):
    from influence.models.fit import folds

    labels = training.data.array("train", "label")
    vectors, place = probe.standardised(training.vectors("train")), folds(labels, 2, 0)
    found = training.out_of_fold_logits
    for fold in (0, 1):
        rows = np.flatnonzero(place != fold)
        *_, (_, head) = probe.train(vectors, labels, rows, 3, EPOCHS, 0)
        unseen = np.flatnonzero(place == fold)
        np.testing.assert_allclose(found[unseen], probe.predict(head, vectors, unseen), rtol=1e-5)
    assert training.folds["count"] == 2 and training.folds["epochs"] == EPOCHS


def test_its_vectors_are_those_of_the_encoder_that_nothing_was_trained_of(given, training, scores):
    model = classifier.build(
        training.config, training.tokenizer, training.label_names, 7, head=False
    )
    rows = training.data.read("train", ["text"])
    for row in (0, 60):
        tokens = encode(training.tokenizer, rows.iloc[[row]], training.config)
        ids = torch.tensor(tokens.ids[None].astype(np.int64))
        with torch.inference_mode():
            hidden = model.base_model(input_ids=ids).last_hidden_state[0]
        right = torch.cat([hidden.mean(0), hidden[0], hidden.max(0).values]).numpy()
        np.testing.assert_allclose(training.vectors("train")[row], right, atol=1e-5)
        mean = right[: len(right) // 3]
        kept = np.asarray(scores.representations.vectors[row], dtype=np.float32)
        np.testing.assert_allclose(kept, mean / np.linalg.norm(mean), atol=1e-3)
    assert scores.map is not None and len(scores.map) == 121


def test_it_is_validated_and_the_same_every_time(given, training, tmp_path):
    assert training.recall is not None and training.recall.shape == (3,)
    assert training.history["validation/accuracy"].notna().all()
    again = trained(given, tmp_path, runs=2, folds=2)
    assert again.fingerprint == training.fingerprint
    for run in (0, 1):
        for step, weights in training.heads(
            [c.step for c in training.runs[0].checkpoints], run
        ).items():
            for name, values in again.heads([step], run)[step].items():
                np.testing.assert_array_equal(values, weights[name])
    np.testing.assert_array_equal(again.out_of_fold_logits, training.out_of_fold_logits)


def test_pieces_of_the_train_set_score_as_the_whole(training, scores, tmp_path):
    small = scored(training, tmp_path, score="vog,value_class,grand,aum", shard_size=40)
    for name in small.names:
        np.testing.assert_allclose(small.values(name), scores.values(name), rtol=1e-4, atol=1e-8)


def test_a_comparison_prunes_by_it_and_retrains_the_model(given, tmp_path):
    arms = "aum:ccs,vog:linear:dataset,el2n:d2,dedup,drop"
    own = {"arms": arms, "fractions": "0.4", "seeds": 2, "draws": 1, "workdir": str(tmp_path)}
    compared = pipeline.compare(MainStep(**given | own))
    assert set(compared.samples) == {"random", *arms.split(",")}
    assert compared.scores.representations is not None and compared.training.is_probe
    for curve in compared.curves.values():
        table = curve.summary
        assert np.isfinite(table["mean"]).all() and (table["seeds"] == 2).all()
    steps = pd.concat([curve.points for curve in compared.curves.values()])["steps"]
    assert steps.max() == EPOCHS * 8  # of the model, in batches of its own


def test_a_search_keeps_what_its_rules_read(given):
    config = SearchStep(**given)
    assert keeping(config, load(given["dataset"])).representations


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"model": "tiny"}, "proxy=probe reads a pretrained encoder, but model=tiny is trained fr"),
        ({"import_from": "somewhere"}, "but import_from=somewhere takes a training made elsewhere"),
        ({"stack": True, "task": "nlu"}, "last checkpoint, but proxy=probe leaves none"),
    ],
)
def test_what_a_probe_cannot_be_of_is_refused(given, tmp_path, more, said):
    changed = given | {"label_noise": 0.0, "workdir": str(tmp_path)} | more
    with pytest.raises(InputError, match=said):
        perform(steps.train, TrainStep(**changed))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"score": "el2n", "split": "test"},
            "split=test needs checkpoints, but the probe has none",
        ),
        ({"score": "el2n@9"}, "reads the end of epoch 9, but this training run ends after epoch 3"),
        ({"score": "self_confidence"}, "train again with folds=5"),
        ({"score": "pvi"}, "needs a null model; train again with null_model=true"),
    ],
)
def test_what_a_probe_cannot_give_is_refused(given, tmp_path_factory, tmp_path, more, said):
    bare = trained(given, tmp_path, null_model=False)
    with pytest.raises(InputError, match=said):
        scored(bare, tmp_path, **more)


def test_parameters_without_effect_are_named(given, tmp_path, capsys):
    trained(given, tmp_path, observe_every=7, checkpoints=3)
    said = "checkpoints=3, observe_every=7 has no effect: a probe is kept and observed after every"
    assert said in capsys.readouterr().err


def test_its_cost_is_that_of_a_head(training, scores):
    rows = costs.scoring(scores.cost)
    assert rows["what"].tolist()[:2] == [f"head on the frozen encoder, seed {n}" for n in (0, 1)]
    assert rows["passes"][0] == "3 epochs of the head, after 1 forward for all seeds"
    assert rows["seconds"][0] >= training.costs[0]["seconds"] > 0


def test_scores_are_asked_for_before_the_encoder_runs(given, tmp_path):
    config = TrainStep(**given | {"workdir": str(tmp_path)})
    with cluster.engine(config) as engine, pytest.raises(InputError, match="epochs=9"):
        steps.finish(steps.train(config, engine, "el2n@9"))
