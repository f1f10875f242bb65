"""One pass over the train set under all checkpoints: where torch becomes NumPy.

Batches are the outer loop and checkpoints the inner one; where the checkpoints do not fit into
memory, a few batches at a time. A batch under a checkpoint takes one
forward, one backward of the gold logit to the embedding layer if VoG is wanted, and one backward of
the loss if gradient norms are. Nothing of a batch is kept but one number per quantity and example.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from influence.errors import InputError
from influence.models import classifier, layers
from influence.models.tokens import Tokens, budget_batches, collate, sent
from influence.trace.gradient_norms import NormRecorder, NoRuleError, loop_norms

NORMS = {"gradient_norms": "all", "layer_norms": "last_layer", "classifier_norms": "classifier"}
AT_ONCE = 16  # batches that a streamed checkpoint is opened for
WITHOUT_GRADIENTS = (
    "ask for scores that need none, such as score=el2n,forgetting,pvi, or take another model"
)
MISMATCH = 1e-3  # relative error of the self-check from which a pass is wrong, not merely rounded


@dataclass(frozen=True)
class Resident:
    """One checkpoint and what to measure under it."""

    run: int
    step: int
    model: Callable[[], nn.Module]  # opens it, on its device
    quantities: frozenset[str]  # per checkpoint: logits and names in NORMS
    windows: tuple[str, ...]  # keys of the windows whose gradient variance it is part of


@dataclass(frozen=True)
class Measured:
    """What a shard of examples gave, one row per example, in the order asked for."""

    at: dict[tuple[int, str, int], np.ndarray]  # (run, quantity, step)
    over: dict[tuple[int, str, str], np.ndarray]  # (run, quantity, window)


class Meter:
    """Measures batches under checkpoints.

    Attributes:
        slow: by checkpoint, whether a layer without a rule makes norms take one example at a time.
    """

    def __init__(
        self,
        residents: Sequence[Resident],
        tracin_layers: str = "last_layer",
        streamed: bool = False,
        precision: str = "fp32",
        device: str = "cpu",
    ) -> None:
        """Open nothing yet.

        Args:
            tracin_layers: the parameters of `layer_norms`, see layers.parameter_group.
            streamed: open one checkpoint at a time for some batches, instead of keeping all.
            precision: bf16 runs forward and backward under autocast; norms and variances of the
                gradients are computed in fp32.
            device: where the checkpoints are opened.
        """
        self.residents, self.streamed = residents, streamed
        self.precision, self.device = precision, device
        self.patterns = NORMS | {"layer_norms": tracin_layers}
        self.slow = [False] * len(residents)
        self.kept: dict[int, _Opened] = {}

    def opened(self, number: int) -> "_Opened":
        """Open a checkpoint, its parameters frozen, or return it where it is kept."""
        if number not in self.kept:
            opened = _Opened(self.residents[number], self.patterns)
            if self.streamed:
                return opened
            self.kept[number] = opened
        return self.kept[number]

    def collated(
        self, tokens: Tokens, labels: np.ndarray, rows: np.ndarray
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the inputs of a batch and its labels, on the device."""
        gold = sent(torch.tensor(labels[rows]), self.device)
        return collate(tokens, rows, self.device), gold

    def measure(
        self,
        tokens: Tokens,
        labels: np.ndarray,
        rows: np.ndarray,
        batch_tokens: int,
        precision: str = "",
        at_once: int = AT_ONCE,
    ) -> Measured:
        """Measure the examples `rows`; row i of every array of the result is example `rows[i]`.

        `precision` is that of the meter unless it is given; `at_once`: batches that a streamed
        checkpoint is opened for.
        """
        if not self.residents:  # no score asked for reads a checkpoint
            return Measured({}, {})
        found = _Found(len(rows), self.device)
        cast = (precision or self.precision) == "bf16"
        parts = budget_batches(tokens.lengths[rows], batch_tokens)
        with ExitStack() as attached:
            if not self.streamed:  # hooks stay attached between batches
                for number in range(len(self.residents)):
                    attached.enter_context(self.opened(number).attached())
            for group in _in_groups(parts, at_once if self.streamed else 1):
                self._group(tokens, labels, rows, group, cast, found)
        return found.measured()

    def _group(self, tokens, labels, rows, group, cast: bool, found: "_Found") -> None:
        """Measure some batches; their gradients' variances are in memory at the same time."""
        batches = [self.collated(tokens, labels, rows[part]) for part in group]
        places = [sent(torch.from_numpy(part), self.device) for part in group]
        variances: list[dict[tuple[int, str], Variance]] = [{} for _ in group]
        for number, resident in enumerate(self.residents):
            opened = self.opened(number)
            with opened.attached() if self.streamed else nullcontext():
                for where, (inputs, gold), known in zip(places, batches, variances, strict=True):
                    values, gradient = opened.measure(inputs, gold, cast)
                    for window in resident.windows if gradient is not None else ():
                        known.setdefault((resident.run, window), Variance()).add(gradient)
                    for quantity in resident.quantities & values.keys():
                        key = (resident.run, quantity, resident.step)
                        found.put(found.at, key, values[quantity], where)
            self.slow[number] = opened.slow
        for where, (inputs, _), known in zip(places, batches, variances, strict=True):
            for (run, window), variance in known.items():
                mask = inputs["attention_mask"].bool()
                for quantity, values in variance.over_tokens(mask).items():
                    found.put(found.over, (run, quantity, window), values, where)


