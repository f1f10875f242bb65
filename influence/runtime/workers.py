"""Worker processes, on this machine or on a Ray cluster.

A worker that is lost, because it ran out of memory or its machine went down, is replaced, and its
job is repeated: jobs write their results to files atomically.
"""

import itertools
import multiprocessing
import multiprocessing.connection
import os
import queue
import sys
import threading
from collections.abc import Callable
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any, Protocol

from influence.errors import InputError, first_line
from influence.runtime import packages

SOON = 0.1  # seconds after which a GPU's process asks for jobs again
CHANCES = 3  # attempts at a job whose worker is lost each time, before it is given up
HERE = str(Path(__file__).resolve().parent.parent.parent)


class Workers(Protocol):
    """Where an engine sends its jobs."""

    count: int  # jobs that run at once
    local: bool  # on this machine, whose cores this process may use too
    ahead: bool  # may get any number of jobs long before it runs them

    def submit(self, function: Callable[..., Any], *job: Any) -> Future:
        """Start `function(*job)` on a worker and return its future."""
        ...

    def close(self, now: bool) -> None:
        """Stop the workers: now, or once they have finished the jobs that they have begun."""
        ...


class Processes:
    """Freshly spawned worker processes on this machine, without standard input."""

    local, ahead = True, False  # a process that is lost takes along all jobs that it was sent

    def __init__(self, count: int, start: Callable[[int], None], threads: int) -> None:
        """`start(threads)` prepares each of the `count` processes."""
        self.count, self.lock, self.closed = count, threading.Lock(), False
        context = _Context()
        self.make = partial(
            ProcessPoolExecutor, count, context, initializer=_start, initargs=(start, threads)
        )
        self.pool = self.make()

    def submit(self, function: Callable[..., Any], *job: Any) -> Future:
        """Start a job; cancelling its future before it runs drops it."""
        asked: Future = Future()
        self._begin(asked, function, job, CHANCES)
        return asked

    def close(self, now: bool) -> None:
        """Stop the processes; see Workers."""
        self.closed = True
        for child in multiprocessing.active_children() if now else ():
            child.terminate()
        self.pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self, asked: Future, function: Callable, job: tuple, chances: int) -> None:
        pool = self.pool
        try:
            running = pool.submit(_run_job, function, *job)
        except BrokenProcessPool:
            self._replace(pool)
            running = self.pool.submit(_run_job, function, *job)
            pool = self.pool
        asked.add_done_callback(lambda future: future.cancelled() and running.cancel())
        running.add_done_callback(partial(self._ended, asked, pool, function, job, chances))

    def _ended(self, asked, pool, function, job, chances: int, running: Future) -> None:
        if asked.cancelled() or running.cancelled():
            asked.cancel()
            return
        lost = isinstance(running.exception(), BrokenProcessPool)
        if lost and chances > 1 and not self.closed:
            self._replace(pool)
            self._begin(asked, function, job, chances - 1)
        else:
            _hand_over(running, asked)

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        """Replace a broken pool, once, although every job of the broken pool calls this."""
        with self.lock:
            if self.pool is broken:
                print("a worker process was lost; its job is repeated", file=sys.stderr)
                self.pool = self.make()


class Threads:
    """Threads of this process, whose trainings run side by side on one GPU."""

    local, ahead = True, True

    def __init__(self, count: int) -> None:
        """Jobs of `count` threads at once."""
        stopping.clear()
        self.count = count
        self.pool = ThreadPoolExecutor(count, "job")

    def submit(self, function: Callable[..., Any], *job: Any) -> Future:
        """Begin a job; see Workers."""
        return self.pool.submit(function, *job)

    def close(self, now: bool) -> None:
        """End the threads; see Workers. Jobs that look at `stopping` end at once."""
        if now:
            stopping.set()
        self.pool.shutdown(wait=True, cancel_futures=True)


