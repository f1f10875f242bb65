"""Checkpoints made elsewhere are asked whether they are of this dataset before they are scored."""

import json
import shutil
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from influence import adoption, cluster, models, steps, tokenizers
from influence.config import TrainStep
from influence.errors import InputError
from tests import tiny

HERE = {"workers": 1, "threads": 1, "track": False}
NAMES = ("music", "timer", "weather")
LEARNED = tiny.FAST | {"epochs": 12, "observe_every": 0, "null_model": False}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> str:
    """Texts that tell their classes apart without a doubt."""
    generator, frames = np.random.default_rng(0), tiny.frames()
    for rows in frames.values():
        own = [generator.choice(tiny.WORDS[label], 2) for label in rows["label"]]
        others = generator.choice(tiny.FILLER, (len(rows), 3))
        rows["text"] = [" ".join([*a, *b]) for a, b in zip(own, others, strict=True)]
    return str(tiny.write(tmp_path_factory.mktemp("data") / "talk", frames))


def train(dataset: str, workdir: Path, **knobs) -> Path:
    config = TrainStep(dataset=dataset, workdir=str(workdir), **HERE, **LEARNED | knobs)
    with cluster.engine(config) as engine:
        records = steps.train(config, engine)
        while True:
            try:
                next(records)
            except StopIteration as end:
                return end.value


@pytest.fixture(scope="module")
def trained(tmp_path_factory, dataset) -> Path:
    """A training that has learned its task, to be taken for somebody else's."""
    return train(dataset, tmp_path_factory.mktemp("own"))


@pytest.fixture
def folder(tmp_path, trained) -> Path:
    """Its last two checkpoints as a Trainer leaves them, the tokenizer beside the last."""
    at = path = tmp_path / "elsewhere"
    for step in run(trained)["checkpoints"][-2:]:
        path = at / f"checkpoint-{step['step']}"
        shutil.copytree(trained / f"runs/0/step-{step['step']:06d}", path)
        noted = [{"step": 8, "loss": 1.0}, {"step": step["step"], "loss": 0.5}]
        state = {"epoch": step["epoch"], "log_history": noted}
        (path / adoption.STATE).write_text(json.dumps(state))
    shutil.copytree(trained / "tokenizer", path, dirs_exist_ok=True)
    return at


def run(training: Path) -> dict:
    return json.loads((training / "runs/0/run.json").read_text())


def accuracy(training: Path) -> float:
    return run(training)["history"][-1][1]["validation/accuracy"]


def checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))


def refused(folder: Path, dataset: str, said: str, **knobs) -> None:
    work = folder.parent / "work"
    with pytest.raises(InputError, match=said) as caught:
        train(dataset, work, adopt=str(folder), **knobs)
    assert "\n" not in str(caught.value) and not work.exists()


def test_checkpoints_with_their_tokenizer_predict_as_they_did(
    tmp_path, trained, folder, dataset, capsys
):
    adopted = train(dataset, tmp_path / "work", adopt=str(folder))
    assert accuracy(adopted) == accuracy(trained) == 1
    assert "fits the labels of 100.0% of 121 train examples" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["first", "root"])
def test_the_tokenizer_may_be_beside_any_checkpoint_or_above_all(tmp_path, folder, dataset, place):
    first, last = checkpoints(folder)
    for file in last.glob("tokenizer*"):
        file.rename((first if place == "first" else folder) / file.name)
    adopted = train(dataset, tmp_path / "work", adopt=str(folder))
    assert accuracy(adopted) == 1


@pytest.mark.parametrize("model", ["tiny", "mini"])
def test_without_a_tokenizer_a_model_from_scratch_is_not_taken_for_theirs(folder, dataset, model):
    for file in folder.glob("*/tokenizer*"):
        file.unlink()
    said = f"have no tokenizer, and model={model} cannot be theirs; give model="
    refused(folder, dataset, said, model=model)


def test_without_a_tokenizer_that_of_the_model_named_is_theirs(tmp_path, folder, dataset):
    named = shutil.copytree(checkpoints(folder)[-1], tmp_path / "named")
    for file in folder.glob("*/tokenizer*"):
        file.unlink()
    work = tmp_path / "work"
    adopted = train(dataset, work, adopt=str(folder), model=str(named), layers=0)
    assert accuracy(adopted) == 1