class _Found:
    """What a pass has found so far, on its device: to fetch it would wait for every batch."""

    def __init__(self, size: int, device: str) -> None:
        self.size, self.device = size, device
        self.at: dict[tuple[int, str, int], Tensor] = {}
        self.over: dict[tuple[int, str, str], Tensor] = {}

    def put(self, target: dict, key: tuple, values: Tensor, places: Tensor) -> None:
        """Take in the values of the examples at `places`, both on the device."""
        if key not in target:
            shape = (self.size, *values.shape[1:])
            target[key] = torch.empty(shape, dtype=torch.float32, device=self.device)
        target[key][places] = values

    def measured(self) -> Measured:
        """Return all of it as arrays."""
        at = {key: values.cpu().numpy() for key, values in self.at.items()}
        return Measured(at, {key: values.cpu().numpy() for key, values in self.over.items()})


class _Opened:
    """A checkpoint in memory, with the hooks that its norms need."""

    def __init__(self, resident: Resident, patterns: Mapping[str, str]) -> None:
        self.model, self.wants_gradient = resident.model(), bool(resident.windows)
        wanted = [quantity for quantity in NORMS if quantity in resident.quantities]
        self.groups = {q: layers.parameter_group(self.model, patterns[q]) for q in wanted}
        self.recorder = NormRecorder(self.model, self.groups) if self.groups else None
        if self.recorder is not None and self.recorder.uncovered:
            self.recorder = None
        self.stack = ExitStack()

    @property
    def slow(self) -> bool:
        return bool(self.groups) and self.recorder is None

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Freeze the parameters and attach the hooks."""
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        with self.stack:
            if self.recorder is not None:
                self.stack.enter_context(self.recorder)
            yield

    def measure(
        self, inputs: Mapping[str, Tensor], gold: Tensor, cast: bool
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """Return what each example gives, by quantity, and the gradient that VoG is made of."""
        if not self.wants_gradient and not self.groups:
            with torch.inference_mode(), _autocast(gold.device, cast):
                return {"logits": self.model(**inputs).logits.float()}, None
        try:
            logits, gradient, norms = measure(
                self.model, inputs, gold, self.wants_gradient, self.recorder, cast
            )
        except NoRuleError:
            self.stack.close()
            self.recorder = None
            return self.measure(inputs, gold, cast)
        if self.slow:
            norms = loop_norms(self.model, inputs, gold, self.groups)
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
    cast: bool = False,
) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
    """Measure one batch under one checkpoint with frozen parameters and, for norms, its recorder.

    Returns logits (examples, classes), the gradient of the gold logits with respect to the output
    of the embedding layer (examples, tokens, dimensions) or None, and the norms by quantity. `cast`
    runs the model in bf16 where autocast does.
    """
    catch = _embedding_output(model, inputs) if want_gradient else nullcontext([])
    with catch as outputs, _autocast(gold.device, cast):
        logits = model(**inputs).logits.float()
    gradient = None
    if want_gradient:
        chosen = logits.gather(1, gold[:, None]).sum()
        gradient = _of_words(model, inputs, outputs, chosen, retain=recorder is not None)
    norms = {}
    if recorder is not None:
        norms = recorder.norms(functional.cross_entropy(logits, gold, reduction="sum"))
    return logits.detach(), gradient, norms


def self_check(meter: Meter, tokens: Tokens, labels: np.ndarray, examples: int) -> float:
    """Compare the pass on the first examples with `reference`; return the largest relative error.

    Both in fp32. 0 if nothing that needs a gradient is measured.
    """
    rows = np.arange(min(examples, len(tokens)))
    fused = meter.measure(tokens, labels, rows, int(tokens.lengths[rows].sum()), "fp32")
    slow = reference(meter, tokens, labels, rows)
    pairs = [(fused.at[key], slow.at[key]) for key in slow.at]
    pairs += [(fused.over[key], slow.over[key]) for key in slow.over]
    return max((relative(found, right) for found, right in pairs), default=0.0)


def rank_correlations(
    meter: Meter, tokens: Tokens, labels: np.ndarray, examples: int
) -> dict[str, float]:
    """Return Spearman's correlation of the meter's values with those of fp32, on some examples.

    By quantity, the lowest over checkpoints and windows; of logits those of the labels. 1 where
    nothing can be ranked.
    """
    rows = np.arange(min(examples, len(tokens)))
    whole = int(tokens.lengths[rows].max()) * 32
    own, exact = (meter.measure(tokens, labels, rows, whole, p) for p in (meter.precision, "fp32"))
    found: dict[str, float] = {}
    for part, right in ((own.at, exact.at), (own.over, exact.over)):
        for key, values in part.items():
            pair = (values, right[key])
            if key[1] == "logits":
                pair = tuple(v[rows, labels[rows]] for v in pair)
            ranked = [pd.Series(v).rank() for v in pair]
            same = np.corrcoef(*ranked)[0, 1] if all(np.ptp(v) for v in ranked) else 1.0
            found[key[1]] = min(found.get(key[1], 1.0), float(same))
    return found


def reference(meter: Meter, tokens: Tokens, labels: np.ndarray, rows: np.ndarray) -> Measured:
    """Measure norms and variances slowly and obviously: plain autograd, one example at a time."""
    found = _Found(len(rows), meter.device)
    gradients: dict[tuple[int, int, str], list[Tensor]] = {}
    for number, resident in enumerate(meter.residents):
        opened = meter.opened(number)
        for place, row in enumerate(rows):
            where = sent(torch.tensor([place]), meter.device)
            inputs, label = meter.collated(tokens, labels, np.array([row]))
            norms = loop_norms(opened.model, inputs, label, opened.groups) if opened.groups else {}
            for quantity, values in norms.items():
                found.put(found.at, (resident.run, quantity, resident.step), values, where)
            for window in resident.windows:
                _, gradient, _ = measure(opened.model, inputs, label, True, None)
                gradients.setdefault((place, resident.run, window), []).append(gradient)
    for (place, run, window), seen in gradients.items():
        variance = torch.stack(seen).var(0, correction=0)
        for quantity, values in (
            ("gradient_variance", variance),
            ("gradient_deviation", variance.sqrt()),
        ):
            where = sent(torch.tensor([place]), meter.device)
            found.put(found.over, (run, quantity, window), values.mean().reshape(1), where)
    return found.measured()


def slowdown(meter: Meter, tokens: Tokens, labels: np.ndarray, examples: int = 8) -> float:
    """Return how many times longer than a forward pass the one-at-a-time path of norms takes."""
    number = meter.slow.index(True)
    opened = meter.opened(number)
    inputs, gold = meter.collated(tokens, labels, np.arange(min(examples, len(tokens))))
    loop = _seconds(lambda: loop_norms(opened.model, inputs, gold, opened.groups))
    return loop / _seconds(lambda: opened.model(**inputs))


@contextmanager
def _embedding_output(model: nn.Module, inputs: Mapping[str, Tensor]) -> Iterator[list[Tensor]]:
    """Catch what the embedding layer makes of the words, a leaf if nothing before needs a gradient.

    Only the first such call counts: GPT-2 looks token types up in the same table, and CTRL does so
    before the words. What the model gets is a copy, because some scale it in place.
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


