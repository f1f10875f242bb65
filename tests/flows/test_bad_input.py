"""Bad input is answered with one sentence and status 2; nothing is left running or changed."""

import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pandas as pd
import pytest

from influence import __main__ as command
from influence.config.parameters import ModelConfig
from influence.config.steps import SampleStep, ScoreStep, TrainStep
from influence.models import classifier, tokenizers
from influence.runtime import store
from tests.helpers import architectures, project, tiny
from tests.helpers.runs import running

# MLflow's own use of pandas and SQLAlchemy draws warnings that are not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")

ROOT = Path(__file__).parent.parent.parent
HERE = {"workers": 1, "threads": 1}
SHORT = {**tiny.FAST, "observe_every": 0, "null_model": False}  # gives no forgetting, no PVI

DISTILBERT = b'{"model_type": "distilbert", "dim": 128, "n_heads": 2, "n_layers": 2}'


@pytest.fixture(scope="module")
def made(tracking_store, tmp_path_factory) -> SimpleNamespace:
    """A dataset, and a finished training, scores and sample without observations."""
    from entrypoints import sample, score, train

    root = tmp_path_factory.mktemp("made")
    work = root / "work"
    here = {"workdir": str(work), "track": False, **HERE}
    dataset = tiny.write(root / "talk", tiny.frames())
    train.main(TrainStep(dataset=str(dataset), **here, **SHORT))
    (training,) = work.glob("train-*")
    score.main(ScoreStep(training=str(training), score="el2n", **here))
    (scores,) = work.glob("score-*")
    sample.main(SampleStep(scores=str(scores), arm="el2n:easy", **here))
    (sampled,) = work.glob("sample-*")
    return SimpleNamespace(dataset=dataset, training=training, scores=scores, sample=sampled)


@pytest.fixture
def refused(made, tmp_path, monkeypatch, capsys) -> Callable[..., str]:
    """Run a command line; return the one sentence that it was refused with.

    In this process, which is quick, or with PROCESSES=1 in one of its own, as a user does.
    """

    def here(step: str, flags: list[str]) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", [step, *flags])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            command.run(step, importlib.import_module(f"entrypoints.{step}").main)
        return ended.value.code, capsys.readouterr().err

    def outside(step: str, flags: list[str]) -> tuple[int, str]:
        line = [sys.executable, "-m", f"entrypoints.{step}", *flags]
        environment = os.environ | {"MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()}
        done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)
        return done.returncode, done.stderr

    def run(step: str, **parameters) -> str:
        given = {"workdir": tmp_path / "work", **HERE, **parameters}
        unchanged = digest(made)
        code, said = (outside if "PROCESSES" in os.environ else here)(step, project.flags(given))
        assert code == 2, said
        *before, sentence = said.splitlines()
        assert all(line.startswith("train: ") for line in before), said  # what was read
        assert sentence.startswith("influence: "), said
        assert not running() and mlflow.active_run() is None
        assert digest(made) == unchanged
        return said

    return run


@pytest.fixture
def changed(made, tmp_path) -> Callable[..., Path]:
    """Copy a finished directory and do something to the copy."""

    def change(directory: Path, damage: Callable[[Path], object]) -> Path:
        copy = tmp_path / "changed" / directory.name
        shutil.copytree(directory, copy)
        damage(copy)
        return copy

    return change


def digest(made) -> str:
    """Return a digest over the names and contents of all that was finished before."""
    hashed = hashlib.sha256()
    for root in (made.dataset, made.training, made.scores, made.sample):
        for path in sorted(root.rglob("*")):
            hashed.update(f"{path}".encode() + (path.read_bytes() if path.is_file() else b""))
    return hashed.hexdigest()


def write(directory: Path, **splits) -> Path:
    """Write the usual splits with some of them replaced."""
    return tiny.write(directory, {**tiny.frames(), **splits})


def rows(**columns) -> pd.DataFrame:
    return pd.DataFrame(columns)


# what there is to train on


