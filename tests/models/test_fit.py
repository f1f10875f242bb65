import re

import numpy as np
import pandas as pd
import pytest
import torch

from influence.config.parameters import FitConfig, TrainConfig
from influence.errors import InputError
from influence.models import classifier, fit, layers, tokenizers
from influence.models import tokens as batches
from influence.runtime import devices
from tests.helpers import loops

WORDS = ["red", "blue", "green", "cat", "dog", "bird"]
TINY = {"model": "tiny", "layers": 1, "batch_size": 8, "epochs": 2}


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)
    labels = np.arange(48) % 2
    kinds = (WORDS[:3], WORDS[3:])
    texts = [
        " ".join(generator.choice(kinds[label], size=1 + i % 5)) for i, label in enumerate(labels)
    ]
    tokenizer = tokenizers.load_tokenizer(FitConfig(**TINY), texts)
    return tokenizer, batches.encode(tokenizer, pd.DataFrame({"text": texts}), 16, True), labels


def trained(data, seed: int = 0, stops: tuple[int, ...] = (12,), **parameters):
    tokenizer, tokens, labels = data
    config = FitConfig(**{**TINY, **parameters})
    model = classifier.build(config, tokenizer, ("colour", "animal"), seed)
    progress = list(loops.train(model, tokens, labels, config, seed, stops))
    return model, progress


def weights(model) -> torch.Tensor:
    return torch.cat([parameter.flatten() for parameter in model.parameters()])


def test_training_learns_and_yields_at_each_stop(data):
    model, progress = trained(data, stops=(3, 6, 12))
    assert [p.step for p in progress] == [3, 6, 12]
    assert [p.epoch for p in progress] == [0.5, 1, 2]
    assert progress[-1].loss < progress[0].loss
    assert (classifier.predict(model, data[1]).argmax(1) == data[2]).mean() > 0.9


@pytest.mark.parametrize("rate", [1e20, 1e38])
def test_a_training_that_diverges_is_ended_with_the_rate_to_lower(data, rate):
    said = rf"diverged: by step 6 of 12 .* learning_rate={rate:g} and head_learning_rate={rate:g};"
    with pytest.raises(InputError, match=re.escape(said).replace(r"\.\*", ".*")):
        trained(data, stops=(6, 12), learning_rate=rate)


def test_a_step_that_makes_weights_infinite_is_noticed_before_they_are_kept(data):
    tokenizer, tokens, labels = data
    model = classifier.build(FitConfig(**TINY), tokenizer, ("colour", "animal"), 0)
    stops = loops.train(model, tokens, labels, FitConfig(**TINY), 0, (1, 2))
    assert next(stops).step == 1  # whose loss is a number
    with torch.no_grad():
        model.get_parameter("classifier.bias")[0] = torch.inf
    assert layers.not_finite(model) == ["classifier.bias"]
    with pytest.raises(InputError, match="the training diverged: by step 2 of 12"):
        next(stops)


def test_training_depends_on_its_seed_alone(data):
    first, again, other = (weights(trained(data, seed)[0]) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_looking_at_the_model_does_not_change_its_training(data):
    tokenizer, tokens, labels = data
    config = FitConfig(**TINY)
    watched = classifier.build(config, tokenizer, ("colour", "animal"), 0)
    for _ in loops.train(watched, tokens, labels, config, 0, range(1, 13)):
        classifier.predict(watched, tokens)
    assert torch.equal(weights(watched), weights(trained(data)[0]))


def test_stopping_early_leaves_the_state_of_the_longer_training(data):
    tokenizer, tokens, labels = data
    config = FitConfig(**TINY, schedule="linear", warmup=0.2)
    long, short = (classifier.build(config, tokenizer, ("colour", "animal"), 0) for _ in range(2))
    for progress in loops.train(long, tokens, labels, config, 0, (6, 12)):
        if progress.step == 6:
            state = weights(long).clone()
    list(loops.train(short, tokens, labels, config, 0, (6,), steps=12))
    assert torch.equal(weights(short), state)


def test_encoder_and_head_have_their_own_learning_rates(data):
    before = classifier.build(FitConfig(**TINY), data[0], ("colour", "animal"), 0)
    model, progress = trained(
        data, learning_rate=1e-12, head_learning_rate=1e-2, schedule="constant"
    )
    assert progress[0].learning_rate == 1e-12
    moved = {
        name: (parameter - old).abs().max().item()
        for (name, parameter), old in zip(
            model.named_parameters(), before.parameters(), strict=True
        )
    }
    assert all(change < 1e-6 for name, change in moved.items() if name.startswith("bert."))
    assert moved["classifier.weight"] > 1e-3


@pytest.mark.parametrize(
    ("parameters", "rates"),
    [
        ({"schedule": "constant", "warmup": 0}, [1, 1, 1, 1]),
        ({"schedule": "linear", "warmup": 0}, [10 / 12, 7 / 12, 4 / 12, 1 / 12]),
        ({"schedule": "constant", "warmup": 0.5}, [3 / 6, 1, 1, 1]),
    ],
)
def test_the_learning_rate_follows_its_schedule(data, parameters, rates):
    _, progress = trained(data, learning_rate=1e-3, stops=(3, 6, 9, 12), **parameters)
    assert [p.learning_rate / 1e-3 for p in progress] == pytest.approx(rates)


def test_more_steps_than_the_epochs_have_go_on_with_new_epochs(data):
    tokenizer, tokens, labels = data
    config = FitConfig(**TINY)
    model = classifier.build(config, tokenizer, ("colour", "animal"), 0)
    (last,) = loops.train(model, tokens, labels, config, 0, (20,), steps=20)
    assert last.step == 20 and last.epoch == pytest.approx(20 / 6)


def config(**parameters) -> TrainConfig:
    return TrainConfig(**{"batch_size": 10, "epochs": 4, **parameters})


def test_checkpoints_spread_evenly_and_end_with_the_training():
    plan = fit.schedule(config(checkpoints=4), 100)
    assert plan.spread == (10, 20, 30, 40) and plan.epochs == (10, 20, 30, 40)


def test_checkpoints_by_cadence():
    assert fit.schedule(config(checkpoint_every=15), 100).spread == (15, 30)


def test_more_checkpoints_than_steps_are_one_per_step():
    assert fit.schedule(config(checkpoints=10, epochs=1), 30).spread == (1, 2, 3)
    assert fit.schedule(config(checkpoints=10**12, epochs=1), 30).spread == (1, 2, 3)


def test_observations_end_with_the_observed_epochs():
    plan = fit.schedule(config(observe_every=6, observe_epochs=2), 100)
    assert plan.observations == (6, 12, 18)
    assert fit.schedule(config(observe_every=0), 100).observations == ()


def test_later_runs_keep_the_ends_of_the_observed_epochs_only():
    plan = fit.schedule(config(observe_every=6, observe_epochs=2), 100, first=False)
    assert plan.checkpoints == (10, 20) and plan.stops[-1] == 20


@pytest.mark.parametrize(
    ("unit", "there"), [({"avx512_f": True}, False), ({"avx512_bf16": True}, True), ({}, False)]
)
def test_bf16_on_a_cpu_is_what_is_asked_for(monkeypatch, unit, there):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: unit, raising=False)
    assert devices.has_bf16("cpu") is there
    assert devices.settled("auto", "cpu") == "fp32"  # the same numbers on every processor
    assert devices.settled("bf16", "cpu") == "bf16"


