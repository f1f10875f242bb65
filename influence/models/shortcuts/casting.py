"""The weights of linear layers in bf16, cast all at once.

Autocast casts each weight by a kernel of its own, and each gradient back: for a small encoder a
third of all kernels of a step. The numbers are the same.
"""

from collections import Counter

import torch
from torch import Tensor, nn


class Linears:
    """The linear layers of a model that autocast runs in bf16.

    Entered, it counts their calls in each forward: the gradients of a layer that is used twice are
    added in fp32, so that autocast keeps those. Without a call no layer is cast.
    """

    def __init__(self, model: nn.Module) -> None:
        """Look for linear layers, and for weights that several modules share."""
        named = model.named_parameters(remove_duplicate=False)
        uses = Counter(id(parameter) for _, parameter in named)
        self.layers = {
            name: module
            for name, module in model.named_modules()
            if type(module) is nn.Linear and all(uses[id(p)] == 1 for p in module.parameters())
        }
        self.model = model
        self.calls: Counter[str] = Counter()  # the most in one forward
        self.within: Counter[str] = Counter()  # in the forward that runs
        self.hooks: list = []

    def __enter__(self) -> "Linears":
        """Count calls from now on."""
        self.hooks = [self.model.register_forward_pre_hook(lambda *_: self.within.clear())]
        for name, layer in self.layers.items():
            hook = layer.register_forward_pre_hook(lambda *_, name=name: self._count(name))
            self.hooks.append(hook)
        return self

    def __exit__(self, *exception) -> None:
        """Stop counting."""
        while self.hooks:
            self.hooks.pop().remove()

    def _count(self, name: str) -> None:
        self.within[name] += 1
        self.calls[name] = max(self.calls[name], self.within[name])

    def cast(self) -> dict[str, Tensor]:
        """Return the weights of the layers that one forward calls once, in bf16, by name."""
        named = {
            f"{name}.{own}": parameter
            for name, layer in self.layers.items()
            if self.calls[name] == 1
            for own, parameter in layer.named_parameters()
        }
        return dict(zip(named, _Cast.apply(*named.values()), strict=True)) if named else {}


class _Cast(torch.autograd.Function):
    """fp32 to bf16, and the gradients back, each in one launch."""

    @staticmethod
    def forward(ctx, *weights: Tensor) -> tuple[Tensor, ...]:
        return _copied(weights, torch.bfloat16)

    @staticmethod
    def backward(ctx, *gradients: Tensor) -> tuple[Tensor, ...]:
        return _copied(gradients, torch.float32)


def _copied(tensors: tuple[Tensor, ...], kind: torch.dtype) -> tuple[Tensor, ...]:
    copies = [torch.empty_like(tensor, dtype=kind) for tensor in tensors]
    torch._foreach_copy_(copies, tensors)
    return tuple(copies)
