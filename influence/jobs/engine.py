"""Where independent jobs run: here, in worker processes, or on a Ray cluster.

A job is a function of the module level and its picklable arguments. Results do not depend on the
engine as long as every job has the same number of threads.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Protocol

from influence.errors import Terminated
from influence.jobs.cluster import Ray
from influence.jobs.gpus import Gpus, Threads
from influence.jobs.processes import Processes
from influence.jobs.workers import Workers
from influence.runtime.devices import device_named
from influence.runtime.memory import give_free_memory_back, keep_freed_memory

# Jobs at once unless `workers` says otherwise, 0: one per core. On a GPU they are threads, each
# with a model that stays there while memory allows, or else waits for one. On an H200, 12 trained
# 8 % more examples a second than 6 in batches of 32, 6 % more in batches of 128
# (benchmarks/gpu.json).
WORKERS = {"cpu": 0, "cuda": 12}
KINDS = 4  # of jobs whose inputs stay open where threads work side by side


@dataclass(frozen=True)
class Engine:
    """Runs jobs; made by `engine`."""

    device: str
    pool: Workers | None  # none: this process does all jobs
    begun: dict[tuple, Future] = field(default_factory=dict, compare=False)  # by `begin`

    @property
    def workers(self) -> int:
        """Return how many jobs can run at once."""
        return self.pool.count if self.pool else 1

    @property
    def holders(self) -> int:
        """Return how many processes hold what jobs share, each for itself, on one device."""
        return 1 if self.pool and self.pool.shared else self.workers

    def run(
        self, function: Callable[..., Any], jobs: Sequence[tuple], what: str
    ) -> Iterator[tuple[int, Any]]:
        """Call `function(*job)` for every job and yield (position, result), in the order of jobs.

        A result comes once all before it are there, so that nothing that is made of them tells
        which worker was the quickest. `what` names the progress bar. A single job runs in this
        process with all the cores, unless the workers are elsewhere. The first job that raises ends
        the iteration with its exception; jobs not begun are dropped.
        """
        results = (
            self._here(function, jobs)
            if self.pool is None or (self.pool.local and len(jobs) < 2 and not self.begun)
            else self._pool(function, jobs)
        )
        from tqdm import tqdm  # here, so that a command can say what is not installed

        shown = tqdm(results, desc=what, total=len(jobs), unit="job", disable=len(jobs) < 2)
        yield from _in_order(shown)

    def begin(self, function: Callable[..., Any], jobs: Sequence[tuple]) -> None:
        """Let workers do these jobs before `run` asks for them, in this order.

        So none waits for the last jobs of a curve before it begins the next one.
        """
        if self.pool is None or not self.pool.ahead:
            return
        for job in jobs:
            if (function, job) not in self.begun:
                self.begun[function, job] = self.pool.submit(function, *job)

    def submit(self, function: Callable[..., Any], *job: Any) -> Future:
        """Begin `function(*job)` and return its future; without a pool it is done on return."""
        if self.pool is not None:
            return self.pool.submit(function, *job)
        done: Future = Future()
        done.set_result(function(*job))
        return done

    def _future(self, function: Callable[..., Any], job: tuple) -> Future:
        assert self.pool is not None
        begun = self.begun.pop((function, job), None) if self.begun else None
        return begun or self.pool.submit(function, *job)

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return `function(*arguments)` as the machine answers it that the jobs run on."""
        if self.pool is None or self.pool.local:
            return function(*arguments)
        return self.pool.submit(function, *arguments).result()

    def _here(
        self, function: Callable[..., Any], jobs: Sequence[tuple]
    ) -> Iterator[tuple[int, Any]]:
        for position, job in enumerate(jobs):
            yield position, function(*job)
            give_free_memory_back()

    def _pool(
        self, function: Callable[..., Any], jobs: Sequence[tuple]
    ) -> Iterator[tuple[int, Any]]:
        assert self.pool is not None
        ahead, running = enumerate(jobs), {}
        try:
            while True:
                for position, job in islice(ahead, self.pool.count - len(running)):
                    running[self._future(function, job)] = position
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        finally:
            for future in running:
                future.cancel()


