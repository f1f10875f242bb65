"""Environment variables that libraries read once, on import, and that must be set before that."""

import os


def prepare() -> None:
    """Set the variables that torch and Arrow read on import, unless they are set already."""
    # Idle threads that spin take cores away from other processes: two jobs of two threads each on
    # two cores become ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Arrow's own allocator keeps the memory of freed tables, where nothing else can use it.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
