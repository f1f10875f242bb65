"""One test over many cases, which names every one that offends."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager


def none(offenders: Iterable[object]) -> None:
    """Fail unless there is none, with one on each line."""
    lines = [str(offender) for offender in offenders]
    assert not lines, "\n".join([f"{len(lines)} offend:", *lines])


class Cases:
    """Cases that are all tried: `case` names the next one, leaving `cases` tells which failed."""

    def __init__(self) -> None:
        """Begin without a failure."""
        self.failures: list[str] = []

    @contextmanager
    def case(self, name: object) -> Iterator[None]:
        """Note what does not hold of this case, and let the next one be tried."""
        try:
            yield
        except AssertionError as error:
            self.failures.append(f"{name}: {error}")


@contextmanager
def cases() -> Iterator[Cases]:
    """Try every case of the block before it fails with those that did not hold."""
    tried = Cases()
    yield tried
    none(tried.failures)