class Gpus:
    """One process for each GPU of this machine, with threads whose trainings run side by side.

    Every process takes as many jobs as it has threads; jobs of a process that is lost are repeated.
    """

    local, ahead = True, True

    def __init__(self, gpus: int, each: int, start: Callable[[int], None], threads: int) -> None:
        """`start(threads)` prepares each of the processes, which has `each` jobs at once."""
        self.count, self.each, self.closed = gpus * each, each, False
        self.waiting: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self.make = [
            partial(
                ProcessPoolExecutor,
                1,
                _Context(),
                initializer=_start_on,
                initargs=(gpu, each, start, threads),
            )
            for gpu in range(gpus)
        ]
        self.servers = [threading.Thread(target=self._serve, args=(one,)) for one in self.make]
        for server in self.servers:
            server.start()

    def submit(self, function: Callable[..., Any], *job: Any) -> Future:
        """Start a job on the GPU that is free first; cancelling its future drops it."""
        asked = _Asked(Future(), function, job)
        self.waiting.put(asked)
        return asked.future

    def close(self, now: bool) -> None:
        """End the processes; see Workers."""
        self.closed = True
        for child in multiprocessing.active_children() if now else ():
            child.terminate()
        for _ in self.servers:
            self.waiting.put(None)
        for server in self.servers:
            server.join()

    def _serve(self, make: Callable[[], ProcessPoolExecutor]) -> None:
        """Exchange jobs for results with one process until there are no more."""
        process, running, numbers, open_ = make(), dict[int, _Asked](), itertools.count(), True
        while open_ or running:
            sent: dict[int, _Asked] = {}
            while open_ and len(running) + len(sent) < self.each:
                try:
                    asked = self.waiting.get(block=not running and not sent)
                except queue.Empty:
                    break
                open_ = asked is not None
                if asked and (asked.begun or asked.future.set_running_or_notify_cancel()):
                    sent[next(numbers)] = asked
                    asked.begun = True
            running |= sent
            if not running:
                continue
            try:
                jobs = {number: (one.function, one.job) for number, one in sent.items()}
                for number, result, error in process.submit(_exchange, jobs).result():
                    _settle(running.pop(number).future, result, error)
            except BrokenProcessPool as lost:
                self._repeat(running, lost)
                running, process = {}, process if self.closed else make()
        process.shutdown(wait=True)

    def _repeat(self, lost: dict[int, "_Asked"], error: BrokenProcessPool) -> None:
        """Queue the jobs of a lost process again, or give them up."""
        for asked in lost.values():
            asked.chances -= 1
            if self.closed or not asked.chances:
                asked.future.set_exception(error)
            else:
                self.waiting.put(asked)
        if not self.closed:
            print("a GPU's process was lost; its jobs are repeated", file=sys.stderr)


@dataclass(eq=False)
class _Asked:
    """A job that waits for a GPU, or runs there."""

    future: Future
    function: Callable[..., Any]
    job: tuple
    chances: int = CHANCES
    begun: bool = False


