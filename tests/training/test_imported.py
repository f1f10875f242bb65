"""Checkpoints made elsewhere: by transformers' own Trainer, and in folders of any kind."""

import json
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import TrainerCallback

from influence.config.steps import ScoreStep, TrainStep
from influence.errors import InputError
from influence.jobs import engine as cluster
from influence.models import classifier, tokenizers
from influence.training.result import Training
from influence.training.trainer import notes, output
from tests.helpers import architectures, steps, tiny
from tests.helpers.steps import HERE, finish, perform
from tests.helpers.tables import load


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> str:
    return str(tiny.write(tmp_path_factory.mktemp("data") / "talk", tiny.frames()))


def score(training: Path, names: str, workdir: Path) -> pd.DataFrame:
    config = ScoreStep(training=str(training), score=names, workdir=str(workdir), **HERE)
    return pd.read_parquet(perform(steps.score, config, Training(training)) / "scores.parquet")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, dataset) -> Path:
    """A training of our own, whose checkpoints are then taken for somebody else's."""
    workdir = tmp_path_factory.mktemp("own")
    config = TrainStep(dataset=dataset, workdir=str(workdir), **HERE, **tiny.FAST)
    return perform(steps.train, config)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, trained) -> Path:
    """The same checkpoints, as a Trainer leaves them."""
    at = tmp_path_factory.mktemp("elsewhere")
    run = json.loads((trained / "runs/0/run.json").read_text())
    for kept in run["checkpoints"]:
        path = at / f"checkpoint-{kept['step']}"
        without = shutil.ignore_patterns("tokenizer*")
        shutil.copytree(trained / f"runs/0/step-{kept['step']:06d}", path, ignore=without)
        noted = {"step": kept["step"], "learning_rate": kept["learning_rate"]}
        state = {"epoch": kept["epoch"], "log_history": [noted]}
        (path / notes.STATE).write_text(json.dumps(state))
    shutil.copytree(trained / "tokenizer", path, dirs_exist_ok=True)
    return at


def import_from(folder: Path, dataset: str, workdir: Path, **parameters) -> Path:
    config = TrainStep(
        dataset=dataset,
        import_from=str(folder),
        workdir=str(workdir),
        **HERE,
        **(tiny.FAST | parameters),
    )
    return perform(steps.train, config)


def test_adopted_checkpoints_score_as_if_they_were_our_own(tmp_path, trained, folder, dataset):
    imported = import_from(folder, dataset, tmp_path)
    names = "vog,el2n,tracin"
    found, wanted = score(imported, names, tmp_path), score(trained, names, tmp_path)
    pd.testing.assert_frame_equal(found, wanted)


def test_scores_that_checkpoints_alone_cannot_give_are_refused(tmp_path, folder, dataset):
    imported = import_from(folder, dataset, tmp_path)
    with pytest.raises(InputError, match="holds checkpoints only"):
        score(imported, "forgetting", tmp_path)
    config = TrainStep(dataset=dataset, import_from=str(folder), workdir=str(tmp_path), **HERE)
    with cluster.engine(config) as engine, pytest.raises(InputError, match="null model"):
        finish(steps.train(config, engine, "pvi"))


def test_without_notes_of_a_trainer_the_last_checkpoint_ends_the_last_epoch(tmp_path, folder):
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare, ignore=shutil.ignore_patterns(notes.STATE))
    found = output.find(bare, epochs=4, learning_rate=0.5)
    assert found[-1].epoch == 4 and found[-1].series == ["spread", "epochs"]
    assert {one.learning_rate for one in found} == {0.5}
    assert [one.step for one in found] == sorted(one.step for one in found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda at: shutil.rmtree(at), "no directory"),
        (lambda at: [shutil.rmtree(path) for path in at.iterdir()], "holds no checkpoints"),
        (
            lambda at: next(at.glob("*/*.safetensors")).rename(at / "w.bin"),
            "no safetensors weights",
        ),
        (lambda at: shutil.copytree(next(at.glob("checkpoint-*")), at / "step-16"), "same step"),
    ],
)
def test_a_folder_that_cannot_be_adopted_is_named(tmp_path, folder, change, said):
    at = tmp_path / "folder"
    shutil.copytree(folder, at)
    last = max(at.iterdir(), key=lambda path: int(path.name.split("-")[1]))
    last.rename(at / "checkpoint-16")
    change(at)
    with pytest.raises(InputError, match=said):
        output.find(at, 2, 1e-3)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["learning_rate", "step", "0", "1"]), inner, max_size=3)
    ),
    max_leaves=4,
)
NOTED = ["epoch", "global_step", "id2label", "log_history", "max_steps"]
NOTES = st.dictionaries(st.sampled_from(NOTED), ANYTHING)
OF_ROWS = st.sampled_from(["learning_rate", "loss", "step"])
ROWS = st.lists(st.dictionaries(OF_ROWS, ANYTHING), max_size=3)


