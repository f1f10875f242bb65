"""Operations for a tracking server that is away: kept on disk in order, sent later.

A command has one folder: `journal.jsonl`, whose first line names the server and every other line
an operation, and beside it the files of the operations, in folders numbered like the lines. The
folder exists while something waits. Sending a whole journal again is harmless, because every
operation may be repeated; so how far an earlier command got need not be known.

The finished directories alone could not replace it: they do not say which runs a command had begun,
by whose ids users look for them, or how those runs ended.
"""

import json
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from influence.errors import first_line
from influence.runtime import store
from influence.runtime.locks import is_alive, locked
from influence.runtime.step import say

JOURNAL = "journal.jsonl"
REFUSED = "refused.jsonl"  # operations that the server rejected, kept for inspection
PATIENCE = 10  # failed attempts take at most a tenth of the time

Operation = dict[str, Any]
Send = Callable[[Operation, Path | None, bool], Any]


class Outbox:
    """Sends the operations of one command to a server, or keeps them while it is away."""

    def __init__(self, folder: Path, server: str, send: Send, reason: Callable) -> None:
        """`folder`: created when something has to wait.

        `send(operation, files, again)` sends one; `again` means that it may have arrived before.
        `reason(exception)` says in a few words why the server is away, "" if it is not.
        """
        self.folder, self.server = folder, server
        self._send, self._reason = send, reason
        self._waiting: deque[tuple[Operation, Path | None]] = deque()
        self._written = 0
        self._next = 0.0  # when to try the server again, on the monotonic clock

    def put(self, operation: Operation, files: Path | None = None) -> Any:
        """Send an operation, or keep it with a copy of its directory of files.

        Returns what `send` returned, None if the operation waits. Raises what `send` raises, unless
        the server is away.
        """
        if not self._waiting:
            begun = time.monotonic()
            try:
                return self._send(operation, files, False)
            except Exception as error:
                if not (why := self._reason(error)):
                    raise
                say(f"{self.server} is away ({why}); its data waits in {self.folder}")
                self._later(begun)
        self._keep(operation, files)
        if time.monotonic() >= self._next:
            self.flush()
        return None

    def flush(self) -> bool:
        """Send waiting operations in order; tell whether none is left."""
        some = bool(self._waiting)
        while self._waiting:
            begun = time.monotonic()
            try:
                self._send(*self._waiting[0], True)
            except Exception as error:
                if self._reason(error):
                    self._later(begun)
                    return False
                self._refuse(self._waiting[0][0], error)
            self._waiting.popleft()
        if some:
            say(f"{self.server} is back and has received the waiting data")
            self._remove()
        return True

    def close(self) -> None:
        """Try a last time, and report what is left."""
        if not self.flush():
            say(
                f"{self.server} is still away; its data waits in {self.folder} for the same "
                "command, or any other with this workdir, to deliver it"
            )

    def _later(self, begun: float) -> None:
        now = time.monotonic()
        self._next = now + max(1, PATIENCE * (now - begun))

    def _keep(self, operation: Operation, files: Path | None) -> None:
        """Write an operation to disk, its files first, so that a written line is complete."""
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = None
        if files is not None:
            kept = self.folder / f"{self._written}"
            store.copy_tree(files, kept)
        lines = [] if self._written else [{"server": self.server}]
        lines.append({"operation": operation, "files": kept and kept.name})
        with open(self.folder / JOURNAL, "a", encoding="utf-8") as journal:
            journal.writelines(json.dumps(line) + "\n" for line in lines)
        self._written += 1
        self._waiting.append((operation, kept))

    def _refuse(self, operation: Operation, error: Exception) -> None:
        """Set aside an operation that can never be sent, such as a metric of a deleted run."""
        place = self.folder / REFUSED
        say(f"{self.server} refuses {operation['do']}, now in {place}: {first_line(error)}")
        with open(place, "a", encoding="utf-8") as refused:
            refused.write(json.dumps(operation) + "\n")

    def _remove(self) -> None:
        (self.folder / JOURNAL).unlink()  # first: nothing waits without it
        self._written = 0
        if not (self.folder / REFUSED).exists():
            shutil.rmtree(self.folder)


def deliver(root: Path, server: str, send: Send, reason: Callable) -> set[Path]:
    """Send what ended commands left in the folders under `root`; return their markers.

    A marker is the file that a command held while it ran, in `running` beside `root`, with the name
    of its folder here. Data for another server stays.
    """
    markers = {
        path.parent: root.parent / "running" / path.parent.name
        for path in root.glob(f"*/{JOURNAL}")
    }
    ended = {
        folder: marker
        for folder, marker in sorted(markers.items(), key=_age)
        if not (marker.exists() and is_alive(marker))
    }
    for folder in ended:
        with locked(folder.with_name(f"{folder.name}.delivery")):
            _deliver(folder, server, send, reason)
        shutil.rmtree(folder.with_name(f"{folder.name}.delivery"), ignore_errors=True)
    return set(ended.values())


def _age(item: tuple[Path, Path]) -> float:
    """Return the sort key of a folder: later commands may link to what earlier ones finished."""
    with suppress(FileNotFoundError):  # another command has just delivered it
        return (item[0] / JOURNAL).stat().st_mtime
    return 0.0


def _deliver(folder: Path, server: str, send: Send, reason: Callable) -> None:
    if not (folder / JOURNAL).exists():
        return  # another command has just delivered it
    left = Outbox(folder, server, send, reason)
    lines = list(_lines(folder / JOURNAL))
    if lines and lines[0].get("server") != server:
        say(f"{folder} holds data for {lines[0].get('server')}, not for {server}")
        return
    for line in lines[1:]:
        left._waiting.append((line["operation"], line["files"] and folder / line["files"]))
    if left._waiting:
        left.close()
    else:
        left._remove()


def _lines(journal: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a journal; a full disk or a killed command may have truncated the last."""
    for line in journal.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return
