"""Where trainings are run: by the ordinary loop, or on a GPU by models that stay there.

Threads may train side by side. Each borrows a model of its course for one training; there are as
many as are asked for at once and as memory allows. What cannot be recorded is trained by the loop,
one training at a time: there all share one stream of random numbers.
"""

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from influence.errors import Terminated, first_line
from influence.jobs.engine import keep
from influence.jobs.gpus import stopping
from influence.models import classifier, fit
from influence.models.fit import Progress
from influence.models.fitting import graphs
from influence.models.fitting.captured import Captured, start_of
from influence.models.fitting.course import IGNORED, Course, Part
from influence.models.fitting.rows import Rows
from influence.models.fitting.speed import Speed, work_of
from influence.models.tokens import Tokens, pad_values, read, sent
from influence.runtime.devices import free_memory
from influence.runtime.step import say

Kind = Callable[[torch.device], graphs.Graphs]

STARTS = 16  # starting weights that are kept: those of as many seeds
SPARE = 0.1  # share of the memory that is left to scoring, predicting and others
SPLITS = 4  # whose tokens stay on the device beside those of train
# Features up to which a model trains on one thread of a CPU. Its operations are so short that
# several threads wait longer for each other than they compute: on two cores `tiny` takes 1.8 times
# as long with two threads, `mini` 1.2 times, `small` (512) 0.8 times.
NARROW = 256


class Training(NamedTuple):
    """A training that runs as its stops are asked for; at each its model is whole."""

    model: nn.Module
    stops: Iterator[Progress]
    predict: Callable[[Tokens], np.ndarray]  # as `classifier.predict`, in the course's precision


@contextmanager
def trained(course: Course, part: Part) -> Iterator[Training]:
    """Give a training; its model may be another one's once the context is left."""
    kind = graphs.kind_on(torch.device(course.device))
    if kind is None:
        with _plain(course, part) as given:
            yield given
        return
    trainers: Trainers = keep("trainers", Trainers, Trainers.end)
    with trainers.borrowed(course, part, kind) as captured:
        if captured is None:
            with trainers.alone, _plain(course, part) as given:
                yield given
            return
        start = trainers.start(course, part.seed)
        with captured.graphs.entered(), closing(captured.run(course, part, start)) as stops:
            yield Training(captured.model, stops, partial(trainers.predict, captured, course))
        trainers.count(course, part, captured)


@contextmanager
def _plain(course: Course, part: Part) -> Iterator[Training]:
    model = course.build(part.seed).to(course.device)
    examples, rows = course.examples, part.rows
    labels = examples.labels[rows]

    def objective(outputs: Any, batch: np.ndarray) -> Tensor:
        if stopping.is_set():
            raise Terminated
        device, tags = course.device, None
        if examples.tags is not None:
            places = (tokens.starts[batch], tokens.lengths[batch])
            tags = sent(pad_values(*places, examples.tags, IGNORED), device)
        return course.loss(outputs, sent(torch.tensor(labels[batch]), device), tags)

    tokens = examples.tokens.take(rows)
    given = (course.config, part.seed, part.stops, part.steps, part.begun)
    with _few_threads(model), closing(fit.loop(model, tokens, objective, *given)) as stops:
        yield Training(model, stops, partial(_predict, course, model))


