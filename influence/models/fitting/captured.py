"""A model that stays on the device, and trains there by launching recorded steps."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from influence.errors import InputError, Terminated
from influence.jobs.gpus import stopping
from influence.models import classifier, embeddings, fit
from influence.models.fit import Progress, steps_per_epoch
from influence.models.fitting.course import Course, Part
from influence.models.fitting.graphs import Graphs, Replay, repeatable
from influence.models.fitting.masks import mask_of
from influence.models.fitting.predicting import Predictor
from influence.models.fitting.rows import Rows, width_of
from influence.models.shortcuts.casting import Linears
from influence.models.tokens import read, sent


class Captured:
    """A model with its optimiser and one recorded step for every width of a batch.

    Between two trainings weights and optimiser state are overwritten in place, so that nothing is
    recorded twice. What a training becomes depends on its course and part alone: its batches are
    those of `models.fit.loop`, filled up with rows that count for nothing, and every step draws its
    random numbers by the training's seed and its own number.
    """

    def __init__(self, course: Course, rows: Rows, capacity: int, graphs: Graphs) -> None:
        """Make the model of `course`, for trainings of at most `capacity` steps."""
        config, device = course.config, rows.device
        self.config, self.rows, self.graphs, self.capacity = config, rows, graphs, capacity
        self.longest = int(course.examples.tokens.lengths.max())
        self.loss, self.replays = course.loss, dict[int, Replay]()
        self.planned: tuple[Part | None, Any] = (None, None)  # the batches of one part
        with graphs.entered():
            self.model = course.build(config.seed)
            half = config.precision == "bf16"
            kind = torch.bfloat16 if half else torch.float32
            self.linears = Linears(self.model) if half else None
            with self.linears or nullcontext():
                self.mask = mask_of(self.model, course.examples.tokens, kind)
            self.model = self.model.to(device)
            takes = self.mask is not None
            self.predictor = Predictor(self.model, graphs, self.longest, self.linears, takes)
            self.weights = list(self.model.parameters())
            self.buffers = list(self.model.buffers())
            ids, pad = course.examples.tokens.ids, course.examples.tokens.pad
            self.cut = None if config.weight_decay else embeddings.cut(self.model, ids, pad)
            with self._cut_down():
                self.optimizer = _optimizer(self.model, config, device)
            self.rates = classifier.learning_rates(config)
            self.step = torch.zeros(1, dtype=torch.int64, device=device)
            shape = (capacity, config.batch_size)
            self.schedule = torch.full(shape, rows.count, dtype=torch.int64, device=device)
            self.factors = torch.ones(capacity, device=device)
            self.total = torch.zeros(1, device=device)  # of the losses since the last stop
            self.labels = rows.with_ignored(course.examples.labels)
            tags = course.examples.tags
            self.tags = None if tags is None else rows.with_ignored(tags)

    def run(self, course: Course, part: Part, start: Sequence[Tensor]) -> Iterator[Progress]:
        """Train as `models.fit.loop` does, from the weights `start`; see `start_of`.

        `model` is whole at every stop and afterwards. Raises InputError if the training diverges.
        """
        rows, widths = self._batches(course, part)
        with torch.no_grad():
            self._load(course, part, start, rows)
        with self._cut_down():
            self.model.train()
            yield from self._launch(part, widths)
        self.model.eval()

    def lacks(self, course: Course, part: Part) -> bool:
        """Tell whether a training needs steps that are not recorded yet."""
        return not set(self.replays) >= set(self._batches(course, part)[1])

    def record(self, course: Course, part: Part) -> None:
        """Record the steps that a training needs, while no other thread does; see Graphs."""
        widths = set(self._batches(course, part)[1]) - set(self.replays)
        with self.graphs.entered(), self._cut_down(), repeatable():
            self.model.train()
            for width in sorted(widths):
                self.step.zero_()
                self.replays[width] = self.graphs.capture(partial(self._take_step, width))

    def _load(self, course: Course, part: Part, start: Sequence[Tensor], rows: np.ndarray) -> None:
        """Put a training where the model stays: weights, optimiser state, batches and targets."""
        device, examples = self.rows.device, course.examples
        for tensor, value in zip((*self.weights, *self.buffers), start, strict=True):
            tensor.copy_(value)
        for state in self.optimizer.state.values():
            for value in state.values():
                value.zero_()
        if part.begun:
            fit.restore_model(self.model, part.begun.tensors)
            self._restore_state(part.begun.tensors)
        taken = slice(part.first, part.first + len(rows))  # the steps of this part, from 0
        shares = [
            fit.factor(n + 1, part.steps, self.config) for n in range(taken.start, taken.stop)
        ]
        self.total.zero_()
        self.step.fill_(part.first)
        self.schedule[taken].copy_(sent(torch.from_numpy(rows), device))
        self.factors[taken].copy_(sent(torch.tensor(shares), device))
        self.labels.copy_(self.rows.with_ignored(examples.labels))
        if self.tags is not None and examples.tags is not None:
            self.tags.copy_(self.rows.with_ignored(examples.tags))

    def _restore_state(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `models.fit.tensors_of` keeps of the optimiser, in place."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        for number, parameter in enumerate(parameters):
            for name, value in self.optimizer.state[parameter].items():
                value.copy_(tensors[f"optimizer/{number}/{name}"])

    @contextmanager
    def _cut_down(self) -> Iterator[None]:
        """Leave out the embeddings that no example reads, while entered."""
        if self.cut is None:
            yield
            return
        self.cut.make()
        try:
            yield
        finally:
            self.cut.undo()

    def _launch(self, part: Part, widths: Sequence[int]) -> Iterator[Progress]:
        per_epoch, before = steps_per_epoch(len(part.rows), self.config.batch_size), part.first
        whole = self.cut.whole if self.cut else nullcontext
        for step, width in enumerate(widths, part.first + 1):
            if stopping.is_set():
                raise Terminated
            self.graphs.draw(part.seed, step)
            self.replays[width]()
            if step in part.stops:
                rate = self.rates[0] * fit.factor(step, part.steps, self.config)
                with whole():
                    mean = self._mean_loss(step - before)
                    if not math.isfinite(mean):
                        raise InputError(fit.diverged(step, part.steps, self.config))
                    tensors = partial(fit.tensors_of, self.model, self.optimizer, self.rows.device)
                    yield Progress(step, step / per_epoch, mean, rate, tensors)
                self.model.train()
                before = step

    def _take_step(self, width: int) -> None:
        """Take the next step of the schedule, and nothing that has to be waited for."""
        batch = self.schedule.index_select(0, self.step)[0]
        inputs, tags = self.rows.batch(batch, width, self.tags, self.mask)
        factor = self.factors.index_select(0, self.step)[0]
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"].copy_(factor * rate)
        half = self.config.precision == "bf16"
        with classifier.autocast(self.rows.device, half, cache=False):
            given = self.linears.cast() if self.linears else {}
            outputs = functional_call(self.model, given, kwargs=inputs)
        loss = self.loss(outputs, self.labels[batch], tags)
        loss.backward()
        if self.config.max_grad_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.total += loss.detach()
        self.step += 1

    def _batches(self, course: Course, part: Part) -> tuple[np.ndarray, list[int]]:
        """Return the rows of every step (steps, batch), and its width."""
        if self.planned[0] is part:
            return self.planned[1]
        size, count = self.config.batch_size, max(part.stops) - part.first
        lengths = read(course.examples.tokens.lengths, part.rows)
        rows, widths = np.full((count, size), self.rows.count), []
        order = fit.endless(lengths, size, part.seed, part.first)
        for number, some in enumerate(islice(order, count)):
            rows[number, : len(some)] = part.rows[some]
            widths.append(width_of(int(lengths[some].max()), self.longest))
        self.planned = (part, (rows, widths))
        return rows, widths

    def _mean_loss(self, steps: int) -> float:
        """Return the mean loss of the last `steps`; nan if it or a weight is not finite."""
        with torch.no_grad():
            largest = [weights.abs().max() for weights in self.model.parameters()]
            mean = self.total[0] / steps
            sound = torch.stack([*largest, mean]).isfinite().all()
            value = torch.where(sound, mean, torch.nan).item()
            self.total.zero_()
        return value


def start_of(model: nn.Module) -> list[Tensor]:
    """Return copies of the weights and buffers that a training starts from."""
    return [tensor.detach().clone() for tensor in (*model.parameters(), *model.buffers())]


def _optimizer(model, config, device) -> torch.optim.Optimizer:
    """Return the optimiser of `models.fit`, whose rates and state are all on the device."""
    optimizer = fit.adamw(model, config)
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(group["lr"], device=device)
        group["capturable"] = device.type == "cuda"
    return optimizer