@given(
    st.one_of(ANYTHING, NOTES).map(json.dumps) | st.text(),
    st.one_of(ANYTHING, NOTES, st.fixed_dictionaries({"log_history": ROWS})).map(json.dumps)
    | st.text(),
    st.sampled_from(["checkpoint-0", "checkpoint-7"]),
)
@example("{}", "[" * 100_000, "checkpoint-7")
@example("[" * 100_000, "{}", "checkpoint-7")
@example('{"id2label": {"999999999999": "a"}}', "{}", "checkpoint-7")
@example("{}", '{"epoch": "last"}', "checkpoint-7")
@example("{}", '{"log_history": [{"learning_rate": 1}]}', "checkpoint-7")
@example("{}", '{"epoch": NaN}', "checkpoint-7")
@example("{}", '{"global_step": 1e400}', "checkpoint-7")
@example("{}", '{"max_steps": [1]}', "checkpoint-7")
@example("{}", '{"log_history": [{"loss": 1, "step": [1]}]}', "checkpoint-7")
@example("{}", "{}", "checkpoint-0")
def test_any_notes_beside_a_checkpoint_are_read_or_bad_input(config, state, name):
    with tempfile.TemporaryDirectory() as root:
        path = Path(root) / name
        path.mkdir()
        for file, content in {"config.json": config, notes.STATE: state}.items():
            (path / file).write_text(content, encoding="utf-8", errors="replace")
        (path / "model.safetensors").write_text("")
        try:
            (found,) = output.find(Path(root), 3, 1e-3)
            output.check_labels((found,), ("a", "b"))
        except InputError:
            return
        assert np.isfinite([found.epoch, found.learning_rate]).all()
        assert output.identity((found,))
        assert output.describe(Path(root), (found,)) is not None


def empty(folder: Path, states: dict[str, dict | None]) -> Path:
    """Make folders that pass for checkpoints, each with its Trainer's state or without."""
    for name, state in states.items():
        path = folder / name
        path.mkdir(parents=True)
        (path / "config.json").write_text("{}")
        (path / "model.safetensors").write_text("")
        if state is not None:
            (path / notes.STATE).write_text(json.dumps(state))
    return folder


def trainers(steps: range, logged: dict[int, float], every: int = 8, **more) -> dict[str, dict]:
    """Return what a Trainer notes at these steps, `logged`: the learning rates by step."""
    return {
        f"checkpoint-{step}": {
            "global_step": step,
            "epoch": step / every,
            "log_history": [
                {"step": at, "learning_rate": rate} for at, rate in logged.items() if at <= step
            ],
            "max_steps": steps[-1],
            **more,
        }
        for step in steps
    }


def rates(found) -> list[float]:
    return [one.learning_rate for one in found]


def test_learning_rates_between_those_noted_are_on_their_line(tmp_path):
    states = trainers(range(8, 65, 8), {4: 0.6, 24: 0.4, 56: 0.1})
    found = output.find(empty(tmp_path, states), 3, 9.0)
    assert rates(found)[:3] == pytest.approx([0.56, 0.48, 0.4])
    assert rates(found)[3:7] == pytest.approx([0.325, 0.25, 0.175, 0.1])
    assert [one.rate_is for one in found] == [
        *("line", "line", "noted", "line", "line", "line", "noted", "nearest")
    ]
    (said,) = output.describe(tmp_path, found)
    assert said.startswith(
        "no learning rate, by which TracIn weights checkpoints, is recorded at step 8, 16, 32,"
    )


