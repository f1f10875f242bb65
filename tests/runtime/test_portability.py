"""The core imports where nothing of POSIX is there, as on Windows."""

import subprocess
import sys

from tests.test_structure import CORE, MODULES, ROOT, room

# What this package may not need to be imported; torch and the like bring what they need themselves.
HIDDEN = """
import os, signal, sys
import multiprocessing, torch, transformers, sklearn, pandas, pyarrow, scipy.stats, tqdm, filelock
for name in ("fcntl", "grp", "posix", "pwd", "resource", "termios"):
    sys.modules[name] = None
for name in ("fork", "getuid", "killpg", "mkfifo", "sched_getaffinity", "sysconf", "waitpid"):
    delattr(os, name)
for name in ("SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "setitimer"):
    delattr(signal, name)
"""


def without_posix(program: str) -> None:
    command = [sys.executable, "-c", HIDDEN + program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_core_imports_without_what_windows_lacks():
    without_posix("".join(f"import {name}\n" for name in MODULES if room(name) in CORE))


def test_memory_locks_and_signals_work_without_what_windows_lacks(tmp_path):
    without_posix(f"""
from pathlib import Path
from influence.runtime import devices, locks, memory, signals
memory.ctypes.CDLL = lambda name: name + ""  # which raises TypeError for None, as there
memory.keep_freed_memory(), memory.give_large_memory_back(), memory.give_free_memory_back()
devices.Path = lambda name: Path("absent")
assert devices.free_memory("cpu") == devices.UNKNOWN
with signals.stoppable(), locks.locked(Path({str(tmp_path)!r})):
    signals._die_with_parent()
""")
