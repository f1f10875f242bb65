"""Mean gradients of a split under one checkpoint: a folder, written once and opened as maps."""

import shutil
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import Parameter, functional

from influence.errors import InputError
from influence.models import layers
from influence.models.tokens import Tokens, budget_batches, collate, sent
from influence.runtime import store
from influence.scores import PRODUCTS
from influence.trace.sums import Direction

WHOLE, BY_CLASS = PRODUCTS
MEAN = "mean.safetensors"  # over the split; its metadata say how long the whole folder took


def write_mean_gradients(
    folder: Path,
    model: nn.Module,
    which: str,
    examples: tuple[Tokens, np.ndarray],
    batch_tokens: int,
    by_class: bool,
) -> None:
    """Write the mean gradient of the loss over examples, and with `by_class` that of each class.

    In fp32 and evaluation mode, class by class, so that those of all classes are never in memory
    together. The folder is there whole or not at all.

    Args:
        folder: where they will be.
        model: on its device; afterwards none of its parameters requires a gradient.
        which: the parameters, see layers.parameter_group.
        examples: tokens and labels (examples,).
        batch_tokens: tokens at once, padding included.
        by_class: whether those of the classes are wanted too.

    Raises:
        InputError: the disk has no room for them.
    """
    began = time.perf_counter()
    tokens, labels = examples
    named = dict(model.named_parameters(remove_duplicate=False))
    wanted = {name: named[name] for name in layers.parameter_group(model, which)}
    with store.replacing(folder) as temporary:
        temporary.mkdir()
        _check_room(wanted, labels if by_class else labels[:1], temporary)
        total: dict[str, Tensor] = {}
        for label, summed in _sums_by_class(model, wanted, tokens, labels, batch_tokens):
            if by_class:
                count = int((labels == label).sum())
                _save(summed, count, temporary / _name(label))
            for name, gradient in summed.items():
                total[name] = total[name].add_(gradient) if name in total else gradient
        seconds = str(time.perf_counter() - began)
        _save(total, len(labels), temporary / MEAN, {"seconds": seconds})


def are_there(folder: Path) -> bool:
    """Tell whether mean gradients are there and none was cut off, as when a machine goes down."""
    try:
        files = sorted(folder.glob("*.safetensors"))
        for file in files:
            with safe_open(file, framework="pt"):
                pass
        return (folder / MEAN) in files and seconds_of(folder) >= 0
    except SafetensorError:
        return False


def seconds_of(folder: Path) -> float:
    """Return how long mean gradients took."""
    with safe_open(folder / MEAN, framework="pt") as file:
        return float(file.metadata()["seconds"])


def open_directions(
    folder: Path, device: str, quantities: Collection[str], classes: int
) -> dict[str, Direction]:
    """Open what the quantities among PRODUCTS multiply with; on a CPU a map of the files."""
    opened = {}
    if WHOLE in quantities:
        opened[WHOLE] = Direction([_load(folder / MEAN, device)])
    if BY_CLASS in quantities:
        files = [folder / _name(label) for label in range(classes)]
        known = [_load(file, device) if file.exists() else {} for file in files]
        opened[BY_CLASS] = Direction(known, by_class=True)
    return opened


def _load(file: Path, device: str) -> dict[str, Tensor]:
    """Open the gradients of a file by parameter; safetensors itself knows few devices."""
    return {name: gradient.to(device) for name, gradient in load_file(file).items()}


def _check_room(wanted: dict[str, Parameter], labels: np.ndarray, folder: Path) -> None:
    size = sum(parameter.numel() for parameter in wanted.values()) * 4 * len(np.unique(labels))
    if size > (free := shutil.disk_usage(folder).free):
        raise InputError(
            f"the mean gradients of {len(np.unique(labels))} classes take {size / 2**30:.1f} GiB "
            f"for each checkpoint, but {folder.parent} has {free / 2**30:.1f} GiB free; choose "
            "fewer parameters with tracin_layers, such as classifier"
        )


def _sums_by_class(
    model: nn.Module,
    wanted: dict[str, Parameter],
    tokens: Tokens,
    labels: np.ndarray,
    batch_tokens: int,
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Yield each class that has examples with the sum of their gradients, by parameter."""
    device = next(model.parameters()).device
    model.eval().requires_grad_(False)
    for parameter in wanted.values():
        parameter.requires_grad_(True)
    for label in np.unique(labels).tolist():
        rows = np.flatnonzero(labels == label)
        for part in budget_batches(tokens.lengths[rows], batch_tokens):
            logits = model(**collate(tokens, rows[part], device)).logits.float()
            gold = sent(torch.full((len(part),), label), device)
            functional.cross_entropy(logits, gold, reduction="sum").backward()
        yield label, {n: p.grad for n, p in wanted.items() if p.grad is not None}
        model.zero_grad(set_to_none=True)
    model.requires_grad_(False)


def _save(
    summed: dict[str, Tensor], count: int, path: Path, metadata: dict[str, str] | None = None
) -> None:
    means = {name: (gradient / count).cpu().contiguous() for name, gradient in summed.items()}
    save_file(means, path, metadata=metadata)


def _name(label: int) -> str:
    return f"class-{label:06d}.safetensors"
