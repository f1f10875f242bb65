"""Graphs that are recorded on the CPU: every operation of a step, repeated at each launch.

Run: python -m tests.helpers.graphs <count> <entry point> [its parameters]
It makes the CPU train as a GPU does: so many threads, each with a model that stays.
"""

import runpy
import sys
from collections.abc import Callable
from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from influence.jobs import engine
from influence.jobs.engine import keep
from influence.jobs.gpus import Threads
from influence.models.fitting import graphs
from influence.models.fitting.graphs import seed_of
from influence.models.fitting.trainers import Trainers
from tests.helpers.often import write_every_state

WAITING = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)


class RecordedGraphs:
    """What `CudaGraphs` does on a GPU: what Python decides at the recording stays decided.

    A launch repeats the operations with the very tensors of the recording, so that a step that
    takes anything from Python at a launch, a learning rate say, is wrong here as it is there.
    """

    def __init__(self, device: torch.device) -> None:
        """Record on the CPU."""
        self.recorded, self.launches, self.seed = 0, 0, 0

    @contextmanager
    def entered(self):
        """Belong to no stream: there is none."""
        yield

    def capture(self, step: Callable[[], None]) -> Callable[[], object]:
        """Run a step once and record it."""
        step()
        recorder = _Recorder()
        with recorder:
            step()
        self.recorded += 1

        def replay() -> None:
            self.launches += 1
            with keep("trainers", Trainers).alone:  # all draw from the one generator of the CPU
                torch.manual_seed(self.seed)
                recorder.replay()

        return replay

    def draw(self, seed: int, step: int) -> None:
        """Seed the next launch."""
        self.seed = seed_of(seed, step)


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple] = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if operation in WAITING:
            raise RuntimeError(f"{operation} is a wait within a recorded step")
        made = operation(*args, **kwargs)
        self.done.append((operation, args, kwargs, made))
        return made

    def replay(self) -> None:
        with torch.no_grad():
            for operation, args, kwargs, made in self.done:
                again = operation(*args, **kwargs)
                for old, new in zip(tree_leaves(made), tree_leaves(again), strict=True):
                    if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                        old.copy_(new)


def as_on_a_gpu(count: int, patch: Callable[[object, str, object], None] = setattr) -> None:
    """Let `count` threads train side by side on the CPU from now on."""
    patch(graphs, "kind_on", lambda device: RecordedGraphs)
    patch(engine, "_pool", lambda device, workers, threads: Threads(count))


if __name__ == "__main__":
    as_on_a_gpu(int(sys.argv[1]))
    write_every_state()
    entry_point = sys.argv[2]
    sys.argv = sys.argv[2:]
    runpy.run_module(entry_point, run_name="__main__")