@pytest.mark.parametrize("there", [True, False])
def test_auto_is_bf16_on_a_gpu_that_has_it(monkeypatch, there):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: there)
    assert devices.settled("auto", "cuda:1") == ("bf16" if there else "fp32")


@pytest.mark.parametrize(
    "parameters",
    [{}, {"weight_decay": 0.1, "schedule": "linear", "warmup": 0.3, "max_grad_norm": 0.0}],
)
@pytest.mark.parametrize("at", [4, 6, 9])  # within an epoch, at its end, in the next one
def test_a_training_goes_on_from_its_state_as_if_it_had_never_ended(data, at, parameters):
    tokenizer, tokens, labels = data
    config = FitConfig(**{**TINY, **parameters})
    stops, states = (at, 10, 12), {}
    whole, half = (classifier.build(config, tokenizer, ("colour", "animal"), 0) for _ in range(2))
    for progress in loops.train(whole, tokens, labels, config, 0, stops):
        states[progress.step] = {name: t.clone() for name, t in progress.tensors().items()}
    torch.manual_seed(99)
    begun = fit.State(at, states[at])
    again = list(loops.train(half, tokens, labels, config, 0, stops, begun=begun))
    assert [progress.step for progress in again] == [10, 12]
    assert torch.equal(weights(half), weights(whole)) and not half.training


def test_a_training_that_had_reached_its_end_takes_no_step_more(data):
    tokenizer, tokens, labels = data
    model = classifier.build(FitConfig(**TINY), tokenizer, ("colour", "animal"), 0)
    (last,) = loops.train(model, tokens, labels, FitConfig(**TINY), 0, (5,))
    begun = fit.State(5, {name: t.clone() for name, t in last.tensors().items()})
    other = classifier.build(FitConfig(**TINY), tokenizer, ("colour", "animal"), 1)
    assert not list(loops.train(other, tokens, labels, FitConfig(**TINY), 0, (5,), begun=begun))
    assert torch.equal(weights(other), weights(model))


@pytest.mark.parametrize(
    ("examples", "epochs"), [(6000, 8), (11514, 5), (95000, 3), (2000, 24), (5452, 9), (100, 60)]
)
def test_small_sets_are_trained_on_for_more_epochs(examples, epochs):
    for classes in (2, 50):
        assert fit.with_epochs(FitConfig(), examples, classes).epochs == epochs
        assert fit.with_epochs(FitConfig(epochs=7), examples, classes).epochs == 7


@pytest.mark.parametrize(("classes", "epochs"), [(50, 4), (64, 5), (150, 10), (1000, 60)])
def test_more_classes_take_more_epochs(classes, epochs):
    assert fit.with_epochs(FitConfig(), 15100, classes).epochs == epochs


@pytest.mark.parametrize(
    ("kept", "steps"),  # by auto, of 8,954 examples of 64 classes that take 7 epochs, 1,960 steps
    [(8954, 1960), (6268, 1960), (4477, 1960), (2686, 23 * 84), (895, 60 * 28)],
)
def test_a_subset_is_trained_until_it_has_converged_but_no_longer_than_all(kept, steps):
    config = FitConfig(epochs=7)
    assert fit.steps_of("auto", config, kept, 8954, 64) == steps
    assert fit.steps_of("steps", config, kept, 8954, 64) == 1960
    assert fit.steps_of("epochs", config, kept, 8954, 64) == 7 * -(-kept // 32)


def test_a_large_subset_is_trained_for_as_many_epochs_as_all():
    config = FitConfig(epochs=3, batch_size=128)
    half, tenth = (fit.steps_of("auto", config, kept, 550_000, 3) for kept in (275_000, 55_000))
    assert half == 3 * 2149 and tenth == 4 * 430