def test_an_unknown_dataset(refused, tmp_path):
    said = refused("train", dataset=tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in said and "assistant" in said


def test_a_hub_dataset_that_does_not_load(refused):
    said = refused("train", dataset="nobody/nothing")
    assert "'nobody/nothing'" in said and "hub" in said


def test_a_directory_without_data(refused, tmp_path):
    assert "holds no file that ends in" in refused("train", dataset=tmp_path)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"test_split": "exam"}, ("'exam'", "train", "validation", "test")),
        ({"train_split": "lessons"}, ("'lessons'", "train", "validation", "test")),
        ({"validation_split": "dev"}, ("'dev'", "train", "validation", "test")),
        ({"text_column": "words"}, ("'words'", "'text' and 'label'")),
        ({"label_column": "kind"}, ("'kind'", "'text' and 'label'")),
        ({"pair_column": "other"}, ("'other'", "'text' and 'label'")),
        ({"max_train": 2}, ("max_train=2", "3 classes")),
        ({"dataset_config": "sst2"}, ("dataset_config='sst2'", "hub")),
    ],
)
def test_a_split_or_column_that_is_not_there(refused, made, parameters, expected):
    said = refused("train", dataset=made.dataset, **parameters)
    assert all(part in said for part in expected), said


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        ({"train": rows(text=["a b", "c"], label=["x", "x"])}, ("the label 'x'", "two classes")),
        ({"test": rows(text=["a b"], label=["unheard"])}, ("test", "'unheard'", "train")),
        ({"validation": rows(text=["a"], label=["unheard"])}, ("validation", "'unheard'")),
        ({"train": rows(text=[" ", ""], label=["x", "y"])}, ("none of the 2 rows", "text")),
        ({"test": rows(text=["", ""], label=["timer", "music"])}, ("none of the 2", "test")),
        ({"train": rows(text=["a", "b"], label=["", " "])}, ("none of the 2", "label")),
        ({"train": rows(text=[], label=[])}, ("none of the 0 rows",)),
        ({"train": rows(words=["a"], kind=["x"])}, ("text_column", "'words' and 'kind'")),
        ({"test": rows(words=["a"], label=["timer"])}, ("test lacks the column 'text'",)),
    ],
)
def test_rows_that_are_no_classification_task(refused, tmp_path, splits, expected):
    said = refused("train", dataset=write(tmp_path / "data", **splits))
    assert all(part in said for part in expected), said


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "no header line"),
        (b"text,label\nna\xefve,x\n", "cannot read"),
        (b'text,label\n"never closed,x\n', "cannot read"),
        (b"text,label\none,two,three\n", "line 2 has 3 fields"),
    ],
)
def test_a_file_that_is_no_table(refused, tmp_path, content, expected):
    dataset = write(tmp_path / "data")
    (dataset / "train.csv").write_bytes(content)
    said = refused("train", dataset=dataset)
    assert expected in said and "train.csv" in said


# models


def test_an_unknown_model(refused, made):
    said = refused("train", dataset=made.dataset, model="nobody/nothing")
    assert "'nobody/nothing'" in said and "tiny, mini, small, minilm" in said


def test_a_directory_that_holds_no_model(refused, made):
    said = refused("train", dataset=made.dataset, model=made.dataset)
    assert str(made.dataset) in said


def test_more_layers_than_the_model_has(refused, made):
    said = refused("train", dataset=made.dataset, **{**SHORT, "layers": 9})
    assert "'tiny' has 2 layers" in said and "layers=9" in said


