"""One pass over the train set with all checkpoints resident: where torch becomes NumPy.

Batches are the outer loop and checkpoints the inner one. A batch under a checkpoint takes one
forward, one backward of the gold logit to the embedding layer if VoG is wanted, and one backward of
the loss if gradient norms are. Nothing of a batch is kept but one number per quantity and example.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from influence import layers
from influence.batches import Tokens, budget_batches, collate
from influence.gradients import NormRecorder, NoRuleError, loop_norms

NORMS = {"gradient_norms": "all", "layer_norms": "last_layer", "classifier_norms": "classifier"}
MISMATCH = 1e-3  # relative error of the self-check from which a pass is wrong, not merely rounded


@dataclass(frozen=True)
class Resident:
    """One checkpoint in memory and what to measure under it."""

    run: int
    step: int
    model: nn.Module
    quantities: frozenset[str]  # per checkpoint: logits and names in NORMS
    windows: tuple[str, ...]  # keys of the windows whose gradient variance it is part of


@dataclass(frozen=True)
class Measured:
    """What a shard of examples gave, one row per example, in the order asked for."""

    at: dict[tuple[int, str, int], np.ndarray]  # (run, quantity, step)
    over: dict[tuple[int, str, str], np.ndarray]  # (run, quantity, window)


class Meter:
    """Measures batches under the resident checkpoints; hooks stay attached between batches."""

    def __init__(self, residents: Sequence[Resident], tracin_layers: str = "last_layer") -> None:
        """`tracin_layers` chooses the parameters of `layer_norms`, see layers.parameter_group."""
        self.residents = residents
        patterns = NORMS | {"layer_norms": tracin_layers}
        self.groups = [_groups(resident, patterns) for resident in residents]
        self.slow = [False] * len(residents)  # no rule for some layer: one example at a time

    @contextmanager
    def attached(self) -> Iterator[list[NormRecorder | None]]:
        """Attach the hooks that norms need and freeze the parameters."""
        with ExitStack() as stack:
            for resident in self.residents:
                for parameter in resident.model.parameters():
                    parameter.requires_grad_(False)
            recorders: list[NormRecorder | None] = []
            for number, (resident, groups) in enumerate(
                zip(self.residents, self.groups, strict=True)
            ):
                recorder = NormRecorder(resident.model, groups) if groups else None
                if recorder is not None and recorder.uncovered:
                    self.slow[number], recorder = True, None
                recorders.append(stack.enter_context(recorder) if recorder else None)
            yield recorders

    def measure(
        self, tokens: Tokens, labels: np.ndarray, rows: np.ndarray, batch_tokens: int
    ) -> Measured:
        """Measure the examples `rows`; row i of every array of the result is example `rows[i]`."""
        result = Measured({}, {})
        if not self.residents:  # no score asked for reads a checkpoint
            return result
        with self.attached() as recorders:
            for part in budget_batches(tokens.lengths[rows], batch_tokens):
                self._batch(tokens, labels, rows[part], part, len(rows), recorders, result)
        return result

    def _batch(self, tokens, labels, rows, places, size, recorders, result: Measured) -> None:
        device = next(self.residents[0].model.parameters()).device
        inputs, gold = collate(tokens, rows, device), torch.tensor(labels[rows], device=device)
        variances: dict[tuple[int, str], Variance] = {}
        for number, resident in enumerate(self.residents):
            found, gradient = self._measure_one(number, recorders, inputs, gold)
            for window in resident.windows if gradient is not None else ():
                variances.setdefault((resident.run, window), Variance()).add(gradient)
            for quantity in resident.quantities & found.keys():
                key = (resident.run, quantity, resident.step)
                _put(result.at, key, found[quantity], places, size)
        for (run, window), variance in variances.items():
            mask = inputs["attention_mask"].bool()
            for quantity, values in variance.over_tokens(mask).items():
                _put(result.over, (run, quantity, window), values, places, size)

    def _measure_one(
        self, number, recorders, inputs, gold
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        resident, recorder, groups = self.residents[number], recorders[number], self.groups[number]
        if not resident.windows and not groups:
            with torch.inference_mode():
                return {"logits": resident.model(**inputs).logits.float()}, None
        try:
            logits, gradient, norms = measure(
                resident.model, inputs, gold, bool(resident.windows), recorder
            )
        except NoRuleError:
            recorders[number] = None if recorder is None else recorder.__exit__(None, None, None)
            self.slow[number] = True
            return self._measure_one(number, recorders, inputs, gold)
        if self.slow[number]:
            norms = loop_norms(resident.model, inputs, gold, groups)
        return {"logits": logits, **norms}, gradient


class Variance:
    """Running elementwise mean and sum of squared deviations (Welford), in fp32."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.count = 0

    def add(self, values: Tensor) -> None:
        """Take in one more tensor; all have the same shape."""
        self.count += 1
        if self.count == 1:
            self.mean, self.squares = values.clone(), torch.zeros_like(values)
            return
        delta = values - self.mean
        self.mean += delta / self.count
        self.squares.addcmul_(delta, values - self.mean)

    def over_tokens(self, mask: Tensor) -> dict[str, Tensor]:
        """Return variance and standard deviation averaged over real tokens and dimensions.

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


def measure(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    gold: Tensor,
    want_gradient: bool,
    recorder: NormRecorder | None,
) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
    """Measure one batch under one checkpoint with frozen parameters and, for norms, its recorder.

    Returns logits (examples, classes), the gradient of the gold logits with respect to the output
    of the embedding layer (examples, tokens, dimensions) or None, and the norms by quantity.
    """
    with _embedding_output(model) if want_gradient else nullcontext([]) as outputs:
        logits = model(**inputs).logits.float()
    gradient = None
    if want_gradient:
        chosen = logits.gather(1, gold[:, None]).sum()
        (gradient,) = torch.autograd.grad(chosen, outputs, retain_graph=recorder is not None)
        gradient = gradient.float()
    norms = {}
    if recorder is not None:
        norms = recorder.norms(functional.cross_entropy(logits, gold, reduction="sum"))
    return logits.detach(), gradient, norms


def self_check(meter: Meter, tokens: Tokens, labels: np.ndarray, examples: int) -> float:
    """Compare the pass on the first examples with `reference`; return the largest relative error.

    0 if nothing that needs a gradient is measured.
    """
    rows = np.arange(min(examples, len(tokens)))
    fused = meter.measure(tokens, labels, rows, batch_tokens=int(tokens.lengths[rows].sum()))
    slow = reference(meter, tokens, labels, rows)
    pairs = [(fused.at[key], slow.at[key]) for key in slow.at]
    pairs += [(fused.over[key], slow.over[key]) for key in slow.over]
    return max((_relative(found, right) for found, right in pairs), default=0.0)


def reference(meter: Meter, tokens: Tokens, labels: np.ndarray, rows: np.ndarray) -> Measured:
    """Measure norms and variances slowly and obviously: plain autograd, one example at a time."""
    result, gold = Measured({}, {}), torch.tensor(labels)
    for place, row in enumerate(rows):
        gradients: dict[tuple[int, str], list[Tensor]] = {}
        for resident, groups in zip(meter.residents, meter.groups, strict=True):
            device = next(resident.model.parameters()).device
            inputs, label = collate(tokens, np.array([row]), device), gold[row : row + 1].to(device)
            norms = loop_norms(resident.model, inputs, label, groups) if groups else {}
            for quantity, values in norms.items():
                key = (resident.run, quantity, resident.step)
                _put(result.at, key, values, np.array([place]), len(rows))
            for window in resident.windows:
                _, gradient, _ = measure(resident.model, inputs, label, True, None)
                gradients.setdefault((resident.run, window), []).append(gradient)
        for (run, window), seen in gradients.items():
            variance = torch.stack(seen).var(0, correction=0)
            for quantity, values in (
                ("gradient_variance", variance),
                ("gradient_deviation", variance.sqrt()),
            ):
                key = (run, quantity, window)
                _put(result.over, key, values.mean().reshape(1), np.array([place]), len(rows))
    return result


def slowdown(meter: Meter, tokens: Tokens, labels: np.ndarray, examples: int = 8) -> float:
    """Return how many times longer than a forward pass the one-at-a-time path of norms takes."""
    number = meter.slow.index(True)
    resident, rows = meter.residents[number], np.arange(min(examples, len(tokens)))
    device = next(resident.model.parameters()).device
    inputs, gold = collate(tokens, rows, device), torch.tensor(labels[rows], device=device)
    loop = _seconds(lambda: loop_norms(resident.model, inputs, gold, meter.groups[number]))
    return loop / _seconds(lambda: resident.model(**inputs))


def _groups(resident: Resident, patterns: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    wanted = [quantity for quantity in NORMS if quantity in resident.quantities]
    return {q: layers.parameter_group(resident.model, patterns[q]) for q in wanted}


def _put(target: dict, key: tuple, values: Tensor, places: np.ndarray, size: int) -> None:
    array = values.cpu().numpy()
    if key not in target:
        target[key] = np.empty((size, *array.shape[1:]), dtype=np.float32)
    target[key][places] = array


@contextmanager
def _embedding_output(model: nn.Module) -> Iterator[list[Tensor]]:
    """Catch the embedding layer's output; make it a leaf if nothing before needs a gradient."""
    outputs: list[Tensor] = []

    def catch(module, arguments, output):
        output = output if output.requires_grad else output.detach().requires_grad_()
        outputs.append(output)
        return output

    handle = layers.embedding_layer(model).register_forward_hook(catch)
    try:
        yield outputs
    finally:
        handle.remove()


def _relative(values: np.ndarray, right: np.ndarray) -> float:
    return float(np.linalg.norm(values - right) / max(np.linalg.norm(right), 1e-12))


def _seconds(work: Callable[[], object]) -> float:
    work()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
