"""Which attention mask a model reads without asking it anything."""

import numpy as np
import torch
from torch import nn

from influence.models.fitting.rows import Rows
from influence.models.tokens import Tokens, collate

TRIED = 8  # examples, of lengths from the shortest to the longest


def mask_of(model: nn.Module, tokens: Tokens, wanted: torch.dtype) -> torch.dtype | None:
    """Return the `mask` that `Rows.batch` is to make for `model`, `wanted` if that will do.

    transformers asks a mask of zeros and ones whether anything is padded, and waits for the answer;
    what is added to attention scores it takes as it is. Not every model does: the outputs of both
    are compared, in eval mode and on the CPU, where a model that fails does no harm.
    """
    order = np.argsort(tokens.lengths, kind="stable")
    some = tokens.take(order[np.unique(np.linspace(0, len(order) - 1, TRIED).astype(int))])
    numbers, width = np.arange(len(some)), int(some.lengths.max())
    training = model.training
    model.eval()
    with torch.no_grad():
        usual = model(**collate(some, numbers))[0]
        rows = Rows(some, torch.device("cpu"))
        inputs, _ = rows.batch(torch.from_numpy(numbers), width, None, torch.float32)
        try:
            added = model(**inputs)[0]
        except Exception as error:  # whatever a model of others says to what it does not know
            if isinstance(error, MemoryError):
                raise
            added = torch.full_like(usual, torch.nan)
    model.train(training)
    return wanted if torch.allclose(usual, added, rtol=1e-3, atol=1e-4) else None
