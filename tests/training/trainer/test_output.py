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

from influence.config.steps import EvaluateStep, SampleStep, ScoreStep, TrainStep
from influence.data import class_order
from influence.errors import InputError
from influence.jobs import engine as cluster
from influence.models import classifier, tokenizers
from influence.sampling.result import Sample
from influence.scoring.result import Scores
from influence.training.result import Training
from influence.training.trainer import notes, output
from tests.helpers import steps, tiny
from tests.helpers.steps import HERE, finish, perform

NAMES = ("music", "timer", "weather")
LEARNED = tiny.FAST | {"epochs": 12, "observe_every": 0, "null_model": False}

TOKENIZER = shutil.ignore_patterns("tokenizer*")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> str:
    """Texts that tell their classes apart without a doubt."""
    generator, frames = np.random.default_rng(0), tiny.frames()
    for rows in frames.values():
        own = [generator.choice(tiny.WORDS[label], 2) for label in rows["label"]]
        others = generator.choice(tiny.FILLER, (len(rows), 3))
        rows["text"] = [" ".join([*a, *b]) for a, b in zip(own, others, strict=True)]
    return str(tiny.write(tmp_path_factory.mktemp("data") / "talk", frames))


def train(dataset: str, workdir: Path, **parameters) -> Path:
    config = TrainStep(dataset=dataset, workdir=str(workdir), **HERE, **LEARNED | parameters)
    return perform(steps.train, config)


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
        shutil.copytree(trained / f"runs/0/step-{step['step']:06d}", path, ignore=TOKENIZER)
        noted = [{"step": 8, "loss": 1.0}, {"step": step["step"], "loss": 0.5}]
        state = {"epoch": step["epoch"], "log_history": noted}
        (path / notes.STATE).write_text(json.dumps(state))
    shutil.copytree(trained / "tokenizer", path, dirs_exist_ok=True)
    return at


def run(training: Path) -> dict:
    return json.loads((training / "runs/0/run.json").read_text())


def accuracy(training: Path) -> float:
    return run(training)["history"][-1][1]["validation/accuracy"]


def checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))


def refused(folder: Path, dataset: str, said: str, **parameters) -> None:
    work = folder.parent / "work"
    with pytest.raises(InputError, match=said) as caught:
        train(dataset, work, import_from=str(folder), **parameters)
    assert "\n" not in str(caught.value) and not work.exists()


def test_checkpoints_with_their_tokenizer_predict_as_they_did(
    tmp_path, trained, folder, dataset, capsys
):
    imported = train(dataset, tmp_path / "work", import_from=str(folder))
    assert accuracy(imported) == accuracy(trained) == 1
    assert "fits the labels of 100.0% of 121 train examples" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["first", "root"])
def test_the_tokenizer_may_be_beside_any_checkpoint_or_above_all(tmp_path, folder, dataset, place):
    first, last = checkpoints(folder)
    for file in last.glob("tokenizer*"):
        file.rename((first if place == "first" else folder) / file.name)
    imported = train(dataset, tmp_path / "work", import_from=str(folder))
    assert accuracy(imported) == 1


@pytest.mark.parametrize("model", ["tiny", "mini"])
def test_without_a_tokenizer_a_model_from_scratch_is_not_taken_for_theirs(folder, dataset, model):
    for file in folder.glob("*/tokenizer*"):
        file.unlink()
    said = f"have no tokenizer, and model={model} is not theirs; give model="
    refused(folder, dataset, said, model=model)


def test_without_a_tokenizer_that_of_the_model_named_is_theirs(tmp_path, folder, dataset):
    named = shutil.copytree(checkpoints(folder)[-1], tmp_path / "named")
    for file in folder.glob("*/tokenizer*"):
        file.unlink()
    work = tmp_path / "work"
    imported = train(dataset, work, import_from=str(folder), model=str(named), layers=0)
    assert accuracy(imported) == 1


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
    refused(folder, dataset, "guessing would fit 3.*give the tokenizer and the dataset")