def test_a_linear_schedule_is_known_by_two_of_its_rates(tmp_path):
    """The rate that a Trainer notes at a step is that of the step before in its schedule."""
    linear = {step: 1 - (step - 1) / 64 for step in (35, 50)}
    found = output.find(empty(tmp_path, trainers(range(8, 65, 8), linear)), 3, 9.0)
    assert rates(found) == pytest.approx([1 - (step - 1) / 64 for step in range(8, 65, 8)])
    assert (
        "from a line through those recorded at other steps" in output.describe(tmp_path, found)[0]
    )


@pytest.mark.parametrize("logged", [{35: 0.5}, {35: 0.5, 36: 0.5}])
def test_one_rate_alone_is_that_of_all_and_it_is_said(tmp_path, logged):
    found = output.find(empty(tmp_path, trainers(range(8, 65, 8), logged)), 3, 9.0)
    assert rates(found) == [0.5] * 8
    assert "from the nearest of those recorded at other" in output.describe(tmp_path, found)[0]


def test_without_any_rate_noted_all_weigh_alike_and_it_is_said(tmp_path):
    found = output.find(empty(tmp_path, trainers(range(8, 65, 8), {})), 3, 0.25)
    assert rates(found) == [0.25] * 8
    said = "no learning rate is recorded beside any checkpoint: TracIn weights all equally, by 0.25"
    assert output.describe(tmp_path, found) == [said]


def test_a_rate_noted_at_every_step_needs_no_word(tmp_path):
    states = trainers(range(8, 65, 8), {step: 1 / step for step in range(1, 65)})
    found = output.find(empty(tmp_path, states), 3, 9.0)
    assert rates(found) == [1 / step for step in range(8, 65, 8)]
    assert output.describe(tmp_path, found) == []


EVERY = {step: 0.1 for step in range(1, 65)}


def test_models_beside_the_checkpoints_are_left_aside_and_named(tmp_path):
    states = trainers(range(8, 33, 8), EVERY)
    final = {**states["checkpoint-32"], "global_step": 500}
    more = {"bert-v2": None, "checkpoint-32-best": states["checkpoint-32"], "out-7": final}
    found = output.find(empty(tmp_path, states | more), 3, 9.0)
    assert [one.step for one in found] == [8, 16, 24, 32]
    assert [one.epoch for one in found] == [1, 2, 3, 4]
    (said,) = output.describe(tmp_path, found)
    assert said.startswith(f"bert-v2, checkpoint-32-best, out-7 in {tmp_path} are ignored")


def test_a_checkpoint_without_notes_takes_its_epoch_from_those_with_some(tmp_path):
    states = trainers(range(8, 33, 8), EVERY) | {"checkpoint-40": None}
    found = output.find(empty(tmp_path, states), 3, 9.0)
    assert [(one.step, one.epoch) for one in found][-1] == (40, 5)


def test_checkpoints_that_were_renamed_by_epochs_keep_their_steps(tmp_path):
    for first in (0, 1):
        states = trainers(range(8, 33, 8), EVERY).values()
        named = {f"epoch-{n}": state for n, state in enumerate(states, first)}
        found = output.find(empty(tmp_path / str(first), named), 3, 9.0)
        assert [(one.step, one.epoch) for one in found] == [(8, 1), (16, 2), (24, 3), (32, 4)]


def test_names_without_numbers_leave_the_steps_to_the_notes(tmp_path):
    first, last = trainers(range(8, 17, 8), EVERY).values()
    found = output.find(empty(tmp_path, {"early": first, "best": last, "base": None}), 3, 9.0)
    assert [(one.path.name, one.step) for one in found] == [("early", 8), ("best", 16)]


