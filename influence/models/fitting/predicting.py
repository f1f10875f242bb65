"""The logits of a model that stays on the device: a batch is one launch, as a training step is."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from influence.models import classifier
from influence.models.fitting.graphs import Graphs, repeatable
from influence.models.fitting.rows import Rows, added, width_of
from influence.models.shortcuts.casting import Linears
from influence.models.tokens import Tokens, read, sent, usual_tokens


class Predictor:
    """Recorded forwards of a model, one for every width of a batch.

    A batch has as many rows as fill the device at its width. Where fewer are left, what the last
    batch of this width held stays in the others, and is not read: in eval mode no row looks at
    another.
    """

    def __init__(
        self,
        model: nn.Module,
        graphs: Graphs,
        longest: int,
        linears: Linears | None,
        adds: bool,
    ) -> None:
        """`longest`: of the examples; `linears`: as they are cast in bf16, None in fp32.

        `adds`: the model takes what is added to attention scores, see fitting.masks.
        """
        self.model, self.graphs, self.longest = model, graphs, longest
        device = next(model.parameters()).device
        # As `classifier.predict` does: bf16 on a GPU alone.
        self.linears = linears if device.type == "cuda" else None
        self.mask = torch.float32 if adds else None
        if adds and self.linears:
            self.mask = torch.bfloat16
        self.device, self.budget = device, usual_tokens(device)
        self.batches: dict[int, _Batch] = {}

    def lacks(self, tokens: Tokens) -> bool:
        """Tell whether some of `tokens` need a forward that is not recorded yet."""
        return not set(self.batches) >= self._widths(tokens)

    def record(self, rows: Rows, tokens: Tokens) -> None:
        """Record the forwards that `tokens` need, while no other thread does; see Graphs."""
        training = self.model.training
        self.model.eval()
        try:
            with repeatable():
                for width in sorted(self._widths(tokens) - set(self.batches)):
                    self.batches[width] = self._recorded(rows, width)
        finally:
            self.model.train(training)

    def logits(self, rows: Rows, tokens: Tokens) -> np.ndarray:
        """Return fp32 logits (examples, classes) in the order of `tokens`, which lie in `rows`."""
        lengths = read(tokens.lengths, slice(None))
        order = np.argsort(lengths, kind="stable")
        lengths = lengths[order]
        starts = sent(torch.from_numpy(read(tokens.starts, order)), self.device)
        long = sent(torch.from_numpy(lengths), self.device)
        found = torch.empty((len(order), self.model.config.num_labels), device=self.device)
        for width, start, end in self._plan(lengths):
            batch = self.batches[width]
            for name, values in rows.gather(starts[start:end], long[start:end], width).items():
                batch.inputs[name][: end - start].copy_(values)
            batch.replay()
            found[start:end].copy_(batch.logits[: end - start])
        logits = np.empty(found.shape, dtype=np.float32)
        logits[order] = found.cpu().numpy()
        return logits

    def _recorded(self, rows: Rows, width: int) -> "_Batch":
        count = max(1, self.budget // width)
        nowhere = torch.full((count,), rows.nowhere, device=self.device)
        inputs = rows.gather(nowhere, torch.ones_like(nowhere), width)
        logits = torch.empty((count, self.model.config.num_labels), device=self.device)
        forward = partial(self._forward, inputs, logits)
        return _Batch(inputs, logits, self.graphs.capture(forward))

    def _forward(self, inputs: dict[str, Tensor], logits: Tensor) -> None:
        if self.mask is not None:
            inputs = inputs | {"attention_mask": added(inputs["attention_mask"], self.mask)}
        half = self.linears is not None
        with torch.no_grad(), classifier.autocast(self.device, half, cache=False):
            given = self.linears.cast() if self.linears else {}
            logits.copy_(functional_call(self.model, given, kwargs=inputs).logits)

    def _widths(self, tokens: Tokens) -> set[int]:
        lengths = np.sort(read(tokens.lengths, slice(None)))
        return {width for width, _, _ in self._plan(lengths)}

    def _plan(self, lengths: np.ndarray) -> Iterator[tuple[int, int, int]]:
        """Yield width, start and end of every batch of examples whose lengths ascend."""
        start, longest = 0, max(self.longest, int(lengths.max(initial=0)))
        while start < len(lengths):
            width = width_of(int(lengths[start]), longest)
            fitting = int(np.searchsorted(lengths, width, side="right"))
            end = min(start + max(1, self.budget // width), fitting)
            yield width, start, end
            start = end


class _Batch:
    """What a recorded forward reads and writes, and what launches it."""

    def __init__(self, inputs: dict[str, Tensor], logits: Tensor, replay: Callable) -> None:
        self.inputs, self.logits, self.replay = inputs, logits, replay