def test_a_model_for_other_classes(refused, made, tmp_path):
    """A checkpoint fine-tuned for five classes where the dataset has three."""
    saved = tmp_path / "model"
    tokenizer = tokenizers.open_tokenizer(made.training / "tokenizer")
    tokenizer.save_pretrained(saved)
    config = ModelConfig(model="tiny", layers=1)
    classifier.save(classifier.build(config, tokenizer, tuple("abcde"), 0), saved)
    said = refused("train", dataset=made.dataset, **{**SHORT, "model": saved, "layers": 0})
    assert str(saved) in said and "5" in said and "3" in said


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("model.safetensors", None, "cannot be loaded"),
        ("model.safetensors", b"not weights", "cannot be loaded"),
        ("config.json", b"{", "unknown model"),
        ("config.json", b'{"model_type": "unheard-of"}', "unknown model"),
        ("config.json", DISTILBERT, "is missing"),
        ("tokenizer.json", b"{", "unknown model"),
    ],
)
def test_a_model_directory_that_is_damaged(refused, made, tmp_path, file, content, expected):
    saved = tmp_path / "model"
    tokenizer = tokenizers.open_tokenizer(made.training / "tokenizer")
    tokenizer.save_pretrained(saved)
    classifier.save(classifier.build(ModelConfig(model="tiny"), tokenizer, tuple("abc"), 0), saved)
    if content is None:
        (saved / file).unlink()
    else:
        (saved / file).write_bytes(content)
    said = refused("train", dataset=made.dataset, **{**SHORT, "model": saved, "layers": 0})
    assert str(saved) in said and expected in said


@pytest.fixture
def encoder(tmp_path) -> Path:
    """A pretrained encoder of 64 positions with its tokenizer, and a dataset of one long text."""
    tokens = architectures.tokens_of(tiny.frames()["train"]["text"].tolist())
    return architectures.save(tmp_path / "encoder", tokens)


def long_talk(root: Path) -> Path:
    test = tiny.frames()["test"]
    test.loc[3, "text"] = " ".join([test.loc[3, "text"]] * 40)
    return write(root / "long", test=test)


@pytest.mark.parametrize("step", ["train", "main", "search"])
def test_texts_longer_than_the_positions_of_the_model(refused, tmp_path, encoder, step):
    given = tiny.FAST | {"model": encoder, "layers": 0, "max_length": 128}
    said = refused(step, dataset=long_talk(tmp_path), **given)
    assert "positions for 64 tokens" in said and "max_length=64 or less" in said
    assert not [*(tmp_path / "work").glob("train-*")]


@pytest.mark.parametrize("step", ["main", "search"])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("model={encoder}&layers=0&max_length=128", "give max_length=64 or less"),
        ("model={bare}&layers=0", "has no tokenizer"),
        ("model=nobody/nothing&layers=0", "unknown model 'nobody/nothing'"),
        ("layers=9", "layers=9 is too many"),
    ],
)
def test_a_model_to_retrain_that_does_not_work_is_told_before_training(
    refused, tmp_path, encoder, step, change, expected
):
    bare = shutil.copytree(encoder, tmp_path / "bare")
    for file in bare.glob("tokenizer*"):
        file.unlink()
    change = change.format(encoder=encoder, bare=bare)
    said = refused(step, dataset=long_talk(tmp_path), retrain_with=change, **tiny.FAST)
    assert expected in said
    assert not [*(tmp_path / "work").glob("train-*")]


@pytest.mark.parametrize(("step", "given"), [("evaluate", "sample"), ("search", "scores")])
def test_a_model_to_retrain_that_does_not_work_on_what_was_scored(
    refused, made, tmp_path, encoder, step, given
):
    for file in encoder.glob("tokenizer*"):
        file.unlink()
    change = f"model={encoder}&layers=0"
    assert "has no tokenizer" in refused(
        step, **{given: getattr(made, given), "retrain_with": change}
    )
    assert not [*(tmp_path / "work").glob("evaluate-*"), *(tmp_path / "work").glob("retrainings")]


# names and numbers


@pytest.mark.parametrize("step", ["train", "main"])
def test_a_device_that_is_not_there(refused, made, step):
    for device in ("cuda:99", "abacus"):
        said = refused(step, dataset=made.dataset, device=device)
        assert f"'{device}'" in said and "cpu" in said


