"""Own the word embeddings in training: only those rows that the train set uses take part in it.

A pretrained table has tens of thousands of rows, of which a train set uses a few. The others have
a gradient of exactly zero, so that Adam without weight decay leaves them as they are; yet each step
would clear, measure and update them all, which for a small encoder is a large part of its work.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from torch import nn

from influence.models.tokens import read

PART = 1 << 20  # ids looked at at a time
WORTH = 0.9  # a table of whose rows a larger share is used stays whole


@contextmanager
def used_rows(
    model: nn.Module, ids: np.ndarray, pad: int
) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Cut the word embeddings of `model` down to the rows of `ids` and `pad` while entered.

    `ids`: the token ids of everything that the model reads meanwhile. Gives a function whose
    context makes the model whole for a moment, to be evaluated or saved. A table that is shared
    with another module, or read otherwise than by calling it, stays whole.
    """
    table = _own_table(model)
    if table is None:
        yield nullcontext
        return
    whole, padding = table.weight, table.padding_idx
    used = _used(ids, len(whole), pad, pad if padding is None else padding)
    if len(used) > WORTH * len(whole):
        yield nullcontext
        return
    rows = torch.from_numpy(used).to(whole.device)
    places = torch.full((len(whole),), -1, device=whole.device)  # -1: no such row, an error
    places[rows] = torch.arange(len(rows), device=whole.device)
    small = nn.Parameter(whole.detach()[rows], requires_grad=whole.requires_grad)
    hook = None

    def cut() -> None:
        nonlocal hook
        table.weight = small
        table.padding_idx = None if padding is None else int(places[padding])
        hook = table.register_forward_pre_hook(lambda _, inputs: (places[inputs[0]],))

    def restore() -> None:
        hook.remove()
        table.weight, table.padding_idx = whole, padding
        with torch.no_grad():
            whole[rows] = small

    @contextmanager
    def whole_again() -> Iterator[None]:
        restore()
        try:
            yield
        finally:
            cut()

    cut()
    try:
        yield whole_again
    finally:
        restore()


def _used(ids: np.ndarray, size: int, *others: int, part: int = PART) -> np.ndarray:
    """Return the different ids, ascending; in parts, as there may be too many to copy."""
    seen = np.zeros(size, dtype=bool)
    seen[list(others)] = True
    for start in range(0, len(ids), part):
        seen[read(ids, slice(start, start + part))] = True
    return np.flatnonzero(seen)


def _own_table(model: nn.Module) -> nn.Embedding | None:
    """Return the module of the word embeddings if its weight is used by nothing else."""
    table = model.base_model.get_input_embeddings()
    named = model.named_parameters(remove_duplicate=False)
    if type(table) is not nn.Embedding or sum(p is table.weight for _, p in named) > 1:
        return None
    return None if table.max_norm is not None or table.scale_grad_by_freq else table
