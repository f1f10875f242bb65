"""Make KILLED the final status of a run that was stopped.

After our process has ended, `mlflow run` overwrites the status of a stopped run with FAILED, and
nothing that we do earlier can prevent that. So `python -m influence.tracking.killed <run> <pid>`
waits for it in the background and exits a few seconds later; `<pid>` is the process that may still
write. Without it, Ctrl-C would look like an error in the UI.
"""

import os
import subprocess
import sys
import time

from influence.tracking import connection, operations

SECONDS = 20  # at most


def leave(run_id: str, writer: int) -> None:
    """Start the background process that waits for `writer`."""
    silent = {name: subprocess.DEVNULL for name in ("stdin", "stdout", "stderr")}
    command = [sys.executable, "-m", "influence.tracking.killed", run_id, str(writer)]
    subprocess.Popen(command, start_new_session=True, **silent)


def speak(run_id: str, writer: int) -> None:
    """Wait until `writer` has written FAILED or has ended, then set KILLED."""
    connection.connect()
    end = time.monotonic() + SECONDS
    while True:
        gone = not _lives(writer) or time.monotonic() > end
        if operations.client().get_run(run_id).info.status == "FAILED":
            operations.client().set_terminated(run_id, "KILLED")
            return
        if gone:
            return
        time.sleep(0.5)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    speak(sys.argv[1], int(sys.argv[2]))
