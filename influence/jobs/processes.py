"""Worker processes on this machine."""

import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

from influence.jobs.workers import Asked, hand_over, run_job


class Processes:
    """Worker processes on this machine, without standard input.

    Each gets one job at a time: one that is lost takes along all that their pool was sent.
    """

    local, ahead, shared = True, True, False

    def __init__(self, count: int, start: Callable[[int], None], threads: int) -> None:
        """`start(threads)` prepares each of the `count` processes."""
        self.count, self.lock, self.closed = count, threading.RLock(), False
        self.waiting: deque[Asked] = deque()
        self.running = 0
        self.make = partial(
            ProcessPoolExecutor,
            count,
            Forked(),
            initializer=_start_fork,
            initargs=(dict(os.environ), start, threads),
        )
        self.pool = self.make()

    def submit(self, function: Callable[..., Any], *job: Any) -> Future:
        """Start a job once a process is free; cancelling its future before that drops it."""
        asked = Asked(Future(), function, job)
        with self.lock:
            self.waiting.append(asked)
        self._begin_waiting()
        return asked.future

    def close(self, now: bool) -> None:
        """Stop the processes; see Workers."""
        with self.lock:
            self.closed = True
            for asked in self.waiting:
                asked.future.cancel()
            self.waiting.clear()
        for child in multiprocessing.active_children() if now else ():
            child.terminate()
        self.pool.shutdown(wait=True, cancel_futures=True)

    def _begin_waiting(self) -> None:
        with self.lock:
            while self.waiting and self.running < self.count:
                asked = self.waiting.popleft()
                if not asked.future.cancelled():
                    self.running += 1
                    self._begin(asked)

    def _begin(self, asked: Asked) -> None:
        try:
            running = self.pool.submit(run_job, asked.function, *asked.job)
        except BrokenProcessPool:
            self._replace(self.pool)
            running = self.pool.submit(run_job, asked.function, *asked.job)
        running.add_done_callback(partial(self._ended, asked, self.pool))

    def _ended(self, asked: Asked, pool: ProcessPoolExecutor, running: Future) -> None:
        if running.cancelled():  # this is being closed
            asked.future.cancel()
            return
        with self.lock:
            self.running -= 1
            lost = isinstance(running.exception(), BrokenProcessPool)
            asked.chances -= lost
            if again := lost and asked.chances and not self.closed:
                self._replace(pool)
                self.waiting.appendleft(asked)
        if not again:
            hand_over(running, asked.future)
        self._begin_waiting()

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        """Replace a broken pool, once, although every job of the broken pool calls this."""
        if self.pool is broken:
            print("a worker process was lost; its job is repeated", file=sys.stderr)
            self.pool = self.make()


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide where the main script is.

    Python would import it in each worker. A script that calls this package without
    `if __name__ == "__main__"` would then start over in every worker.
    """
    main = sys.modules["__main__"]
    with _starting:
        kept = {name: vars(main)[name] for name in ("__spec__", "__file__") if name in vars(main)}
        try:
            vars(main).update(dict.fromkeys(kept))
            yield
        finally:
            vars(main).update(kept)


class _Spawned(SpawnProcess):
    @staticmethod
    def _Popen(process_obj):  # noqa: N802 - the name that multiprocessing calls
        with _without_main():
            return SpawnProcess._Popen(process_obj)


class Spawned(SpawnContext):
    """Starts processes that import everything themselves, but for the main script."""

    Process = _Spawned


if sys.platform == "linux":
    from multiprocessing.context import ForkServerContext, ForkServerProcess

    class _Forked(ForkServerProcess):
        @staticmethod
        def _Popen(process_obj):  # noqa: N802
            with _without_main():
                return ForkServerProcess._Popen(process_obj)

    class Forked(ForkServerContext):
        """Forks processes from a server, which has imported what jobs import.

        Otherwise that takes each of them a few seconds, at every command of a Python session. The
        server never touches a GPU, which a fork of it could not use then.
        """

        Process = _Forked

        def __init__(self) -> None:
            """The first process that is started starts the server."""
            self.set_forkserver_preload(["influence.jobs.imports"])
else:  # forks of what has been imported may crash there
    Forked = Spawned

_starting = threading.Lock()


def _start_fork(variables: dict[str, str], prepare: Callable[[int], None], threads: int) -> None:
    """Start a worker in the environment of its parent: that of the server may be older."""
    os.environ.update(variables)
    start_worker(prepare, threads)


def start_worker(prepare: Callable[[int], None], threads: int) -> None:
    """Prepare this process for its jobs; it ends when its parent does, and reads no input."""
    prepare(threads)
    sys.stdin.close()
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """End this worker when its parent has ended, however that happened."""
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
