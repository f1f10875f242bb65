"""A training that was cut off goes on from its last checkpoint and ends as if it had not been."""

import json
from pathlib import Path

import pytest
import torch

from influence.config.steps import TrainStep
from influence.data.storage import open_saved
from influence.errors import Terminated
from influence.models import classifier
from influence.models.fit import Progress
from influence.runtime import store
from influence.training import resume
from tests.helpers import steps, tiny
from tests.helpers.faults import differences
from tests.helpers.steps import perform


class Killed(Exception):
    pass


@pytest.fixture(autouse=True)
def at_every_stop(monkeypatch):
    """Write every state: these trainings take less than a second."""
    monkeypatch.setattr(resume, "EVERY", 0)


def config(root: Path, **parameters) -> TrainStep:
    data = root / "talk"
    if not data.exists():
        tiny.write(data, tiny.frames())
    here = {"workdir": str(root / "work"), "workers": 1, "threads": 1, "track": False}
    return TrainStep(dataset=str(data), **{**here, **tiny.FAST, **parameters})


def trained(asked: TrainStep) -> Path:
    return perform(steps.train, asked)


def kill_at(monkeypatch, place, name: str, call: int, how: type[BaseException] = Killed) -> list:
    """Let the `call`-th call of a function be the last that is begun; return what was called."""
    plain, calls = getattr(place, name), []

    def until(*arguments, **named):
        calls.append(arguments)
        if len(calls) == call:
            raise how
        return plain(*arguments, **named)

    monkeypatch.setattr(place, name, until)
    return calls


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    return trained(config(tmp_path_factory.mktemp("undisturbed"), runs=2))


@pytest.mark.parametrize("call", [1, 3, 6])  # a first checkpoint, a later one, of the second run
def test_a_run_goes_on_from_its_last_checkpoint(undisturbed, tmp_path, monkeypatch, call):
    asked = config(tmp_path, runs=2)
    saved = kill_at(monkeypatch, classifier, "save", call)
    with pytest.raises(Killed):
        trained(asked)
    directory = trained(asked)
    assert len(saved) == 7  # one of them twice
    assert not differences(undisturbed, directory)
    assert not (directory / store.UNFINISHED).exists()


@pytest.mark.parametrize("how", [KeyboardInterrupt, Terminated])
def test_a_run_that_is_interrupted_leaves_its_last_state(undisturbed, tmp_path, monkeypatch, how):
    monkeypatch.setattr(resume, "EVERY", 1e9)
    asked = config(tmp_path, runs=2)
    saved = kill_at(monkeypatch, classifier, "save", 3, how)
    with pytest.raises(how):
        trained(asked)
    (state,) = (tmp_path / "work").glob("train-*/unfinished/runs/0/run.safetensors")
    kept, noted = resume.read(state, None)
    assert kept is not None and kept.step == noted["checkpoints"][-1]["step"]
    assert not differences(undisturbed, trained(asked))
    assert len(saved) == 7


def test_a_kill_costs_no_more_than_the_time_since_the_last_state(
    undisturbed, tmp_path, monkeypatch
):
    monkeypatch.setattr(resume, "EVERY", 1e9)
    asked = config(tmp_path, runs=2)
    saved = kill_at(monkeypatch, classifier, "save", 3)
    with pytest.raises(Killed):
        trained(asked)
    assert not list((tmp_path / "work").glob("train-*/unfinished/runs/0/run.safetensors"))
    assert not differences(undisturbed, trained(asked))
    assert len(saved) == 3 + 6  # run 0 begins again


def test_states_are_written_at_most_so_often(tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "EVERY", 60)
    now = iter([0, 20, 59, 61, 61, 90, 120, 125, 125, 180])  # twice for each that is written
    monkeypatch.setattr(resume.time, "monotonic", lambda: next(now))
    steps, weights = [], torch.zeros(2)
    monkeypatch.setattr(
        resume, "write", lambda path, tensors, metadata: steps.append(int(metadata["step"]))
    )
    with pytest.raises(Terminated), resume.kept(tmp_path / "state") as keep:
        for step in range(1, 8):
            keep(Progress(step, 0.0, 0.0, 0.0, lambda: {"weights": weights}), None)
        raise Terminated
    assert steps == [3, 6, 7]