def _settle(future: Future, result: Any, error: BaseException | None) -> None:
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _start_on(gpu: int, each: int, prepare: Callable[[int], None], threads: int) -> None:
    """Make this process see one GPU, before anything looks for one."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = seen.split(",")[gpu] if seen else str(gpu)
    _start(prepare, threads)
    _here.append(ThreadPoolExecutor(each, "job"))


def _exchange(jobs: dict[int, tuple]) -> list[tuple[int, Any, BaseException | None]]:
    """Begin jobs in the threads of this process; return what has ended, soon or at once."""
    for number, (function, job) in jobs.items():
        _there[number] = _here[0].submit(_run_job, function, *job)
    wait(_there.values(), timeout=SOON, return_when=FIRST_COMPLETED)
    ended = [number for number, future in _there.items() if future.done()]
    return [_outcome(number, _there.pop(number)) for number in ended]


def _outcome(number: int, future: Future) -> tuple[int, Any, BaseException | None]:
    error = future.exception()
    return number, None if error else future.result(), error


_here: list[ThreadPoolExecutor] = []  # of a process that has a GPU to itself
_there: dict[int, Future] = {}  # what its threads do
stopping = threading.Event()  # that the jobs of this process's threads are to end


class _Process(SpawnProcess):
    """A process that does not import the main script again.

    Python would import it in each worker. A script that calls this package without
    `if __name__ == "__main__"` would then start over in every worker.
    """

    @staticmethod
    def _Popen(process_obj):  # noqa: N802 - the name that multiprocessing calls
        main = sys.modules["__main__"]
        with _starting:
            kept = {
                name: vars(main)[name] for name in ("__spec__", "__file__") if name in vars(main)
            }
            try:
                vars(main).update(dict.fromkeys(kept))
                return SpawnProcess._Popen(process_obj)
            finally:
                vars(main).update(kept)


class _Context(SpawnContext):
    Process = _Process


_starting = threading.Lock()


class Ray:
    """The workers of a Ray cluster that sees the workdir under the same path."""

    local, ahead = False, False

    def __init__(
        self, address: str, count: int, start: Callable[[int], None], threads: int, gpus: float
    ) -> None:
        """Connect to `address`; auto: a running cluster, otherwise a new one on this machine.

        `count`: jobs that run at once, 0 for as many as fit on the cluster; `gpus`: GPUs per job.
        Raises InputError if Ray is not installed or no cluster answers.
        """
        try:
            import ray  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise InputError(
                f"cluster={address} needs Ray, an optional extra: {packages.installation('ray')}"
            ) from None
        self.ray = ray
        # Workers import the code of this command, even where another version is installed.
        path = os.pathsep.join(filter(None, (HERE, os.environ.get("PYTHONPATH"))))
        try:
            ray.init(
                address=None if address == "auto" else address,
                runtime_env={"env_vars": {"PYTHONPATH": path}},
                include_dashboard=False,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = first_line(error)
            raise InputError(f"no Ray cluster answers at cluster={address} ({reason})") from None
        there = ray.cluster_resources()
        room = there.get("GPU", 0) / gpus if gpus else there.get("CPU", 1) / threads
        self.count = count or max(1, int(room))
        remote = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=CHANCES - 1)
        self.call = remote(_prepared)
        self.prepare = partial(start, threads)

    def submit(self, function: Callable[..., Any], *job: Any) -> Future:
        """Start a job on the cluster."""
        asked: Future = Future()
        running = self.call.remote(self.prepare, function, *job).future()
        running.add_done_callback(partial(self._ended, asked))
        return asked

    def close(self, now: bool) -> None:
        """Disconnect from the cluster; jobs that still run end with the connection."""
        self.ray.shutdown()

    def _ended(self, asked: Future, running: Future) -> None:
        error = running.exception()
        if isinstance(error, self.ray.exceptions.RayTaskError) and error.cause is not None:
            running = Future()  # Ray's own error would show a traceback even for bad input
            running.set_exception(error.cause)
        _hand_over(running, asked)


def _hand_over(done: Future, asked: Future) -> None:
    """Copy the outcome of one future to another, unless the other was cancelled."""
    if not asked.set_running_or_notify_cancel():
        return
    if error := done.exception():
        asked.set_exception(error)
    else:
        asked.set_result(done.result())


def _prepared(prepare: Callable[[], None], function: Callable[..., Any], *job: Any) -> Any:
    """Run a job in a process that may not have worked for this command before."""
    if not _ready:
        prepare()
        _ready.append(True)
    return _run_job(function, *job)


def _run_job(function: Callable[..., Any], *job: Any) -> Any:
    """Run a job; name a broken package here, since exceptions lose their traces on the way back."""
    try:
        return function(*job)
    except Exception as error:
        if sentence := packages.unusable(error):
            raise InputError(sentence) from error
        raise


_ready: list[bool] = []


def _start(prepare: Callable[[int], None], threads: int) -> None:
    prepare(threads)
    sys.stdin.close()
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """End this worker when its parent has ended, however that happened."""
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
