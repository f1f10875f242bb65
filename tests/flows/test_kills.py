"""Commands that are killed, started twice, or run out of space lose nothing that was finished."""

import importlib
import json
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest
import torch

from influence import errors
from influence.__main__ import run as command
from influence.config import parser
from influence.runtime import store
from influence.runtime.locks import locked
from tests.helpers import project, tiny
from tests.helpers.faults import CASES, Bench, differences
from tests.helpers.runs import all_runs, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
]
CUDA_IS_FULL = (
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 15.77 GiB of "
    "which 12.34 GiB is free."
)
HERE = {"workers": 1, "threads": 1, "track": False}


def test_main_that_is_killed_twice_ends_as_if_it_had_not_been(tmp_path):
    bench = Bench(tmp_path, "main")
    assert any([bench.kill(moment) for moment in bench.moments(2, seed=1)])
    assert bench.finish() == []


@pytest.mark.long
def test_a_search_that_is_killed_is_logged_once(tracking_store, tmp_path):
    few = {**tiny.FAST, "trials": 6, "seeds": 1, "test_seeds": 1}
    bench = Bench(tmp_path, "search", tracking_store, dataset=tmp_path / "talk", **few)
    before = {run.info.run_id for run in all_runs()}
    assert bench.kill(bench.moments(3, seed=2)[1])  # among the trials
    assert bench.finish() == []
    assert not running()
    runs = [run for run in all_runs() if run.info.run_id not in before]
    names = [(run.data.tags.get("mlflow.parentRunId"), run.info.run_name) for run in runs]
    below = [name for name in names if name[0]]
    assert len(below) == len(set(below))
    trials = [run for run in runs if run.data.tags["step"] == "trial"]
    assert len(trials) == 6
    (study,) = {run.data.tags["mlflow.parentRunId"] for run in trials}
    (directory,) = bench.work.glob("search-*")
    logged = Path(mlflow.artifacts.download_artifacts(f"runs:/{study}/search"))
    assert differences(directory, logged) == []
    assert mlflow.get_run(study).info.status == "FINISHED"