def test_two_tokenizers_are_refused(folder, dataset):
    first, last = checkpoints(folder)
    for file in last.glob("tokenizer*"):
        shutil.copy(file, first)
    shuffle(first, 0)
    refused(folder, dataset, "holds 2 tokenizers, in checkpoint-")


def renumber(folder: Path, order: tuple[int, ...]) -> None:
    """Let class k of every checkpoint be what was class order[k], under names that say nothing."""
    for path in checkpoints(folder):
        model = classifier.open_checkpoint(path)
        with torch.no_grad():
            for weights in model.get_submodule("classifier").parameters():
                weights.copy_(weights[list(order)].clone())
        model.config.id2label = {number: f"LABEL_{number}" for number in range(3)}
        classifier.save(model, path)


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
    train(dataset, tmp_path / "work", import_from=str(folder))
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
    refused(folder, dataset, f"numbers its classes {', '.join(names)}, but the dataset music")


def rename(folder: Path, names: tuple[str, ...]) -> None:
    for path in folder.glob("*/config.json"):
        config = json.loads(path.read_text())
        config["id2label"] = dict(enumerate(names))
        path.write_text(json.dumps(config))


def other_weights(first: Path) -> None:
    """Save a checkpoint of two layers beside those of one."""
    tokenizer = tokenizers.open_tokenizer(first.parent / checkpoints(first.parent)[-1].name)
    config = TrainStep(**LEARNED | {"layers": 2})
    classifier.save(classifier.build(config, tokenizer, NAMES, 0), first)


def other_losses(first: Path) -> None:
    state = {"epoch": 1.0, "log_history": [{"step": 8, "loss": 0.9}]}
    (first / notes.STATE).write_text(json.dumps(state))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_weights, r"not from one training: bert.encoder.layer.1.* and missing"),
        (other_losses, "not from one training.*loss of 0.9 and of 1.0 at step 8"),
        (lambda at: (at / "model.safetensors").write_bytes(b"x" * 99), "is not a file of weights"),
    ],
)
def test_checkpoints_that_are_not_of_one_training_are_refused(
    folder, dataset, change: Callable[[Path], object], said
):
    change(checkpoints(folder)[0])
    refused(folder, dataset, said)


def plan(folder: Path, first: dict, last: dict, losses: bool) -> None:
    for path, planned in zip(checkpoints(folder), (first, last), strict=True):
        state = json.loads((path / notes.STATE).read_text()) | planned
        (path / notes.STATE).write_text(json.dumps(state | ({} if losses else NO_LOSSES)))


NO_LOSSES: dict = {"log_history": []}


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [("max_steps", 96, 16), ("num_train_epochs", 12, 2), ("train_batch_size", 16, 8)],
)
def test_checkpoints_of_trainings_of_another_plan_are_refused(folder, dataset, name, one, other):
    """A short training leaves those of a longer one before it in the folder of both."""
    plan(folder, {name: other}, {name: one}, losses=False)
    refused(folder, dataset, f"not from one training: .* note {name}={other} and {one}; keep")


def test_a_training_that_resumed_for_longer_is_one(tmp_path, folder, dataset):
    plan(folder, {"max_steps": 90}, {"max_steps": 96}, losses=True)
    imported = train(dataset, tmp_path / "work", import_from=str(folder))
    assert len(run(imported)["checkpoints"]) == 2


def test_checkpoints_that_noted_other_learning_rates_are_refused(folder, dataset):
    for path, rate in zip(checkpoints(folder), (0.1, 0.2), strict=True):
        noted = [{"step": 4, "learning_rate": rate}]
        state = {"epoch": int(path.name.split("-")[1]), "log_history": noted}
        (path / notes.STATE).write_text(json.dumps(state))
    refused(folder, dataset, "not from one training: .* a rate of 0.1 and of 0.2 at step 4")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_checkpoint_of_a_training_that_diverged_is_named(folder, dataset, value, dtype):
    first, _ = checkpoints(folder)
    model = classifier.open_checkpoint(first).to(dtype)
    with torch.no_grad():
        next(model.get_submodule("classifier").parameters())[1, 2] = value
    classifier.save(model, first)
    refused(
        folder,
        dataset,
        f"{first.name} holds weights that are NaN or infinite, in classifier.weight",
    )


