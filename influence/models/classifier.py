"""Classifiers: made, opened, saved, and asked for their logits."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from scipy.special import softmax
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from influence.config.parameters import FitConfig, ModelConfig
from influence.data import class_order
from influence.data.labels import plain
from influence.errors import InputError
from influence.models import compatibility
from influence.models import tokens as batches
from influence.models.layers import classifier
from influence.models.pretrained import SCRATCH, open_pretrained, quiet, shortened, source_of
from influence.models.shortcuts.first_token import read_first_token

LAYERS = ("num_hidden_layers", "n_layer", "n_layers")  # what configs call their number
UNREADABLE = (OSError, ValueError, SafetensorError)  # what damaged or absent files raise


@dataclass(frozen=True, eq=False)
class Start:
    """A model that a training starts from, on the CPU, with its tokenizer and name in messages."""

    name: str
    model: nn.Module
    tokenizer: Any


def build(
    config: ModelConfig, tokenizer, label_names: tuple[str, ...], seed: int, head: bool = True
) -> nn.Module:
    """Return a classifier at its starting weights: pretrained encoder or not, head drawn by `seed`.

    A head that is saved with a pretrained encoder, for as many classes, is taken over, its classes
    in the order of `label_names` where it names the same; `head` false takes the encoder alone,
    whatever head is there. Raises InputError for an unknown model, for more `layers` than it has,
    and for a head of other classes or of some of these under other numbers.
    """
    return _built(config, tokenizer, label_names, seed, head)[0]


def started(
    config: ModelConfig,
    tokenizer,
    label_names: tuple[str, ...],
    splits: Mapping[str, pd.DataFrame],
    unseen: bool = False,
) -> tuple[Start | None, list[str]]:
    """Check the model that a training starts from; return it, and notes for the user.

    A model from scratch is made for its tokenizer and length, and not made for the check: None.
    Raises InputError if the model cannot be built, if `compatibility.check` finds that it does not
    belong with its tokenizer and the texts of `splits`, or if a head that it brings fits the labels
    of train in another order of the classes.
    """
    if config.model in SCRATCH:
        _check_layers(config, SCRATCH[config.model][0])
        return None, []
    model, head = _built(config, tokenizer, label_names, 0)
    name = f"model {config.model!r}"
    notes = compatibility.check(name, model, tokenizer, config.max_length, splits, unseen)
    if head:
        _check_head(config, model, tokenizer, label_names, splits["train"])
        notes.append(f"{name} brings {head}")
    return Start(name, model, tokenizer), notes


def save(model: nn.Module, directory: Path) -> None:
    """Write config and weights, as plain transformers and this package open them."""
    with quiet():
        model.save_pretrained(directory)


def open_checkpoint(directory: Path) -> nn.Module:
    """Return the classifier saved in `directory`, in fp32 and eval mode.

    Raises InputError if files are missing or the weights are not those of a whole classifier.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification

    try:
        with quiet():
            config = AutoConfig.from_pretrained(directory)
        if hasattr(config, "influence_head_size"):
            return _open_with_mlp(config, directory)
        with quiet():
            model, loading = AutoModelForSequenceClassification.from_pretrained(
                directory,
                dtype=torch.float32,
                output_loading_info=True,
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # checked below, in a sentence
            )
    except (*UNREADABLE, RuntimeError, KeyError) as error:
        raise InputError(f"{directory} is no complete checkpoint: {shortened(error)}") from None
    for key, there, needed in loading["mismatched_keys"]:
        raise InputError(
            f"{directory} is no checkpoint of the model in its config.json, with "
            f"{model.config.num_labels} classes: its {key} is {tuple(there)}, not {tuple(needed)}"
        )
    if wrong := list(loading["missing_keys"]):
        raise InputError(
            f"{directory} is not a checkpoint of a whole classifier: {wrong[0]} is missing in it"
        )
    return read_first_token(model.eval())


