"""Where independent jobs run: here, in worker processes, or on a Ray cluster.

A job is a function of the module level and its picklable arguments. Results do not depend on the
engine as long as every job has the same number of threads.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from influence.config.parameters import ExecutionConfig
from influence.errors import Terminated
from influence.runtime.devices import device_named
from influence.runtime.memory import give_free_memory_back, keep_freed_memory
from influence.runtime.workers import Processes, Ray, Workers


@dataclass(frozen=True)
class Engine:
    """Runs jobs; made by `engine`."""

    device: str
    pool: Workers | None  # none: this process does all jobs

    @property
    def workers(self) -> int:
        """Return how many jobs can run at once."""
        return self.pool.count if self.pool else 1

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
            if self.pool is None or (self.pool.local and len(jobs) < 2)
            else self._pool(function, jobs)
        )
        from tqdm import tqdm  # here, so that a command can say what is not installed

        shown = tqdm(results, desc=what, total=len(jobs), unit="job", disable=len(jobs) < 2)
        yield from _in_order(shown)

    def submit(self, function: Callable[..., Any], *job: Any) -> Future:
        """Begin `function(*job)` and return its future; without a pool it is done on return."""
        if self.pool is not None:
            return self.pool.submit(function, *job)
        done: Future = Future()
        done.set_result(function(*job))
        return done

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
                    running[self.pool.submit(function, *job)] = position
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


@contextmanager
def engine(config: ExecutionConfig) -> Iterator[Engine]:
    """Give an engine for `workers` jobs at once, `threads` threads each, and end its processes.

    On a GPU one job runs at a time, in this process, unless `workers` says otherwise; `cluster` has
    as many as it has room for. Ctrl-C and SIGTERM end the jobs that run, anything else waits for
    them.
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
        workers = config.workers or (1 if device != "cpu" else cores)
        threads = config.threads or max(1, cores // workers)
        _prepare(config.threads or cores if workers > 1 else threads)
        pool = Processes(workers, _prepare, threads) if workers > 1 else None
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


def hold(load: Callable[..., Any], *arguments: Any) -> Any:
    """Return `load(*arguments)`, kept in this process until something else is held.

    Jobs of one kind share what is slow to open; the next kind frees it.
    """
    if not _held or _held[0] != (load, arguments):
        _held.clear()
        _held.extend([(load, arguments), load(*arguments)])
    return _held[1]


def let_go() -> None:
    """Free what this process holds, and give the memory back: the last job of its kind is done."""
    _held.clear()
    give_free_memory_back()


_held: list[Any] = []


def _prepare(threads: int) -> None:
    """Make this process ready for jobs."""
    import torch

    torch.set_num_threads(threads)
    keep_freed_memory()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
