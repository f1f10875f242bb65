"""Own CUDA graphs: a training step recorded once and launched as a whole.

A step of a small encoder is hundreds of kernels of a few microseconds each. Launched one by one the
GPU waits for Python most of the time; as a graph they are one launch.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import deterministic

WITHOUT_CUDNN = [
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]
Replay = Callable[[], object]


class Graphs(Protocol):
    """What records steps of one model, and draws the random numbers of each launch."""

    def entered(self):
        """Return a context in which all work on the device belongs to this model's stream."""
        ...

    def capture(self, step: Callable[[], None]) -> Replay:
        """Run `step` once, record it, and return what launches the recorded one."""
        ...

    def draw(self, seed: int, step: int) -> None:
        """Let the next launch draw the random numbers of a training's step."""
        ...


class CudaGraphs:
    """Graphs on a stream of a CUDA device, with random numbers of their own.

    The graphs of one model share their memory: nothing that one leaves there is read by the next.
    """

    def __init__(self, device: torch.device) -> None:
        """Take a stream of `device`."""
        self.device = device
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()
        self.generator = _default_generator(device).clone_state()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """See Graphs. Waits for what this thread has launched before."""
        self.stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self.stream):
            yield

    def capture(self, step: Callable[[], None]) -> Replay:
        """See Graphs. No other thread may capture or seed at the same time."""
        default = _default_generator(self.device)
        usual = default.graphsafe_get_state()
        # A graph keeps the generator state that it was recorded with. One for all models would
        # let each launch overwrite the seed of those that still run.
        default.graphsafe_set_state(self.generator)
        try:
            step()  # what is made on first use is made outside the graph
            self.stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            graph.capture_begin(self.pool, "thread_local")
            try:
                step()
            finally:
                graph.capture_end()
        finally:
            default.graphsafe_set_state(usual)
        return graph.replay

    def draw(self, seed: int, step: int) -> None:
        """See Graphs."""
        self.generator.manual_seed(seed_of(seed, step))


@contextmanager
def repeatable() -> Iterator[None]:
    """Let the steps recorded within add up their numbers in one order, at every launch.

    cuDNN's attention goes backward in any order, which makes two equal trainings differ.
    """
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    deterministic.fill_uninitialized_memory = False
    try:
        with warnings.catch_warnings(), sdpa_kernel(WITHOUT_CUDNN):
            warnings.simplefilter("ignore")  # of what has no such order; the result is tested
            yield
    finally:
        deterministic.fill_uninitialized_memory = filled
        torch.use_deterministic_algorithms(before, warn_only=warned)


def kind_on(device: torch.device) -> Callable[[torch.device], Graphs] | None:
    """Return what makes graphs on a device, None where nothing does."""
    return CudaGraphs if device.type == "cuda" else None


def seed_of(seed: int, step: int) -> int:
    """Return a seed of its own for every step of every training."""
    return (seed << 32) + step


def _default_generator(device: torch.device) -> torch.Generator:
    index = torch.cuda.current_device() if device.index is None else device.index
    torch.cuda.init()
    return torch.cuda.default_generators[index]
