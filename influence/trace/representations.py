"""The encoder's vector of each example, for a map of the train set."""

import numpy as np
import torch
from torch import nn

from influence.models.layers import has_decoder
from influence.models.tokens import Tokens, budget_batches, collate, usual_tokens
from influence.shapes import Float

COMPONENTS = 50  # principal components, from which a two-dimensional map is computed


def represent(
    model: nn.Module, tokens: Tokens, batch_tokens: int = 0
) -> Float[np.ndarray, "examples width"]:
    """Return the mean over real tokens of the encoder's last hidden states, in evaluation mode.

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
            real = inputs["attention_mask"].unsqueeze(-1)
            means = ((hidden * real).sum(1) / real.sum(1)).cpu().numpy()
            if vectors is None:
                vectors = np.empty((len(tokens), means.shape[1]), dtype=np.float32)
            vectors[part] = means
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
