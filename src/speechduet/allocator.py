"""What the C library does with freed memory."""

import ctypes
import os
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Names of the two settings in glibc's malloc.h."""

KEPT = 1 << 30
"""Bytes up to which a buffer is taken from memory that was freed before, and freed memory kept."""

OWN_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Let this process reuse large buffers instead of asking the system for fresh ones.

    By default glibc gives every buffer above 32 MiB back when it is freed, and the system maps the
    next one page by page, zeroed: an NCSN++ of published size spends more time on that than on all
    but its convolutions. Concerns the whole process, so that only programs call it and no import
    does. Returns False, and changes nothing, where there is another C library or where the
    environment has settings of its own.
    """
    if sys.platform != "linux" or any(name in os.environ for name in OWN_SETTINGS):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    return all(library.mallopt(setting, KEPT) for setting in (TRIM_THRESHOLD, MMAP_THRESHOLD))
