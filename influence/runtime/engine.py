"""Where independent jobs run: here, in worker processes, or on a Ray cluster.

A job is a function of the module level and its picklable arguments. Results do not depend on the
engine as long as every job has the same number of threads.
"""

import ctypes
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from influence.config.parameters import ExecutionConfig
from influence.errors import InputError, Terminated
from influence.runtime.workers import Processes, Ray, Workers

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt


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


def keep_freed_memory() -> None:
    """Let the C library keep what is freed: every batch needs the same memory again.

    Given back to the kernel and asked for anew, page by page, it makes scoring and training of a
    small encoder about 5 % slower. Nothing happens where the C library is not glibc.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, 32 << 20)  # at its largest
        library.mallopt(M_TRIM_THRESHOLD, 1 << 30)


def give_large_memory_back() -> None:
    """Let the C library give every large array back to the kernel as soon as it is freed.

    As it comes it learns from the first of them to keep the next ones, in pieces that others do not
    fit into. Nothing happens where the C library is not glibc.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)


def give_free_memory_back() -> None:
    """Let the C library give back what is free between the small arrays that are still there.

    Without it a process grows for hundreds of jobs, by a tenth, until its gaps fit whatever comes.
    Nothing happens where the C library is not glibc.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def has_bf16(device: str) -> bool:
    """Tell whether `device` computes in bf16; other CPUs emulate it, many times slower."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported()
    known = getattr(torch.cpu, "get_capabilities", dict)()  # of older versions nothing is known
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def settled(precision: str, device: str) -> str:
    """Return the precision that `auto` means on `device`: what results depend on is this."""
    if precision != "auto":
        return precision
    return "bf16" if has_bf16(device) else "fp32"


def free_memory(device: str) -> int:
    """Return the bytes of memory that are free on a device, to what is known here."""
    import torch

    if device.startswith("cuda"):  # others share that of the processor
        return torch.cuda.mem_get_info(device)[0]
    with suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(line for line in lines if line.startswith("MemAvailable"))
        return min(int(available.split()[1]) << 10, _allowed_memory())
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _allowed_memory() -> int:
    """Return what the container of this process has left, if it is limited."""
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):
        limit = int((group / "memory.max").read_text())
        return limit - int((group / "memory.current").read_text())
    return sys.maxsize


def device_named(name: str) -> str:
    """Return the device that `name` means; raise InputError if it is not there."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError):
        raise InputError(
            f"device {name!r} is not there; use cpu, or auto for a GPU if there is one"
        ) from None
    return name


def _prepare(threads: int) -> None:
    """Make this process ready for jobs."""
    import torch

    torch.set_num_threads(threads)
    keep_freed_memory()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