def shuffle(folder: Path, seed: int) -> None:
    """Give the words of a saved tokenizer other numbers, as another model has."""
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    words = {w: n for w, n in content["model"]["vocab"].items() if not w.startswith("[")}
    numbers = np.random.default_rng(seed).permutation(list(words.values())).tolist()
    content["model"]["vocab"] |= dict(zip(words, numbers, strict=True))
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("seed", range(12))
def test_the_tokenizer_of_another_model_is_refused(folder, dataset, seed):
    """Some of these beat chance, or do in another order: a word is always the same other one."""
    shuffle(checkpoints(folder)[-1], seed)
    refused(folder, dataset, "guesses would 3.*give the tokenizer and the dataset")


def test_two_tokenizers_are_refused(folder, dataset):
    first, last = checkpoints(folder)
    for file in last.glob("tokenizer*"):
        shutil.copy(file, first)
    shuffle(first, 0)
    refused(folder, dataset, "holds 2 tokenizers, in checkpoint-")


def renumber(folder: Path, order: tuple[int, ...]) -> None:
    """Let class k of every checkpoint be what was class order[k], under names that say nothing."""
    for path in checkpoints(folder):
        model = models.open_checkpoint(path)
        with torch.no_grad():
            for weights in model.get_submodule("classifier").parameters():
                weights.copy_(weights[list(order)].clone())
        model.config.id2label = {number: f"LABEL_{number}" for number in range(3)}
        models.save(model, path)


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_classes_that_are_predicted_in_another_order_are_refused(folder, dataset, order):
    renumber(folder, order)
    read = ", ".join(NAMES[number] for number in order)
    refused(folder, dataset, f"as numbered, but of 100% with its classes read as {read} ")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("LABEL_0", "LABEL_1", "LABEL_2"), ""),
        (("Music", "TIMER", " weather "), ""),
        (("0", "1", "2"), "0, 1, 2 of the checkpoints are music, timer, weather here"),
        (("a", "b", "c"), "a, b, c of the checkpoints are music, timer, weather here"),
    ],
)
def test_names_that_are_not_those_of_the_dataset_leave_it_to_the_predictions(
    tmp_path, folder, dataset, capsys, names, told
):
    rename(folder, names)
    train(dataset, tmp_path / "work", adopt=str(folder))
    assert told in (said := capsys.readouterr().err) and ("of the checkpoints" in said) == bool(
        told
    )
    renumber(folder, (1, 0, 2))
    rename(folder, names)
    shutil.rmtree(tmp_path / "work")
    refused(folder, dataset, "with its classes read as timer, music, weather")


@pytest.mark.parametrize("names", [("timer", "music", "weather"), ("a", "Music", "c")])
def test_names_of_the_dataset_at_other_places_are_refused(folder, dataset, names):
    rename(folder, names)
    refused(folder, dataset, f"numbers its classes {', '.join(names)}, the dataset music")


def rename(folder: Path, names: tuple[str, ...]) -> None:
    for path in folder.glob("*/config.json"):
        config = json.loads(path.read_text())
        config["id2label"] = dict(enumerate(names))
        path.write_text(json.dumps(config))


def other_weights(first: Path) -> None:
    """Save a checkpoint of two layers beside those of one."""
    tokenizer = tokenizers.open_tokenizer(first.parent / checkpoints(first.parent)[-1].name)
    config = TrainStep(**LEARNED | {"layers": 2})
    models.save(models.build(config, tokenizer, NAMES, 0), first)


def other_losses(first: Path) -> None:
    state = {"epoch": 1.0, "log_history": [{"step": 8, "loss": 0.9}]}
    (first / adoption.STATE).write_text(json.dumps(state))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_weights, r"not of one training: bert.encoder.layer.1.* and missing"),
        (other_losses, "not of one training.*loss of 0.9 and of 1.0 at step 8"),
        (lambda at: (at / "model.safetensors").write_bytes(b"x" * 99), "no file of weights"),
    ],
)
def test_checkpoints_that_are_not_of_one_training_are_refused(
    folder, dataset, change: Callable[[Path], object], said
):
    change(checkpoints(folder)[0])
    refused(folder, dataset, said)


def test_a_checkpoint_at_the_start_is_accepted_beside_one_that_has_learned(
    tmp_path, folder, dataset
):
    first, last = checkpoints(folder)
    config, tokenizer = TrainStep(**LEARNED), tokenizers.open_tokenizer(last)
    models.save(models.build(config, tokenizer, NAMES, 3), first)
    first.rename(folder / "checkpoint-0")
    adopted = train(dataset, tmp_path / "work", adopt=str(folder))
    assert run(adopted)["checkpoints"][0]["step"] == 0


def test_a_checkpoint_that_has_learned_nothing_is_refused(folder, dataset):
    tokenizer = tokenizers.open_tokenizer(checkpoints(folder)[-1])
    for path in checkpoints(folder):
        models.save(models.build(TrainStep(**LEARNED), tokenizer, NAMES, 3), path)
    refused(folder, dataset, "leave it out if it has learned nothing")


