"""One pass over the train set under all checkpoints: where torch becomes NumPy.

Batches are the outer loop and checkpoints the inner one; where the checkpoints do not fit into
memory, each is opened for a few batches at a time. A batch under a checkpoint takes one forward,
one backward of the gold logit to the embedding layer if VoG is asked for, and one backward of the
loss if gradient norms or products with a mean gradient are. Only one number per quantity and
example is kept of a batch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from influence.models import classifier, layers
from influence.models.tokens import Tokens, budget_batches, collate, sent
from influence.trace.gradient_norms import NormRecorder, NoRuleError, loop_norms
from influence.trace.input_gradients import Variance, embedding_output, of_words
from influence.trace.sums import Direction

NORMS = {"gradient_norms": "all", "layer_norms": "last_layer", "classifier_norms": "classifier"}
AT_ONCE = 16  # batches that a streamed checkpoint is opened for


@dataclass(frozen=True)
class Resident:
    """One checkpoint and what to measure under it."""

    run: int
    step: int
    model: Callable[[], nn.Module]  # opens the model on its device
    quantities: frozenset[str]  # per checkpoint: logits, names in NORMS and scores.PRODUCTS
    windows: tuple[str, ...]  # keys of the windows whose gradient variance includes it
    directions: Callable[[], Mapping[str, Direction]] = dict  # opens those of PRODUCTS


@dataclass(frozen=True)
class Measured:
    """The measurements of a shard, one row per example, in the requested order."""

    at: dict[tuple[int, str, int], np.ndarray]  # (run, quantity, step)
    over: dict[tuple[int, str, str], np.ndarray]  # (run, quantity, window)


class Collected:
    """What a pass has measured so far, kept on the device: fetching would wait for every batch."""

    def __init__(self, size: int, device: str) -> None:
        """`size`: examples in the pass, one row each; `device`: where they are measured."""
        self.size, self.device = size, device
        self.at: dict[tuple[int, str, int], Tensor] = {}
        self.over: dict[tuple[int, str, str], Tensor] = {}

    def put(self, target: dict, key: tuple, values: Tensor, places: Tensor) -> None:
        """Store the values of the examples at `places`, both on the device."""
        if key not in target:
            shape = (self.size, *values.shape[1:])
            target[key] = torch.empty(shape, dtype=torch.float32, device=self.device)
        target[key][places] = values

    def measured(self) -> Measured:
        """Return everything as arrays."""
        at = {key: values.cpu().numpy() for key, values in self.at.items()}
        return Measured(at, {key: values.cpu().numpy() for key, values in self.over.items()})


class Meter:
    """Measures batches under checkpoints.

    Attributes:
        slow: by checkpoint, whether a layer without a rule forces one example at a time.
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
            streamed: open one checkpoint at a time for some batches instead of keeping all open.
            precision: bf16 runs forward and backward under autocast; norms and variances of the
                gradients are computed in fp32. tf32 lets a GPU round what it multiplies.
            device: where the checkpoints are opened.
        """
        self.residents, self.streamed = residents, streamed
        self.precision, self.device = precision, device
        self.patterns = NORMS | {"layer_norms": tracin_layers}
        self.slow = [False] * len(residents)
        self.kept: dict[int, Opened] = {}

    def opened(self, number: int) -> "Opened":
        """Open a checkpoint with frozen parameters, or return it if it is kept open."""
        if number not in self.kept:
            opened = Opened(self.residents[number], self.patterns)
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
        if not self.residents:  # no requested score reads a checkpoint
            return Measured({}, {})
        collected = Collected(len(rows), self.device)
        precision = precision or self.precision
        cast = precision == "bf16"
        parts = budget_batches(tokens.lengths[rows], batch_tokens)
        with ExitStack() as attached:
            attached.enter_context(_rounding(precision == "tf32"))
            if not self.streamed:  # hooks stay attached between batches
                for number in range(len(self.residents)):
                    attached.enter_context(self.opened(number).attached())
            for group in _in_groups(parts, at_once if self.streamed else 1):
                self._group(tokens, labels, rows, group, cast, collected)
        return collected.measured()

    def _group(self, tokens, labels, rows, group, cast: bool, collected: Collected) -> None:
        """Measure some batches, whose gradient variances are in memory at the same time."""
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
                        collected.put(collected.at, key, values[quantity], where)
            self.slow[number] = opened.slow
        for where, (inputs, _), known in zip(places, batches, variances, strict=True):
            for (run, window), variance in known.items():
                mask = inputs["attention_mask"].bool()
                for quantity, values in variance.over_tokens(mask).items():
                    collected.put(collected.over, (run, quantity, window), values, where)


class Opened:
    """A checkpoint in memory, with the hooks that norms and products need."""

    def __init__(self, resident: Resident, patterns: Mapping[str, str]) -> None:
        """Open it; `patterns`: the parameters of each quantity in NORMS."""
        self.model, self.wants_gradient = resident.model(), bool(resident.windows)
        wanted = [quantity for quantity in NORMS if quantity in resident.quantities]
        self.groups = {q: layers.parameter_group(self.model, patterns[q]) for q in wanted}
        self.directions = resident.directions()
        self.wants_sums = bool(self.groups or self.directions)
        self.recorder = None
        if self.wants_sums:
            self.recorder = NormRecorder(self.model, self.groups, self.directions)
        if self.recorder is not None and self.recorder.uncovered:
            self.recorder = None
        self.stack = ExitStack()

    @property
    def slow(self) -> bool:
        """Tell whether a layer without a rule forces one example at a time."""
        return self.wants_sums and self.recorder is None

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
        """Return the values of each example by quantity, and the gradient that VoG needs."""
        if not self.wants_gradient and not self.wants_sums:
            with torch.inference_mode(), _autocast(gold.device, cast):
                return {"logits": self.model(**inputs).logits.float()}, None
        try:
            logits, gradient, sums = measure(
                self.model, inputs, gold, self.wants_gradient, self.recorder, cast
            )
        except NoRuleError:
            self.stack.close()
            self.recorder = None
            return self.measure(inputs, gold, cast)
        if self.slow:
            sums = loop_norms(self.model, inputs, gold, self.groups, self.directions)
        return {"logits": logits, **sums}, gradient


def measure(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    gold: Tensor,
    want_gradient: bool,
    recorder: NormRecorder | None,
    cast: bool = False,
) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
    """Measure one batch under one checkpoint with frozen parameters and, if wanted, its recorder.

    Returns logits (examples, classes), the gradient of the gold logits with respect to the output
    of the embedding layer (examples, tokens, dimensions) or None, and the norms and products by
    quantity. `cast` runs the model in bf16 where autocast does.
    """
    catch = embedding_output(model, inputs) if want_gradient else nullcontext([])
    with catch as outputs, _autocast(gold.device, cast):
        logits = model(**inputs).logits.float()
    gradient = None
    if want_gradient:
        chosen = logits.gather(1, gold[:, None]).sum()
        gradient = of_words(model, inputs, outputs, chosen, retain=recorder is not None)
    sums = {}
    if recorder is not None:
        loss = functional.cross_entropy(logits, gold, reduction="sum")
        sums = recorder.norms(loss, labels=gold)
    return logits.detach(), gradient, sums


def _autocast(device: torch.device, cast: bool):
    # Without the cache, which would hide a second use of a weight from the recorder's check.
    return classifier.autocast(device, cast, cache=False)


@contextmanager
def _rounding(tf32: bool) -> Iterator[None]:
    """Multiply fp32 matrices in tf32, if so, while entered; nothing else of the process does."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _in_groups(parts: Iterator[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    return iter(lambda: list(islice(parts, size)), [])