def test_large_weights_are_finite(tmp_path, folder, dataset):
    first, _ = checkpoints(folder)
    model = classifier.open_checkpoint(first)
    with torch.no_grad():
        next(model.get_submodule("classifier").parameters())[:2] = 3e38
    classifier.save(model, first)
    output.check_finite(output.find(folder, 12, 1e-3))


def test_what_has_no_effect_on_an_import_is_said(tmp_path, folder, dataset, capsys):
    parameters = {"runs": 3, "checkpoints": 2, "checkpoint_every": 5}
    train(dataset, tmp_path / "work", import_from=str(folder), **parameters)
    unused = "runs=3, checkpoints=2, checkpoint_every=5 has no effect"
    said = f"{unused}: import_from takes one finished run"
    assert said in capsys.readouterr().err
    train(dataset, tmp_path / "usual", import_from=str(folder), checkpoints=10)
    assert "has no effect" not in capsys.readouterr().err


def test_a_model_left_aside_is_named(tmp_path, folder, dataset, capsys):
    last = checkpoints(folder)[-1]
    shutil.copytree(last, folder / f"{last.name}-best")
    train(dataset, tmp_path / "work", import_from=str(folder))
    assert f"{last.name}-best in {folder} is ignored: only" in capsys.readouterr().err


def test_a_checkpoint_at_the_start_is_accepted_beside_one_that_has_learned(
    tmp_path, folder, dataset
):
    first, last = checkpoints(folder)
    config, tokenizer = TrainStep(**LEARNED), tokenizers.open_tokenizer(last)
    classifier.save(classifier.build(config, tokenizer, NAMES, 3), first)
    first.rename(folder / "checkpoint-0")
    imported = train(dataset, tmp_path / "work", import_from=str(folder))
    assert run(imported)["checkpoints"][0]["step"] == 0


def test_a_checkpoint_that_has_learned_nothing_is_refused(folder, dataset):
    tokenizer = tokenizers.open_tokenizer(checkpoints(folder)[-1])
    for path in checkpoints(folder):
        classifier.save(classifier.build(TrainStep(**LEARNED), tokenizer, NAMES, 3), path)
    refused(folder, dataset, "leave it out if it has learned nothing")


def test_a_folder_of_adapters_is_refused(folder, dataset):
    for path in checkpoints(folder):
        (path / "config.json").rename(path / "adapter_config.json")
    refused(folder, dataset, "holds an adapter, not a whole model")


def test_what_will_be_retrained_instead_is_said(tmp_path, folder, dataset, capsys):
    train(dataset, tmp_path / "one", import_from=str(folder))
    assert "retrainings" not in capsys.readouterr().err
    train(dataset, tmp_path / "two", import_from=str(folder), layers=0)
    assert "retrainings will use model=tiny, from scratch" in capsys.readouterr().err


def test_an_import_with_another_tokenizer_is_another_training(tmp_path, folder, dataset):
    one = train(dataset, tmp_path / "work", import_from=str(folder))
    tokenizer = checkpoints(folder)[-1] / "tokenizer.json"
    content = json.loads(tokenizer.read_text())
    content["normalizer"] = None
    tokenizer.write_text(json.dumps(content))
    two = train(dataset, tmp_path / "work", import_from=str(folder))
    assert one != two and "Lowercase" not in (two / "tokenizer/tokenizer.json").read_text()


def with_other_numbers(folder: Path) -> None:
    """Give the words other numbers in tokenizer and embeddings, which changes no prediction."""
    last = checkpoints(folder)[-1]
    before = tokenizers.open_tokenizer(last).get_vocab()
    shuffle(last, 0)
    after = tokenizers.open_tokenizer(last).get_vocab()
    for path in checkpoints(folder):
        model = classifier.open_checkpoint(path)
        table: torch.Tensor = model.get_input_embeddings().weight
        with torch.no_grad():
            rows = table[[before[word] for word in after]].clone()
            table[list(after.values())] = rows
        classifier.save(model, path)