@pytest.mark.parametrize(
    ("names", "epochs"),
    [
        (("epoch_1.5", "epoch_2.0"), [1.5, 2]),
        ([f"epoch_{half / 2}" for half in range(1, 9)], [half / 2 for half in range(1, 9)]),
        (("epoch-1", "epoch-2", "epoch-10"), [1, 2, 10]),
        (("ep1", "ep2"), [1, 2]),
        (("model-0.25", "model-1.0"), [0.25, 1]),
        (("model-0.5", "model-1"), [0.5, 1]),
        (("step-1", "step-2"), [1.5, 3]),
    ],
)
def test_names_tell_epochs_where_nothing_is_noted(tmp_path, names, epochs):
    found = output.find(empty(tmp_path, dict.fromkeys(names)), 3, 9.0)
    assert [one.path.name for one in found] == list(names)
    assert [one.epoch for one in found] == epochs
    assert [("epochs" in one.series) for one in found] == [epoch % 1 == 0 for epoch in epochs]
    read = "the numbers in the names are read as epochs completed: "
    assert any(note.startswith(read) for note in output.describe(tmp_path, found)) == (
        not names[0].startswith("step")
    )


def of_seeds(steps: int) -> dict[str, dict]:
    return {f"seed-{seed}": trainers(range(steps, steps + 1), EVERY).popitem()[1] for seed in "123"}


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (of_seeds(32), "seed-1 is at step 32 and epoch 4 by its .* and not as its name says"),
        (dict.fromkeys(["seed-1", "seed-2", "seed-3"]), "several trainings by the names"),
        (dict.fromkeys(["bert-v2", "checkpoint-8"]), "such as bert-v2 and checkpoint-8; keep"),
        (
            {"checkpoint-8": {"global_step": 8, "epoch": 2}, "checkpoint-9": {"global_step": 4}},
            "checkpoint-9 is at step 4",
        ),
        (
            {
                "checkpoint-8": {"global_step": 8, "epoch": 2},
                "checkpoint-9": {"global_step": 9, "epoch": 1},
            },
            "not from one training: step 9 is of epoch 1, but step 8 of 2",
        ),
        (
            {f"{run}-{step}": None for run in ("a1-step", "a2-step") for step in (8, 16)},
            "have the same step",
        ),
    ],
)
def test_folders_that_are_no_checkpoints_of_one_training_are_refused(tmp_path, states, said):
    with pytest.raises(InputError, match=said):
        output.find(empty(tmp_path, states), 3, 9.0)


def test_classes_that_are_numbered_otherwise_are_refused(tmp_path, folder, dataset):
    at = tmp_path / "folder"
    shutil.copytree(folder, at)
    for path in at.glob("*/config.json"):
        config = json.loads(path.read_text())
        config["id2label"] = {"0": "weather", "1": "music", "2": "timer"}
        path.write_text(json.dumps(config))
    with pytest.raises(InputError, match="numbers its classes weather, music, timer"):
        import_from(at, dataset, tmp_path / "work")
    found = output.find(at, 2, 1e-3)
    with pytest.raises(InputError, match="has 3 classes, but the dataset has 2"):
        output.check_labels(found, ["no", "yes"])


def test_a_trainer_whose_model_numbers_its_classes_otherwise_is_stopped_at_once(tmp_path, dataset):
    from influence.callback import KeepCheckpoints

    keeper = KeepCheckpoints(tmp_path / "training", dataset=dataset)
    names = {0: "weather", 1: "music", 2: "timer"}
    model = SimpleNamespace(config=SimpleNamespace(id2label=names))
    with pytest.raises(InputError, match="the model numbers its classes weather, music, timer"):
        keeper.on_train_begin(None, SimpleNamespace(max_steps=9), None, model=model)
    assert not list(tmp_path.iterdir())


def begun(tmp_path: Path, dataset: str, trained, tokenizer, **parameters) -> None:
    """Begin a training of a Trainer with the callback."""
    from influence.callback import KeepCheckpoints

    keeper = KeepCheckpoints(tmp_path / "training", dataset=dataset, **parameters)
    state = SimpleNamespace(max_steps=9)
    keeper.on_train_begin(None, state, None, model=trained, processing_class=tokenizer)