def _in_order(results: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    waiting, following = {}, 0
    for position, result in results:
        waiting[position] = result
        while following in waiting:
            yield following, waiting.pop(following)
            following += 1


class Execution(Protocol):
    """What an engine reads of a config: see ExecutionConfig for what each means."""

    @property
    def device(self) -> str: ...  # noqa: D102
    @property
    def workers(self) -> int: ...  # noqa: D102
    @property
    def threads(self) -> int: ...  # noqa: D102
    @property
    def cluster(self) -> str: ...  # noqa: D102
    @property
    def gpus(self) -> float: ...  # noqa: D102


@contextmanager
def engine(config: Execution) -> Iterator[Engine]:
    """Give an engine for `workers` jobs at once, `threads` threads each, and end its processes.

    On a GPU jobs are threads of this process, whose models train side by side; on a cluster there
    are as many as it has room for. Ctrl-C and SIGTERM end the jobs that run, anything else waits
    for them.
    """
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    if config.cluster:
        device = "cuda" if config.device == "auto" and config.gpus else config.device
        threads = config.threads or 1
        _prepare(cores)
        pool = Ray(config.cluster, config.workers, _prepare, threads, config.gpus)
    else:
        device = device_named(config.device)
        workers = config.workers or WORKERS.get(device.split(":")[0], 1) or cores
        threads = config.threads or max(1, cores // workers)
        _prepare(config.threads or cores if workers > 1 else threads)
        pool = _pool(device, workers, threads) if workers > 1 else None
        if isinstance(pool, Threads) and not config.threads:
            # The jobs wait for the same tokens, which one of them makes.
            os.environ["TOKENIZERS_PARALLELISM"] = "true"
    try:
        opened = Engine(device, pool)
        # Of a cluster only its workers know which devices they have.
        yield replace(opened, device=opened.ask(device_named, device))
    except (KeyboardInterrupt, Terminated):
        # What is done lies in files; what is being done leaves none that is read as finished.
        if pool is not None:
            pool.close(now=True)
        raise
    finally:
        if pool is not None:
            pool.close(now=False)
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # else a fork of this process may hang
        let_go()


def _pool(device: str, workers: int, threads: int) -> Workers:
    if not device.startswith("cuda"):
        return Processes(workers, _prepare, threads)
    import torch

    gpus = torch.cuda.device_count() if device == "cuda" else 1
    return Gpus(gpus, workers, _prepare, threads) if gpus > 1 else Threads(workers)


def hold(load: Callable[..., Any], *arguments: Any) -> Any:
    """Return `load(*arguments)`, kept in this process until something else is held.

    Jobs of one kind share what is slow to open; the next kind frees it. Where threads work side by
    side, the jobs of a few kinds may run at once.
    """
    with _holding:
        for known, value in _held:
            if known == (load, arguments):
                return value
        most = 1 if threading.current_thread() is threading.main_thread() else KINDS
        del _held[: max(0, len(_held) - most + 1)]
        _held.append(((load, arguments), load(*arguments)))
        return _held[-1][1]


def keep(name: str, make: Callable[[], Any], end: Callable[[Any], None] | None = None) -> Any:
    """Return what this process keeps for all its jobs under `name`, made once, until `let_go`.

    `end` is called with it then.
    """
    with _holding:
        if name not in _kept:
            _kept[name] = make(), end
        return _kept[name][0]


def let_go() -> None:
    """Free what this process holds, and give the memory back: the last job of its kind is done."""
    with _holding:
        for value, end in _kept.values():
            if end:
                end(value)
        _held.clear()
        _kept.clear()
    give_free_memory_back()


_held: list[tuple[tuple, Any]] = []
_kept: dict[str, tuple[Any, Callable[[Any], None] | None]] = {}
_holding = threading.RLock()
one_at_a_time = threading.RLock()  # of the threads of a process, for what they cannot share


def _prepare(threads: int) -> None:
    """Make this process ready for jobs."""
    import torch

    torch.set_num_threads(threads)
    # cuDNN's attention makes a plan for every shape of a batch, which takes longer than the batch.
    torch.backends.cuda.enable_cudnn_sdp(False)
    keep_freed_memory()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
