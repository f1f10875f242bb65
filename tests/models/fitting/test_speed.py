"""What is said of the speed is what was counted, and is compared with the peak of known devices."""

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from influence.models.fitting import speed
from influence.models.fitting.speed import Speed, work_of
from influence.models.shortcuts.first_token import read_first_token
from tests.helpers.architectures import build

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless it is set."""
    now = [100.0]
    monkeypatch.setattr(speed.time, "perf_counter", lambda: now[0])
    return now


@pytest.fixture(autouse=True)
def device(monkeypatch):
    monkeypatch.setattr(speed, "name_of", lambda device: "NVIDIA H100 80GB HBM3")


def test_the_share_of_the_peak_is_that_of_the_time_in_which_something_was_trained(clock, capsys):
    counted = Speed()
    for _ in range(2):
        with counted.of_training(CPU):
            clock[0] += 5
            with counted.of_training(CPU):
                clock[0] += 5
                counted.count(1000, 989e12)
        clock[0] += 1000  # nobody trains
    with counted.of_recording():
        clock[0] += 2
    counted.end()
    assert capsys.readouterr().err == (
        "train: 100 examples per second (10.0 % of the 989 TFLOP/s of NVIDIA H100 80GB HBM3) in 2 "
        "trainings, at most 2 at once; recording took 2.0 s\n"
    )


def test_a_report_is_of_the_time_since_the_last_one(clock, capsys):
    counted = Speed()
    with counted.of_training(CPU):
        for seconds in (30, 40, 70):
            clock[0] += seconds
            counted.count(7000, 0)
    shown = [line.split(" (")[0] for line in capsys.readouterr().err.splitlines()]
    assert shown == ["train: 200 examples per second", "train: 100 examples per second"]


def test_nothing_is_said_where_nothing_was_trained(capsys):
    Speed().end()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H200", 989),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA L4", 121),
        ("Tesla T4", 65),
        ("NVIDIA GeForce RTX 4090", 165),
        ("NVIDIA L40S", None),
        ("cpu", None),
    ],
)
def test_the_peak_is_known_by_the_name_of_the_device(monkeypatch, clock, capsys, name, peak):
    monkeypatch.setattr(speed, "name_of", lambda device: name)
    counted = Speed()
    with counted.of_training(CPU):
        clock[0] += 1
        counted.count(1, 1e12)
    counted.end()
    said = capsys.readouterr().err
    assert (f"% of the {peak} TFLOP/s of {name})" if peak else "per second in 1") in said


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta", "electra"])
@pytest.mark.parametrize("first", [False, True])
def test_work_is_that_of_the_products_of_matrices(name, first):
    model, tokens = build(name), 24
    model = read_first_token(model) if first else model
    # Of the fused kernels of a CPU the counter knows nothing.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        inputs = torch.randint(5, 20, (4, tokens))
        model(input_ids=inputs, attention_mask=torch.ones_like(inputs)).logits.sum().backward()
    counted = counter.get_total_flops() / 4
    assert 0.8 < work_of(model, np.full(4, tokens)) / counted < 1.25