def test_a_state_that_waits_is_not_changed_by_the_steps_after_it(tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "EVERY", 60)
    weights = torch.zeros(2)
    with pytest.raises(Terminated), resume.kept(tmp_path / "state") as keep:
        keep(Progress(1, 0.0, 0.0, 0.0, lambda: {"weights": weights}), ["noted"])
        weights += 1
        raise Terminated
    state, noted = resume.read(tmp_path / "state", None)
    assert state is not None and (state.step, noted) == (1, ["noted"])
    assert state.tensors["weights"].tolist() == [0, 0]


def test_a_null_model_goes_on_from_the_end_of_its_last_epoch(undisturbed, tmp_path, monkeypatch):
    asked = config(tmp_path, runs=2)
    read = kill_at(monkeypatch, classifier, "predict", 2)  # of 2 of the first null model
    with pytest.raises(Killed):
        trained(asked)
    assert list((tmp_path / "work").glob("train-*/unfinished/null/0/state.safetensors"))
    assert not differences(undisturbed, trained(asked))
    assert len(read) == 8 + 6 + 1  # of run 0, of run 1, and the one that was killed


def test_null_models_that_train_beside_their_runs_are_the_same(undisturbed, tmp_path):
    assert not differences(undisturbed, trained(config(tmp_path, runs=2, workers=2)))


def test_folds_go_on_from_the_end_of_their_last_epoch(tmp_path, monkeypatch):
    parameters = {"folds": 2, "null_model": False, "observe_every": 0}
    whole = trained(config(tmp_path / "whole", **parameters))
    kept = kill_at(monkeypatch, resume, "write", 6)  # 4 of the run, 2 of each fold
    asked = config(tmp_path / "half", **parameters)
    with pytest.raises(Killed):
        trained(asked)
    directory = trained(asked)
    assert len(kept) == 9 and not differences(whole, directory)


def test_a_state_that_was_cut_off_costs_time_and_nothing_else(
    undisturbed, tmp_path, monkeypatch, capsys
):
    asked = config(tmp_path, runs=2)
    kill_at(monkeypatch, classifier, "save", 3)
    with pytest.raises(Killed):
        trained(asked)
    (state,) = (tmp_path / "work").glob("train-*/unfinished/runs/0/run.safetensors")
    state.write_bytes(state.read_bytes()[:-100])
    assert not differences(undisturbed, trained(asked))
    assert f"starts again, because {state} cannot be read" in capsys.readouterr().err


def test_what_an_unfinished_training_keeps_is_no_part_of_its_result(tmp_path, monkeypatch):
    asked = config(tmp_path)
    kill_at(monkeypatch, store, "discard_unfinished", 1)  # the last thing that is done
    with pytest.raises(Killed):
        trained(asked)
    (directory,) = (tmp_path / "work").glob("train-*")
    assert (directory / store.UNFINISHED).is_dir()
    files = json.loads((directory / store.MANIFEST).read_text())["files"]
    assert not [name for name in files if store.UNFINISHED in name]
    store.copy_tree(directory, tmp_path / "copy")
    assert not (tmp_path / "copy" / store.UNFINISHED).exists()
    assert trained(asked) == directory
    assert not (directory / store.UNFINISHED).exists()


def test_a_training_is_reused_only_with_the_columns_and_the_facts_that_it_was_made_with(tmp_path):
    dataset = tiny.write(tmp_path / "talk", tiny.frames())
    given = {"workdir": str(tmp_path / "work"), "track": False, "workers": 1, "threads": 1}
    config = TrainStep(dataset=str(dataset), **given, **tiny.FAST)

    def trained() -> Path:
        return perform(steps.train, config)

    first = trained()
    assert trained() == first
    rows = tiny.frames()["train"].assign(speaker="child")
    rows.to_csv(dataset / "train.csv", index=False)
    second = trained()
    assert second != first
    assert set(open_saved(second / "data").array("train", "speaker")) == {"child"}
    rows.loc[len(rows)] = ["a text", None, "child"]
    rows.to_csv(dataset / "train.csv", index=False)
    third = trained()
    assert open_saved(third / "data").dropped == {"train rows without a label": 1}
    assert open_saved(third / "data").digest == open_saved(first / "data").digest
