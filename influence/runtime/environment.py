"""What libraries read of the environment once, before they are imported; what they say, or not."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

HUB = "huggingface_hub.utils._http"  # the logger of its requests
RETRY = re.compile("thrown while requesting|Retrying in")


def prepare() -> None:
    """Set what torch and Arrow read when they are imported, unless it is set already."""
    # Idle threads that spin take the core from whoever shares it: two jobs of two threads on two
    # cores become ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Arrow's own allocator keeps what a table has taken beside what the rest of a process needs.
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
