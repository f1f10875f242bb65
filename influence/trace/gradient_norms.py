"""Own norms and inner products of per-example gradients: from one backward, or one by one."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import Parameter, functional
from torch.utils.hooks import RemovableHandle

from influence.shapes import Float, Int
from influence.trace.closed_forms import Rule, rules
from influence.trace.sums import Call, Direction, Products, Squares, Sums

NO_DIRECTIONS: Mapping[str, Direction] = {}


class NoRuleError(RuntimeError):
    """A parameter's gradients cannot be told apart by example; `loop_norms` is the way out."""


class Way(NamedTuple):
    """How a backward pass meets all calls of a forward, whatever the batch."""

    farthest: tuple[int, ...]  # numbers of the calls that it has to reach
    several: frozenset[Parameter]  # used by more than one call


class NormRecorder:
    """Exact norms and inner products of per-example gradients, from one backward pass.

    While entered, each forward of the model is recorded and only the parameters of the groups
    require gradients, though these are never computed. The model has to be in evaluation mode:
    dropout would make the norms random, batch statistics would mix the examples.

        with NormRecorder(model, {"all": parameter_group(model, "all")}) as recorder:
            for inputs, labels in batches:
                loss = cross_entropy(model(**inputs).logits, labels, reduction="sum")
                norms = recorder.norms(loss)["all"]

    The caller may differentiate the same graph before `norms`, or after it with `retain_graph`.
    A parameter that the loss does not depend on counts zero. A parameter without a rule is never
    left out silently: it is in `uncovered`, or a forward or `norms` raises `NoRuleError`.

    Args:
        model: its output is or has `logits`; examples are the leading dimension of everything.
        groups: names of parameters by the name of their group, for norms; groups may overlap.
        directions: what gradients are multiplied with, by names that no group has.

    Attributes:
        uncovered: names of the parameters that no rule covers; entering raises if there are any.
    """

    def __init__(
        self,
        model: nn.Module,
        groups: Mapping[str, Collection[str]],
        directions: Mapping[str, Direction] = NO_DIRECTIONS,
    ) -> None:
        """Find the rules for the parameters; nothing is attached yet."""
        self.model, self.directions = model, directions
        self.groups = _members(model, groups)
        self.names = _names(model, directions)
        self.normed = set().union(*self.groups.values())
        self.wanted = self.normed | set(self.names)
        self.rules = _rules(model, self.wanted)
        uncovered = self.wanted.difference(*self.rules.values())
        self.uncovered = tuple(name for name, p in model.named_parameters() if p in uncovered)
        self.calls: list[Call] | None = None
        self.known: dict[tuple, Way] = {}
        self.take: Callable[[int, Tensor], None] | None = None
        self.verified = False

    def __enter__(self) -> "NormRecorder":
        """Attach to the model and freeze the parameters that are in no group."""
        if self.uncovered:
            raise NoRuleError(f"no rule covers {', '.join(self.uncovered)}; use loop_norms")
        with ExitStack() as stack:
            stack.enter_context(_only_trainable(self.model, self.wanted))
            for handle in self._attach():
                stack.callback(handle.remove)
            self._undo = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        """Detach from the model and restore which parameters require gradients."""
        self.clear()
        self._undo.close()

    def clear(self) -> None:
        """Forget the recorded forward and let go of its graph, as the next forward does."""
        self.calls = self.logits = None

    def norms(
        self,
        loss: Float[Tensor, ""],
        retain_graph: bool = False,
        labels: Int[Tensor, " examples"] | None = None,
    ) -> dict[str, Float[Tensor, " examples"]]:
        """Return the L2 norm of each example's gradient by group, and its product by direction.

        Both are in float32.

        Args:
            loss: the sum (not the mean) of the losses of the examples of the last forward.
            retain_graph: keep the graph for another backward pass.
            labels: the classes of the examples, which directions by class need.

        Raises:
            NoRuleError: a parameter is used outside its module, or a module mixes examples.
            RuntimeError: no forward with gradients enabled since the last norms, or another loss.
        """
        calls, logits = self.calls, self.logits
        self.clear()
        if calls is None or logits is None:
            raise RuntimeError("no forward is recorded: call the model, gradients enabled, first")
        if not self.verified:
            self._verify(logits, calls)
        way, recorded = self._way(calls), len(calls)
        squares = Squares(self.normed, calls, way.several)
        products = Products(self.directions, self.names, labels)
        sums = Sums(self.rules, calls, [squares.add, products.add])
        farthest = [calls[number].output for number in way.farthest]
        calls.clear()
        self._differentiate(loss, farthest, sums.add, retain_graph=retain_graph)
        if recorded and not sums.count:
            raise RuntimeError("the loss does not depend on the forward that was recorded")
        with _exact(loss.device.type):
            zero = torch.zeros(self.examples, device=loss.device)
            return {**_roots(self.groups, squares.total(), zero), **products.total(zero)}

    def _attach(self) -> Iterator[RemovableHandle]:
        yield self.model.register_forward_pre_hook(self._begin, with_kwargs=True)
        for module in self.rules:
            if isinstance(module, nn.Embedding):
                yield module.register_forward_pre_hook(self._expand)
            yield module.register_forward_hook(self._record, with_kwargs=True)
        yield self.model.register_forward_hook(self._end)

    def _begin(self, model: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
        self.calls = [] if torch.is_grad_enabled() else None
        values = (*args, *kwargs.values())
        shapes = [v.shape for v in values if isinstance(v, Tensor) and v.dim() > 1]
        self.examples = max(shape[0] for shape in shapes)
        self.tokens = max(shape[1] for shape in shapes)

    def _expand(self, module: nn.Module, args: tuple) -> tuple | None:
        # Position and token type ids may come once for all examples: give each its own.
        if args and args[0].shape in ((1, self.tokens), (self.tokens,)):
            return (args[0].expand(self.examples, -1), *args[1:])
        return None

    def _record(
        self, module: nn.Module, args: tuple, kwargs: dict[str, Any], output: Tensor
    ) -> None:
        values = (*args, *kwargs.values())
        if len(values) != 1 or values[0].shape[0] != self.examples:
            shapes = [tuple(value.shape) for value in values if isinstance(value, Tensor)]
            raise NoRuleError(
                f"module {self._name(module)} was called with {shapes} instead of one tensor of "
                f"{self.examples} examples; use loop_norms"
            )
        if self.calls is not None:
            # A hook meets the gradient while it is in the cache, and nothing keeps it longer.
            output.register_hook(partial(self._meet, len(self.calls)))
            self.calls.append(Call(module, values[0], get_gradient_edge(output)))

    def _meet(self, number: int, gradient: Tensor) -> None:
        if self.take is not None:  # in the backward of `norms`, no other
            self.take(number, gradient)

    def _end(self, model: nn.Module, args: tuple, output: Any) -> None:
        self.logits = getattr(output, "logits", output)

    def _verify(self, logits: Tensor, calls: Sequence[Call]) -> None:
        # What the batch cannot change is looked at once. A leading dimension may be as large as
        # the batch by chance: only if the first example's logits leave the other rows alone are
        # they the other examples. One example alone has nothing to be told apart from.
        counted: Counter[Parameter] = Counter()
        mixed: list[nn.Module] = []

        def look(number: int, gradient: Tensor) -> None:
            module = calls[number].module
            counted.update(list(self.rules[module]))
            if gradient[1:].any():
                mixed.append(module)

        farthest = [calls[number].output for number in self._way(calls).farthest]
        self._differentiate(logits, farthest, look, _first_row(logits), retain_graph=True)
        if mixed:
            raise NoRuleError(f"module {self._name(mixed[0])} mixes examples; use loop_norms")
        uses = _uses(logits)
        for name, parameter in self.model.named_parameters():
            if parameter in self.wanted and uses[parameter] > counted[parameter]:
                raise NoRuleError(f"{name} is used outside its module; use loop_norms")
        self.verified = self.examples > 1

    def _way(self, calls: Sequence[Call]) -> Way:
        """Return what these calls have in common with those of other batches."""
        shape = tuple((id(call.module), call.inputs.requires_grad) for call in calls)
        if shape not in self.known:
            uses = Counter(p for call in calls for p in self.rules[call.module])
            several = frozenset(parameter for parameter, count in uses.items() if count > 1)
            self.known[shape] = Way(_farthest(calls), several)
        return self.known[shape]

    def _differentiate(
        self,
        result: Tensor,
        farthest: Sequence[GradientEdge],
        take: Callable[[int, Tensor], None],
        weight: Tensor | None = None,
        *,
        retain_graph: bool,
    ) -> None:
        """Go backward from `result` and give `take` the gradient of each call's output."""
        if not farthest:
            return
        self.take = take
        try:
            with _exact(result.device.type):
                torch.autograd.grad(
                    result, farthest, weight, retain_graph=retain_graph, allow_unused=True
                )
        finally:
            self.take = None

    def _name(self, module: nn.Module) -> str:
        return next(name for name, other in self.model.named_modules() if other is module)


def loop_norms(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    labels: Int[Tensor, " examples *tokens"],
    groups: Mapping[str, Collection[str]],
    directions: Mapping[str, Direction] = NO_DIRECTIONS,
) -> dict[str, Float[Tensor, " examples"]]:
    """Return what `NormRecorder.norms` does by a forward and an ordinary backward per example.

    This is the definition, for the cross-entropy loss, and the slow way out where there is no
    rule. The model has to be in evaluation mode.
    """
    members, names = _members(model, groups), _names(model, directions)
    wanted = list(dict.fromkeys(chain(*members.values(), names)))  # sums in the same order
    rows = []
    with _only_trainable(model, set(wanted)):
        for row in range(len(labels)):
            one = {name: _row(value, len(labels), row) for name, value in inputs.items()}
            logits = model(**one).logits.flatten(0, -2)
            loss = functional.cross_entropy(logits, labels[row].flatten(), reduction="sum")
            met = zip(wanted, torch.autograd.grad(loss, wanted, allow_unused=True), strict=True)
            gradients = {parameter: g.float() for parameter, g in met if g is not None}
            squares = {parameter: g.square().sum() for parameter, g in gradients.items()}
            zero = torch.zeros((), device=loss.device)
            rows.append(_roots(members, squares, zero))
            for key, direction in directions.items():
                other = direction.of(labels[row])
                rows[-1][key] = _plain_product(gradients, names, other, zero)
    return {key: torch.stack([row[key] for row in rows]) for key in (*groups, *directions)}


def _plain_product(
    gradients: Mapping[Parameter, Tensor],
    names: Mapping[Parameter, str],
    other: Mapping[str, Tensor],
    zero: Tensor,
) -> Tensor:
    met = [p for p in gradients if p in names and names[p] in other]
    return sum(((gradients[p] * other[names[p]]).sum() for p in met), zero)


def _roots(
    groups: Mapping[str, list[Parameter]], squares: Mapping[Parameter, Tensor], zero: Tensor
) -> dict[str, Tensor]:
    sums = {
        group: sum((squares[parameter] for parameter in members if parameter in squares), zero)
        for group, members in groups.items()
    }
    # The closed forms may round a sum that is zero to slightly less.
    return {group: total.clamp(min=0).sqrt() for group, total in sums.items()}


def _members(model: nn.Module, groups: Mapping[str, Collection[str]]) -> dict[str, list[Parameter]]:
    named = dict(model.named_parameters(remove_duplicate=False))
    return {
        group: list(dict.fromkeys(named[name] for name in names)) for group, names in groups.items()
    }


def _names(model: nn.Module, directions: Mapping[str, Direction]) -> dict[Parameter, str]:
    """Return the parameters that the directions are of, with what these call them."""
    named = dict(model.named_parameters(remove_duplicate=False))
    every = [gradient for direction in directions.values() for gradient in direction.gradients]
    return {named[name]: name for gradient in every for name in gradient}


def _rules(model: nn.Module, wanted: set[Parameter]) -> dict[nn.Module, dict[Parameter, Rule]]:
    kept = {
        module: {
            parameter: rule for parameter, rule in rules(module).items() if parameter in wanted
        }
        for module in model.modules()
    }
    return {module: rules for module, rules in kept.items() if rules}


@contextmanager
def _exact(device: str) -> Iterator[None]:
    """Compute norms in full precision and outside of the graph, whoever calls."""
    with torch.autocast(device, enabled=False), torch.no_grad():
        yield


@contextmanager
def _only_trainable(model: nn.Module, parameters: set[Parameter]) -> Iterator[None]:
    before = {parameter: parameter.requires_grad for parameter in model.parameters()}
    try:
        for parameter in before:
            parameter.requires_grad_(parameter in parameters)
        yield
    finally:
        for parameter, required in before.items():
            parameter.requires_grad_(required)


def _farthest(calls: Sequence[Call]) -> tuple[int, ...]:
    """Return the numbers of the calls whose inputs depend on no other call.

    Whatever a loss depends on besides is on the way from it to them.
    """
    outputs = {call.output.node for call in calls}
    return tuple(
        number
        for number, call in enumerate(calls)
        if not (call.inputs.requires_grad and _leads_to(call.inputs.grad_fn, outputs))
    )


def _leads_to(start: Any, nodes: set[Any]) -> bool:
    ahead, seen = [start], set()
    while ahead:
        node = ahead.pop()
        if node in nodes:
            return True
        if node is not None and node not in seen:
            seen.add(node)
            ahead += [following for following, _ in node.next_functions]
    return False


def _first_row(logits: Tensor) -> Tensor:
    weight = torch.zeros_like(logits)
    weight[0] = 1
    return weight


def _row(value: Tensor, examples: int, row: int) -> Tensor:
    per_example = value.dim() > 1 and len(value) == examples
    return value[row : row + 1] if per_example else value


def _uses(logits: Tensor) -> Counter[Tensor]:
    """Count how often each parameter enters the graph."""
    ahead: list[Any] = [logits.grad_fn] if logits.requires_grad else []
    uses, seen = Counter(), set()
    while ahead:
        for node, _ in ahead.pop().next_functions:
            if hasattr(node, "variable"):
                uses[node.variable] += 1
            elif node is not None and node not in seen:
                seen.add(node)
                ahead.append(node)
    return uses
