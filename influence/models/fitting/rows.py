"""Examples that stay on the device: a batch is gathered there, with nothing to wait for."""

import numpy as np
import torch
from torch import Tensor

from influence.models.fitting.course import IGNORED
from influence.models.tokens import Tokens, read

MASKED = -1e9  # is added to the attention scores of padding
FINE = 64  # up to this length widths come in steps of 8; from double to double the steps double


class Rows:
    """Token sequences on a device, and after them one that is empty: missing rows of a batch."""

    def __init__(self, tokens: Tokens, device: torch.device) -> None:
        """Copy `tokens` to `device`."""
        ids = read(tokens.ids, slice(None))
        self.device, self.count = device, len(tokens)
        self.ids = torch.from_numpy(np.append(ids, np.int32(tokens.pad))).to(device)
        self.types = None
        if tokens.types is not None:
            types = np.append(read(tokens.types, slice(None)), np.int8(0))
            self.types = torch.from_numpy(types).to(device)
        self.nowhere = len(ids)  # holds padding
        starts = np.append(np.asarray(tokens.starts), self.nowhere)
        self.starts = torch.from_numpy(starts).to(device)
        self.lengths = torch.from_numpy(np.append(np.asarray(tokens.lengths), 1)).to(device)

    def batch(
        self, rows: Tensor, width: int, tags: Tensor | None, mask: torch.dtype | None
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """Return the model's inputs for `rows` (batch,), padded to `width`, and their tags.

        `tags`: those of all tokens, with one more IGNORED. `mask`: None gives the usual one of
        zeros and ones; a type, what is added to attention scores, which a model takes as it is
        instead of asking whether anything is padded.
        """
        at, real = self._places(self.starts[rows], self.lengths[rows], width)
        inputs = self._inputs(at, real)
        if mask is not None:
            inputs["attention_mask"] = added(inputs["attention_mask"], mask)
        return inputs, None if tags is None else tags[at]

    def gather(self, starts: Tensor, lengths: Tensor, width: int) -> dict[str, Tensor]:
        """Return the model's inputs, as `collate` does, for sequences anywhere among the tokens."""
        return self._inputs(*self._places(starts, lengths, width))

    def _places(self, starts: Tensor, lengths: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """Return where each token of a batch (rows, width) lies, and which are no padding."""
        places = torch.arange(width, device=self.device)
        real = places < lengths[:, None]
        return torch.where(real, starts[:, None] + places, self.nowhere), real

    def _inputs(self, at: Tensor, real: Tensor) -> dict[str, Tensor]:
        inputs = {"input_ids": self.ids[at].long()}
        if self.types is not None:
            inputs["token_type_ids"] = self.types[at].long()
        return inputs | {"attention_mask": real.long()}

    def with_ignored(self, targets: np.ndarray) -> Tensor:
        """Return targets on the device, and one more that counts for nothing."""
        return torch.from_numpy(np.append(targets.astype(np.int64), IGNORED)).to(self.device)


def added(real: Tensor, kind: torch.dtype) -> Tensor:
    """Return what is added to attention scores for a mask of zeros and ones (rows, width)."""
    scores = torch.zeros(real.shape, dtype=kind, device=real.device)
    scores = scores.masked_fill(real == 0, MASKED)[:, None, None, :]
    return scores.expand(-1, 1, real.shape[1], -1)


def width_of(length: int, longest: int) -> int:
    """Return the width of the batches whose longest example has `length` tokens.

    Each width is a graph of its own: there are few, and each pads by less than 8 tokens or a
    quarter.
    """
    step = 8
    while length > FINE * step // 8:
        step *= 2
    return min(-(-length // step) * step, longest)
