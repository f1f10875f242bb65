"""A PostgreSQL server of our own, from the binaries of the distribution."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

USER = "postgres" if os.getuid() == 0 else None  # PostgreSQL does not run as root


def binaries() -> Path | None:
    """Return where the server's programs are, None if it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    program = found[-1] if found else shutil.which("initdb")
    return Path(program).parent if program else None


@dataclass(frozen=True)
class Server:
    """A server with one user and no password, which can be stopped and started again."""

    programs: Path
    data: Path
    port: int

    def url(self, database: str) -> str:
        return f"postgresql://influence@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        self._call("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "influence", database)
        return self.url(database)

    def start(self) -> None:
        options = f"-p {self.port} -k {self.data} -c listen_addresses=127.0.0.1 -c fsync=off"
        log = str(self.data / "log")
        self._call("pg_ctl", "start", "-w", "-D", str(self.data), "-l", log, "-o", options)

    def stop(self) -> None:
        """Stop it at once, as a crash would: what is under way is lost."""
        self._call("pg_ctl", "stop", "-m", "immediate", "-w", "-D", str(self.data))

    def _call(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self.programs / program, *arguments],
            user=USER,
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )


@contextmanager
def server() -> Iterator[Server]:
    """Start a server with an empty cluster, and remove both in the end."""
    programs = binaries()
    assert programs is not None
    root = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        if USER:
            shutil.chown(root, USER)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        made = Server(programs, root / "data", port)
        made._call("initdb", "-D", str(made.data), "-U", "influence", "-A", "trust", "-E", "UTF8")
        made.start()
        yield made
        made.stop()
    finally:
        shutil.rmtree(root, ignore_errors=True)
