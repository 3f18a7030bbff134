"""What the C library does with freed memory."""

import ctypes
import os
import sys
from collections.abc import Mapping

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Names of the two settings in glibc's malloc.h."""

LARGEST_MMAP_THRESHOLD = 32 << 20
"""Bytes up to which glibc raises its threshold by itself (64-bit systems)."""

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
    return _set({TRIM_THRESHOLD: KEPT, MMAP_THRESHOLD: KEPT})


def return_freed_memory() -> bool:
    """Undo `keep_freed_memory`: give back what is kept, and do as glibc does by itself.

    That is the state in which its thresholds stay once buffers above 32 MiB have been freed.
    Returns False, and changes nothing, where `keep_freed_memory` does.
    """
    if not _set(
        {TRIM_THRESHOLD: 2 * LARGEST_MMAP_THRESHOLD, MMAP_THRESHOLD: LARGEST_MMAP_THRESHOLD}
    ):
        return False
    ctypes.CDLL(None).malloc_trim(0)
    return True


def _set(thresholds: Mapping[int, int]) -> bool:
    if sys.platform != "linux" or any(name in os.environ for name in OWN_SETTINGS):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    return all(library.mallopt(setting, value) for setting, value in thresholds.items())
