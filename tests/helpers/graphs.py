"""Graphs that are recorded on the CPU: every operation of a step, repeated at each launch."""

from collections.abc import Callable
from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from influence.models.fitting.graphs import seed_of


class RecordedGraphs:
    """What `CudaGraphs` does on a GPU: what Python decides at the recording stays decided.

    A launch repeats the operations with the very tensors of the recording, so that a step that
    takes anything from Python at a launch, a learning rate say, is wrong here as it is there.
    """

    def __init__(self, device: torch.device) -> None:
        self.launches = 0

    @contextmanager
    def entered(self):
        yield

    def capture(self, step: Callable[[], None]) -> Callable[[], object]:
        step()
        recorder = _Recorder()
        with recorder:
            step()

        def replay() -> None:
            self.launches += 1
            recorder.replay()

        return replay

    def draw(self, seed: int, step: int) -> None:
        torch.manual_seed(seed_of(seed, step))


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple] = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if operation is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("a wait within a recorded step")
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
