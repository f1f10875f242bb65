"""Gradients with respect to the words of a text, and their variance over checkpoints (VoG)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from influence.errors import InputError
from influence.models import layers

WITHOUT_GRADIENTS = (
    "ask for scores that need none, such as score=el2n,forgetting,pvi, or use another model"
)


class Variance:
    """Running elementwise mean and sum of squared deviations (Welford), in fp32."""

    def __init__(self) -> None:
        """Start empty."""
        self.count = 0

    def add(self, values: Tensor) -> None:
        """Add a tensor; all have the same shape."""
        self.count += 1
        if self.count == 1:
            self.mean, self.squares = values.clone(), torch.zeros_like(values)
            return
        delta = values - self.mean
        self.mean += delta / self.count
        self.squares.addcmul_(delta, values - self.mean)

    def over_tokens(self, mask: Tensor) -> dict[str, Tensor]:
        """Return the variance and standard deviation, averaged over real tokens and dimensions.

        `mask` is bool (examples, tokens). The variance is that of the population, 1/K, as in
        Agarwal et al. 2022, equation 2.
        """
        variance = self.squares / self.count
        real = mask.sum(1)
        return {
            name: (values.mean(-1) * mask).sum(1) / real
            for name, values in (
                ("gradient_variance", variance),
                ("gradient_deviation", variance.sqrt()),
            )
        }


@contextmanager
def embedding_output(model: nn.Module, inputs: Mapping[str, Tensor]) -> Iterator[list[Tensor]]:
    """Capture the embeddings of the words, a leaf if nothing before them needs a gradient.

    Only the first such call counts: GPT-2 looks token types up in the same table, and CTRL does so
    before the words. The model gets a copy, because some models scale it in place.
    """
    outputs: list[Tensor] = []
    types = inputs.get("token_type_ids")

    def catch(module, arguments, output):
        of_types = types is not None and bool(arguments) and _same_memory(arguments[0], types)
        if outputs or of_types:
            return None
        words, *others = output if isinstance(output, tuple) else (output,)
        outputs.append(words if words.requires_grad else words.detach().requires_grad_())
        return (outputs[0].clone(), *others) if isinstance(output, tuple) else outputs[0].clone()

    handle = layers.embedding_layer(model).register_forward_hook(catch)
    try:
        yield outputs
    finally:
        handle.remove()


def of_words(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: list[Tensor],
    chosen: Tensor,
    retain: bool,
) -> Tensor:
    """Return the gradient of `chosen` at the captured embeddings: (examples, tokens, dimensions).

    `outputs`: what `embedding_output` captured; `retain`: whether the graph is needed afterwards.
    Raises InputError if the embeddings have other axes, as the sum over those would be meaningless.
    """
    examples, tokens = inputs["attention_mask"].shape
    shape = outputs[0].shape if outputs else ()
    if len(shape) != 3 or shape[0] != examples or shape[1] < tokens:
        what = f"gave {tuple(shape)}" if shape else "was not called"
        raise InputError(
            f"the embedding layer of {type(model).__name__} {what} for {examples} examples of "
            f"{tokens} tokens, so it gives no gradient per word; {WITHOUT_GRADIENTS}"
        )
    (gradient,) = torch.autograd.grad(chosen, outputs, retain_graph=retain)
    return gradient[:, :tokens].float()  # Longformer pads to whole windows


def _same_memory(one: object, other: Tensor) -> bool:
    return isinstance(one, Tensor) and one.data_ptr() == other.data_ptr()
