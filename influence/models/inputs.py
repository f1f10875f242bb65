"""What models read of a step directory: the tokens and labels of its splits, made once."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from influence.config.parameters import ModelConfig
from influence.data.result import DATA, TOKENIZER
from influence.data.storage import Saved, open_saved
from influence.models import tokenizers
from influence.models import tokens as batches
from influence.runtime import store
from influence.runtime.locks import locked


def open_inputs(
    directory: Path, split: str, config: ModelConfig
) -> tuple[batches.Tokens, np.ndarray]:
    """Return tokens and labels (examples,) of one split of a step directory of this workdir."""
    source = open_saved(directory / DATA)
    tokenizer = tokenizers.open_tokenizer(directory / TOKENIZER)
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
    parameters = {
        "max_length": config.max_length,
        "tokenizer": tokenizers.tokenizer_digest(tokenizer),
    }
    key = store.fingerprint("tokens", parameters, {"rows": source.files[split]}, ("models/tokens",))
    at = cache / key
    with locked(at):
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


def encode(tokenizer, frame: pd.DataFrame, config: ModelConfig) -> batches.Tokens:
    """Tokenise a split as the model reads it."""
    types = "token_type_ids" in tokenizer.model_input_names
    return batches.encode(tokenizer, frame, config.max_length, types)