def test_a_trainer_whose_model_cannot_read_the_texts_is_stopped_at_once(tmp_path, trained, dataset):
    tokenizer = tokenizers.open_tokenizer(trained / "tokenizer")
    model = architectures.build("bert", vocab_size=len(tokenizer), max_position_embeddings=8)
    begun(tmp_path, dataset, model, tokenizer, max_length=8)
    with pytest.raises(InputError, match="the model has positions for 8 tokens.*max_length=8 or"):
        begun(tmp_path, dataset, model, tokenizer)
    small = architectures.build("bert", vocab_size=len(tokenizer) - 9)
    with pytest.raises(InputError, match="the model has embeddings for tokens 0 to"):
        begun(tmp_path, dataset, small, tokenizer)


def test_a_trainer_without_a_tokenizer_needs_the_name_of_its_model(tmp_path, dataset):
    model = architectures.build("bert")
    with pytest.raises(InputError, match="this Trainer has no tokenizer.*model=tiny cannot"):
        begun(tmp_path, dataset, model, None)
    begun(tmp_path, dataset, model, None, model="somebody/bert")


def trainer(tmp_path: Path, trained: Path, dataset: str, callbacks, **parameters):
    """Return a Trainer of three classes, and its model, with these callbacks."""
    pytest.importorskip("accelerate")
    from transformers import Trainer, TrainingArguments

    loaded = load(dataset)
    tokenizer = tokenizers.open_tokenizer(trained / "tokenizer")
    model = classifier.build(
        TrainStep(dataset=dataset, **tiny.FAST), tokenizer, loaded.label_names, seed=1
    )
    rows = [
        {**tokenizer(text, truncation=True, max_length=16), "label": label}
        for text, label in zip(loaded.train["text"], loaded.train["label"], strict=True)
    ]
    usual: dict = {
        "output_dir": str(tmp_path / "out"),
        "num_train_epochs": 2,
        "per_device_train_batch_size": 16,
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
    }
    arguments = TrainingArguments(**usual | parameters)
    made = Trainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        eval_dataset=rows,
        processing_class=tokenizer,
        callbacks=callbacks,
    )
    return made, model


def run_of(training: Path) -> dict:
    return json.loads((training / "runs/0/run.json").read_text())


@pytest.mark.filterwarnings("ignore")  # accelerate's and the Trainer's own
def test_a_trainer_with_one_added_line_leaves_a_training_that_can_be_scored(
    tmp_path, trained, dataset
):
    from influence.callback import KeepCheckpoints

    at = tmp_path / "training"
    keeper = KeepCheckpoints(at, checkpoints=4, dataset=dataset, **_small())
    made, model = trainer(tmp_path, trained, dataset, [keeper])
    made.train()
    table = score(at, "vog,el2n@1,tracin,value,value_class", tmp_path / "work")
    assert len(table) == 121 and np.isfinite(table["vog"]).all()
    assert np.isfinite(table[["value", "value_class"]]).all(axis=None)
    assert (table[["value", "value_class"]].std() > 0).all()
    last = classifier.open_checkpoint(sorted((at / "runs/0").glob("step-*"))[-1])
    for name, weights in model.state_dict().items():
        assert np.array_equal(weights.numpy(), last.state_dict()[name].numpy()), name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "training", "work"]


