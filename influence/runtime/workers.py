"""Worker processes, on this machine or on a Ray cluster.

A worker that is lost, because it ran out of memory or its machine went down, is replaced, and its
job is repeated: jobs write their results to files atomically.
"""

import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any, Protocol

from influence.errors import InputError, first_line
from influence.runtime import packages

CHANCES = 3  # attempts at a job whose worker is lost each time, before it is given up
HERE = str(Path(__file__).resolve().parent.parent.parent)


class Workers(Protocol):
    """Where an engine sends its jobs."""

    count: int  # jobs that run at once
    local: bool  # on this machine, whose cores this process may use too

    def submit(self, function: Callable[..., Any], *job: Any) -> Future:
        """Start `function(*job)` on a worker and return its future."""
        ...

    def close(self, now: bool) -> None:
        """Stop the workers: now, or once they have finished the jobs that they have begun."""
        ...


class Processes:
    """Freshly spawned worker processes on this machine, without standard input."""

    local = True

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

    local = True

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

    local = False

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
