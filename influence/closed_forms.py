"""Own the closed forms of per-example gradient norms, module by module.

For one example, the gradient of a linear layer's weight is the sum over tokens of (output
gradient) x (input). Its squared norm is the sum over token pairs of (gradient . gradient) times
(input . input), so the matrix itself is made only where that is cheaper (Goodfellow 2015, arXiv
1510.01799; Li et al. 2022, arXiv 2110.05679). An embedding is a linear layer with one-hot
inputs; biases and normalisations have one vector per example.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import Parameter, functional
from transformers.pytorch_utils import Conv1D

# What one call of a module adds to the gradient of a parameter: for a vector the gradient of each
# example (examples, size), for a matrix its factors, (examples, tokens, rows) and (examples,
# tokens, columns), where whole numbers (examples, tokens) stand for one-hot rows, -1 for none.
Part = Tensor | tuple[Tensor, Tensor]
Rule = Callable[[nn.Module, Tensor, Tensor], Part]


def rules(module: nn.Module) -> dict[Parameter, Rule]:
    """Return the rule of each parameter that the module owns itself and that has one.

    A rule turns the module, its input and the gradient of its output into a part of the
    gradient. A subclass with a forward of its own (scaled embeddings, adapters) has no rule,
    except normalisations: whatever they are, they scale by their weight in the end.
    """
    by_name = _rules_by_name(module)
    own = module.named_parameters(recurse=False)
    return {parameter: by_name[name] for name, parameter in own if name in by_name}


def squared_norm(parts: Sequence[Part], gram: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the squared norm of the sum of the parts of one parameter's gradient, by example.

    Args:
        parts: one for each call that uses the parameter.
        gram: `token_products`, or a version of it that remembers.
    """
    if isinstance(parts[0], Tensor):
        return sum(parts).square().sum(1)
    rows, columns = parts[0] if len(parts) == 1 else _joined(parts)
    if rows.is_floating_point() and _matrix_is_cheaper(rows, columns):
        matrices = torch.bmm(_tokens(rows).transpose(1, 2), _tokens(columns)).flatten(1)
        return torch.linalg.vector_norm(matrices, dim=1).square()
    return (gram(rows) * gram(columns)).sum((1, 2))


def token_products(factor: Tensor) -> Tensor:
    """Return the inner products of the tokens of an example, (examples, tokens, tokens)."""
    if factor.is_floating_point():
        tokens = _tokens(factor)
        return torch.bmm(tokens, tokens.transpose(1, 2))
    return (factor.unsqueeze(2) == factor.unsqueeze(1)) & (factor >= 0).unsqueeze(1)


def _rules_by_name(module: nn.Module) -> dict[str, Rule]:
    forward = type(module).forward
    if forward is nn.Linear.forward:
        return {"weight": lambda _, inputs, gradient: (gradient, inputs), "bias": _total}
    if forward is Conv1D.forward:
        return {"weight": lambda _, inputs, gradient: (inputs, gradient), "bias": _total}
    if forward is nn.Embedding.forward:
        changed = module.max_norm is not None or module.scale_grad_by_freq
        return {} if changed else {"weight": _embedding}
    if forward is nn.LayerNorm.forward and len(module.normalized_shape) == 1:
        return {"weight": _layer_norm, "bias": _total}
    if type(module).__name__.endswith(("LayerNorm", "RMSNorm", "NoNorm")):
        return {"weight": _other_norm, "bias": _total}
    return {}


def _total(module: nn.Module, inputs: Tensor, gradient: Tensor) -> Tensor:
    return _tokens(gradient).sum(1)


def _embedding(module: nn.Module, ids: Tensor, gradient: Tensor) -> Part:
    if module.padding_idx is not None:
        ids = ids.masked_fill(ids == module.padding_idx, -1)
    return ids.flatten(1), gradient


def _layer_norm(module: nn.Module, inputs: Tensor, gradient: Tensor) -> Tensor:
    normal = functional.layer_norm(inputs.float(), module.normalized_shape, eps=module.eps)
    return (_tokens(normal) * _tokens(gradient)).sum(1)


def _other_norm(module: nn.Module, inputs: Tensor, gradient: Tensor) -> Tensor:
    # Some scale by the weight, some by one plus the weight: the difference leaves what is scaled.
    one, zero = (
        functional_call(module, {"weight": torch.full_like(module.weight, value)}, inputs)
        for value in (1, 0)
    )
    return (_tokens(one - zero) * _tokens(gradient)).sum(1)


def _matrix_is_cheaper(rows: Tensor, columns: Tensor) -> bool:
    tokens, height, width = rows.shape[1:-1].numel(), rows.shape[-1], columns.shape[-1]
    return height * width <= tokens * (height + width)


def _joined(parts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Put the tokens of all uses of a matrix in a row: their products are the cross terms."""
    rows = [factor for factor, _ in parts]
    sizes = [factor.shape[-1] for factor in rows if factor.is_floating_point()]
    if sizes:
        rows = [_one_hot(factor, sizes[0]) for factor in rows]
    return torch.cat(rows, 1), torch.cat([_tokens(columns) for _, columns in parts], 1)


def _one_hot(rows: Tensor, size: int) -> Tensor:
    if rows.is_floating_point():
        return _tokens(rows)
    return (rows.unsqueeze(-1) == torch.arange(size, device=rows.device)).float()


def _tokens(values: Tensor) -> Tensor:
    return values.reshape(len(values), -1, values.shape[-1]).float()
