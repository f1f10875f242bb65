"""A pass that was cut off goes on from the shards that it finished."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from influence.config.steps import ScoreStep, TrainStep
from influence.jobs import engine as cluster
from influence.runtime import devices
from influence.scoring import shards
from influence.training.result import Training
from tests.helpers import steps, tiny
from tests.helpers.steps import finish


class Killed(Exception):
    pass


@pytest.fixture
def work(tmp_path):
    directory = tiny.write(tmp_path / "talk", tiny.frames())
    here = {"workdir": str(tmp_path / "work"), "workers": 1, "threads": 1, "track": False}
    train = TrainStep(dataset=str(directory), **here, **tiny.FAST)
    score = ScoreStep(training="from train", score="vog,el2n", shard_size=40, **here)
    with cluster.engine(train) as engine:
        yield score, Training(finish(steps.train(train, engine))), engine


def test_a_pass_that_was_cut_off_goes_on_from_its_last_shard(work, monkeypatch, tmp_path):
    config, training, engine = work
    whole = finish(
        steps.score(
            config.__class__(**{**config.parameters(), "workdir": str(tmp_path / "other")}),
            training,
            engine,
        )
    )
    measured, measure = [], shards.Meter.measure

    def until_the_third(self, tokens, labels, rows, *more):
        if len(rows) == 40 and rows[0] == 80 and not measured.count("killed"):
            measured.append("killed")
            raise Killed
        measured.append(int(rows[0]))
        return measure(self, tokens, labels, rows, *more)

    monkeypatch.setattr(shards.Meter, "measure", until_the_third)
    with pytest.raises(Killed):
        finish(steps.score(config, training, engine))
    again = finish(steps.score(config, training, engine))
    # The first 0 of each attempt is the self-check; the shards at 0 and 40 are not measured again.
    assert measured == [0, 0, 40, "killed", 0, 80, 120]
    for name in ("vog", "el2n"):
        np.testing.assert_array_equal(
            np.load(whole / f"{name}.npy"), np.load(again / f"{name}.npy")
        )
    assert not list(again.glob("shards*"))


def test_a_pass_that_differs_from_plain_autograd_gives_no_scores(work, monkeypatch):
    config, training, engine = work
    monkeypatch.setattr(shards, "self_check", lambda *arguments: 0.5)
    with pytest.raises(RuntimeError, match="no score was written"):
        finish(steps.score(config, training, engine))


def test_checkpoints_that_do_not_fit_are_read_one_by_one_and_give_the_same(
    work, monkeypatch, tmp_path, capsys
):
    config, training, engine = work
    kept = finish(steps.score(config, training, engine))
    assert "more than half of the memory" not in capsys.readouterr().err
    weights = next(training.directory.glob("runs/0/step-*/model.safetensors")).stat().st_size
    monkeypatch.setattr(shards, "free_memory", lambda device: 2 * weights)
    elsewhere = dataclasses.replace(config, workdir=str(tmp_path / "other"))
    streamed = finish(steps.score(elsewhere, training, engine))
    assert "more than half of the memory that is free" in capsys.readouterr().err
    for name in ("vog", "el2n"):
        assert np.array_equal(np.load(kept / f"{name}.npy"), np.load(streamed / f"{name}.npy"))


def test_tf32_is_fp32_on_a_cpu_and_says_so(work, capsys):
    config, training, engine = work
    exact = finish(steps.score(config, training, engine))
    capsys.readouterr()
    asked = dataclasses.replace(config, score_precision="tf32")
    assert finish(steps.score(asked, training, engine)) == exact
    assert capsys.readouterr().err.count("the device cpu has no tf32; scores in fp32") == 1


@pytest.mark.parametrize(("generation", "there"), [(7, "fp32"), (8, "tf32"), (9, "tf32")])
def test_tf32_is_what_gpus_since_ampere_have(monkeypatch, generation, there):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (generation, 0))
    assert devices.settled("tf32", "cuda:1") == there
    assert devices.settled("tf32", "cpu") == "fp32"


def test_bf16_is_another_pass_that_says_how_it_ranks(work, capsys):
    config, training, engine = work
    exact = finish(steps.score(config, training, engine))
    fast = finish(
        steps.score(dataclasses.replace(config, score_precision="bf16"), training, engine)
    )
    assert fast != exact and "Spearman's" in capsys.readouterr().err
    manifest = json.loads((fast / "manifest.json").read_text())
    assert manifest["precision"] == "bf16" and manifest["self_check_error"] < 1e-4
    assert {"gradient_variance", "logits"} <= set(manifest["as_fp32"])
    assert all(0.8 < value <= 1 for value in manifest["as_fp32"].values())
    assert json.loads((exact / "manifest.json").read_text())["as_fp32"] == {}
