"""Values: from the gradients of half of validation to one number per example."""

import dataclasses
import os

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from influence.config.steps import ScoreStep, TrainStep
from influence.data.splits import reserved
from influence.errors import InputError
from influence.jobs import engine as cluster
from influence.models import classifier
from influence.models.inputs import open_inputs
from influence.models.layers import parameter_group
from influence.models.tokens import collate
from influence.scoring import shards
from influence.scoring.result import Scores
from influence.trace import directions
from influence.training.result import Training
from tests.helpers import steps, tiny
from tests.helpers.steps import finish


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    at = tmp_path_factory.mktemp("value")
    directory = tiny.write(at / "talk", tiny.frames())
    config = TrainStep(dataset=str(directory), workdir=str(at / "work"), **steps.HERE, **tiny.FAST)
    with cluster.engine(config) as engine:
        return Training(finish(steps.train(config, engine)))


def asked(trained, tmp_path, **more) -> ScoreStep:
    given = {"score": "value,value_class", "shard_size": 40, "workdir": str(tmp_path / "work")}
    return ScoreStep(training=str(trained.directory), **steps.HERE | given | more)


def scored(trained, tmp_path, **more) -> Scores:
    return Scores(steps.perform(steps.score, asked(trained, tmp_path, **more), trained))


def gradient(model, names, tokens, labels, row):
    model.zero_grad()
    logits = model(**collate(tokens, np.array([row]))).logits
    cross_entropy(logits, torch.tensor(labels[[row]])).backward()
    named = dict(model.named_parameters())
    return torch.cat([named[name].grad.flatten().double() for name in names])


@pytest.mark.parametrize("layers", ["last_layer", "all", "classifier"])
def test_values_are_those_of_their_definition(trained, tmp_path, layers):
    found = scored(trained, tmp_path, tracin_layers=layers)
    right = {"value": np.zeros(4), "value_class": np.zeros(4)}
    tokens, labels = open_inputs(trained.directory, "train", trained.config)
    others, gold = open_inputs(trained.directory, "validation", trained.config)
    half = reserved(trained.data.read("validation", ["id", "label"]))
    for checkpoint in trained.runs[0].checkpoints:
        if "spread" not in checkpoint.series:
            continue
        model = classifier.open_checkpoint(trained.checkpoint(checkpoint.step))
        names = parameter_group(model, layers)
        used = [name for name in names if "pooler" not in name or "all" in layers]
        each = {row: gradient(model, used, others, gold, row) for row in half}
        mean = torch.stack([*each.values()]).mean(0)
        for row in range(4):
            own = gradient(model, used, tokens, labels, row)
            alike = [each[other] for other in half if gold[other] == labels[row]]
            rate = checkpoint.learning_rate
            right["value"][row] += rate * (own @ mean).item()
            right["value_class"][row] += rate * (own @ torch.stack(alike).mean(0)).item()
    for name, values in right.items():
        np.testing.assert_allclose(found.values(name)[:4], values, rtol=1e-5)
    assert found.self_check_error < 1e-4


def test_half_of_each_class_is_reserved_whatever_the_order():
    rows = pd.DataFrame({"id": [f"{n:02}" for n in range(12)], "label": [0] * 5 + [1] * 6 + [2]})
    assert reserved(rows).tolist() == [0, 1, 2, 5, 6, 7, 11]
    shuffled = rows.sample(frac=1, random_state=0).reset_index(drop=True)
    assert set(shuffled["id"][reserved(shuffled)]) == set(rows["id"][reserved(rows)])


def test_neither_the_rest_of_validation_nor_test_is_looked_at(trained, tmp_path, monkeypatch):
    looked: list = []
    write = directions.write_mean_gradients

    def noted(folder, model, which, examples, *more):
        looked.append(examples)
        write(folder, model, which, examples, *more)

    monkeypatch.setattr(directions, "write_mean_gradients", noted)
    scored(trained, tmp_path)
    tokens, labels = open_inputs(trained.directory, "validation", trained.config)
    half = reserved(trained.data.read("validation", ["id", "label"]))
    assert 15 <= len(half) <= 16 and len(looked) == 4  # checkpoints
    for some, gold in looked:
        assert np.array_equal(gold, labels[half])
        assert np.array_equal(some.starts, tokens.starts[half])


def test_shards_workers_and_other_scores_change_nothing(trained, tmp_path):
    alone = scored(trained, tmp_path / "a", score="value")
    many = {"score": "value,value_class,vog,tracin", "shard_size": 17, "workers": 2}
    beside = scored(trained, tmp_path / "b", **many)
    np.testing.assert_allclose(beside.values("value"), alone.values("value"), rtol=1e-4, atol=1e-7)
    assert np.array_equal(
        beside.values("value_class"),
        scored(trained, tmp_path / "c", **many | {"workers": 1}).values("value_class"),
    )


