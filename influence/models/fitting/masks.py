"""Which attention mask a model reads without asking it anything."""

import numpy as np
import torch
from torch import nn

from influence.models.fitting.rows import Rows
from influence.models.tokens import Tokens, collate

TRIED = 8  # examples, of lengths from the shortest to the longest


def mask_of(
    model: nn.Module, tokens: Tokens, rows: Rows, wanted: torch.dtype
) -> torch.dtype | None:
    """Return the `mask` that `Rows.batch` is to make for `model`, `wanted` if that will do.

    transformers asks a mask of zeros and ones whether anything is padded, and waits for the answer;
    what is added to attention scores it takes as it is. Not every model does: the logits of both
    are compared, in eval mode.
    """
    order = np.argsort(tokens.lengths, kind="stable")
    some = order[np.unique(np.linspace(0, len(order) - 1, TRIED).astype(int))]
    training = model.training
    model.eval()
    with torch.no_grad():
        usual = model(**collate(tokens, some, rows.device))[0]
        width, numbers = int(tokens.lengths[some].max()), torch.from_numpy(some).to(rows.device)
        inputs, _ = rows.batch(numbers, width, None, torch.float32)
        try:
            added = model(**inputs)[0]
        except (RuntimeError, ValueError, TypeError, IndexError, AttributeError):
            added = torch.full_like(usual, torch.nan)
    model.train(training)
    return wanted if torch.allclose(usual, added, rtol=1e-3, atol=1e-4) else None
