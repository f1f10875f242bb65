"""Directories that are either finished or not: fingerprints, atomic writes, manifests last.

A step writes one directory; `manifest.json` is written last, and its presence means complete. A
step that finds its finished directory reuses it; an interrupted one resumes from the parts that it
had finished. What is needed for that and is no result lies in `unfinished/`, removed at the end.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

from influence.errors import InputError

PACKAGE = Path(__file__).parent.parent
SOURCES = (".py", ".yaml")  # files of this package that a result depends on
MANIFEST = "manifest.json"
NOT_JSON = (ValueError, RecursionError)  # raised by json.loads; the latter for deeply nested lists
UNFINISHED = "unfinished"  # folder of a step directory until the step is finished
PART = ".part-*"  # being written
LOCK = ".lock"  # held by the process that writes the directory
READERS = 8  # files whose digests are made at once
SETTLED = 10**8  # nanoseconds after which another write gives a file another time


def fingerprint(
    step: str, parameters: Mapping[str, Any], inputs: Mapping[str, str], code: Iterable[str]
) -> str:
    """Return 16 hex digits over everything that a step's result depends on.

    `inputs` are digests of what it reads; `code` names the folders of this package, or single
    modules such as "models/tokens", that compute it.
    """
    sources = {name: _code_digest(name) for name in sorted(code)}
    text = json.dumps([step, dict(parameters), dict(inputs), sources], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _code_digest(name: str) -> str:
    """Return one digest over the sources in a folder of this package, or over one module."""
    place = PACKAGE / name
    files = sorted(place.rglob("*")) if place.is_dir() else [place.with_suffix(".py")]
    digests = {str(f.relative_to(PACKAGE)): file_digest(f) for f in files if f.suffix in SOURCES}
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def read_manifest(directory: Path, step: str) -> dict[str, Any]:
    """Return the manifest of a finished `step` directory.

    Raises InputError if there is none, it belongs to another step, or a file that it lists is
    missing, has another size or lies outside of the directory. Reading a key that the manifest does
    not hold, for example because another version of this package wrote it, raises InputError too.
    """
    path = directory / MANIFEST
    if not path.is_file():
        raise InputError(f"{directory} holds no finished {step} step: it has no {MANIFEST}")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"), object_hook=partial(_Facts, path))
        writer, files = manifest.get("step"), manifest.get("files")
        sizes = {name: size for name, (size, _) in files.items()}
    except (*NOT_JSON, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not a manifest of this package ({error})") from None
    if writer is None:
        raise InputError(f"{path} is not a manifest of this package (it names no step)")
    if writer != step:
        raise InputError(f"{directory} was written by step {writer!r}, but {step!r} is needed here")
    for name, size in sizes.items():
        if fault := _fault(directory, name, size):
            raise InputError(f"{directory} is incomplete: {name} {fault}")
    return manifest


def verify(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Raise InputError for a file that is not, byte by byte, what the finished step wrote."""
    files = manifest["files"]
    digests = _file_digests(directory / name for name in files)
    for (name, (_, written)), digest in zip(files.items(), digests, strict=True):
        if digest != written:
            raise InputError(
                f"{directory / name} is not the file that step {manifest['step']!r} wrote; "
                "restore it or run that step again"
            )


def is_finished(directory: Path) -> bool:
    """Tell whether the step that writes `directory` has completed."""
    return (directory / MANIFEST).is_file()


def step_of(directory: Path) -> str:
    """Return the name of the step that finished a directory.

    Raises InputError if none has.
    """
    try:
        return str(json.loads((directory / MANIFEST).read_text(encoding="utf-8"))["step"])
    except (OSError, *NOT_JSON, KeyError, TypeError):
        raise InputError(f"{directory} holds no finished step: no {MANIFEST} names one") from None


def finish(directory: Path, step: str, content: Mapping[str, Any]) -> None:
    """Write the manifest (`content`, size and sha256 of every file) and remove `unfinished/`."""
    paths = (path for path in sorted(directory.rglob("*")) if path.is_file())
    names = {str(path.relative_to(directory)): path for path in paths}
    listed = {
        name: path
        for name, path in names.items()
        if path.name not in (MANIFEST, LOCK) and Path(name).parts[0] != UNFINISHED
    }
    digests = _file_digests(listed.values())
    files = {
        name: [path.stat().st_size, digest]
        for (name, path), digest in zip(listed.items(), digests, strict=True)
    }
    write_json(directory / MANIFEST, {"step": step, **content, "files": files})
    discard_unfinished(directory)


def discard_unfinished(directory: Path) -> None:
    """Remove what an unfinished step needed to resume."""
    shutil.rmtree(directory / UNFINISHED, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically: the file is complete or does not exist."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, default=float) + "\n", encoding="utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` (a file or directory) and move it there at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = Path(tempfile.mkdtemp(prefix=".part-", dir=path.parent))
    try:
        temporary = holder / path.name
        yield temporary
        if temporary.is_dir() and path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def file_digest(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal; see `reading_once`."""
    with open(path, "rb") as handle:
        at = os.fstat(handle.fileno())
        content = (at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns)  # equal for all its links
        known = _known
        if known is not None and content in known:
            return known[content]
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    if known is not None and time.time_ns() - at.st_mtime_ns > SETTLED:
        known[content] = digest
    return digest


@contextmanager
def reading_once() -> Iterator[None]:
    """Read no file twice for its digest unless it has another size or was written since.

    For the time of one command, which verifies the same large files at every step. Outside, and so
    between two commands, every file is read whenever its digest is asked for.
    """
    global _known
    if _known is not None:  # a command that another one calls
        yield
        return
    _known = {}
    try:
        yield
    finally:
        _known = None


def copy_tree(source: Path, target: Path) -> None:
    """Copy a directory, by hard links where the file system allows them.

    Finished files are only ever replaced, never modified, so a link is as good as a copy.
    """
    shutil.copytree(
        source,
        target,
        copy_function=link,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns(LOCK, PART, UNFINISHED),
    )


def _file_digests(paths: Iterable[Path]) -> list[str]:
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(file_digest, paths))


_known: dict[tuple[int, int, int, int], str] | None = None  # digests, in `reading_once`


class _Facts(dict):
    """Part of a manifest; reading a missing key raises InputError with a sentence."""

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        super().__init__(facts)
        self.path = path

    def __missing__(self, name: str) -> None:
        raise InputError(
            f"{self.path} has no {name!r}: it was written by another version of this package; run "
            "that step again"
        )

    def __reduce__(self) -> tuple:
        return _Facts, (self.path, dict(self))


def _fault(directory: Path, name: str, size: int) -> str:
    """Say why a directory does not hold a file of this name and size, "" if it does."""
    path, lost = directory / name, "is missing or truncated"
    try:
        if ".." in Path(name).parts or not path.is_file() or path.stat().st_size != size:
            return lost
        if path.resolve().is_relative_to(directory.resolve()):
            return ""
        if Path(name).is_absolute():
            return lost
        return f"is a link to {path.resolve()}, outside of it; put the file itself there"
    except (OSError, ValueError, RuntimeError):  # an impossible name; circular links
        return lost


def link(source: str | Path, target: str | Path) -> None:
    """Make `target` a hard link to `source`, or a copy where the file system has no links."""
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    Path(target).unlink(missing_ok=True)  # left by an interrupted attempt
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
