"""The core on a device other than the CPU, though these machines may have none."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.helpers import project, tiny
from tests.helpers.accelerator import NAME

pytestmark = pytest.mark.slow
SHORT = {"track": False, "workers": 1, "threads": 1, "seeds": 1, "draws": 1, "fractions": "0.4"}


@pytest.fixture(scope="module")
def parameters(tmp_path_factory):
    """Give what main is asked for, but for the device and the workdir."""
    talk = tiny.write(tmp_path_factory.mktemp("talk") / "talk", tiny.frames())
    many = {"dataset": talk, "score": "all", "arms": "vog:easy:class,tracin:hard"}
    return SHORT | tiny.FAST | many | {"runs": 2, "folds": 2, "batch_tokens": 64}


@pytest.fixture(scope="module")
def there(parameters, tmp_path_factory):
    """Give the workdir of main on the device."""
    return end(start(tmp_path_factory.mktemp("there"), NAME, parameters))


def test_tensors_of_both_devices_do_not_mix():
    program = "import torch; from tests.helpers import accelerator; there = accelerator.install(); "
    ones = f"torch.ones(2, device='{NAME}') + torch.ones(2)"
    done = subprocess.run(
        [sys.executable, "-c", program + ones], cwd=project.ROOT, capture_output=True
    )
    assert f"tensors on {NAME} and cpu" in done.stderr.decode()


@pytest.mark.long
def test_scores_and_curves_are_those_of_the_cpu(parameters, there, tmp_path):
    compare(end(start(tmp_path, "cpu", parameters)), there)


def test_nobody_but_transformers_waits_for_every_batch(parameters, tmp_path):
    few = {"score": "vog,tracin", "runs": 1, "folds": 0, "null_model": False, "arms": "vog:easy"}
    there = end(start(tmp_path, NAME, parameters | few))
    waits = json.loads((there / "waits.json").read_text())
    forwards = waits["transformers"]  # which asks of each whether anything is padded
    for module in ("models/fit.py", "trace/meter.py", "models/classifier.py"):
        assert 3 * waits[module] < forwards, waits


@pytest.mark.long
def test_a_training_that_was_killed_goes_on_there(parameters, there, tmp_path):
    process, workdir = start(tmp_path, NAME, parameters)
    while not list(workdir.glob("train-*/unfinished/runs/0/run.safetensors")):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert not list(workdir.glob("train-*/manifest.json"))
    compare(there, end(start(tmp_path, NAME, parameters)), exactly=True)


@pytest.mark.long
def test_the_stack_of_a_voice_assistant_is_that_of_the_cpu(tmp_path):
    asked = {
        "dataset": "assistant:500",
        "max_train": 150,
        "task": "nlu",
        "stack": True,
        "head": "mlp",
    }
    short = {"arms": "trail_entropy:hard", "score": "el2n@1", "epochs": 1, "null_model": False}
    given = SHORT | tiny.FAST | asked | short
    started = [start(tmp_path, device, given) for device in ("cpu", NAME)]
    compare(*map(end, started))


def compare(one: Path, other: Path, exactly: bool = False) -> None:
    """Compare the scores and curves in two workdirs; other kernels may round otherwise."""
    (own,) = (pd.read_parquet(path) for path in one.glob("score-*/scores.parquet"))
    (others,) = (pd.read_parquet(path) for path in other.glob("score-*/scores.parquet"))
    assert set(own) == set(others)
    near = {"rtol": 0, "atol": 0} if exactly else {"rtol": 1e-3, "atol": 1e-5}
    for name in own.select_dtypes("number").columns:
        np.testing.assert_allclose(others[name], own[name], **near, err_msg=name)
    curves = [path.relative_to(one) for path in one.glob("evaluate-*/curve.csv")]
    assert len(curves) > 1
    for curve in curves:
        found, right = (pd.read_csv(root / curve) for root in (other, one))
        pd.testing.assert_frame_equal(found, right, rtol=0 if exactly else 0.05)


def start(root: Path, device: str, parameters: dict) -> tuple[subprocess.Popen, Path]:
    """Start main on a device; return its process and its workdir."""
    workdir = root / device
    workdir.mkdir(exist_ok=True)
    asked = project.flags(parameters | {"device": device, "workdir": workdir})
    command = [sys.executable, "-m", "tests.helpers.accelerator", str(workdir / "waits.json")]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        [*command, "entrypoints.main", *asked], cwd=project.ROOT, **pipes
    ), workdir


def end(started: tuple[subprocess.Popen, Path]) -> Path:
    """Wait for main and return its workdir."""
    process, workdir = started
    said = process.communicate()[1]
    assert process.returncode == 0, said
    return workdir
