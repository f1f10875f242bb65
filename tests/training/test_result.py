"""A finished training is opened as a record, and its checkpoints by transformers alone."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from transformers import pipeline

from influence.config.steps import TrainStep
from influence.errors import InputError
from influence.jobs import engine as cluster
from influence.models import classifier
from influence.models.inputs import encode
from influence.training import result
from influence.training.history import by_heart
from influence.training.result import Training
from tests.helpers import steps, tiny

HERE = {"workers": 1, "threads": 1, "track": False}


def trained(at: Path, frames: dict, **more) -> Training:
    """Train on these splits."""
    given = tiny.FAST | {"dataset": str(tiny.write(at / "talk", frames))} | more
    config = TrainStep(**given, workdir=str(at / "work"), **HERE)
    with cluster.engine(config) as engine:
        work = steps.train(config, engine)
        while True:
            try:
                next(work)
            except StopIteration as end:
                return Training(end.value)


@pytest.fixture(scope="module")
def training(tmp_path_factory) -> Training:
    return trained(tmp_path_factory.mktemp("trained"), tiny.frames(), runs=2, folds=2)


def test_a_record_knows_what_was_trained(training):
    assert training.config.epochs == 2 and training.fit.model == "tiny"
    assert training.label_names == ("music", "timer", "weather")
    assert [run.seed for run in training.runs] == [0, 1] and training.has_weights
    assert [c.step for c in training.runs[0].checkpoints] == [4, 8, 12, 16]
    assert training.recall is not None and training.recall.shape == (3,)
    assert training.data.count("train") == 121 and training.stack is None


def test_its_files_are_read_by_name(training):
    seen = training.observations()
    assert seen.shape == (4, 121) and seen.dtype == bool
    null = training.null_logits(1)
    assert sorted(null) == [8, 16] and null[8].shape == (3,)
    assert training.out_of_fold_logits is not None
    assert training.out_of_fold_logits.shape == (121, 3)
    assert training.folds["count"] == 2 and not training.given_scores


def test_a_checkpoint_knows_whether_the_model_had_learned_by_heart(training, monkeypatch):
    for last in (1.0, 1.5, float("inf")):
        monkeypatch.setattr(result, "by_heart", lambda _history, last=last: last)
        for run in Training(training.directory).runs:
            assert all((c.epoch <= last) == ("early" in c.series) for c in run.checkpoints)


@pytest.mark.parametrize(
    ("losses", "epoch"),
    [
        ([3, 2, 1, 1.3, 3], 3),
        ([3, 2, 1, 1.3, 1.19, 2], 5),
        ([3, 2, 1, 1.1, 1.2], None),
        ([1, 2], 1),
        ([None, 2, 3], 2),
        ([None] * 2, None),
    ],
)
def test_a_model_learns_by_heart_once_its_loss_is_a_fifth_above_the_least(losses, epoch):
    rows = [
        {"run": run, "step": 10 * n, "epoch": float(n), "validation/loss": loss}
        for run, of in ((0, losses), (1, losses[::-1]))
        for n, loss in enumerate(of, 1)
    ]
    assert by_heart(pd.DataFrame(rows)) == (epoch or float("inf"))
    assert by_heart(pd.DataFrame(rows).drop(columns="validation/loss")) == float("inf")
    assert by_heart(pd.DataFrame()) == float("inf")


def test_the_loss_curve_is_a_table(training):
    own = training.history[training.history["run"] == 0].set_index("step")
    assert own.index.tolist() == [4, 8, 12, 16] and own["train/loss"].notna().all()
    assert own.loc[[8, 16], "validation/accuracy"].between(0, 1).all()
    assert own.loc[[8, 16], "epoch"].tolist() == [1, 2]


def test_one_line_and_a_small_table_show_it(training):
    name = training.directory.name
    line = f"Training('…/{name}', tiny, 121 examples, 4 checkpoints, 2 runs)"
    assert repr(training) == line
    shown = training._repr_html_()
    assert "validation accuracy" in shown and "<table" in shown and "&#x27;" in shown
    last = training.history["validation/accuracy"].dropna().iloc[-1]
    assert f"{last:.4f}" in shown


def test_it_travels_as_its_directory(training):
    _ = training.tokenizer, training.history
    sent = pickle.dumps(training)
    assert len(sent) < 500 and pickle.loads(sent) == training


def test_another_step_is_no_training(training, tmp_path):
    with pytest.raises(InputError, match=r"holds no finished train step"):
        Training(tmp_path)


def test_transformers_opens_a_checkpoint_with_its_tokenizer(training):
    texts = training.data.read("test").head(5)
    model = classifier.open_checkpoint(training.last_checkpoint)
    tokens = encode(training.tokenizer, texts, training.config)
    right = classifier.predict(model, tokens).argmax(1)
    opened = pipeline("text-classification", model=str(training.last_checkpoint), device="cpu")
    labels = [found["label"] for found in opened(texts["text"].tolist())]
    assert labels == [training.label_names[number] for number in right]


def test_transformers_opens_a_checkpoint_of_pairs(tmp_path):
    pairs = {split: tiny.as_pairs(rows) for split, rows in tiny.frames().items()}
    training = trained(tmp_path, pairs)
    rows = training.data.read("test").head(4)
    model = classifier.open_checkpoint(training.last_checkpoint)
    logits = classifier.predict(model, encode(training.tokenizer, rows, training.config))
    opened = pipeline("text-classification", model=str(training.last_checkpoint), device="cpu")
    given = rows[["text", "text_pair"]].to_dict(orient="records")
    cut = {"truncation": True, "max_length": training.config.max_length}
    found = [opened(row, top_k=None, **cut) for row in given]
    for row, scores in zip(logits, found, strict=True):
        by_name = {one["label"]: one["score"] for one in scores}
        odds = np.exp(row - row.max())
        right = dict(zip(training.label_names, odds / odds.sum(), strict=True))
        assert by_name == pytest.approx(right, abs=1e-5)


def test_the_tokenizer_beside_the_weights_takes_no_room(training):
    (own, *more) = sorted((training.directory / "tokenizer").iterdir())
    for file in (own, *more):
        assert (training.last_checkpoint / file.name).samefile(file)


def test_a_training_without_tokenizers_beside_the_weights_stays_readable(training, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(training.directory, old)
    manifest = json.loads((old / "manifest.json").read_text())
    for file in old.glob("runs/*/step-*/*token*"):
        file.unlink()
        del manifest["files"][str(file.relative_to(old))]
    (old / "manifest.json").write_text(json.dumps(manifest))
    opened = Training(old)
    opened.verify()
    assert opened.tokenizer.get_vocab() == training.tokenizer.get_vocab()
    assert len(list(opened.last_checkpoint.iterdir())) == 2
