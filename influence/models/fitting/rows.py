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
        places = torch.arange(width, device=self.device)
        real = places < self.lengths[rows][:, None]
        at = torch.where(real, self.starts[rows][:, None] + places, self.nowhere)
        inputs = {"input_ids": self.ids[at].long()}
        if self.types is not None:
            inputs["token_type_ids"] = self.types[at].long()
        if mask is None:
            inputs["attention_mask"] = real.long()
        else:
            added = torch.zeros(real.shape, dtype=mask, device=self.device)
            added = added.masked_fill(~real, MASKED)[:, None, None, :]
            inputs["attention_mask"] = added.expand(-1, 1, width, -1)
        return inputs, None if tags is None else tags[at]

    def with_ignored(self, targets: np.ndarray) -> Tensor:
        """Return targets on the device, and one more that counts for nothing."""
        return torch.from_numpy(np.append(targets.astype(np.int64), IGNORED)).to(self.device)


def width_of(length: int, longest: int) -> int:
    """Return the width of the batches whose longest example has `length` tokens.

    Each width is a graph of its own: there are few, and each pads by less than 8 tokens or a
    quarter.
    """
    step = 8
    while length > FINE * step // 8:
        step *= 2
    return min(-(-length // step) * step, longest)
