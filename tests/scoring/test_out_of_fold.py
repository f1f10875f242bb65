"""Models that have not seen an example: folds, what they say, and confident learning on it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cleanlab.rank import get_label_quality_scores

from influence.config.steps import ScoreStep, TrainStep
from influence.data import storage
from influence.errors import InputError
from influence.jobs import engine as cluster
from influence.models import classifier, fit, tokenizers
from influence.models.inputs import encode
from influence.runtime import store
from influence.scoring import label_errors
from influence.scoring.label_errors import softmax
from influence.training.result import Training
from tests.helpers import loops, steps, tiny
from tests.helpers.steps import HERE, finish, perform

PARAMETERS = {**tiny.FAST, "folds": 3, "label_noise": 0.2, "null_model": False, "observe_every": 0}


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> TrainStep:
    root = tmp_path_factory.mktemp("folds")
    dataset = str(tiny.write(root / "talk", tiny.frames()))
    return TrainStep(dataset=dataset, workdir=str(root / "work"), **HERE, **PARAMETERS)


@pytest.fixture(scope="module")
def trained(config) -> Path:
    return perform(steps.train, config)


@pytest.fixture(scope="module")
def scored(config, trained) -> Path:
    asked = ScoreStep(
        training=str(trained), score="self_confidence,el2n", workdir=config.workdir, **HERE
    )
    return perform(steps.score, asked, Training(trained))


def test_folds_divide_the_examples_and_each_class_evenly():
    labels = np.random.default_rng(0).integers(0, 4, 103)
    found = fit.folds(labels, 5, 0)
    assert set(np.bincount(found)) <= {20, 21}
    for label in range(4):
        sizes = np.bincount(found[labels == label], minlength=5)
        assert sizes.max() - sizes.min() <= 1
    assert not np.array_equal(found, fit.folds(labels, 5, 1))
    assert np.array_equal(found, fit.folds(labels, 5, 0))


def test_held_out_logits_are_those_of_a_model_trained_on_the_other_folds(config, trained):
    read = storage.open_saved(trained / "data").dataset()
    tokenizer = tokenizers.open_tokenizer(trained / "tokenizer")
    tokens, labels = encode(tokenizer, read.train, config), read.train["label"].to_numpy()
    place = fit.folds(labels, 3, config.seed)
    others, own = np.flatnonzero(place != 1), np.flatnonzero(place == 1)
    model = classifier.build(config, tokenizer, read.label_names, config.seed)
    steps_taken = config.epochs * fit.steps_per_epoch(len(others), config.batch_size)
    part = (tokens.take(others), labels[others])
    list(loops.train(model, *part, config, config.seed, (steps_taken,)))
    found = np.load(trained / "out_of_fold.npy")
    assert np.allclose(found[own], classifier.predict(model, tokens.take(own)), atol=1e-5)
    assert not (trained / "folds").exists()
    assert store.read_manifest(trained, "train")["folds"]["count"] == 3


def test_labels_are_ranked_as_cleanlab_ranks_them(trained, scored):
    table = pd.read_parquet(scored / "scores.parquet")
    probabilities = softmax(np.load(trained / "out_of_fold.npy"))
    theirs = get_label_quality_scores(table["label"].to_numpy(), probabilities)
    assert np.allclose(table["self_confidence"], theirs, atol=1e-6)


def test_what_cleanlab_takes_for_wrong_is_counted_beside_what_is(trained, scored):
    kept = json.loads((scored / "label_issues.json").read_text())
    train = storage.open_saved(scored / "data").dataset().train
    wrong = set(train["id"][train["mislabeled"]])
    found = set(kept["ids"])
    labels = train["label"].to_numpy()
    issues = label_errors.issues(labels, softmax(np.load(trained / "out_of_fold.npy")))
    assert found == set(train["id"][issues]) and kept["found"] == len(found)
    assert kept["precision"] == pytest.approx(len(found & wrong) / max(len(found), 1))
    assert kept["recall"] == pytest.approx(len(found & wrong) / len(wrong))


def test_without_cleanlab_nothing_is_missing_but_its_own_file(
    config, trained, tmp_path, monkeypatch
):
    monkeypatch.setattr(label_errors, "version", lambda: "")
    asked = ScoreStep(training=str(trained), score="self_confidence", workdir=str(tmp_path), **HERE)
    made = perform(steps.score, asked, Training(trained))
    assert not (made / "label_issues.json").exists()
    assert "self_confidence" in pd.read_parquet(made / "scores.parquet")


def test_a_training_without_folds_says_how_to_get_them(config, tmp_path):
    plain = TrainStep(**{**config.parameters(), "folds": 0, "workdir": str(tmp_path)})
    with (
        cluster.engine(plain) as engine,
        pytest.raises(InputError, match="has none; train again with folds=5"),
    ):
        finish(steps.train(plain, engine, "self_confidence"))


def test_one_fold_is_refused(config, tmp_path):
    alone = TrainStep(**{**config.parameters(), "folds": 1, "workdir": str(tmp_path)})
    with (
        cluster.engine(alone) as engine,
        pytest.raises(InputError, match="folds=1 gives no out-of-fold predictions"),
    ):
        finish(steps.train(alone, engine))


def test_more_folds_than_examples_are_refused_before_any_work(config, tmp_path):
    many = TrainStep(**{**config.parameters(), "folds": 122, "workdir": str(tmp_path)})
    with (
        cluster.engine(many) as engine,
        pytest.raises(InputError, match="folds=122 is more than the 121 train examples; give at "),
    ):
        finish(steps.train(many, engine))
    assert not list(tmp_path.glob("train-*"))