def points(training: Path, workdir: Path, **parameters) -> Path:
    """Score a training, prune half of its examples at random, and retrain under one seed."""
    here = HERE | {"workdir": str(workdir)}
    scoring = ScoreStep(score="random", training=str(training), **here)
    sampling = SampleStep(arm="random", fractions="0.5", draws=1, **here)
    evaluating = EvaluateStep(seeds=1, **here, **parameters)
    with cluster.engine(scoring) as engine:
        scored = finish(steps.score(scoring, Training(training), engine))
        sampled = finish(steps.sample(sampling, Scores(scored)))
        return finish(steps.evaluate(evaluating, Sample(sampled), engine))


def test_retrainings_of_an_import_are_not_those_of_a_model_with_another_tokenizer(
    tmp_path, folder, dataset
):
    with_other_numbers(folder)
    both, alone = tmp_path / "both", tmp_path / "alone"
    made = {
        "own": points(train(dataset, both, epochs=2), both),
        "imported": points(train(dataset, both, epochs=2, import_from=str(folder)), both),
        "alone": points(train(dataset, alone, epochs=2, import_from=str(folder)), alone),
    }
    loss = {name: pd.read_csv(at / "points.csv")["test/loss"].tolist() for name, at in made.items()}
    assert loss["imported"] == loss["alone"] and loss["imported"] != loss["own"]
    assert len(list((both / "retrainings").glob("*/point.json"))) == 4


def test_another_model_under_the_same_name_is_retrained_anew(tmp_path, folder, dataset):
    named = shutil.copytree(checkpoints(folder)[-1], tmp_path / "named")
    training = train(dataset, tmp_path / "work", epochs=1)
    again = {"retrain_with": f"model={named}&layers=0"}
    first = points(training, tmp_path / "work", **again)
    model = classifier.open_checkpoint(named)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(0.5)
    classifier.save(model, named)
    second = points(training, tmp_path / "work", **again)
    assert pd.read_csv(first / "points.csv")["test/loss"].tolist() != (
        pd.read_csv(second / "points.csv")["test/loss"].tolist()
    )


def trained_model(folder: Path, at: Path, order: tuple[int, ...], names: tuple[str, ...]) -> Path:
    """Save the last checkpoint as a model to start from: its class k is that of order[k] here."""
    renumber(folder, order)
    rename(folder, names)
    return shutil.copytree(checkpoints(folder)[-1], at)


def started(dataset: str, workdir: Path, model: Path) -> Path:
    """Train from a model for a step too small to change what it says."""
    small = {"epochs": 1, "learning_rate": 1e-9, "head_learning_rate": 1e-9}
    return train(dataset, workdir, model=str(model), layers=0, **small)


@pytest.mark.parametrize("order", [(2, 0, 1), (0, 2, 1), (1, 0, 2)])
def test_a_trained_head_gets_the_order_of_the_dataset_by_its_names(
    tmp_path, folder, dataset, capsys, order
):
    names = tuple(NAMES[number].upper() for number in order)
    model = trained_model(folder, tmp_path / "model", order, names)
    assert accuracy(started(dataset, tmp_path / "work", model)) == 1
    said = f"its classes {', '.join(names)} get the order of the dataset: music, timer, weather\n"
    assert said in capsys.readouterr().err


