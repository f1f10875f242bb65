"""The workers of a Ray cluster."""

import os
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from influence.errors import InputError, first_line
from influence.jobs.workers import CHANCES, hand_over, run_job
from influence.runtime import packages

HERE = str(Path(__file__).resolve().parent.parent.parent)


class Ray:
    """The workers of a Ray cluster that sees the workdir under the same path."""

    local, ahead, shared = False, False, False

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
        hand_over(running, asked)


def _prepared(prepare: Callable[[], None], function: Callable[..., Any], *job: Any) -> Any:
    """Run a job in a process that may not have worked for this command before."""
    if not _ready:
        prepare()
        _ready.append(True)
    return run_job(function, *job)


_ready: list[bool] = []