@pytest.mark.parametrize(
    ("step", "parameters", "expected"),
    [
        ("main", {"arms": "vog"}, ("'vog' names no rule", "easy")),
        ("main", {"arms": "wog:easy"}, ("unknown score 'wog'", "vog")),
        ("main", {"arms": "vog:easiest"}, ("unknown rule 'easiest'", "easy")),
        ("main", {"arms": "vog:easy:klass"}, ("unknown normalize 'klass'", "class, dataset, none")),
        ("main", {"arms": "vog:random"}, ("takes no score", "'vog:random'")),
        (
            "main",
            {"observe_every": 50, "arms": "forgetting:easy"},
            ("observe_every between 1 and",),
        ),
        ("main", {"arms": "el2n@x:easy"}, ("unknown window 'x'", "el2n@2")),
        ("main", {"score": "wog"}, ("unknown score 'wog'", "vog")),
        ("main", {"score": "el2n@9", "epochs": 2}, ("epoch 9", "ends after epoch 2")),
        ("main", {"arms": "pvi:easy", "null_model": "false"}, ("null_model=true",)),
        ("main", {"score": "forgetting", "observe_every": 0}, ("observe_every between 1 and",)),
        ("main", {"fractions": "0.5,1"}, ("below 1", "'0.5,1'")),
        ("main", {"fractions": "-0.1"}, ("at least 0", "'-0.1'")),
        ("main", {"fractions": "half"}, ("numbers", "'half'")),
        ("main", {"fractions": ""}, ("fraction",)),
        ("train", {"epochs": "two"}, ("epochs", "'two'")),
        ("train", {"epochs": "2.5"}, ("epochs", "'2.5'")),
        ("train", {"seed": 2**64}, ("seed must be at most 2147483647, not 18446744073709551616",)),
        ("train", {"epochs": -1}, ("epochs must be at least 0, not -1",)),
        ("train", {"learning_rate": "nan"}, ("learning_rate",)),
        ("train", {"learning_rate": "inf"}, ("learning_rate", "inf")),
        ("train", {"null_model": "maybe"}, ("true or false", "'maybe'")),
        ("train", {"schedule": "cosine"}, ("constant, linear", "'cosine'")),
        ("train", {"learning_rat": 1}, ("'learning_rat'", "learning_rate")),
        ("score", {}, ("score needs training",)),
        ("search", {"goal": "best"}, ("goal must be one of prune, efficiency, frontier", "'best'")),
        ("search", {"tolerance": -0.01}, ("tolerance must be at least 0, not -0.01",)),
        ("search", {"trials": 0}, ("trials must be at least 1, not 0",)),
        ("search", {"metric": "bleu"}, ("accuracy, macro_f1", "'bleu'")),
        ("search", {"rules": "easy,soft"}, ("unknown rule 'soft'", "softmax")),
        ("search", {"lowest": 60, "highest": 50}, ("no multiple of 5 %", "lowest=60")),
        ("search", {"score": "wog"}, ("unknown score 'wog'", "vog")),
        ("search", {"score": "el2n@5"}, ("epoch 5", "ends after epoch 2")),
        ("search", {"storage": "sqlite:////no/where/x.db"}, ("storage sqlite:////no/where",)),
        ("search", {"storage": "here"}, ("no SQLAlchemy URL",)),
        ("search", {"datasets": "assistant?epoch=1"}, ("no parameter 'epoch'", "epochs")),
        ("search", {"datasets": "assistant?epochs=x"}, ("epochs", "'x'")),
        ("search", {"datasets": "nowhere/at/all"}, ("nowhere/at/all is not a directory",)),
    ],
)
def test_a_name_or_a_number_that_is_not_possible(refused, made, step, parameters, expected):
    given = {} if step == "score" else {"dataset": made.dataset, **tiny.FAST}
    said = refused(step, **{**given, **parameters})
    assert all(part in said for part in expected), said


def test_a_search_of_scores_that_are_not_there(refused, made):
    here = {"scores": made.scores}
    assert "holds no score 'vog'" in refused("search", score="vog", **here)
    assert "holds no score 'el2n@1'" in refused("search", score="el2n@1", **here)
    assert "there is no directory" in refused("search", scores=made.scores / "more")
    assert "step 'train'" in refused("search", scores=made.training)
    assert "is for task=nlu" in refused("search", metric="frame_accuracy", **here)


