"""Flows draw no figures, but those of `tests.helpers.mains` and where a test looks at them."""

from collections.abc import Iterator

import pytest

from tests.helpers import figures


@pytest.fixture(scope="module", autouse=True)
def undrawn() -> Iterator[None]:
    """Save figures as empty files, in this process."""
    with figures.undrawn():
        yield