def test_mean_gradients_that_were_cut_off_are_computed_once(trained, tmp_path, monkeypatch):
    whole = scored(trained, tmp_path / "other")
    written, write = [], directions.write_mean_gradients

    def until_the_third(folder, *more):
        if len(written) == 2:
            written.append("killed")
            raise Killed
        written.append(folder.name)
        write(folder, *more)

    monkeypatch.setattr(directions, "write_mean_gradients", until_the_third)
    config = asked(trained, tmp_path)
    with cluster.engine(config) as engine:
        with pytest.raises(Killed):
            finish(steps.score(config, trained, engine))
        (torn,) = (tmp_path / "work").glob(f"score-*/unfinished/gradients/{written[1]}/mean*")
        torn.write_bytes(torn.read_bytes()[:-1])  # as when a machine goes down
        again = Scores(finish(steps.score(config, trained, engine)))
    first, second = written[:2]
    assert written == [first, second, "killed", second, *written[4:]]
    assert len(written) == 6 and len(set(written)) == 5
    for name in ("value", "value_class"):
        assert np.array_equal(again.values(name), whole.values(name))
    assert not list(again.directory.glob("**/gradients"))


def test_checkpoints_that_do_not_fit_with_their_gradients_are_read_one_by_one(
    trained, tmp_path, monkeypatch, capsys
):
    whole = scored(trained, tmp_path / "other")
    assert "more than half of the memory" not in capsys.readouterr().err
    monkeypatch.setattr(shards, "free_memory", lambda device: 2**16)
    streamed = scored(trained, tmp_path)
    assert "more than half of the memory that is free" in capsys.readouterr().err
    for name in ("value", "value_class"):
        assert np.array_equal(streamed.values(name), whole.values(name))


def test_gradients_stay_in_fp32_where_the_pass_is_in_bf16(trained, tmp_path, monkeypatch):
    seen = []
    opened = directions.open_directions

    def noted(*given):
        found = opened(*given)
        seen.extend(found.values())
        return found

    monkeypatch.setattr(directions, "open_directions", noted)
    fast = scored(trained, tmp_path, score_precision="bf16")
    assert {values.dtype for one in seen for values in one.gradients[0].values()} == {torch.float32}
    exact = scored(trained, tmp_path / "exact")
    assert {"validation_products", "class_products"} <= set(fast.as_fp32)
    close = np.corrcoef(fast.values("value"), exact.values("value"))[0, 1]
    assert close > 0.95 and not np.array_equal(fast.values("value"), exact.values("value"))


@pytest.mark.parametrize("split", ["validation", "test"])
def test_other_splits_have_values_too(trained, tmp_path, split):
    found = scored(trained, tmp_path, split=split)
    assert len(found.values("value")) == tiny.SIZES[split]
    assert np.isfinite(found.values("value_class")).all()


def test_a_class_without_validation_examples_is_said_before_any_training(tmp_path, monkeypatch):
    frames = tiny.frames()
    frames["validation"] = frames["validation"].query("label != 'timer'")
    directory = tiny.write(tmp_path / "talk", frames)
    where = {"dataset": str(directory), "workdir": str(tmp_path / "work")}
    config = TrainStep(**where, **steps.HERE, **tiny.FAST)
    with cluster.engine(config) as engine:
        with pytest.raises(InputError, match="'value_class'.* has none of timer; ask for value"):
            finish(steps.train(config, engine, "value_class"))
        assert not (tmp_path / "work").exists()
        own = Training(finish(steps.train(config, engine, "value")))
        assert own.runs[0].validation["timer"] == 0 < own.runs[0].validation["music"]
        again = asked(own, tmp_path, score="value_class")
        with pytest.raises(InputError, match="none of timer"):
            finish(steps.score(again, own, engine))
        found = Scores(finish(steps.score(asked(own, tmp_path, score="all"), own, engine)))
    assert "value" in found.names and "value_class" not in found.names


def test_an_empty_validation_split_is_said(trained):
    from influence.scoring.plan import plan
    from influence.scoring.spec import parse_spec

    none = dataclasses.replace(trained.runs[0], validation={"music": 0, "timer": 0})
    with pytest.raises(InputError, match="score 'value@1' .* the validation split has none; name"):
        plan([parse_spec("value@1")], (none,))
    assert plan([parse_spec("tracin")], (none,))


def test_values_take_seconds_of_their_own(trained, tmp_path):
    found = scored(trained, tmp_path)
    assert found.cost["seconds"] > 0 and found.cost["backward"] == 4
    assert os.path.getsize(found.directory / "value.npy") > 0
