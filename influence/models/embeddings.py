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
from torch.utils.hooks import RemovableHandle

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
    small = cut(model, ids, pad)
    if small is None:
        yield nullcontext
        return
    small.make()
    try:
        yield small.whole
    finally:
        small.undo()


def cut(model: nn.Module, ids: np.ndarray, pad: int) -> "Cut | None":
    """Return how the word embeddings of `model` are cut down as by `used_rows`, None if not."""
    table = _own_table(model)
    if table is None:
        return None
    padding = table.padding_idx
    used = _used(ids, len(table.weight), pad, pad if padding is None else padding)
    return None if len(used) > WORTH * len(table.weight) else Cut(table, used)


class Cut:
    """A table of embeddings that is cut down to some rows, and made whole again."""

    def __init__(self, table: nn.Embedding, used: np.ndarray) -> None:
        """`used`: the rows that stay, ascending."""
        self.table, self.weight, self.padding = table, table.weight, table.padding_idx
        self.rows = torch.from_numpy(used).to(self.weight.device)
        padding = self.padding
        self.place_of_padding = None if padding is None else int(np.searchsorted(used, padding))
        # -1: no such row, an error
        self.places = torch.full((len(self.weight),), -1, device=self.weight.device)
        self.places[self.rows] = torch.arange(len(self.rows), device=self.weight.device)
        chosen = self.weight.detach()[self.rows]
        self.small = nn.Parameter(chosen, requires_grad=self.weight.requires_grad)
        self.hook: RemovableHandle | None = None

    def make(self) -> None:
        """Put the small table in place, with the rows as they are now, and its numbers likewise."""
        with torch.no_grad():
            self.small.copy_(self.weight[self.rows])
        self.table.weight = self.small
        self.table.padding_idx = self.place_of_padding
        self.hook = self.table.register_forward_pre_hook(lambda _, given: (self.places[given[0]],))

    def undo(self) -> None:
        """Put the whole table back, with what its rows have become."""
        assert self.hook is not None
        self.hook.remove()
        self.table.weight, self.table.padding_idx = self.weight, self.padding
        with torch.no_grad():
            self.weight[self.rows] = self.small

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Make the model whole while entered."""
        self.undo()
        try:
            yield
        finally:
            self.make()


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
