"""The encoder's vector of each example: for a map of the train set, and for a probe to read."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from influence.models.layers import has_decoder
from influence.models.tokens import Tokens, budget_batches, collate, usual_tokens
from influence.shapes import Float, Int

COMPONENTS = 50  # principal components, from which a two-dimensional map is computed
PARTS = ("mean", "first", "max")  # of a vector of `mean_first_max`, each as wide as the encoder
Hidden = Float[Tensor, "examples tokens dimensions"]
Mask = Int[Tensor, "examples tokens"]
Pooled = Float[Tensor, "examples width"]


def mean(hidden: Hidden, mask: Mask) -> Pooled:
    """Return the mean over real tokens."""
    real = mask.unsqueeze(-1)
    return (hidden * real).sum(1) / real.sum(1)


def mean_first_max(hidden: Hidden, mask: Mask) -> Pooled:
    """Return three vectors in one: the mean, that of the first token, the largest over tokens."""
    largest = hidden.masked_fill(mask.unsqueeze(-1) == 0, -torch.inf).amax(1)
    return torch.cat([mean(hidden, mask), hidden[:, 0], largest], 1)


def represent(
    model: nn.Module,
    tokens: Tokens,
    batch_tokens: int = 0,
    pool: Callable[[Hidden, Mask], Pooled] = mean,
) -> Float[np.ndarray, "examples width"]:
    """Return what `pool` makes of the encoder's last hidden states, in evaluation mode.

    `batch_tokens` 0: as many tokens at once as usual.
    """
    device = next(model.parameters()).device
    # Called as a whole, T5 needs inputs for its decoder.
    encoder = model.get_encoder() if has_decoder(model) else model.base_model
    vectors: np.ndarray | None = None
    model.eval()
    with torch.inference_mode():
        budget = batch_tokens or usual_tokens(device)
        for part in budget_batches(tokens.lengths, budget):
            inputs = collate(tokens, part, device)
            hidden = encoder(**inputs).last_hidden_state.float()
            some = pool(hidden, inputs["attention_mask"]).cpu().numpy()
            if vectors is None:
                vectors = np.empty((len(tokens), some.shape[1]), dtype=np.float32)
            vectors[part] = some
    assert vectors is not None
    return vectors


def principal(
    vectors: Float[np.ndarray, "examples width"], components: int = COMPONENTS
) -> Float[np.ndarray, "examples components"]:
    """Return the first principal components, at most as many as there are dimensions or examples.

    The sign of each is fixed: its largest entry is positive.
    """
    centred = vectors - vectors.mean(0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    scaled = (left * sizes)[:, :components]
    signs = np.sign(scaled[np.abs(scaled).argmax(0), np.arange(scaled.shape[1])])
    return scaled * np.where(signs == 0, 1, signs).astype(scaled.dtype)
