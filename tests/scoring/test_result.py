"""Finished scores are opened as a record: a table, and what was found beside it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from influence.config.steps import SampleStep, ScoreStep, TrainStep
from influence.errors import InputError
from influence.jobs import engine as cluster
from influence.jobs.engine import Engine
from influence.models import classifier
from influence.models.inputs import encode
from influence.sampling.result import Sample
from influence.scoring import label_errors, stability
from influence.scoring.result import Scores, open_scores
from influence.trace.representations import represent
from influence.training.result import Training
from tests.helpers import steps, tiny

HERE = {"workers": 1, "threads": 1, "track": False}


def finish(work) -> Path:
    """Return the directory of a finished step."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def scored(training: Training, engine: Engine, **more) -> Scores:
    config = ScoreStep(workdir=str(training.directory.parent), **HERE, **more)
    return Scores(finish(steps.score(config, training, engine)))


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    at = tmp_path_factory.mktemp("scored")
    given = tiny.FAST | {"dataset": str(tiny.write(at / "talk", tiny.frames()))}
    config = TrainStep(**given, folds=2, label_noise=0.2, workdir=str(at / "work"), **HERE)
    with cluster.engine(config) as engine:
        yield Training(finish(steps.train(config, engine))), engine


@pytest.fixture(scope="module")
def scores(work) -> Scores:
    training, engine = work
    return scored(training, engine, score="vog,el2n,confidence", examples=4)


def test_the_table_and_each_column_hold_the_same(scores):
    assert scores.names == ["vog", "el2n", "confidence"]
    assert scores.table.columns.tolist() == ["id", "label", *scores.names]
    assert scores.table["label"].tolist() == scores.labels.tolist()
    for name in scores.names:
        assert np.array_equal(scores.values(name), scores.table[name])
    assert np.array_equal(scores.hardness("vog"), scores.values("vog"))
    assert np.array_equal(scores.hardness("confidence"), -scores.values("confidence"))


def test_what_was_found_beside_the_scores_is_read_by_name(scores):
    assert scores.correlations.columns.tolist() == scores.names
    assert np.diag(scores.correlations) == pytest.approx(1)
    assert scores.stability.columns.tolist() == stability.COLUMNS and len(scores.stability)
    ends = scores.examples.groupby(["score", "end"]).size().to_dict()
    assert ends["vog", "hardest"] == ends["el2n", "easiest"] == 4
    assert scores.map is not None and {"id", "row", "component_0"} <= set(scores.map)
    assert scores.doubts_out_of_fold and scores.precision == "fp32" and scores.as_fp32 == {}
    assert scores.self_check_error < 1e-4
    assert scores.cost["forward"] and scores.cost["folds"]["count"] == 2


def test_known_label_errors_are_read_with_what_detects_them(scores):
    wrong = scores.mislabeled
    assert wrong is not None and wrong.sum() == scores.data.read("train")["mislabeled"].sum()
    assert scores.label_errors is not None
    (row,) = scores.label_errors[scores.label_errors["score"] == "el2n"].to_dict("records")
    right = label_errors.detection(scores.hardness("el2n"), wrong)
    assert {name: row[name] for name in right} == pytest.approx(right)


def test_what_cleanlab_takes_for_wrong_is_counted(scores):
    pytest.importorskip("cleanlab")
    assert scores.label_issues is not None
    assert len(scores.label_issues["ids"]) == scores.label_issues["found"]


def test_one_line_and_two_tables_show_it(scores):
    line = f"Scores('…/{scores.directory.name}', 3 scores of 121 examples)"
    assert repr(scores) == line
    shown = scores._repr_html_()
    assert shown.count("<table") == 2
    hardest = scores.table.loc[scores.hardness("vog").argmax(), "id"]
    text = scores.data.read("train").set_index("id").loc[hardest, "text"]
    assert str(text) in shown


def test_only_the_train_set_is_opened_to_be_pruned(work, scores):
    training, engine = work
    assert open_scores(scores.directory) == scores
    other = scored(training, engine, score="el2n", split="test")
    assert repr(other).endswith("1 score of 36 examples, split test)")
    assert other.label_issues is None and not other.doubts_out_of_fold
    assert isinstance(other.table, pd.DataFrame) and len(other.table) == 36
    with pytest.raises(InputError, match="of the test split, but only train is pruned"):
        open_scores(other.directory)


def test_the_vector_of_every_example_is_kept_where_asked(work, scores, tmp_path):
    training, engine = work
    kept = scored(training, engine, score="el2n,dual,confidence", representations=True)
    known = kept.representations
    assert known is not None and known.vectors.dtype == np.float16
    assert np.array_equal(known.labels, kept.labels)
    tokens = encode(training.tokenizer, training.data.read("train"), training.config)
    right = represent(classifier.open_checkpoint(training.last_checkpoint), tokens)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    np.testing.assert_allclose(known.vectors, right, atol=1e-3)
    for arm in ("el2n:d2", "dedup", "dual:adaptive"):
        config = SampleStep(arm=arm, fractions="0.3,0.6", draws=1, workdir=str(tmp_path))
        made = Sample(finish(steps.sample(config, kept)))
        assert set(made.kept(0.6)) < set(made.kept(0.3)) and len(made.kept(0.6)) == 48


def test_an_arm_that_compares_examples_says_what_scores_lack(scores, tmp_path):
    assert scores.representations is None
    with pytest.raises(InputError, match="'dedup' needs the representation.*representations=true"):
        finish(steps.sample(SampleStep(arm="dedup", workdir=str(tmp_path)), scores))
    with pytest.raises(InputError, match="'dual:adaptive' needs the score 'dual', which"):
        finish(steps.sample(SampleStep(arm="dual:adaptive", workdir=str(tmp_path)), scores))
