"""When the C library gives freed memory back to the kernel."""

import ctypes
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
OTHERS = (OSError, AttributeError, TypeError)  # raised where the C library is not glibc


def keep_freed_memory() -> None:
    """Let the C library keep what is freed: every batch needs the same memory again.

    Given back to the kernel and asked for anew, page by page, it makes scoring and training of a
    small encoder about 5 % slower. Nothing happens where the C library is not glibc.
    """
    with suppress(*OTHERS):
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, 32 << 20)  # at its largest
        library.mallopt(M_TRIM_THRESHOLD, 1 << 30)


def give_large_memory_back() -> None:
    """Let the C library give every large array back to the kernel as soon as it is freed.

    As it comes it learns from the first of them to keep the next ones, in pieces that others do not
    fit into. Nothing happens where the C library is not glibc.
    """
    with suppress(*OTHERS):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)


def give_free_memory_back() -> None:
    """Let the C library give back what is free between the small arrays that are still there.

    Without it a process grows for hundreds of jobs, by a tenth, until its gaps fit whatever comes.
    Nothing happens where the C library is not glibc.
    """
    with suppress(*OTHERS):
        ctypes.CDLL(None).malloc_trim(0)
