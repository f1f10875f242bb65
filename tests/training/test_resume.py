"""A training that was cut off goes on from its last checkpoint and ends as if it had not been."""

import json
from pathlib import Path

import pytest

from influence.config.parameters import TrainStep
from influence.data.storage import open_saved
from influence.models import classifier
from influence.runtime import store
from influence.training import runs
from tests.helpers import steps, tiny
from tests.helpers.faults import differences
from tests.helpers.steps import perform


class Killed(Exception):
    pass


def config(root: Path, **parameters) -> TrainStep:
    data = root / "talk"
    if not data.exists():
        tiny.write(data, tiny.frames())
    here = {"workdir": str(root / "work"), "workers": 1, "threads": 1, "track": False}
    return TrainStep(dataset=str(data), **here, **{**tiny.FAST, **parameters})


def trained(asked: TrainStep) -> Path:
    return perform(steps.train, asked)


def kill_at(monkeypatch, place, name: str, call: int) -> list:
    """Let the `call`-th call of a function be the last that is begun; return what was called."""
    plain, calls = getattr(place, name), []

    def until(*arguments, **named):
        calls.append(arguments)
        if len(calls) == call:
            raise Killed
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


def test_a_null_model_goes_on_from_the_end_of_its_last_epoch(undisturbed, tmp_path, monkeypatch):
    asked = config(tmp_path, runs=2)
    read = kill_at(monkeypatch, classifier, "predict", 8)  # 4 observations, 2 epochs, 2 of null
    with pytest.raises(Killed):
        trained(asked)
    assert list((tmp_path / "work").glob("train-*/unfinished/runs/0/null.safetensors"))
    assert not differences(undisturbed, trained(asked))
    assert len(read) == 8 + 6 + 1  # of run 0, of run 1, and the one that was killed


def test_folds_go_on_from_the_end_of_their_last_epoch(tmp_path, monkeypatch):
    parameters = {"folds": 2, "null_model": False, "observe_every": 0}
    whole = trained(config(tmp_path / "whole", **parameters))
    kept = kill_at(monkeypatch, runs.resume, "keep", 6)  # 4 of the run, 2 of each fold
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
