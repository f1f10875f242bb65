"""Weights, tokenizer and texts that do not belong together are told by what they do."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import ByteLevelBPETokenizer, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    AutoModel,
    BertTokenizerFast,
    CanineConfig,
    CanineForSequenceClassification,
    PreTrainedTokenizerFast,
)

from influence.config.parameters import ModelConfig
from influence.config.steps import TrainStep
from influence.errors import InputError
from influence.jobs import engine as cluster
from influence.models import classifier, compatibility, tokenizers
from influence.nlu import joint
from tests.helpers import architectures, steps, tiny
from tests.helpers.tables import load

NAMES = ("music", "timer", "weather")
FRAMES = tiny.frames()
TABLES = {"bert": 64, "roberta": 62, "gpt2": 64, "distilbert": 64, "albert": 64, "electra": 64}
NO_TABLE = ("llama", "modernbert")


TOKENS = architectures.tokens_of(FRAMES["train"]["text"].tolist())
SIZE = TOKENS.get_vocab_size()


def folder(at: Path, name: str = "bert", tokenizer: bool = True) -> Path:
    return architectures.save(at, TOKENS, name, tokenizer)


def checked(at: Path, splits: dict[str, pd.DataFrame] = FRAMES, unseen: bool = False, **parameters):
    config = ModelConfig(model=str(at), **{"max_length": 16} | parameters)
    tokenizer = tokenizers.load_tokenizer(config, [])
    return classifier.started(config, tokenizer, NAMES, splits, unseen)[1]


def with_long(split: str) -> dict[str, pd.DataFrame]:
    """Make one text of a split much longer than 64 tokens."""
    rows = FRAMES[split].copy()
    rows.loc[3, "text"] = " ".join([rows.loc[3, "text"]] * 40)
    return FRAMES | {split: rows}


@pytest.mark.parametrize("name", [*TABLES, "deberta-v2", *NO_TABLE])
def test_what_belongs_together_is_accepted_without_a_word(tmp_path, name):
    assert checked(folder(tmp_path, name)) == []


@pytest.mark.parametrize("name", architectures.ARCHITECTURES)
def test_a_folder_without_a_tokenizer_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="no tokenizer") as said:
        checked(folder(tmp_path, name, tokenizer=False))
    assert str(tmp_path) in str(said.value) and "\n" not in str(said.value)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("name", TABLES)
def test_texts_beyond_the_positions_are_refused_with_the_length_that_fits(tmp_path, name, split):
    folder(tmp_path, name)
    for length in (65, 128, 2000):
        with pytest.raises(InputError, match=f"give max_length={TABLES[name]} or less"):
            checked(tmp_path, with_long(split), max_length=length)
    assert checked(tmp_path, with_long(split), max_length=TABLES[name]) == []


@pytest.mark.parametrize("name", TABLES)
def test_a_length_that_no_text_reaches_is_no_fault_unless_texts_are_to_come(tmp_path, name):
    folder(tmp_path, name)
    assert checked(tmp_path, max_length=128) == []
    with pytest.raises(InputError, match=f"give max_length={TABLES[name]} or less"):
        checked(tmp_path, unseen=True, max_length=128)


def test_a_stack_that_is_kept_must_read_whatever_it_is_told(tmp_path):
    given = {"dataset": "assistant:500", "task": "nlu", "stack": True, "max_length": 64}
    texts = load("assistant:500", task="nlu").train["text"].tolist()
    at = architectures.save(tmp_path / "encoder", architectures.tokens_of(texts))
    given |= {"model": str(at), "track": False, "workdir": str(tmp_path / "work"), "device": "cpu"}
    for length in (128, 2000):
        config = TrainStep(**given | {"max_length": length})
        with cluster.engine(config) as engine, pytest.raises(InputError, match="max_length=64 or"):
            list(steps.train(config, engine))
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("name", NO_TABLE)
def test_a_model_without_a_table_of_positions_reads_texts_of_any_length(tmp_path, name):
    assert checked(folder(tmp_path, name), with_long("train"), max_length=128) == []


def test_a_token_that_has_no_embedding_is_refused_where_a_text_uses_it(tmp_path):
    tokenizer = BertTokenizerFast(tokenizer_object=TOKENS)
    folder(tmp_path, tokenizer=False)
    tokenizer.add_tokens(["zebra"])
    tokenizer.save_pretrained(tmp_path)
    assert checked(tmp_path) == []
    test = FRAMES["test"].copy()
    test.loc[0, "text"] = "a zebra"
    with pytest.raises(InputError, match=rf"token {SIZE} \('zebra'\).*tokens 0 to {SIZE - 1}"):
        checked(tmp_path, FRAMES | {"test": test})


def test_a_token_for_padding_that_was_added_without_an_embedding_is_refused(tmp_path):
    tokenizer = BertTokenizerFast(tokenizer_object=TOKENS)
    tokenizer.add_special_tokens({"pad_token": "<pad>"})
    folder(tmp_path, tokenizer=False)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=rf"token {SIZE} \('<pad>'\)"):
        checked(tmp_path)


def test_a_tokenizer_without_padding_pads_with_the_end_or_says_so(tmp_path):
    folder(tmp_path, tokenizer=False)
    PreTrainedTokenizerFast(tokenizer_object=TOKENS).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="names no token to pad with"):
        checked(tmp_path)
    PreTrainedTokenizerFast(tokenizer_object=TOKENS, eos_token="[SEP]").save_pretrained(tmp_path)
    assert checked(tmp_path) == []
    tokenizer = tokenizers.load_tokenizer(ModelConfig(model=str(tmp_path)), [])
    assert tokenizer.pad_token == "[SEP]"


@pytest.mark.parametrize("declared", [True, False])
def test_a_tokenizer_of_other_texts_is_refused(tmp_path, declared):
    folder(tmp_path, tokenizer=False)
    kind = BertTokenizerFast if declared else PreTrainedTokenizerFast
    pad = {} if declared else {"pad_token": "[PAD]"}  # and no word on what stands for the unknown
    kind(tokenizer_object=architectures.tokens_of(["αβγ δεζ ηθι"] * 9), **pad).save_pretrained(
        tmp_path
    )
    with pytest.raises(InputError, match="next to nothing of the texts: 100% of the tokens"):
        checked(tmp_path)


def test_markers_that_were_added_as_special_tokens_are_known(tmp_path, capsys):
    folder(tmp_path, tokenizer=False)
    tokenizer = BertTokenizerFast(tokenizer_object=TOKENS)
    tokenizer.add_special_tokens({"extra_special_tokens": ["[E1]", "[/E1]"]})
    tokenizer.save_pretrained(tmp_path)
    model = architectures.build("bert", vocab_size=len(tokenizer))
    model.base_model.save_pretrained(tmp_path)
    marked = {
        split: rows.assign(text="[E1] stop [/E1] [E1] a [/E1] " + rows["text"])
        for split, rows in FRAMES.items()
    }
    assert checked(tmp_path, marked) == []


@pytest.mark.parametrize("kind", ["declared", "undeclared", "bytes"])
def test_texts_of_mostly_one_known_word_are_known(tmp_path, kind):
    texts = ["stop " * 12 + word for word in ("play", "rain", "alarm")] * 10
    rows = pd.DataFrame({"text": texts, "label": [0, 1, 2] * 10})
    tokens = TOKENS
    if kind == "bytes":  # which name no token for the unknown: they know all
        bpe = ByteLevelBPETokenizer()
        bpe.train_from_iterator(texts, vocab_size=400, show_progress=False)
        tokens = bpe._tokenizer
    folder(tmp_path, tokenizer=False)
    pad = {"pad_token": "[PAD]"} if kind == "undeclared" else {}
    if kind == "declared":
        BertTokenizerFast(tokenizer_object=tokens).save_pretrained(tmp_path)
    else:
        PreTrainedTokenizerFast(
            tokenizer_object=tokens, **pad or {"pad_token": "!"}
        ).save_pretrained(tmp_path)
    size = tokens.get_vocab_size()
    architectures.build("bert", vocab_size=size).base_model.save_pretrained(tmp_path)
    assert checked(tmp_path, dict.fromkeys(FRAMES, rows)) == []


def test_a_token_for_the_unknown_that_nobody_names_gives_itself_away(tmp_path):
    vocabulary = {"[PAD]": 0, "[CLS]": 1, "?": 2} | {f"w{n}": n for n in range(3, 30)}
    tokens = Tokenizer(WordLevel(vocabulary, unk_token="?"))
    tokens.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokens, pad_token="[PAD]")
    ids = np.full(50, 2)
    assert compatibility._unknown(tokenizer) == {2}
    assert compatibility._unseen(tokenizer, ids, ["play a song"]) == 1
    assert compatibility._unseen(tokenizer, ids, ["play a song", "what?"]) == 0


def test_many_unknown_words_are_mentioned(tmp_path):
    train = FRAMES["train"].assign(text="αβγ δεζ ηθι " + FRAMES["train"]["text"])
    (told,) = checked(folder(tmp_path), FRAMES | {"train": train})
    share = int(told.split("does not know ")[1].split("%")[0])
    assert 20 < share < 50 and "tokens of train" in told


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda at: (at / "tokenizer.json").write_text(""), "no tokenizer that can be opened"),
        (lambda at: (at / "tokenizer.json").unlink(), "has no tokenizer"),
        (lambda at: _weights(at, "adapter_model.safetensors"), "holds an adapter"),
        (lambda at: _weights(at, "pytorch_model.bin"), "weights must be safetensors"),
        (lambda at: _without(at, "model_type"), "model_type"),
        (lambda at: (at / "config.json").write_text('{"model_type": "clip"}'), "no encoder"),
    ],
)
def test_other_folders_are_refused_in_one_sentence(
    tmp_path, change: Callable[[Path], object], said: str
):
    change(folder(tmp_path))
    with pytest.raises(InputError, match=said) as caught:
        checked(tmp_path)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def _weights(at: Path, name: str) -> None:
    (at / "model.safetensors").rename(at / name)
    if name.startswith("adapter"):
        (at / "adapter_config.json").write_text("{}")


def _without(at: Path, key: str) -> None:
    config = json.loads((at / "config.json").read_text())
    del config[key]
    (at / "config.json").write_text(json.dumps(config))


def test_a_missing_part_of_the_weights_is_named(tmp_path):
    folder(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    AutoModel.from_config(architectures.build("bert", vocab_size=SIZE).config).save_pretrained(
        tmp_path, max_shard_size="10KB"
    )
    assert checked(tmp_path) == []
    (part := sorted(tmp_path.glob("model-*.safetensors"))[1]).unlink()
    with pytest.raises(InputError, match=part.name):
        checked(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_with_their_name(tmp_path, value):
    model = architectures.build("bert", vocab_size=SIZE)
    with torch.no_grad():
        model.get_parameter("bert.encoder.layer.1.output.dense.weight")[3, 2] = value
    folder(tmp_path)
    model.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"in 1 parameters \(bert.encoder.layer.1.output.dense.we"):
        checked(tmp_path)


def test_a_vocabulary_alone_is_a_tokenizer(tmp_path):
    folder(tmp_path, tokenizer=False)
    words = sorted(TOKENS.get_vocab(), key=TOKENS.get_vocab().get)
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    assert checked(tmp_path) == []


def test_a_trained_head_is_taken_over_and_said_but_no_joint_model_needs_it(tmp_path):
    folder(tmp_path)
    architectures.build("bert", vocab_size=SIZE).save_pretrained(tmp_path)  # of three classes
    assert checked(tmp_path) == [
        f"model {str(tmp_path)!r} brings a trained head, from which training starts"
    ]
    assert checked(tmp_path, head="mlp") == []
    config = ModelConfig(model=str(tmp_path))
    tokenizer = tokenizers.load_tokenizer(config, [])
    made = joint.build(config, tokenizer, ["a", "b", "c", "d"], ["O"], 0)
    assert made.intent_head.out_features == 4
    with pytest.raises(InputError, match="needed for 4 classes"):
        classifier.started(config, tokenizer, (*NAMES, "other"), FRAMES)


def test_padding_that_changes_what_a_decoder_says_is_refused(tmp_path):
    folder(tmp_path, "gpt2")
    tokenizer = tokenizers.load_tokenizer(ModelConfig(model=str(tmp_path)), [])
    model = architectures.build("gpt2", vocab_size=SIZE)
    asked = ("it", model, tokenizer, 16, FRAMES)
    model.config.pad_token_id = tokenizer.pad_token_id
    assert compatibility.check(*asked) == []
    model.config.pad_token_id = SIZE - 1
    with pytest.raises(InputError, match="padding changes what it predicts"):
        compatibility.check(*asked)


def test_a_model_without_a_table_of_embeddings_is_refused_in_a_sentence(tmp_path):
    folder(tmp_path)
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = CanineConfig(**small, intermediate_size=64, num_hash_buckets=64, num_labels=3)
    CanineForSequenceClassification(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="Canine.* has no table of embeddings by token, which"):
        checked(tmp_path)


def test_a_model_is_left_as_it_was(tmp_path):
    model = architectures.build("bert", vocab_size=SIZE).train()
    tokenizer = tokenizers.load_tokenizer(ModelConfig(model=str(folder(tmp_path))), [])
    compatibility.check("it", model, tokenizer, 16, FRAMES)
    assert model.training


def test_a_sample_is_spread_over_all_rows_and_always_the_same():
    rows = pd.DataFrame({"text": range(5000)})
    found = compatibility.sample(rows)["text"].tolist()
    assert len(found) == 1000 and (found[0], found[-1]) == (0, 4999)
    assert compatibility.sample(rows.head(7))["text"].tolist() == list(range(7))