def learning_rates(config: FitConfig) -> tuple[float, float]:
    """Return the learning rates of encoder and head, with the usual ones in place of 0."""
    scratch = config.model in SCRATCH
    encoder = config.learning_rate or (1e-3 if scratch else 1e-4)
    return encoder, config.head_learning_rate or (encoder if scratch else 10 * encoder)


@contextmanager
def autocast(device: torch.device, enabled: bool, cache: bool = True) -> Iterator[None]:
    """Run a forward, and the backward that belongs to it, in bf16 where torch does that.

    `cache`: cast a weight once for all its uses within the context.
    """
    with ExitStack() as stack:
        if enabled and device.type == "cpu":
            # Going backward through its flash attention takes four to ten times as long in bf16.
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        cast = torch.autocast(device.type, torch.bfloat16, enabled, cache_enabled=cache)
        stack.enter_context(cast)
        yield


@contextmanager
def predicting(device: torch.device, precision: str) -> Iterator[None]:
    """Run forwards alone: in bf16 where a GPU trained in it, elsewhere in fp32."""
    half = precision == "bf16" and device.type == "cuda"
    with torch.inference_mode(), autocast(device, half):
        yield


def predict(
    model: nn.Module, tokens: batches.Tokens, batch_tokens: int = 0, precision: str = "fp32"
) -> np.ndarray:
    """Return fp32 logits (examples, classes) in the order of `tokens`, in eval mode.

    The mode is restored afterwards, and no random number is drawn. `batch_tokens` 0: as many
    tokens at once as usual. `precision`: that of training; on a GPU a model that was trained in
    bf16 predicts in it, elsewhere all do in fp32.
    """
    device, training = next(model.parameters()).device, model.training
    # Kept on the device: to fetch every batch would wait for it.
    logits = torch.empty((len(tokens), model.config.num_labels), device=device)
    model.eval()
    with predicting(device, precision):
        budget = batch_tokens or batches.usual_tokens(device)
        for rows in batches.budget_batches(tokens.lengths, budget):
            out = model(**batches.collate(tokens, rows, device)).logits
            logits[batches.sent(torch.from_numpy(rows), device)] = out.float()
    model.train(training)
    return logits.cpu().numpy()


def _built(
    config: ModelConfig, tokenizer, label_names: tuple[str, ...], seed: int, head: bool = True
) -> tuple[nn.Module, str]:
    """Return the classifier, and what to say of a head that was saved with it, "" without one."""
    torch.manual_seed(seed)
    labels = {
        "id2label": dict(enumerate(label_names)),
        "label2id": {name: i for i, name in enumerate(label_names)},
    }
    own: Mapping[int, str] | None = None
    if config.model in SCRATCH:
        model = _from_scratch(config, tokenizer, labels)
    else:
        model, own = _pretrained(config, labels, head)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.config.use_cache = False
    note = ""
    if config.head == "mlp":
        _replace_head(model, config.head_size)
    elif head and own is not None:
        note = _order_head(f"model {config.model!r}", model, own, label_names)
    return read_first_token(model.eval()), note


def _from_scratch(config: ModelConfig, tokenizer, labels: dict) -> nn.Module:
    from transformers import BertConfig, BertForSequenceClassification

    layers, width = SCRATCH[config.model]
    _check_layers(config, layers)
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=max(tokenizer.get_vocab().values()) + 1,
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=config.layers or layers,
            num_attention_heads=width // 64,
            max_position_embeddings=max(512, config.max_length),
            **labels,
        )
    )


