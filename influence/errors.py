"""The exceptions that are no bugs: wrong input, with the way out, and being told to stop."""

import re


class InputError(ValueError):
    """Bad input: its message is one sentence with the rule, the received value and the way out.

    Commands print the sentence and exit with status 2; every other exception is a bug and shows
    its traceback.
    """


class Terminated(BaseException):
    """SIGTERM arrived: runs end as KILLED, the process with status 143."""


def first_line(error: Exception) -> str:
    """Return the first line of what an exception says, its name where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def hide_password(text: str) -> str:
    """Return a text in which no address has a password: user:***@host."""
    return re.sub(r"(://[^/\s:@]*):[^/\s]*@", r"\1:***@", text)


def choose(kind: str, name: str, offered: object) -> str:
    """Return `name` if it is one of `offered`, else raise InputError naming what there is."""
    names = sorted(offered)  # type: ignore[call-overload]
    if name in names:
        return name
    raise InputError(f"unknown {kind} {name!r}; there is {', '.join(names)}")
