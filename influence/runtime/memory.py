"""When the C library gives freed memory back to the kernel."""

import ctypes
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
OTHERS = (OSError, AttributeError, TypeError)  # raised where the C library is not glibc


def keep_freed_memory() -> None:
    """Let the C library keep freed memory, because every batch needs the same amount again.

    Returning it to the kernel and requesting it again, page by page, makes scoring and training of
    a small encoder about 5 % slower. Does nothing where the C library is not glibc.
    """
    with suppress(*OTHERS):
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, 32 << 20)  # the largest allowed
        library.mallopt(M_TRIM_THRESHOLD, 1 << 30)


def give_large_memory_back() -> None:
    """Let the C library return every large array to the kernel as soon as it is freed.

    By default, freeing the first one raises the threshold, so that later ones stay in the heap as
    fragments that nothing else fits into. Does nothing where the C library is not glibc.
    """
    with suppress(*OTHERS):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)


def give_free_memory_back() -> None:
    """Let the C library return the free memory between small arrays that are still in use.

    Without it a process grows by a tenth over hundreds of jobs before its gaps fit every request.
    Does nothing where the C library is not glibc.
    """
    with suppress(*OTHERS):
        ctypes.CDLL(None).malloc_trim(0)
