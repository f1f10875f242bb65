"""Files that a process holds for as long as it lives, so that others wait for it or see its end.

The operating system lets go of them however the process ends. Lock files stay where they are, as
one that is removed while others wait for it would let two of them in.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from influence.errors import InputError
from influence.runtime.store import LOCK, PART


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold a directory for one process: a second equal command waits and then finds it finished.

    What a killed process was writing there is removed. Raises InputError if nothing can be written
    there.
    """
    with _writable(directory / LOCK):
        for part in list(directory.rglob(PART)):
            shutil.rmtree(part, ignore_errors=True)
        yield


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a file, made if need be, once nobody else does; raises OSError if it cannot be made."""
    lock = _lock(path)
    with lock:
        yield


@contextmanager
def alive(path: Path) -> Iterator[None]:
    """Hold a file that shows `is_alive` that this process lives, and remove it at the end.

    Raises InputError if nothing can be written there.
    """
    with _writable(path):
        try:
            yield
        finally:
            with suppress(PermissionError):  # of Windows, where it goes with the lock
                path.unlink(missing_ok=True)


def is_alive(path: Path) -> bool:
    """Tell whether the process that held this file lives, as far as this machine can know."""
    if not path.is_file():
        return True  # it is on another machine
    try:
        with FileLock(path, thread_local=False).acquire(timeout=0):
            return False
    except OSError:
        return True  # it is held, or it is another user's


class Attendance:
    """One of the processes that share something: a file in a directory, held until it leaves.

    Whoever comes, or asks whether it is alone, holds a lock meanwhile that all of them use.
    """

    def __init__(self, directory: Path) -> None:
        """Attend; raises OSError if nothing can be written in `directory`."""
        self.file = directory / f"{os.getpid()}-{secrets.token_hex(4)}"
        self.lock = _lock(self.file)
        self.lock.acquire()

    def is_alone(self) -> bool:
        """Tell whether nobody else on this machine attends; forget those that were killed."""
        others = [path for path in self.file.parent.iterdir() if path != self.file]
        living = [path for path in others if path.exists() and is_alive(path)]
        for path in {*others} - {*living}:
            path.unlink(missing_ok=True)
        return not living

    def leave(self) -> None:
        """Attend no longer."""
        with suppress(PermissionError):  # of Windows, where it goes with the lock
            self.file.unlink(missing_ok=True)
        self.lock.release()


def _lock(path: Path) -> FileLock:
    """Return the lock of a file that is there, with the permissions that files have here."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return FileLock(path, thread_local=False)  # one thread may take it and another let it go


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    """Hold a file; raise InputError if it cannot be made."""
    try:
        lock = _lock(path)
    except OSError as error:
        raise InputError(
            f"{path.parent} cannot be written ({error.strerror}); choose another workdir"
        ) from None
    with lock:
        yield