def _of_words(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: list[Tensor],
    chosen: Tensor,
    retain: bool,
) -> Tensor:
    """Return the gradient of `chosen` (examples, tokens, dimensions) by the embeddings caught.

    Raises InputError if they do not lie so: to sum over other axes would give other numbers.
    """
    examples, tokens = inputs["attention_mask"].shape
    (shape,) = (found.shape for found in outputs) if outputs else ((),)
    if len(shape) != 3 or shape[0] != examples or shape[1] < tokens:
        found = f"gave {tuple(shape)}" if shape else "was not called"
        raise InputError(
            f"the embedding layer of {type(model).__name__} {found} for {examples} examples of "
            f"{tokens} tokens, so that no gradient by its words can be taken; {WITHOUT_GRADIENTS}"
        )
    (gradient,) = torch.autograd.grad(chosen, outputs, retain_graph=retain)
    return gradient[:, :tokens].float()  # Longformer pads to whole windows


def _same_memory(one: object, other: Tensor) -> bool:
    return isinstance(one, Tensor) and one.data_ptr() == other.data_ptr()


def _autocast(device: torch.device, cast: bool):
    # Without the cache: it hides from the recorder's check that a weight is used a second time.
    return classifier.autocast(device, cast, cache=False)


def _in_groups(parts: Iterator[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    return iter(lambda: list(islice(parts, size)), [])


def relative(values: np.ndarray, right: np.ndarray) -> float:
    """Return how far `values` are from the right ones, as a share of these."""
    return float(np.linalg.norm(values - right) / max(np.linalg.norm(right), 1e-12))


def _seconds(work: Callable[[], object]) -> float:
    work()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
