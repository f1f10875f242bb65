"""What libraries read of the environment once, when they are imported: set before that."""

import os


def prepare() -> None:
    """Set what torch and Arrow read when they are imported, unless it is set already."""
    # Idle threads that spin take the core from whoever shares it: two jobs of two threads on two
    # cores become ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Arrow's own allocator keeps what a table has taken beside what the rest of a process needs.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
