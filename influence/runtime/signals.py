"""Turn the signals that stop a command into one exception, never while a run begins or ends."""

import ctypes
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from influence.errors import Terminated

BEGUN = "MLFLOW_RUN_ID"  # set where `mlflow run` started this process
PR_SET_PDEATHSIG = 1
STOPS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}

_shields = 0
_pending: list[int] = []  # the first signal that arrived


def starter() -> int:
    """Return the process id of the `mlflow run` that started this process, 0 if none did."""
    return os.getppid() if os.environ.get(BEGUN) else 0


@contextmanager
def stoppable(last: bool = False) -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGINT and Terminated on SIGTERM, whichever comes first.

    Later ones are ignored: the runs are already being ended, and `mlflow run` forwards a Ctrl-C
    that has already arrived. The end of `mlflow run` itself counts as SIGTERM. A signal that was
    ignored before, as in a background job, stays ignored. `last`: the process ends after this, and
    once it was told to stop, a further signal must not change its exit status.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    if starter():
        _die_with_parent()
    before = {number: signal.getsignal(number) for number in STOPS}
    _pending.clear()
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if last and _pending else handler)


@contextmanager
def shielded() -> Iterator[None]:
    """Hold back a signal that arrives inside this context until its end."""
    global _shields
    _shields += 1
    waiting = bool(_pending)
    try:
        yield
    finally:
        _shields -= 1
        if not _shields and _pending and not waiting:
            raise STOPS[_pending[0]]


def _stop(number: int, frame: object) -> None:
    if _pending:
        return
    _pending.append(number)
    if not _shields:
        raise STOPS[number]


def _die_with_parent() -> None:
    """Ask Linux for SIGTERM when the parent ends: `mlflow run` does not forward its own."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