def test_two_equal_commands_at_once_do_the_work_once(tmp_path):
    data = tiny.write(tmp_path / "talk", tiny.frames())
    given = {**tiny.FAST, **HERE, "dataset": data, "workdir": tmp_path / "work"}
    line = [sys.executable, "-m", "entrypoints.train", *project.flags(given)]
    both = [
        subprocess.Popen(line, cwd=project.ROOT, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("reusing" in text for text in said) == [False, True]
    (directory,) = (tmp_path / "work").glob("train-*")
    store.verify(directory, store.read_manifest(directory, "train"))


# a disk that is full


@contextmanager
def files_of_at_most(size: int):
    """Let every write beyond `size` bytes of a file fail, as on a full disk."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command line in this process; return its exit status and what it said."""

    def call(step: str, **parameters) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", [step, *project.flags({**HERE, **parameters})])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            command(step, importlib.import_module(f"entrypoints.{step}").main)
        return int(ended.value.code or 0), capsys.readouterr().err

    return call


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> dict[str, Path]:
    """A directory of every step, each made from the one before."""
    root = tmp_path_factory.mktemp("finished")
    found = {"talk": tiny.write(root / "talk", tiny.frames())}
    of, last = {"train": "dataset", "score": "training", "sample": "scores"}, "talk"
    for step, name in of.items():
        given = {**CASES[step], **HERE, name: found[last], "workdir": root / "work"}
        entry = importlib.import_module(f"entrypoints.{step}")
        entry.main(parser.parse(step, project.flags(given)))
        (found[step],) = (root / "work").glob(f"{step}-*")
        last = step
    return found


@pytest.mark.parametrize(
    ("step", "name", "source", "sizes"),
    [
        ("train", "dataset", "talk", (1 << 10, 20_000, 600_000)),
        ("score", "training", "train", (500, 6000)),
        ("sample", "scores", "score", (100, 2000)),
        ("evaluate", "sample", "sample", (60, 300)),
    ],
)
def test_a_full_disk_is_one_sentence_and_costs_nothing_that_was_finished(
    finished, run, tmp_path, step, name, source, sizes
):
    given = {**CASES[step], name: finished[source]}
    at = {"workdir": tmp_path / "work"}
    for size in sizes:
        before = {path: path.read_bytes() for path in finished[source].rglob("*") if path.is_file()}
        with files_of_at_most(size):
            status, said = run(step, **given, **at)
        assert status == 2, said
        sentence = said.splitlines()[-1]
        assert sentence.startswith("influence: no space is left to write in"), said
        assert "Traceback" not in said and str(at["workdir"]) in sentence
        assert all(path.read_bytes() == content for path, content in before.items())
        assert not list((tmp_path / "work").rglob(store.MANIFEST))
    assert run(step, **given, **at)[0] == 0
    assert run(step, **given, workdir=tmp_path / "other")[0] == 0
    left = [next((tmp_path / name).glob(f"{step}-*")) for name in ("work", "other")]
    assert differences(*left) == []
    assert not list((tmp_path / "work").rglob(".part-*"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "/a/b"), "/a/b cannot be read or written: Perm"),
        (OSError(5, "Input/output error", "/a/b"), "/a/b cannot be read or written: Input"),
        (OSError(122, "Disk quota exceeded"), "no space is left to write in here"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "no space is left"),
        (
            torch.OutOfMemoryError(CUDA_IS_FULL),
            "there is too little memory (CUDA out of memory. Tr",
        ),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            "there is too little memory (",
        ),
        (MemoryError(), "there is too little memory (MemoryError): give smaller batch_size"),
        (RuntimeError("CUDA error: device-side assert triggered"), ""),
        (FileNotFoundError(2, "No such file or directory", "/a/b"), ""),
        (ValueError("os error 280"), ""),
    ],
)
def test_what_disk_and_memory_do_is_told_from_a_bug(error, said):
    found = errors.environmental(error, "here")
    assert found.startswith(said) if said else found == ""


# files that were cut off


def test_what_was_cut_off_is_done_again(finished, run, tmp_path):
    given = {**CASES["evaluate"], "sample": finished["sample"], "workdir": tmp_path / "work"}
    assert run("evaluate", **given)[0] == 0
    (curve,) = (tmp_path / "work").glob("evaluate-*")
    whole = curve.rename(tmp_path / "whole")
    points = sorted((tmp_path / "work/retrainings").glob("*/point.json"))
    points[0].write_bytes(points[0].read_bytes()[:20])
    points[1].with_name("predictions.npy").write_bytes(b"")
    status, said = run("evaluate", **given)
    assert status == 0, said
    assert differences(whole, curve) == []
    assert all(json.loads(path.read_text()) for path in points)


def test_parts_that_a_killed_process_left_are_cleared_away(tmp_path):
    for place in (".part-a", "runs/.part-b", "unfinished/runs/0/.part-c"):
        (tmp_path / place / "half").mkdir(parents=True)
    with locked(tmp_path):
        assert not list(tmp_path.rglob(store.PART))
        assert (tmp_path / "unfinished/runs/0").is_dir()


def test_a_difference_is_seen(finished, tmp_path):
    """What compares has to find what differs, and nothing else."""
    for name in ("one", "other"):
        store.copy_tree(finished["train"], tmp_path / name)
    assert differences(tmp_path / "one", tmp_path / "other") == []
    run, weights = ("runs/0/run.json", next((tmp_path / "other").rglob("model.safetensors")))
    told = json.loads((tmp_path / "other" / run).read_text())
    for changes, found in (({"seconds": 99}, []), ({"seed": 7}, [run])):
        (tmp_path / "other" / run).unlink()
        (tmp_path / "other" / run).write_text(json.dumps(told | changes))
        assert differences(tmp_path / "one", tmp_path / "other") == found
    content = weights.read_bytes()
    weights.unlink()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    name = str(weights.relative_to(tmp_path / "other"))
    assert differences(tmp_path / "one", tmp_path / "other") == [run, name]
