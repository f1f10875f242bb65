"""The exceptions that are no bugs: wrong input, with the way out, and being told to stop."""

import errno
import re
from collections.abc import Iterable

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# What libraries say of it that have no number of their own: Rust's, sqlite and NumPy.
SAID_FULL = re.compile(
    rf"(os error|[Ee]rrno) ({'|'.join(map(str, sorted(FULL)))})\b|database or disk is full"
    r"|\d+ requested and \d+ written"
)
SAID_TOO_LARGE = re.compile(r"(CUDA|MPS|HIP)\b.* out of memory|can't allocate memory")  # torch
SHOWN = 5  # names in a sentence
LONGEST = 80  # characters of a value in a sentence
UNREADABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ESTALE}


class InputError(ValueError):
    """Bad input: its message is one sentence with the rule, the received value and the way out.

    Commands print the sentence and exit with status 2; every other exception is a bug and shows
    its traceback.
    """


class Terminated(BaseException):
    """SIGTERM arrived: runs end as KILLED, the process with status 143."""


def environmental(error: BaseException | None, workdir: str) -> str:
    """Return a sentence if disk or memory is full or a file is unreadable, "" for a bug."""
    while error is not None:
        number = getattr(error, "errno", None)
        if number in FULL or SAID_FULL.search(str(error)):
            return (
                f"no space is left to write in {workdir}; free some and run the same command "
                "again: finished steps are kept"
            )
        if isinstance(error, MemoryError) or SAID_TOO_LARGE.search(str(error)):
            return (
                f"there is too little memory ({first_line(error).split('. GPU')[0]}): give smaller "
                "batch_size, batch_tokens or max_length, or fewer workers; what was finished is "
                "kept"
            )
        if isinstance(error, OSError) and number in UNREADABLE and error.filename:
            return f"{error.filename} cannot be read or written: {error.strerror}"
        error = error.__cause__ or error.__context__
    return ""


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its name if there is none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def hide_password(text: str) -> str:
    """Return a text with the passwords of addresses hidden: user:***@host."""
    return re.sub(r"(://[^/\s:@]*):[^/\s]*@", r"\1:***@", text)


def listed(names: Iterable[str], many: int = SHOWN) -> str:
    """Return names as a list for a sentence: at most `many`, and the number of the rest."""
    shown = [name if name.isprintable() else repr(name) for name in names]
    if len(shown) > many + 1:
        shown = [*shown[:many], f"{len(shown) - many} more"]
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))


def brief(value: object) -> str:
    """Return a value as a sentence shows it: a text cut, of a table or a long value its kind."""
    kind = type(value).__name__
    if shape := getattr(value, "shape", ()):
        return f"a {kind} of shape {' x '.join(map(str, shape))}"
    if isinstance(value, str):
        return repr(value if len(value) <= LONGEST else f"{value[:LONGEST]}...")
    text = repr(value)
    return text if len(text) <= LONGEST and "\n" not in text else f"a {kind}"


def choose(kind: str, name: str, offered: object) -> str:
    """Return `name` if it is one of `offered`, else raise InputError naming what there is."""
    names = sorted(offered)  # type: ignore[call-overload]
    if name in names:
        return name
    raise InputError(f"unknown {kind} {name!r}; there is {', '.join(names)}")