def test_a_folder_of_adapters_is_refused(folder, dataset):
    for path in checkpoints(folder):
        (path / "config.json").rename(path / "adapter_config.json")
    refused(folder, dataset, "holds an adapter, which is no model by itself")


def test_what_will_be_retrained_instead_is_said(tmp_path, folder, dataset, capsys):
    train(dataset, tmp_path / "one", adopt=str(folder))
    assert "retrainings" not in capsys.readouterr().err
    train(dataset, tmp_path / "two", adopt=str(folder), layers=0)
    assert "retrainings will be of model=tiny, from scratch" in capsys.readouterr().err


def test_an_import_with_another_tokenizer_is_another_training(tmp_path, folder, dataset):
    one = train(dataset, tmp_path / "work", adopt=str(folder))
    tokenizer = checkpoints(folder)[-1] / "tokenizer.json"
    content = json.loads(tokenizer.read_text())
    content["normalizer"] = None
    tokenizer.write_text(json.dumps(content))
    two = train(dataset, tmp_path / "work", adopt=str(folder))
    assert one != two and "Lowercase" not in (two / "tokenizer/tokenizer.json").read_text()


# known answers


def test_predictions_that_ignore_the_labels_do_not_beat_chance():
    labels = np.repeat([0, 1, 2], [80, 10, 10])
    always = adoption.confusion(labels, np.zeros(100, dtype=int), 3)
    assert np.trace(always) == 80 and adoption.by_chance(always) == pytest.approx(0.8)
    assert not adoption.beats_chance(always)
    half = labels.copy()
    half[::2] = 0  # right about half of the rare ones
    assert adoption.beats_chance(adoption.confusion(labels, half, 3))


@pytest.mark.parametrize(
    ("right", "sure", "kept"),
    [(95, 0.95, True), (60, 0.5, True), (60, 0.98, False), (70, 0.8, True)],
)
def test_a_model_that_is_far_surer_than_right_does_not_keep_its_word(right, sure, kept):
    counts = np.array([[right, 100 - right], [100 - right, right]])
    assert adoption.keeps_its_word(counts, sure) is kept


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_best_order_is_the_best_of_all_and_the_given_one_where_it_is_as_good(size):
    generator = np.random.default_rng(size)
    for _ in range(50):
        counts = generator.integers(0, 6, (size, size))
        order = adoption._best_order(counts)
        best = max(counts[range(size), each].sum() for each in permutations(range(size)))
        assert counts[range(size), order].sum() == best
        assert sorted(order) == list(range(size))
        if np.trace(counts) == best:
            assert order.tolist() == list(range(size))


def test_two_classes_of_many_that_changed_places_are_found():
    counts = np.eye(40, dtype=int) * 24
    counts[[3, 7]] = counts[[7, 3]]
    names = [f"class {number}" for number in range(40)]
    with pytest.raises(InputError, match="95% of 960 train examples as numbered, but of 100%"):
        adoption.check_order(Path("c"), counts, 0.99, names)
    adoption.check_order(Path("c"), np.eye(40, dtype=int) * 24, 0.99, names)


def test_a_model_that_confuses_many_classes_is_not_taken_for_one_of_another_order():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 77, 1000)
    guesses = np.where(generator.random(1000) < 0.2, labels, generator.integers(0, 77, 1000))
    adoption.check_order(Path("c"), adoption.confusion(labels, guesses, 77), 0.3, ["x"] * 77)


def test_a_model_that_always_says_the_rare_class_is_not_taken_for_one_of_another_order():
    adoption.check_order(Path("c"), np.array([[10, 0], [90, 0]]), 0.95, NAMES[:2])


def test_a_model_of_clean_labels_is_taken_where_labels_were_redrawn(
    tmp_path, folder, dataset, capsys
):
    adopted = train(dataset, tmp_path / "work", adopt=str(folder), label_noise=0.9)
    rows = pd.read_parquet(adopted / "data/train.parquet")
    assert rows["flipped"].mean() > 0.5
    told = capsys.readouterr().err
    assert "fits the labels that are known to be right of 100.0% of 121 train" in told, told


def test_a_refusal_says_how_to_say_that_labels_are_wrong(tmp_path, folder):
    frames = tiny.frames()
    generator = np.random.default_rng(0)
    frames["train"]["label"] = generator.permutation(frames["train"]["label"])
    wrong = tiny.write(tmp_path / "wrong", frames)
    refused(folder, str(wrong), "say which in a column flipped")