class Stop(TrainerCallback):
    """Stop after a step: at once as when somebody is content, or as a machine goes down."""

    def __init__(self, step: int, error: type[BaseException] | None = None) -> None:
        self.step, self.error = step, error

    def on_step_end(self, args, state, control, **kwargs) -> None:
        if state.global_step == self.step:
            if self.error is not None:
                raise self.error
            control.should_training_stop = True


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("step", "kept"), [(16, [5, 8, 10, 15, 16]), (18, [5, 8, 10, 15, 16, 18]), (1, [1])]
)
def test_a_trainer_that_stops_early_leaves_what_it_has(tmp_path, trained, dataset, step, kept):
    from influence.callback import KeepCheckpoints

    at = tmp_path / "training"
    keeper = KeepCheckpoints(at, checkpoints=8, dataset=dataset, **_small())
    made, _ = trainer(tmp_path, trained, dataset, [keeper, Stop(step)], num_train_epochs=5)
    made.train()
    assert [one["step"] for one in run_of(at)["checkpoints"]] == kept
    manifest = json.loads((at / "manifest.json").read_text())
    assert manifest["fit"]["epochs"] == max(1, round(step / 8))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_trainer_with_early_stopping_leaves_a_training(tmp_path, trained, dataset):
    from transformers import EarlyStoppingCallback

    from influence.callback import KeepCheckpoints

    at = tmp_path / "training"
    keeper = KeepCheckpoints(at, dataset=dataset, **_small())
    stopping = {"eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True}
    stopping |= {"metric_for_best_model": "loss", "num_train_epochs": 6}
    made, _ = trainer(
        tmp_path, trained, dataset, [keeper, EarlyStoppingCallback(1, 9.0)], **stopping
    )
    made.train()
    assert [one["step"] for one in run_of(at)["checkpoints"]] == [5, 8, 10, 14, 16]


RESUMABLE = {"num_train_epochs": 4, "save_strategy": "steps", "save_steps": 6}


def killed(tmp_path: Path, trained: Path, dataset: str, step: int):
    """Let a Trainer begin whose machine goes down; return another that can resume."""
    from influence.callback import KeepCheckpoints

    def keepers():
        return KeepCheckpoints(tmp_path / "training", checkpoints=8, dataset=dataset, **_small())

    made, _ = trainer(
        tmp_path, trained, dataset, [keepers(), Stop(step, KeyboardInterrupt)], **RESUMABLE
    )
    with pytest.raises(KeyboardInterrupt):
        made.train()
    return trainer(tmp_path, trained, dataset, [keepers()], **RESUMABLE)[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_trainer_that_resumes_keeps_what_was_kept_before(tmp_path, trained, dataset):
    made = killed(tmp_path, trained, dataset, 23)  # resumes after step 18, with 20 kept
    first = tmp_path / "training.checkpoints/checkpoint-4/model.safetensors"
    weights, later = first.read_bytes(), first.parent.with_name("checkpoint-20")
    assert later.exists()
    (later / "stale").touch()
    made.train(resume_from_checkpoint=True)
    at = tmp_path / "training"
    assert [one["step"] for one in run_of(at)["checkpoints"]] == [4, 8, 12, 16, 20, 24, 28, 32]
    assert [one["epoch"] for one in run_of(at)["checkpoints"]][::2] == [0.5, 1.5, 2.5, 3.5]
    assert not list(at.rglob("stale"))
    kept = classifier.open_checkpoint(at / "runs/0/step-000004").state_dict()
    first.parent.mkdir(parents=True)
    first.write_bytes(weights)
    shutil.copy(at / "runs/0/step-000004/config.json", first.parent)
    before = classifier.open_checkpoint(first.parent).state_dict()
    assert all(np.array_equal(kept[name].numpy(), before[name].numpy()) for name in kept)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("lost", ["checkpoint-8", "."])
def test_a_trainer_that_resumes_without_its_first_checkpoints_is_stopped_at_once(
    tmp_path, trained, dataset, lost
):
    made = killed(tmp_path, trained, dataset, 23)
    shutil.rmtree(tmp_path / "training.checkpoints" / lost)
    step = {"checkpoint-8": 8, ".": 4}[lost]
    with pytest.raises(InputError, match=f"resumes after step 18, but .* lacks .* of step {step};"):
        made.train(resume_from_checkpoint=True)
    assert made.state.global_step == 18


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_trainer_that_starts_again_keeps_nothing_of_what_was_before(tmp_path, trained, dataset):
    made = killed(tmp_path, trained, dataset, 23)
    (tmp_path / "training.checkpoints/checkpoint-20").rename(
        tmp_path / "training.checkpoints/checkpoint-21"
    )
    made.train()
    steps = [one["step"] for one in run_of(tmp_path / "training")["checkpoints"]]
    assert steps == [4, 8, 12, 16, 20, 24, 28, 32]


def _small() -> dict:
    return {name: tiny.FAST[name] for name in ("model", "layers", "vocabulary", "max_length")}