def test_a_model_to_retrain_gets_the_order_of_the_dataset_as_well(tmp_path, folder, dataset):
    model = trained_model(folder, tmp_path / "model", (2, 0, 1), ("weather", "music", "timer"))
    training = train(dataset, tmp_path / "work", epochs=1)
    small = f"model={model}&layers=0&learning_rate=1e-9&head_learning_rate=1e-9"
    made = points(training, tmp_path / "work", retrain_with=small)
    assert pd.read_csv(made / "points.csv")["test/accuracy"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("LABEL_0", "LABEL_1", "LABEL_2"), "of 100% with its classes read as weather, music, "),
        (("a", "b", "c"), "of 100% with its classes read as weather, music, timer "),
        (
            ("weather", "b", "c"),
            "model '.*' numbers its classes weather, b, c, but the dataset music,",
        ),
        (NAMES, "of 100% with its classes read as weather, music, timer "),
    ],
)
def test_a_trained_head_whose_classes_cannot_be_put_in_order_is_refused(
    tmp_path, folder, dataset, names, said
):
    model, work = trained_model(folder, tmp_path / "model", (2, 0, 1), names), tmp_path / "work"
    with pytest.raises(InputError, match=said):
        started(dataset, work, model)
    assert not work.exists()
    training = train(dataset, work, epochs=1)
    with pytest.raises(InputError, match=said):
        points(training, work, retrain_with=f"model={model}&layers=0")
    assert not (work / "retrainings").exists()


def test_another_head_in_its_place_leaves_the_order_of_a_trained_one_alone(
    tmp_path, folder, dataset, capsys
):
    model = trained_model(folder, tmp_path / "model", (2, 0, 1), ("weather", "b", "c"))
    train(dataset, tmp_path / "work", model=str(model), layers=0, epochs=1, head="mlp")
    assert "trained head" not in capsys.readouterr().err


# known answers


def test_predictions_that_ignore_the_labels_do_not_beat_chance():
    labels = np.repeat([0, 1, 2], [80, 10, 10])
    always = class_order.confusion(labels, np.zeros(100, dtype=int), 3)
    assert np.trace(always) == 80 and class_order.by_chance(always) == pytest.approx(0.8)
    assert not class_order.beats_chance(always)
    half = labels.copy()
    half[::2] = 0  # right about half of the rare ones
    assert class_order.beats_chance(class_order.confusion(labels, half, 3))


@pytest.mark.parametrize(
    ("right", "sure", "kept"),
    [(95, 0.95, True), (60, 0.5, True), (60, 0.98, False), (70, 0.8, True)],
)
def test_a_model_that_is_far_surer_than_right_does_not_keep_its_word(right, sure, kept):
    counts = np.array([[right, 100 - right], [100 - right, right]])
    assert class_order.keeps_its_word(counts, sure) is kept


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_best_order_is_the_best_of_all_and_the_given_one_where_it_is_as_good(size):
    generator = np.random.default_rng(size)
    for _ in range(50):
        counts = generator.integers(0, 6, (size, size))
        order = class_order._best_order(counts)
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
        class_order.check_order(Path("c"), counts, 0.99, names)
    class_order.check_order(Path("c"), np.eye(40, dtype=int) * 24, 0.99, names)


def test_a_model_that_confuses_many_classes_is_not_taken_for_one_of_another_order():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 77, 1000)
    guesses = np.where(generator.random(1000) < 0.2, labels, generator.integers(0, 77, 1000))
    class_order.check_order(Path("c"), class_order.confusion(labels, guesses, 77), 0.3, ["x"] * 77)


def test_a_model_that_always_says_the_rare_class_is_not_taken_for_one_of_another_order():
    class_order.check_order(Path("c"), np.array([[10, 0], [90, 0]]), 0.95, NAMES[:2])


def test_a_model_of_clean_labels_is_taken_where_labels_were_redrawn(
    tmp_path, folder, dataset, capsys
):
    imported = train(dataset, tmp_path / "work", import_from=str(folder), label_noise=0.9)
    rows = pd.read_parquet(imported / "data/train.parquet")
    assert rows["mislabeled"].mean() > 0.5
    told = capsys.readouterr().err
    assert "fits the labels that are known to be right of 100.0% of 121 train" in told, told


def test_a_refusal_says_how_to_say_that_labels_are_wrong(tmp_path, folder):
    frames = tiny.frames()
    generator = np.random.default_rng(0)
    frames["train"]["label"] = generator.permutation(frames["train"]["label"])
    wrong = tiny.write(tmp_path / "wrong", frames)
    refused(folder, str(wrong), "say which in a column mislabeled")
