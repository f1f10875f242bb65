"""What a step directory offers to later steps: tokens and labels of its splits, checkpoints."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from influence.config.parameters import ModelConfig, TrainConfig
from influence.data.storage import Saved, open_saved
from influence.errors import InputError, first_line
from influence.models import tokenizers
from influence.models import tokens as batches
from influence.runtime import store
from influence.scoring.plan import RunInfo
from influence.trace.trace import Checkpoint

# The modules that every training depends on, the scored one and each retraining.
TRAINING = (
    *("batches", "compatibility", "evaluation", "joint", "layers", "models", "nlu"),
    *("nlu_metrics", "pretrained", "saved", "slots", "steps/inputs", "tokenizers", "training"),
    "vocabulary",
)


HELD_OUT = "held_out.npy"  # logits (examples, classes) of models that have not seen the example
# What a run holds that was made elsewhere and left no weights.
GIVEN_LOGITS, GIVEN_SCORES = "logits.safetensors", "scores.safetensors"


def open_inputs(
    directory: Path, split: str, config: ModelConfig
) -> tuple[batches.Tokens, np.ndarray]:
    """Return tokens and labels (examples,) of one split of a step directory of this workdir."""
    source, tokenizer = (
        open_saved(directory / "data"),
        tokenizers.open_tokenizer(directory / "tokenizer"),
    )
    tokens = open_tokens(source, split, tokenizer, config, cache_of(directory))
    return tokens, source.array(split, "label")


def cache_of(directory: Path) -> Path:
    """Return where the tokens are kept for the steps of the workdir that `directory` lies in."""
    return directory.parent / "tokens"


def open_tokens(
    source: Saved, split: str, tokenizer, config: ModelConfig, cache: Path
) -> batches.Tokens:
    """Return the tokens of a split, made once for all steps and workers, as maps of files.

    They are kept in `cache` under a name made of the rows, the tokenizer and the length.
    """
    knobs = {"max_length": config.max_length, "tokenizer": tokenizers.tokenizer_digest(tokenizer)}
    key = store.fingerprint("tokens", knobs, {"rows": source.files[split]}, ("models/tokens",))
    at = cache / key
    with store.locked(at):
        if not (at / "tokens.json").exists():
            _write_tokens(source, split, tokenizer, config, at)
    facts = json.loads((at / "tokens.json").read_text(encoding="utf-8"))
    return batches.Tokens(
        ids=np.memmap(at / "ids", np.int32, "r"),
        types=np.memmap(at / "types", np.int8, "r") if facts["types"] else None,
        starts=np.load(at / "starts.npy", mmap_mode="r"),
        lengths=np.load(at / "lengths.npy", mmap_mode="r"),
        pad=tokenizer.pad_token_id,
    )


def _write_tokens(source: Saved, split: str, tokenizer, config: ModelConfig, at: Path) -> None:
    lengths, typed = [], False
    texts = [name for name in ("text", "text_pair") if name in source.columns(split)]
    with open(at / "ids", "wb") as ids, open(at / "types", "wb") as types:
        for part in source.parts(split, texts):
            some = encode(tokenizer, part, config)
            ids.write(some.ids.tobytes())
            if some.types is not None:
                types.write(some.types.tobytes())
                typed = True
            lengths.append(some.lengths)
    every = np.concatenate(lengths)
    np.save(at / "lengths.npy", every)
    np.save(at / "starts.npy", batches.starts_of(every))
    store.write_json(at / "tokens.json", {"types": typed, "examples": len(every)})


def recall_of(manifest: Mapping[str, Any]) -> np.ndarray | None:
    """Return the validation recall of every class (classes,), 0 for one without examples.

    None where no model was there to be validated.
    """
    if not manifest["recall"]:
        return None
    return np.array([manifest["recall"].get(name, 0.0) for name in manifest["label_names"]])


def encode(tokenizer, frame: pd.DataFrame, config: ModelConfig) -> batches.Tokens:
    """Tokenise a split as the model reads it."""
    types = "token_type_ids" in tokenizer.model_input_names
    return batches.encode(tokenizer, frame, config.max_length, types)


def read_scored(directory: Path) -> dict[str, Any]:
    """Return the manifest of a finished scoring of the train set.

    Raises InputError if it is none, or one of another split.
    """
    manifest = store.read_manifest(directory, "score")
    if manifest["split"] != "train":
        raise InputError(
            f"{directory} holds scores of the {manifest['split']} split, but only train is pruned; "
            "score again with split=train"
        )
    return manifest


def read_runs(manifest: Mapping[str, Any]) -> tuple[RunInfo, ...]:
    """Return what the runs of a finished training offer to scores."""
    return tuple(
        RunInfo(
            run["seed"],
            read_checkpoints(run["checkpoints"]),
            run["observations"],
            tuple(run["null"]),
            manifest["task"] == "nlu",
            bool(manifest["folds"]),
            None if run["weights"] else frozenset({"logits"} if run["checkpoints"] else ()),
            frozenset(run["given"]),
        )
        for run in manifest["runs"]
    )


def read_config(manifest: Mapping[str, Any]) -> TrainConfig:
    """Return how the training of a manifest was done.

    Raises InputError if it names knobs that there are not, as of another version of this package.
    """
    try:
        return TrainConfig(**manifest["knobs"])
    except TypeError as error:
        raise InputError(
            f"training {manifest['fingerprint']} was done by another version of this package "
            f"({first_line(error)}); run that step again"
        ) from None


def read_checkpoints(entries: Sequence[dict]) -> tuple[Checkpoint, ...]:
    """Return the checkpoints of a run as the manifest lists them."""
    return tuple(Checkpoint(**{**entry, "series": frozenset(entry["series"])}) for entry in entries)