@pytest.mark.parametrize(
    "parameters", [{"epochs": 5}, {"dataset": "x"}, {"datasets": "x"}, {"model": "mini"}]
)
def test_a_search_of_scores_that_is_told_to_train_otherwise(refused, made, parameters):
    said = refused("search", scores=made.scores, **parameters)
    (name,) = parameters
    assert f"{name}={parameters[name]} cannot be followed" in said


def test_what_main_can_know_beforehand_is_said_before_it_trains(refused, made, tmp_path):
    for parameters in (
        {"fractions": "0.5,1"},
        {"arms": "el2n@9:easy"},
        {"score": "wog"},
        {"fractions": "0.99"},
    ):
        refused("main", dataset=made.dataset, **tiny.FAST, **parameters)
        assert not [*(tmp_path / "work").glob("train-*/runs")]


def test_a_fraction_that_leaves_fewer_examples_than_classes(refused, made):
    said = refused("sample", scores=made.scores, arm="el2n:easy", fractions="0.5,0.99")
    assert "leaves 1 of 121" in said and "the largest possible fraction is 0.9752" in said


# directories of finished steps


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ("forgetting", "observe_every between 1 and"),
        ("pvi", "null_model=true"),
        ("el2n@9", "ends after epoch 2"),
        ("el2n@0", "el2n@0"),
        ("el2n@late", "unknown window 'late'"),
        ("wog", "there is aum,"),
        (" , ", "names no score"),
    ],
)
def test_a_score_that_a_training_cannot_give(refused, made, score, expected):
    assert expected in refused("score", training=made.training, score=score)


def test_layers_that_the_model_does_not_have(refused, made):
    for layers in ("encoder.layer.9", "(", "nothing"):
        said = refused(
            "score", training=made.training, score="tracin", tracin_layers=layers, workers=1
        )
        assert f"'{layers}'" in said


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda path: (path / "manifest.json").unlink(), "no manifest.json"),
        (lambda path: (path / "manifest.json").write_text("{"), "is not a manifest"),
        (lambda path: (path / "runs/0/observations.npy").unlink(), "observations.npy is missing"),
        (lambda path: shutil.rmtree(path / "runs"), "is missing"),
        (lambda path: cut_off(next(path.glob("runs/0/*/model.safetensors"))), "truncated"),
        (lambda path: (path / "data/train.parquet").write_bytes(b""), "truncated"),
    ],
)
def test_a_training_that_is_incomplete(refused, made, changed, damage, expected):
    training = changed(made.training, damage)
    said = refused("score", training=training, score="el2n")
    assert expected in said and str(training) in said


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def test_weights_that_are_damaged_but_of_the_right_size(refused, made, changed):
    def overwrite(training: Path) -> None:
        for path in training.glob("runs/0/*/model.safetensors"):
            path.write_bytes(bytes(path.stat().st_size))

    training = changed(made.training, overwrite)
    said = refused("score", training=training, score="el2n")
    assert "model.safetensors is not the file that step 'train' wrote" in said


@pytest.mark.parametrize(
    ("step", "parameter", "given", "file"),
    [
        ("sample", "scores", "scores", "scores.parquet"),
        ("evaluate", "sample", "sample", "order.npy"),
    ],
)
def test_results_changed_after_they_were_finished(
    refused, made, changed, step, parameter, given, file
):
    def turn_around(directory: Path) -> None:
        (directory / file).write_bytes((directory / file).read_bytes()[::-1])

    directory = changed(getattr(made, given), turn_around)
    said = refused(
        step, **{parameter: directory}, **({"arm": "random"} if step == "sample" else {})
    )
    assert f"{file} is not the file that step" in said


def test_a_checkpoint_from_another_model(refused, made, changed):
    """One under a manifest of its own, but for other classes than the dataset's."""

    def exchange(training: Path) -> None:
        tokenizer = tokenizers.open_tokenizer(training / "tokenizer")
        other = classifier.build(ModelConfig(model="tiny", layers=1), tokenizer, tuple("abcde"), 0)
        for path in training.glob("runs/0/step-*"):
            classifier.save(other, path)
        manifest = json.loads((training / "manifest.json").read_text())
        store.finish(training, "train", {k: v for k, v in manifest.items() if k != "files"})

    training = changed(made.training, exchange)
    said = refused("score", training=training, score="el2n")
    assert "5 classes" in said and "3" in said