@contextmanager
def _few_threads(model: nn.Module) -> Iterator[None]:
    """Let a narrow model be trained by one thread of the CPU, however many there are.

    One whose config says no width, as Perceiver's, counts as wide.
    """
    before = torch.get_num_threads()
    width = getattr(model.base_model.config, "hidden_size", NARROW + 1)
    torch.set_num_threads(1 if width <= NARROW else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _predict(course: Course, model: nn.Module, tokens: Tokens) -> np.ndarray:
    return classifier.predict(model, tokens, precision=course.config.precision)


@dataclass(eq=False)
class Trainers:
    """The models that stay on a device, the examples that they read, and where trainings start."""

    plain: set[Hashable] = field(default_factory=set)  # courses that cannot be recorded
    idle: dict[Hashable, list[Captured]] = field(default_factory=dict)
    silent: set[Hashable] = field(default_factory=set)  # courses whose forward cannot be
    rows: dict[Hashable, Rows] = field(default_factory=dict)
    others: list[tuple[Tokens, Rows]] = field(default_factory=list)  # of splits but train
    starts: dict[Hashable, list[Tensor]] = field(default_factory=dict)
    sizes: dict[Hashable, int] = field(default_factory=dict)  # bytes of a model, by course
    alone: threading.RLock = field(default_factory=threading.RLock)  # held by one thread at a time
    changed: threading.Condition = field(default_factory=threading.Condition)
    busy: int = 0
    speed: Speed = field(default_factory=Speed)

    @contextmanager
    def borrowed(self, course: Course, part: Part, kind: Kind) -> Iterator[Captured | None]:
        """Give a model for one training, None if this course cannot be recorded."""
        captured = self._take(course, part, kind)
        if captured is None:
            yield None
            return
        sound = False
        try:
            if captured.lacks(course, part):
                with self.alone, self.speed.of_recording():
                    captured.record(course, part)
            with self.speed.of_training(torch.device(course.device)):
                yield captured
            sound = True
        finally:
            with self.changed:
                self.busy -= 1
                if sound:
                    self.idle.setdefault(course.name, []).append(captured)
                self.changed.notify_all()

    def count(self, course: Course, part: Part, captured: Captured) -> None:
        """Count what a training was trained on, and say now and then how many a second."""
        examples = (max(part.stops) - part.first) * course.config.batch_size
        lengths = read(course.examples.tokens.lengths, part.rows)
        self.speed.count(examples, examples * work_of(captured.model, lengths))

    def end(self) -> None:
        """Say how fast all trainings were."""
        self.speed.end()

    def predict(self, captured: Captured, course: Course, tokens: Tokens) -> np.ndarray:
        """Return the logits that a model gives now, from tokens that stay on the device."""
        predictor, model = captured.predictor, captured.model
        if course.name in self.silent:
            return _predict(course, model, tokens)
        rows = self._known(course, tokens)
        if rows is None or predictor.lacks(tokens):
            with self.alone:
                rows = self._known(course, tokens) or self._held(course, tokens)
                try:
                    with self.speed.of_recording():
                        predictor.record(rows, tokens)
                except (RuntimeError, NotImplementedError) as error:
                    self.silent.add(course.name)
                    say(
                        "train: a prediction of this model cannot be recorded "
                        f"({first_line(error)[:200]}); it takes longer"
                    )
                    return _predict(course, model, tokens)
        return predictor.logits(rows, tokens)

    def _known(self, course: Course, tokens: Tokens) -> Rows | None:
        """Return what `tokens` are some of, if it is on the device."""
        if tokens.ids is course.examples.tokens.ids:
            return self.rows[course.data]
        return next((rows for known, rows in self.others if known.ids is tokens.ids), None)

    def _held(self, course: Course, tokens: Tokens) -> Rows:
        rows = Rows(tokens, torch.device(course.device))
        _finish(course.device)
        self.others = [*self.others[1 - SPLITS :], (tokens, rows)]
        return rows

    def start(self, course: Course, seed: int) -> list[Tensor]:
        """Return the weights that the trainings of a seed start from, on the device."""
        key = (course.name, seed)
        with self.alone:  # building draws from the one generator of the CPU
            if key not in self.starts:
                while len(self.starts) >= STARTS:
                    _finish(course.device)
                    self.starts.pop(next(iter(self.starts)))
                self.starts[key] = start_of(course.build(seed).to(course.device))
                _finish(course.device)
            return self.starts[key]

    def _take(self, course: Course, part: Part, kind: Kind) -> Captured | None:
        """Take an idle model, or make one if there is room, or wait for one."""
        while True:
            with self.changed:
                if course.name in self.plain:
                    return None
                if (captured := self._idle(course, part)) is not None:
                    return captured
            with self.alone:
                if course.name in self.plain:
                    return None
                with self.changed:
                    room = self._has_room(course) or not self.busy
                    self.busy += room
                if room:
                    return self._made(course, part, kind)
            with self.changed:
                if self.busy and not self.idle.get(course.name):
                    self.changed.wait()

    def _idle(self, course: Course, part: Part) -> Captured | None:
        ready = self.idle.get(course.name, [])
        while ready:
            captured = ready.pop()
            if captured.capacity >= part.steps:  # else too small: another is made
                self.busy += 1
                return captured
        return None

    def _has_room(self, course: Course) -> bool:
        """Tell whether one more model fits into memory; idle ones of other courses make room."""
        needed = self.sizes.get(course.name, 0)
        while not _fits(needed, course.device):
            others = [name for name, models in self.idle.items() if name != course.name and models]
            if not others:
                return False
            del self.idle[others[0]]
            _finish(course.device)
            torch.cuda.empty_cache()
        return True

    def _made(self, course: Course, part: Part, kind: Kind) -> Captured | None:
        """Make a model and record its steps; None, and a word on it, if they cannot be."""
        try:
            return self._make(course, part, kind)
        except (RuntimeError, NotImplementedError) as error:
            with self.changed:
                self.busy -= 1
            if isinstance(error, torch.OutOfMemoryError):
                raise
            self.plain.add(course.name)
            say(
                f"train: a step of this model cannot be recorded ({first_line(error)[:200]}); its "
                "trainings run one after another, several times slower"
            )
            return None

    def _make(self, course: Course, part: Part, kind: Kind) -> Captured:
        device = torch.device(course.device)
        if course.data not in self.rows:
            self.rows[course.data] = Rows(course.examples.tokens, device)
            _finish(course.device)
        before, until = free_memory(course.device), self.speed.recording
        usual = fit.steps_per_epoch(len(course.examples), course.config.batch_size)
        capacity = max(part.steps, usual * course.config.epochs)
        with self.speed.of_recording():
            made = Captured(course, self.rows[course.data], capacity, kind(device))
            made.record(course, part)
            _finish(course.device)
        if course.name not in self.sizes:
            self.sizes[course.name] = max(0, before - free_memory(course.device))
            seconds = self.speed.recording - until
            say(
                f"train: a step is recorded as one launch ({seconds:.1f} s for "
                f"{len(made.replays)} widths, {self.sizes[course.name] / 2**20:.0f} MiB for each "
                "training at once)"
            )
        return made


def _fits(needed: int, device: str) -> bool:
    if torch.device(device).type != "cuda":
        return True
    free, whole = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free - needed >= SPARE * whole


def _finish(device: str) -> None:
    """Wait until all streams may read what this one has written."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
