"""Environment variables that libraries read on import, and lines of their logs that say nothing."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

HUB = "huggingface_hub.utils._http"  # the logger of its requests
RETRY = re.compile("thrown while requesting|Retrying in")


def prepare() -> None:
    """Set the variables that torch and Arrow read on import, unless they are set already."""
    # Idle threads that spin take cores away from other processes: two jobs of two threads each on
    # two cores become ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Arrow's own allocator keeps the memory of freed tables, where nothing else can use it.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


@contextmanager
def without_retries() -> Iterator[None]:
    """Hide the lines about every retry of the hub's client: the error that remains says it all.

    What else it says stays, such as how long it waits because of too many requests.
    """
    logger = logging.getLogger(HUB)
    logger.addFilter(_is_no_retry)
    try:
        yield
    finally:
        logger.removeFilter(_is_no_retry)


def _is_no_retry(record: logging.LogRecord) -> bool:
    return not RETRY.search(record.getMessage())
