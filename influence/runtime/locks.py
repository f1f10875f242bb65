"""Lock files that a process holds while it lives, so that others can wait for it or see it end.

The operating system releases them however the process ends. Lock files are not deleted: deleting
one while others wait for it would let two of them in.
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
    """Lock a directory for one process: a second equal command waits, then finds it finished.

    Partial files of a killed process are removed. Raises InputError if the directory is not
    writable.
    """
    with _writable(directory / LOCK):
        for part in list(directory.rglob(PART)):
            shutil.rmtree(part, ignore_errors=True)
        yield


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Wait for and hold the lock of a file, created if missing; raises OSError if that fails."""
    lock = _lock(path)
    with lock:
        yield


@contextmanager
def alive(path: Path) -> Iterator[None]:
    """Hold a file by which `is_alive` sees that this process is running; remove it at the end.

    Raises InputError if the file cannot be created.
    """
    with _writable(path):
        try:
            yield
        finally:
            with suppress(PermissionError):  # on Windows, where releasing the lock deletes it
                path.unlink(missing_ok=True)


def is_alive(path: Path) -> bool:
    """Tell whether the process that held this file is running, as far as this machine can know."""
    if not path.is_file():
        return True  # it is on another machine
    try:
        with FileLock(path, thread_local=False).acquire(timeout=0):
            return False
    except OSError:
        return True  # it is held, or it is another user's


class Attendance:
    """The presence of one process among several that share something: a file held until it leaves.

    Callers hold a lock common to all of these processes while one joins or asks whether it is
    alone.
    """

    def __init__(self, directory: Path) -> None:
        """Join; raises OSError if `directory` is not writable."""
        self.file = directory / f"{os.getpid()}-{secrets.token_hex(4)}"
        self.lock = _lock(self.file)
        self.lock.acquire()

    def is_alone(self) -> bool:
        """Tell whether no other process here is present; remove the files of killed ones."""
        others = [path for path in self.file.parent.iterdir() if path != self.file]
        living = [path for path in others if path.exists() and is_alive(path)]
        for path in {*others} - {*living}:
            path.unlink(missing_ok=True)
        return not living

    def leave(self) -> None:
        """Leave."""
        with suppress(PermissionError):  # on Windows, where releasing the lock deletes it
            self.file.unlink(missing_ok=True)
        self.lock.release()


def _lock(path: Path) -> FileLock:
    """Return the lock of a file, created with the usual permissions if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return FileLock(path, thread_local=False)  # one thread may acquire it and another release it


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    """Hold a file; raise InputError if it cannot be created."""
    try:
        lock = _lock(path)
    except OSError as error:
        raise InputError(
            f"{path.parent} cannot be written ({error.strerror}); choose another workdir"
        ) from None
    with lock:
        yield
