"""Trainings side by side: threads of a process on one GPU, and a process for each of several."""

import itertools
import multiprocessing
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
from functools import partial
from typing import Any

from influence.jobs.processes import Spawned, start_worker
from influence.jobs.workers import Asked, run_job

SOON = 0.1  # seconds after which a GPU's process asks for jobs again
stopping = threading.Event()  # that the jobs of this process's threads are to end


class Threads:
    """Threads of this process, whose trainings run side by side on one GPU."""

    local, ahead, shared = True, True, True

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

    local, ahead, shared = True, True, True

    def __init__(self, gpus: int, each: int, start: Callable[[int], None], threads: int) -> None:
        """`start(threads)` prepares each of the processes, which has `each` jobs at once."""
        self.count, self.each, self.closed = gpus * each, each, False
        self.waiting: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self.make = [
            partial(
                ProcessPoolExecutor,
                1,
                Spawned(),
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
        asked = Asked(Future(), function, job)
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
        process, running, numbers, open_ = make(), dict[int, Asked](), itertools.count(), True
        while open_ or running:
            sent: dict[int, Asked] = {}
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

    def _repeat(self, lost: dict[int, Asked], error: BrokenProcessPool) -> None:
        """Queue the jobs of a lost process again, or give them up."""
        for asked in lost.values():
            asked.chances -= 1
            if self.closed or not asked.chances:
                asked.future.set_exception(error)
            else:
                self.waiting.put(asked)
        if not self.closed:
            print("a GPU's process was lost; its jobs are repeated", file=sys.stderr)


def _settle(future: Future, result: Any, error: BaseException | None) -> None:
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _start_on(gpu: int, each: int, prepare: Callable[[int], None], threads: int) -> None:
    """Make this process see one GPU, before anything looks for one."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = seen.split(",")[gpu] if seen else str(gpu)
    start_worker(prepare, threads)
    _here.append(ThreadPoolExecutor(each, "job"))


def _exchange(jobs: dict[int, tuple]) -> list[tuple[int, Any, BaseException | None]]:
    """Begin jobs in the threads of this process; return what has ended, soon or at once."""
    for number, (function, job) in jobs.items():
        _there[number] = _here[0].submit(run_job, function, *job)
    wait(_there.values(), timeout=SOON, return_when=FIRST_COMPLETED)
    ended = [number for number, future in _there.items() if future.done()]
    return [_outcome(number, _there.pop(number)) for number in ended]


def _outcome(number: int, future: Future) -> tuple[int, Any, BaseException | None]:
    error = future.exception()
    return number, None if error else future.result(), error


_here: list[ThreadPoolExecutor] = []  # of a process that has a GPU to itself
_there: dict[int, Future] = {}  # what its threads do
