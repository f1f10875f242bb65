"""Recorded steps train as the loop does; on a machine with a GPU, real graphs too."""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from influence.config.parameters import FitConfig
from influence.errors import InputError, Terminated
from influence.jobs import gpus
from influence.jobs.engine import keep, let_go
from influence.models import classifier, tokenizers
from influence.models import tokens as batches
from influence.models.fit import State
from influence.models.fitting import graphs, speed, trainers
from influence.models.fitting.course import Course, Examples, Part, of_classifier, part
from influence.models.fitting.trainers import Trainers, trained
from influence.nlu import joint
from influence.nlu.words import Words, read_words
from tests.helpers.graphs import RecordedGraphs

WORDS = ["red", "blue", "green", "cat", "dog", "bird"]
TINY = {"model": "tiny", "layers": 1, "batch_size": 8, "epochs": 2}
ROWS = np.arange(3, 45)  # the last batch of an epoch has two of its eight rows
KINDS = [
    pytest.param((RecordedGraphs, "cpu"), id="recorded"),
    pytest.param(
        (graphs.CudaGraphs, "cuda"),
        id="cuda",
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
    ),
]


@pytest.fixture(params=KINDS)
def device(request, monkeypatch):
    """Record steps, and give the device that they are recorded on."""
    kind, name = request.param
    monkeypatch.setattr(graphs, "kind_on", lambda device: kind)
    let_go()
    yield name
    let_go()


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)
    labels = np.arange(50) % 2
    texts = [
        " ".join(generator.choice((WORDS[:3], WORDS[3:])[label], size=1 + i % 12))
        for i, label in enumerate(labels)
    ]
    tokenizer = tokenizers.load_tokenizer(FitConfig(**TINY), texts)
    frame = pd.DataFrame({"text": texts, "text_pair": texts})
    return tokenizer, batches.encode(tokenizer, frame, 32, True), labels


def course(data, device: str, dropout: float | None = None, **parameters) -> Course:
    tokenizer, tokens, labels = data
    config = FitConfig(**{**TINY, **parameters})
    made = of_classifier(
        config, tokenizer, ("colour", "animal"), Examples(tokens, labels), "test", device
    )
    if dropout is None:
        return made
    return replace(made, build=partial(without_dropout, made.build, dropout))


def without_dropout(build, dropout: float, seed: int) -> nn.Module:
    model = build(seed)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
        if hasattr(module, "dropout_prob"):
            module.dropout_prob = dropout
    return model


def train(one: Course, what: Part) -> tuple[list, np.ndarray]:
    with trained(one, what) as (model, stops, _):
        progress = [(p.step, p.epoch, p.loss, p.learning_rate) for p in stops]
        return progress, classifier.predict(model, one.examples.tokens)


def by_the_loop(monkeypatch, one: Course, what: Part) -> tuple[list, np.ndarray]:
    with monkeypatch.context() as patch:
        patch.setattr(graphs, "kind_on", lambda device: None)
        return train(one, what)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"schedule": "linear", "warmup": 0.2, "weight_decay": 0.1},
        {"head": "mlp", "max_grad_norm": 0.0},
        {"precision": "bf16"},
    ],
    ids=lambda parameters: ",".join(parameters) or "plain",
)
def test_recorded_steps_train_as_the_loop_does(data, device, parameters, monkeypatch):
    one = course(data, device, 0.0, **parameters)
    what = part(one, ROWS, 3, stops=(5, 9, 12))
    ours, logits = train(one, what)
    theirs, expected = by_the_loop(monkeypatch, one, what)
    half = parameters.get("precision") == "bf16"
    np.testing.assert_allclose(ours, theirs, rtol=2e-3 if half else 1e-5)
    np.testing.assert_allclose(logits, expected, atol=2e-2 if half else 2e-5)


