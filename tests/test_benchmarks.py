"""The benchmarks measure what they say; how long it takes is not tested."""

import importlib
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import fused_pass, measuring, peers, sampling, throughput, vog
from benchmarks.training import Inputs
from influence import data
from influence.gradients import loop_norms
from influence.layers import parameter_group
from influence.rules import REGISTRY


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for module in (fused_pass, peers, vog):
        monkeypatch.setattr(module, "BATCH", 3)


@pytest.mark.parametrize(
    "name", sorted(p.stem for p in Path(vog.__file__).parent.glob("[a-z]*.py"))
)
def test_every_benchmark_can_be_started(name):
    importlib.import_module(f"benchmarks.{name}")


def test_medians_are_of_interleaved_rounds_after_two_that_warm_up():
    done = []
    works = {"one": lambda: done.append("one"), "other": lambda: done.append("other")}
    assert set(measuring.medians(works, rounds=3)) == {"one", "other"}
    assert done == ["one", "other"] * 5


def test_the_fused_pass_is_measured_and_right_with_and_without_padding():
    name, whole = fused_pass.named_lengths("5")
    assert name == "5 tokens"
    padded = np.array([3, 5, 2])
    inputs, _ = fused_pass.batch(padded)
    assert inputs["attention_mask"].sum(1).tolist() == [3, 5, 2]
    for lengths in (whole, padded):
        assert fused_pass.error(lengths) < 1e-5
    assert fused_pass.run(padded, 1)["forward"] == 1


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # of vmap through attention
@pytest.mark.parametrize("name", ["influence", "one example at a time", "torch.func, vmap"])
def test_adapters_give_the_norms_of_all_parameters(name):
    inputs, gold = fused_pass.batch(np.full(2, 5))
    net = fused_pass.model()
    right = loop_norms(net, inputs, gold, {"all": parameter_group(net, "all")})["all"]
    with peers.PEERS[name][1](inputs["input_ids"], gold) as work:
        torch.testing.assert_close(work(), right, rtol=1e-5, atol=0)


def test_both_ways_to_vog_agree(monkeypatch):
    monkeypatch.setattr(vog, "CHECKPOINTS", 2)
    monkeypatch.setattr(vog, "ALONE", 2)
    found, difference = vog.run(4, 1)
    assert "as written" in found and difference < 1e-5


def test_every_rule_is_timed_and_keeps_its_budget():
    found = sampling.run(500, peer=False, rounds=1)
    assert found.keys() == REGISTRY.keys()
    assert not any(row["over_budget"] for row in found.values())


def test_bars_are_drawn(monkeypatch, tmp_path):
    monkeypatch.setattr(measuring, "IMAGES", tmp_path / "images")
    measuring.bars("made", {"": {"ours": 2.0, "theirs": 1500.0}}, ["ours"], "seconds")
    assert (tmp_path / "images/made.png").stat().st_size > 1000


def test_throughput_counts_the_matrix_products_of_a_training_step(monkeypatch):
    monkeypatch.setattr(throughput, "COUNTED", 1)
    config = replace(throughput.fit_config("tiny", "fp32"), max_length=16)
    inputs = Inputs(config, data.load("assistant:500", max_train=32, max_test=32))
    found = throughput.run(config, inputs, "cpu", 1, (2048, 64))
    model = throughput.models.build(config, inputs.tokenizer, inputs.names, 0)
    layers = [m for m in model.base_model.encoder.modules() if isinstance(m, torch.nn.Linear)]
    weights = sum(layer.weight.numel() for layer in layers)
    padded = int(inputs.tokens.lengths.max())  # all are one batch
    row = found["training"]
    each = row["teraflops"] * 1e12 / row["examples_per_second"]
    assert each == pytest.approx(6 * weights * padded, rel=0.15)  # and pooler, head, attention
    assert found["scoring"]["share_of_peak"] > 0 < found["scoring, 64 tokens"]["share_of_peak"]


def test_trainings_at_once_count_from_the_first_begin_to_the_last_end(monkeypatch):
    config = throughput.fit_config("tiny", "fp32")
    inputs = Inputs(config, data.load("assistant:500", max_train=32, max_test=32))
    warm, timed = [(0.0, 90.0), (1.0, 91.0)], [(200.0, 210.0), (202.0, 216.0)]
    moments = iter([*warm, *timed])
    workers = SimpleNamespace(
        run=lambda function, jobs, what: enumerate([function(*job) for job in jobs])
    )
    monkeypatch.setattr(throughput, "engine", lambda execution: nullcontext(workers))
    monkeypatch.setattr(throughput, "train_once", lambda *given: next(moments))
    assert throughput.together(2, config, inputs, "cpu", 1) == 2 * 32 / 16


def test_a_training_tells_when_it_began_and_ended():
    config = throughput.fit_config("tiny", "fp32")
    inputs = Inputs(config, data.load("assistant:500", max_train=32, max_test=32))
    before = time.time()
    began, ended = throughput.train_once(config, inputs, "cpu")
    assert before < began < ended < time.time()
