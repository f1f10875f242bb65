"""What a backward pass adds up by example: squared norms of gradients, products with directions."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge
from torch.nn import Parameter

from influence.shapes import Int
from influence.trace.closed_forms import (
    Part,
    Rule,
    inner_product,
    rows_of,
    squared_norm,
    token_products,
)


class Call(NamedTuple):
    """One call of a module: what went in, and the place in the graph of what came out."""

    module: nn.Module
    inputs: Tensor
    output: GradientEdge


@dataclass(frozen=True, eq=False)
class Direction:
    """What the gradients of examples are multiplied with: one gradient, or one for each class.

    gradients: by name of the parameter, shaped as it is, what is missing being zero; the only one,
    or with `by_class` those of the classes in the order of their numbers.
    """

    gradients: Sequence[Mapping[str, Tensor]]
    by_class: bool = False

    def of(self, label: int | Tensor) -> Mapping[str, Tensor]:
        """Return the gradient that an example with this label is multiplied with."""
        return self.gradients[int(label) if self.by_class else 0]


class Squares:
    """The squared norms of the gradients of some parameters, added up over the calls."""

    def __init__(
        self, wanted: Collection[Parameter], calls: Sequence[Call], several: Collection[Parameter]
    ) -> None:
        """`several`: the parameters that more than one call uses."""
        self.wanted, self.several = wanted, several
        self.sharing = Counter(id(call.inputs) for call in calls)
        self.parts: dict[Parameter, list[Part]] = defaultdict(list)
        self.squares: dict[Parameter, Tensor] = {}
        # Query, key and value share an input, the embedding tables an output gradient.
        self.gram = lru_cache(maxsize=2)(token_products)

    def add(self, call: Call, parameter: Parameter, part: Part) -> None:
        """Take in what one call adds to the gradient of a parameter."""
        if parameter in self.several:
            self.parts[parameter].append(part)
        elif parameter in self.wanted:
            share = 1 / self.sharing[id(call.inputs)]
            self.squares[parameter] = squared_norm([part], self.gram, share)

    def total(self) -> dict[Parameter, Tensor]:
        """Return the squared norm of every parameter that was met, (examples,) each."""
        joined = {
            parameter: squared_norm(parts, self.gram)
            for parameter, parts in self.parts.items()
            if parameter in self.wanted
        }
        return {**self.squares, **joined}


class Products:
    """The inner products of the gradients with directions, added up over the calls."""

    def __init__(
        self,
        directions: Mapping[str, Direction],
        names: Mapping[Parameter, str],
        labels: Int[Tensor, " examples"] | None,
    ) -> None:
        """`labels`: the classes of the examples, which a direction by class needs."""
        self.directions, self.names = directions, names
        by_class = any(direction.by_class for direction in directions.values())
        self.by_class = list(_by_class(labels)) if by_class and labels is not None else []
        self.totals: dict[str, Tensor] = {}

    def add(self, call: Call, parameter: Parameter, part: Part) -> None:
        """Take in what one call adds to the gradient of a parameter."""
        if (name := self.names.get(parameter)) is None:
            return
        for key, direction in self.directions.items():
            if direction.by_class:
                found = self._own(direction, name, call.module, part)
            elif name in direction.of(0):
                found = inner_product(call.module, part, direction.of(0)[name])
            else:
                continue
            self.totals[key] = self.totals[key] + found if key in self.totals else found

    def total(self, zero: Tensor) -> dict[str, Tensor]:
        """Return the products by direction; `zero` (examples,) where nothing was met."""
        return {key: self.totals.get(key, zero) for key in self.directions}

    def _own(self, direction: Direction, name: str, module: nn.Module, part: Part) -> Tensor:
        first = part if isinstance(part, Tensor) else part[1]
        found = torch.zeros(len(first), device=first.device)
        for label, rows in self.by_class:
            if name in (gradient := direction.of(label)):
                found[rows] = inner_product(module, rows_of(part, rows), gradient[name])
        return found


class Sums:
    """All that is added up while a backward pass meets the gradients of the outputs of calls."""

    def __init__(
        self,
        rules: Mapping[nn.Module, dict[Parameter, Rule]],
        calls: Sequence[Call],
        takers: Sequence[Callable[[Call, Parameter, Part], None]],
    ) -> None:
        """`takers`: take in every part, such as `Squares.add`."""
        self.rules, self.takers, self.count = rules, takers, 0
        self.calls: list[Call | None] = [*calls]

    def add(self, number: int, gradient: Tensor) -> None:
        """Take in the gradient of the output of a call."""
        call = self.calls[number]
        assert call is not None  # a hook comes once per backward pass
        self.calls[number] = None  # memory that is free early is used again while in the cache
        self.count += 1
        for parameter, rule in self.rules[call.module].items():
            part = rule(call.module, call.inputs, gradient)
            for take in self.takers:
                take(call, parameter, part)


def _by_class(labels: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield the classes in a batch, each with the places of its examples."""
    order, sizes = labels.argsort(stable=True), labels.bincount().tolist()
    places = order.split(sizes)
    yield from ((label, rows) for label, rows in enumerate(places) if len(rows))