def test_more_steps_than_epochs_have_are_recorded_too(data, device, monkeypatch):
    one = course(data, device, 0.0)
    what = part(one, ROWS[:9], 0, steps=40)
    ours, theirs = train(one, what), by_the_loop(monkeypatch, one, what)
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-3)  # rounding, forty times
    assert ours[0][-1][:2] == (40, 20)


def test_a_training_is_the_same_whatever_ran_in_its_model_before(data, device):
    one = course(data, device)  # with dropout
    first = train(one, part(one, ROWS, 3))
    train(one, part(one, ROWS[:20], 7))
    assert [len(models) for models in keep("trainers", Trainers).idle.values()] == [1]
    again = train(one, part(one, ROWS, 3))
    np.testing.assert_array_equal(again[1], first[1])
    assert again[0] == first[0]


def test_a_training_is_the_same_whatever_runs_beside_it(data, device):
    one = course(data, device)
    parts = [part(one, ROWS[seed:], seed) for seed in range(4)]
    alone = [train(one, what)[1] for what in parts]
    let_go()
    with ThreadPoolExecutor(4) as pool:
        beside = list(pool.map(partial(train, one), reversed(parts)))[::-1]
    for before, (_, after) in zip(alone, beside, strict=True):
        np.testing.assert_array_equal(after, before)
    assert not np.array_equal(alone[0], alone[1])


def test_dropout_differs_from_step_to_step(data, device):
    one = course(data, device, 0.5, learning_rate=1e-30, head_learning_rate=1e-30)
    rows = np.repeat(ROWS[:1], 8)  # every batch the same
    progress, _ = train(one, part(one, rows, 0, stops=range(1, 5), steps=4))
    assert len({loss for _, _, loss, _ in progress}) == 4


def test_every_width_is_recorded_once_for_all_trainings(data, device):
    one = course(data, device)
    for seed in range(3):
        train(one, part(one, ROWS, seed))
    ((captured,),) = keep("trainers", Trainers).idle.values()
    assert sorted(captured.replays) == [16, 24, 27]  # 27: no example is longer
    if device == "cpu":
        assert (captured.graphs.recorded, captured.graphs.launches) == (3, 36)


def test_in_bf16_the_weights_of_all_linear_layers_are_cast_at_once(data, device):
    one = course(data, device, precision="bf16")
    train(one, part(one, ROWS, 0))
    ((captured,),) = keep("trainers", Trainers).idle.values()
    layers = [name for name, m in captured.model.named_modules() if type(m) is nn.Linear]
    assert {name.rpartition(".")[0] for name in captured.linears.cast()} == set(layers)