def _pretrained(
    config: ModelConfig, labels: dict, head: bool
) -> tuple[nn.Module, Mapping[int, str] | None]:
    """Return the classifier, and how a head that was saved with it calls its classes."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    source = source_of(config.model)
    settings = open_pretrained(AutoConfig, config.model)
    key = next((k for k in LAYERS if hasattr(settings, k)), "")
    if not key:
        raise InputError(f"model {config.model!r} is no encoder of texts: {settings.model_type}")
    _check_layers(config, getattr(settings, key))
    cut = {key: config.layers} if config.layers else {}
    try:
        with quiet():
            model, loading = AutoModelForSequenceClassification.from_pretrained(
                source,
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # checked below, in a sentence
                **labels,
                **cut,
            )
    except UNREADABLE as error:
        safe = not Path(source).is_dir() or any(Path(source).glob("*.safetensors"))
        why = "" if safe else "; weights must be safetensors, others are not opened"
        raise InputError(
            f"model {config.model!r} cannot be loaded: {shortened(error)}{why}"
        ) from None
    _check_loaded(config.model, model, loading, head)
    made = {*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])}
    return model, settings.id2label if f"{classifier(model)}.weight" not in made else None


def _check_loaded(name: str, model: nn.Module, loading: dict, head: bool) -> None:
    """Raise InputError unless the encoder came from the file; a head or pooler may be fresh."""
    prefix = f"{model.base_model_prefix}."
    for key, there, needed in loading["mismatched_keys"]:
        if not head and not key.startswith(prefix):
            continue
        raise InputError(
            f"model {name!r} does not fit: its {key} is {tuple(there)}, but {tuple(needed)} is "
            f"needed for {model.config.num_labels} classes; give the encoder that it was made from"
        )
    missing = [k for k in loading["missing_keys"] if k.startswith(prefix) and "pooler" not in k]
    if missing:
        raise InputError(
            f"model {name!r} holds the weights of another model than its config.json describes: "
            f"{missing[0]} is missing"
        )


def _order_head(
    name: str, model: nn.Module, own: Mapping[int, str], label_names: tuple[str, ...]
) -> str:
    """Put the classes of a trained head in the order of the dataset, by their names; say so.

    Other names say nothing: what the head predicts does, see `_check_head`.
    """
    note = "a trained head, from which training starts"
    theirs = [plain(str(own.get(number, ""))) for number in range(len(label_names))]
    ours = [plain(label) for label in label_names]
    if theirs == ours:
        return note
    if sorted(theirs) != sorted(ours) or len(set(ours)) < len(ours):
        class_order.check_numbers(name, own, label_names)
        return note
    order = [theirs.index(label) for label in ours]
    with torch.no_grad():
        for weights in model.get_submodule(classifier(model)).parameters():
            weights.copy_(weights[order].clone())
    before = ", ".join(str(own[number]) for number in range(len(ours)))
    return f"{note}; its classes {before} get the order of the dataset: {', '.join(label_names)}"


def _check_head(
    config: ModelConfig, model: nn.Module, tokenizer, label_names: tuple[str, ...], train
) -> None:
    """Raise InputError if a trained head fits the labels of train in another order of classes."""
    if "label" not in train or train["label"].dtype.kind not in "iu":
        return  # texts alone, without the numbers of their classes
    rows = compatibility.sample(train)
    types = "token_type_ids" in tokenizer.model_input_names
    texts = rows[[column for column in ("text", "text_pair") if column in rows]]
    logits = predict(model, batches.encode(tokenizer, texts, config.max_length, types))
    counts = class_order.confusion(rows["label"].to_numpy(), logits.argmax(1), len(label_names))
    sure = float(softmax(logits, axis=1).max(1).mean())
    class_order.check_order(f"model {config.model!r}", counts, sure, label_names)


def _check_layers(config: ModelConfig, there: int) -> None:
    if config.layers > there:
        raise InputError(
            f"model {config.model!r} has {there} layers, so layers={config.layers} is too many"
        )


def _replace_head(model: nn.Module, size: int) -> None:
    """Put the paper's head, width -> size -> size -> classes, in the classifier's place."""
    name = classifier(model)
    old = model.get_submodule(name)
    new = nn.Sequential(
        nn.Linear(old.in_features, size),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(size, size),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(size, old.out_features),
    )
    model.set_submodule(name, new)
    model.config.influence_head_size = size


def _open_with_mlp(config, directory: Path) -> nn.Module:
    from safetensors.torch import load_file
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    _replace_head(model, config.influence_head_size)
    model.load_state_dict(load_file(directory / "model.safetensors"))
    return read_first_token(model.eval())