@pytest.mark.parametrize(
    ("step", "parameter", "given", "expected"),
    [
        ("score", "training", "scores", "was written by step 'score', but 'train' is needed"),
        ("sample", "scores", "training", "was written by step 'train', but 'score' is needed"),
        ("evaluate", "sample", "scores", "was written by step 'score', but 'sample' is needed"),
        ("score", "training", "dataset", "holds no finished train step"),
    ],
)
def test_a_directory_of_another_step(refused, made, step, parameter, given, expected):
    assert expected in refused(step, **{parameter: getattr(made, given)})


@pytest.mark.parametrize(
    "reference",
    [
        "runs:/00000000000000000000000000000000/training",
        "runs:/",
        "runs:/no-run-at-all/training",
        "nowhere/at/all",
    ],
)
def test_a_reference_to_nothing(refused, reference):
    assert reference in refused("score", training=reference)


def test_a_run_that_has_no_such_folder(refused, tracking_store):
    with mlflow.start_run(experiment_id="0") as run:
        pass
    reference = f"runs:/{run.info.run_id}/training"
    assert reference in refused("score", training=reference)


@pytest.mark.parametrize(
    ("arm", "expected"),
    [
        ("vog:easy", "needs the score 'vog', which"),
        ("el2n@1:easy", "needs the score 'el2n@1'"),
        ("el2n:soft", "unknown rule 'soft'"),
        ("el2n:easy:dataset:twice", "has 4 parts"),
        ("", "an arm is empty"),
    ],
)
def test_an_arm_that_the_scores_cannot_give(refused, made, arm, expected):
    assert expected in refused("sample", scores=made.scores, arm=arm)


@pytest.mark.parametrize("step", ["train", "score", "sample", "evaluate", "search"])
def test_a_working_directory_that_cannot_be_written(refused, made, tmp_path, step):
    (tmp_path / "file").write_text("")
    given = {
        "train": {"dataset": made.dataset, **tiny.FAST},
        "score": {"training": made.training, "score": "el2n"},
        "sample": {"scores": made.scores, "arm": "el2n:easy"},
        "evaluate": {"sample": made.sample},
        "search": {"scores": made.scores},
    }
    said = refused(step, workdir=tmp_path / "file/work", **given[step])
    assert str(tmp_path / "file/work") in said and "workdir" in said


# runs, worker processes, real processes


def test_a_refused_run_is_marked_failed(refused, made):
    refused("train", dataset=made.dataset, text_column="words")
    (run,) = mlflow.search_runs(
        experiment_names=["influence"],
        order_by=["attributes.start_time DESC"],
        max_results=1,
        output_format="list",
    )
    assert run.info.status == "FAILED" and run.data.params["text_column"] == "words"


@pytest.mark.slow
def test_a_worker_process_sends_its_sentence_back(made, tmp_path):
    settings = {"score": "tracin", "tracin_layers": "no such", "shard_size": 50, "workers": 2}
    done = project.launch_step(
        "score", training=made.training, workdir=tmp_path, threads=1, track="false", **settings
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "no parameter name fits 'no such'" in done.stderr.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "parameters", "expected"),
    [
        ("train", {"dataset": "nobody/nothing", "track": "false"}, "'nobody/nothing'"),
        ("score", {"training": "runs:/0123/training"}, "runs:/0123/training"),
        ("sample", {"scores": "x", "arm": "vog:eazy", "draw": 1}, "no parameter 'draw'"),
    ],
)
def test_a_real_process_says_one_sentence(tracking_store, step, parameters, expected):
    done = project.launch_step(step, **parameters)
    assert done.returncode == 2
    (said,) = done.stderr.splitlines()
    assert expected in said
    assert not running()


@pytest.mark.slow
def test_an_mlflow_project_run_ends_as_failed(tracking_store, made):
    done = project.mlflow_run("main", dataset=made.dataset, fractions="0.5,1")
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "influence: every fraction pruned must be at least 0 and below 1" in done.stderr
    assert not running()
