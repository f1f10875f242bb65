"""What gradients a model does not give is said before it is trained."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    FNetConfig,
    PreTrainedModel,
    XLNetConfig,
)

from influence.config.parameters import ModelConfig
from influence.config.steps import ScoreStep, TrainStep
from influence.errors import InputError
from influence.jobs import engine as cluster
from influence.models import tokenizers
from influence.models import tokens as batches
from influence.scores import REGISTRY
from influence.scoring import measurable
from influence.scoring.spec import parse_spec
from influence.training.result import Training
from tests.helpers import architectures, steps, tiny

FRAMES = tiny.frames()
TOKENS = architectures.tokens_of(FRAMES["train"]["text"].tolist())
SIZE = TOKENS.get_vocab_size()
BY_WORDS = ["vog", "vog_std"]
OF_WEIGHTS = ["tracin", "value", "value_class", "grand", "grand_last"]


def made(name: str) -> PreTrainedModel:
    """Return a classifier of the words of the texts."""
    small = {"vocab_size": SIZE, "num_labels": 3, "pad_token_id": 0}
    others = {
        "xlnet": lambda: XLNetConfig(d_model=32, n_layer=2, n_head=4, d_inner=64, **small),
        "fnet": lambda: FNetConfig(**architectures.SIZES | small),  # mixes padding into the words
    }
    if name not in others:
        return architectures.build(name, vocab_size=SIZE)
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(others[name]())
    return architectures.perturbed(model)


def folder(at: Path, name: str) -> Path:
    architectures.save(at, TOKENS)
    made(name).save_pretrained(at)
    return at


def two_texts(at: Path) -> batches.Tokens:
    tokenizer = tokenizers.load_tokenizer(ModelConfig(model=str(at)), [])
    rows = FRAMES["train"].loc[FRAMES["train"]["text"].str.len().sort_values().index[[0, -1]]]
    found = batches.encode(tokenizer, rows, 32, types=True)
    assert np.ptp(found.lengths) > 2
    return found


def trained(tmp_path: Path, name: str, score: str) -> None:
    """Begin a training of this model, after which these scores shall be computed."""
    given = {"dataset": str(tiny.write(tmp_path / "data", FRAMES)), "max_length": 16, "epochs": 2}
    given |= {"model": str(folder(tmp_path / "model", name)), "workdir": str(tmp_path / "work")}
    config = TrainStep(**given, track=False, device="cpu", workers=1, threads=1)
    with cluster.engine(config) as engine:
        list(steps.train(config, engine, score))


@pytest.mark.parametrize("score", ["el2n,vog", "all"])
def test_a_score_that_cannot_be_had_is_named_before_any_training(tmp_path, score):
    with pytest.raises(InputError, match=r"score 'vog.*model .*XLNet.*ask for .* score=el2n,") as e:
        trained(tmp_path, "xlnet", score)
    assert "\n" not in str(e.value) and not (tmp_path / "work").exists()


def test_scores_that_need_no_gradients_are_had_of_any_model(tmp_path, capsys):
    trained(tmp_path, "xlnet", "el2n")
    assert list(tmp_path.glob("work/train-*/manifest.json"))
    assert "cannot be computed" not in capsys.readouterr().err


def test_a_training_whose_padding_changes_its_gradients_is_refused_with_the_reason(tmp_path):
    trained(tmp_path, "fnet", "")
    (at,) = tmp_path.glob("work/train-*")
    config = ScoreStep(score="grand", workdir=str(tmp_path / "work"), track=False, self_check=20)
    said = pytest.raises(
        InputError, match="vog, .* cannot be computed: its gradients .* score=el2n"
    )
    with cluster.engine(config) as engine, said:
        list(steps.score(config, Training(at), engine))


def test_a_model_whose_padding_changes_its_gradients_is_refused_with_the_reason(tmp_path):
    with pytest.raises(InputError, match="score 'tracin'.* depend on the other texts in its batch"):
        trained(tmp_path, "fnet", "tracin")


@pytest.mark.parametrize(
    ("name", "lacking"),
    [
        *((name, []) for name in ("bert", "bart", "t5", "longformer", "gpt2", "ibert")),
        ("xlnet", [*BY_WORDS, *OF_WEIGHTS]),
        ("fnet", [*BY_WORDS, *OF_WEIGHTS]),
    ],
)
def test_without_scores_to_come_a_note_names_those_that_cannot_be_had(tmp_path, name, lacking):
    notes = measurable.note("it", made(name), two_texts(folder(tmp_path, name)))
    named = [one.removeprefix("for it, ").split(" cannot")[0].split(", ") for one in notes]
    assert sorted(sum(named, [])) == sorted(lacking)


def test_each_score_is_tried_by_what_it_reads_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(measurable, "measure", lambda *_, **__: 1 / 0)
    tokens, model = two_texts(folder(tmp_path, "bert")), made("bert")
    measurable.check("it", model, tokens, [parse_spec(name) for name in OF_WEIGHTS])
    with pytest.raises(
        InputError, match="score 'vog' cannot be computed for it: division by zero; ask"
    ):
        measurable.check("it", model, tokens, [parse_spec(name) for name in REGISTRY])
