"""Closed forms of norms and inner products of per-example gradients, module by module.

For one example, the gradient of a linear layer's weight is the sum over tokens of (output
gradient) x (input). Its squared norm is the sum over token pairs of (gradient . gradient) times
(input . input), so the matrix itself is formed only where that is cheaper (Goodfellow 2015, arXiv
1510.01799; Li et al. 2022, arXiv 2110.05679). Its inner product with a given matrix is the sum over
tokens of (output gradient) . (matrix x input): one more product of the size of the forward. An
embedding is a linear layer with one-hot inputs; biases and normalisations have one vector per
example.
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
Products = tuple[Tensor, ...]  # a symmetric matrix, or its lower half and upper left quarter
MANY = 64  # tokens
Rule = Callable[[nn.Module, Tensor, Tensor], Part]


def rules(module: nn.Module) -> dict[Parameter, Rule]:
    """Return the rule of each parameter that the module itself owns, if it has one.

    A rule turns the module, its input and the gradient of its output into a part of the
    gradient. A subclass with its own forward (scaled embeddings, adapters) has no rule, except
    normalisations: whatever they compute, they scale it by their weight at the end.
    """
    by_name = _rules_by_name(module)
    own = module.named_parameters(recurse=False)
    return {parameter: by_name[name] for name, parameter in own if name in by_name}


def squared_norm(
    parts: Sequence[Part], gram: Callable[[Tensor], Products], share: float = 1.0
) -> Tensor:
    """Return the squared norm of the sum of the parts of one parameter's gradient, by example.

    Args:
        parts: one for each call that uses the parameter.
        gram: `token_products`, or a cached version of it.
        share: this layer's share of the cost of the input products, which several layers may share.
    """
    if isinstance(parts[0], Tensor):
        return (parts[0] if len(parts) == 1 else sum(parts)).square().sum(1)
    rows, columns = parts[0] if len(parts) == 1 else _joined(parts)
    if rows.is_floating_point() and _matrix_is_cheaper(rows, columns, share):
        matrices = torch.bmm(_tokens(rows).transpose(1, 2), _tokens(columns)).flatten(1)
        return torch.linalg.vector_norm(matrices, dim=1).square()
    return _dot(gram(rows), gram(columns))


def inner_product(module: nn.Module, part: Part, direction: Tensor) -> Tensor:
    """Return the inner product of a part of a gradient with `direction`, by example.

    Args:
        module: the one whose rule gave the part.
        part: what a call adds to the gradient; over several calls inner products add up.
        direction: shaped as the parameter.
    """
    if isinstance(part, Tensor):
        return part.float() @ direction
    rows, columns = part
    if not rows.is_floating_point():
        met = functional.embedding(rows.clamp(min=0), direction)
        return ((met * _tokens(columns)).sum(2) * (rows >= 0)).sum(1)
    rows, columns = _tokens(rows), _tokens(columns)
    matrix = direction.T if _is_transposed(module) else direction
    if rows.shape[2] > columns.shape[2]:  # the smaller side is the one to sum over in the end
        return (torch.matmul(rows, matrix) * columns).sum((1, 2))
    return (torch.matmul(columns, matrix.T) * rows).sum((1, 2))


def rows_of(part: Part, places: Tensor) -> Part:
    """Return the part of some examples."""
    if isinstance(part, Tensor):
        return part[places]
    rows, columns = part
    return rows[places], columns[places]


def token_products(factor: Tensor, many: int = MANY) -> Products:
    """Return the inner products of the tokens of each example, every pair at least once.

    The matrix of products is symmetric. From `many` tokens on, only its lower half and its upper
    left quarter are computed; for fewer, all of it, as several small products cost more.
    """
    tokens = _tokens(factor) if factor.is_floating_point() else factor
    if tokens.shape[1] < many:
        return (_products(tokens, tokens),)
    half = tokens.shape[1] // 2
    first = tokens[:, :half]
    return _products(tokens[:, half:], tokens), _products(first, first)


def _products(some: Tensor, others: Tensor) -> Tensor:
    if some.is_floating_point():
        return torch.bmm(some, others.transpose(1, 2))
    return (some.unsqueeze(2) == others.unsqueeze(1)) & (some >= 0).unsqueeze(2)


def _dot(one: Products, other: Products) -> Tensor:
    """Return, for each example, the sum over all token pairs of one product times the other."""
    if len(one) == 1:
        return (one[0] * other[0]).sum((1, 2))
    columns, half = (one[0] * other[0]).sum(1), one[1].shape[1]
    # The lower left quarter counts for the upper right one too.
    doubled = 2 * columns[:, :half].sum(1) + columns[:, half:].sum(1)
    return doubled + (one[1] * other[1]).sum((1, 2))


def _rules_by_name(module: nn.Module) -> dict[str, Rule]:
    forward = type(module).forward
    if forward in (nn.Linear.forward, Conv1D.forward):  # with transposed weights
        return {"weight": lambda _, inputs, gradient: (gradient, inputs), "bias": _total}
    if forward is nn.Embedding.forward:
        changed = module.max_norm is not None or module.scale_grad_by_freq
        return {} if changed else {"weight": _embedding}
    if forward is nn.LayerNorm.forward and len(module.normalized_shape) == 1:
        return {"weight": _layer_norm, "bias": _total}
    if type(module).__name__.endswith(("LayerNorm", "RMSNorm", "NoNorm")):
        return {"weight": _other_norm, "bias": _total}
    return {}


def _is_transposed(module: nn.Module) -> bool:
    return type(module).forward is Conv1D.forward


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
    # Some scale by the weight, some by one plus the weight: the difference is the scaled value.
    one, zero = (
        functional_call(module, {"weight": torch.full_like(module.weight, value)}, inputs)
        for value in (1, 0)
    )
    return (_tokens(one - zero) * _tokens(gradient)).sum(1)


def _matrix_is_cheaper(rows: Tensor, columns: Tensor, share: float) -> bool:
    tokens, height, width = rows.shape[1:-1].numel(), rows.shape[-1], columns.shape[-1]
    return height * width <= tokens * (height + share * width)


def _joined(parts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Concatenate the tokens of all uses of a matrix: products between uses are the cross terms."""
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
    if values.dim() == 3 and values.dtype == torch.float32:
        return values
    return values.reshape(len(values), -1, values.shape[-1]).float()