class Waits(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.count: Counter = Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.count[operation] += 1
        return operation(*args, **(kwargs or {}))


def test_a_training_waits_at_its_stops_alone(data, monkeypatch):
    monkeypatch.setattr(graphs, "kind_on", lambda device: RecordedGraphs)
    let_go()
    one = course(data, "cpu")
    train(one, part(one, ROWS, 0))
    with Waits() as waits, trained(one, part(one, ROWS, 1, stops=(6, 12))) as (_, stops, _):
        assert len(list(stops)) == 2
    assert waits.count[torch.ops.aten._local_scalar_dense.default] == 2
    let_go()


@pytest.mark.parametrize("at", [4, 6, 9])
def test_a_training_resumes_from_its_state_bit_for_bit(data, device, at):
    one = course(data, device, schedule="linear")
    whole = train(one, part(one, ROWS, 3, stops=(at, 12)))
    with trained(one, part(one, ROWS, 3, stops=(at, 12))) as (_, stops, _):
        progress = next(iter(stops))
        state = State(progress.step, {k: v.clone() for k, v in progress.tensors().items()})
    let_go()
    rest = replace(part(one, ROWS, 3, stops=(at, 12)), begun=state)
    resumed = train(one, rest)
    np.testing.assert_array_equal(resumed[1], whole[1])
    assert resumed[0][-1] == whole[0][-1]


def test_looking_at_the_model_does_not_change_its_training(data, device):
    one = course(data, device)
    plain = train(one, part(one, ROWS, 3))[1]
    with trained(one, part(one, ROWS, 3, stops=range(1, 13))) as (model, stops, predict):
        for _ in stops:
            classifier.predict(model, one.examples.tokens)
            predict(one.examples.tokens)
            torch.randn(3)
        np.testing.assert_array_equal(classifier.predict(model, one.examples.tokens), plain)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_recorded_predictions_are_those_of_the_usual_way(data, device, precision):
    one = course(data, device, precision=precision)
    tokens = one.examples.tokens
    others = replace(tokens, ids=tokens.ids[::-1].copy())  # of another split
    near = {"atol": 2e-2 if (device, precision) == ("cuda", "bf16") else 1e-6, "rtol": 0}
    with trained(one, part(one, ROWS, 3, stops=(6, 12))) as (model, stops, predict):
        for _ in stops:
            for some in (tokens, tokens.take(ROWS[::-3]), others, tokens.take(ROWS[:1])):
                usual = classifier.predict(model, some, precision=precision)
                np.testing.assert_allclose(predict(some), usual, **near)
                np.testing.assert_array_equal(predict(some), predict(some))
    assert len(keep("trainers", Trainers).others) == 1


def test_what_was_predicted_before_does_not_matter(data, device):
    one = course(data, device)
    tokens = one.examples.tokens
    with trained(one, part(one, ROWS, 3)) as (_, stops, predict):
        list(stops)
        first = predict(tokens.take(ROWS[:5]))
        predict(tokens)
        np.testing.assert_array_equal(predict(tokens.take(ROWS[:5])), first)


def test_texts_longer_than_those_of_training_are_predicted(data, device):
    one = course(data, device)
    tokens = one.examples.tokens
    short = np.flatnonzero(tokens.lengths < tokens.lengths.max() - 8)
    examples = Examples(tokens.take(short), one.examples.labels[short])
    few = replace(one, name="short", data="short", examples=examples)
    with trained(few, part(few, None, 3)) as (model, stops, predict):
        list(stops)
        expected = classifier.predict(model, tokens)
        np.testing.assert_allclose(predict(tokens), expected, atol=1e-6)


def test_a_prediction_waits_for_none_of_its_batches(data, monkeypatch):
    monkeypatch.setattr(graphs, "kind_on", lambda device: RecordedGraphs)
    let_go()
    one = course(data, "cpu")
    with trained(one, part(one, ROWS, 0)) as (_, stops, predict):
        list(stops)
        predict(one.examples.tokens)
        with Waits() as waits:
            predict(one.examples.tokens)
    assert waits.count[torch.ops.aten._local_scalar_dense.default] == 0
    let_go()


def test_a_training_that_diverges_is_ended(data, device):
    one = course(data, device, learning_rate=1e20, head_learning_rate=1e20)
    with pytest.raises(InputError, match="the training diverged: by step 6 of 12"):
        train(one, part(one, ROWS, 3, stops=(6, 12)))


def test_threads_end_when_the_command_does(data, device, monkeypatch):
    one = course(data, device)
    with trained(one, part(one, ROWS, 3, stops=(1, 12))) as (_, stops, _):
        next(iter(stops))
        monkeypatch.setattr(gpus.stopping, "is_set", lambda: True)
        with pytest.raises(Terminated):
            list(stops)


class Refused(RecordedGraphs):
    def capture(self, step):
        raise RuntimeError("operation not permitted when stream is capturing\nand more")


def test_what_cannot_be_recorded_is_trained_by_the_loop_and_says_so_once(data, monkeypatch, capsys):
    monkeypatch.setattr(graphs, "kind_on", lambda device: Refused)
    let_go()
    one = course(data, "cpu")
    parts = [part(one, ROWS[seed:], seed) for seed in range(3)]
    with ThreadPoolExecutor(3) as pool:
        ours = list(pool.map(partial(train, one), parts))
    for what, (_, logits) in zip(parts, ours, strict=True):
        np.testing.assert_array_equal(logits, by_the_loop(monkeypatch, one, what)[1])
    said = capsys.readouterr().err
    assert said.count("cannot be recorded (operation not permitted when stream is capturing)") == 1
    let_go()


class Unpredicted(RecordedGraphs):
    def capture(self, step):
        if step.func.__name__ == "_forward":
            raise RuntimeError("no such forward")
        return super().capture(step)


def test_a_forward_that_cannot_be_recorded_is_run_plainly_and_says_so_once(
    data, monkeypatch, capsys
):
    monkeypatch.setattr(graphs, "kind_on", lambda device: Unpredicted)
    let_go()
    one = course(data, "cpu")
    for seed in range(2):
        with trained(one, part(one, ROWS, seed)) as (model, stops, predict):
            list(stops)
            usual = classifier.predict(model, one.examples.tokens)
            np.testing.assert_array_equal(predict(one.examples.tokens), usual)
    assert capsys.readouterr().err.count("cannot be recorded (no such forward)") == 1
    let_go()


def test_where_memory_has_room_for_one_model_trainings_take_turns(data, device, monkeypatch):
    monkeypatch.setattr(trainers, "_fits", lambda needed, device: not needed)
    one = course(data, device)
    trained_first = train(one, part(one, ROWS, 0))[1]
    keep("trainers", Trainers).sizes[one.name] = 1
    with ThreadPoolExecutor(3) as pool:
        many = list(pool.map(lambda seed: train(one, part(one, ROWS, seed))[1], range(3)))
    assert [len(models) for models in keep("trainers", Trainers).idle.values()] == [1]
    np.testing.assert_array_equal(many[0], trained_first)


def test_a_model_of_another_course_makes_room(data, device, monkeypatch):
    first, second = course(data, device), course(data, device, batch_size=4)
    train(first, part(first, ROWS, 0))
    store = keep("trainers", Trainers)
    monkeypatch.setattr(trainers, "_fits", lambda needed, device: first.name not in store.idle)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    train(second, part(second, ROWS, 0))
    assert list(store.idle) == [second.name]


def test_the_log_says_how_fast_it_trains(data, device, monkeypatch, capsys):
    monkeypatch.setattr(speed, "EVERY", 0)
    monkeypatch.setattr(speed, "name_of", lambda device: "a device nobody knows")
    one = course(data, device)
    train(one, part(one, ROWS, 0))
    said = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"train: [\d,]+ examples per second, trainings at once: 1", said[-1])
    let_go()
    (said,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"train: [\d,]+ examples per second in 1 trainings, at most 1 at once; recording took "
        r"[\d.]+ s",
        said,
    )


def test_a_joint_model_is_trained_as_by_the_loop(data, device, monkeypatch):
    tokenizer = data[0]
    texts = [" ".join(WORDS[(i + j) % 6] for j in range(1 + i % 4)) for i in range(20)]
    words: Words = read_words(tokenizer, texts, 16)
    rows, names = np.arange(2, 19), (("a", "b"), ("O", "B-x", "I-x"))
    intents = [names[0][i % 2] for i in rows]
    tags = [[names[1][(i + j) % 3] for j in range(1 + i % 4)] for i in rows]
    config = FitConfig(**TINY)
    build = partial(joint.build, config, tokenizer, *names)
    examples = joint.targets(words, rows, names, intents, tags)
    build = partial(without_dropout, build, 0.0)
    one = Course("joint", "words", build, examples, joint.loss, config, device)
    what = part(one, rows, 0)

    def weights() -> torch.Tensor:
        with trained(one, what) as (model, stops, _):
            list(stops)
            return torch.cat([p.detach().flatten().cpu() for p in model.parameters()])

    ours = weights()
    with monkeypatch.context() as patch:
        patch.setattr(graphs, "kind_on", lambda device: None)
        theirs = weights()
    assert (ours - theirs).abs().max() < 1e-5
