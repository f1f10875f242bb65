"""What workers are, and what they all do with a job.

A worker that is lost, because it ran out of memory or its machine went down, is replaced, and its
job is repeated: jobs write their results to files atomically.
"""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from influence.errors import InputError
from influence.runtime import packages

CHANCES = 3  # attempts at a job whose worker is lost each time, before it is given up


class Workers(Protocol):
    """Where an engine sends its jobs."""

    count: int  # jobs that run at once
    local: bool  # on this machine, whose cores this process may use too
    ahead: bool  # may get any number of jobs long before it runs them
    shared: bool  # jobs that run side by side share what their process holds

    def submit(self, function: Callable[..., Any], *job: Any) -> Future:
        """Start `function(*job)` on a worker and return its future."""
        ...

    def close(self, now: bool) -> None:
        """Stop the workers: now, or once they have finished the jobs that they have begun."""
        ...


@dataclass(eq=False)
class Asked:
    """A job that waits for a worker of this machine, or runs there."""

    future: Future
    function: Callable[..., Any]
    job: tuple
    chances: int = CHANCES
    begun: bool = False


def run_job(function: Callable[..., Any], *job: Any) -> Any:
    """Run a job; name a broken package here, since exceptions lose their traces on the way back."""
    try:
        return function(*job)
    except Exception as error:
        if sentence := packages.unusable(error):
            raise InputError(sentence) from error
        raise


def hand_over(done: Future, asked: Future) -> None:
    """Copy the outcome of one future to another, unless the other was cancelled."""
    if not asked.set_running_or_notify_cancel():
        return
    if error := done.exception():
        asked.set_exception(error)
    else:
        asked.set_result(done.result())
