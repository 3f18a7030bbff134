"""How many threads PyTorch uses, for a piece of work and no longer."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import torch

_lock = Lock()
_outside: list[int] = []
"""The process's own number of threads, once for each piece of work that has another now."""


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Let PyTorch use this many threads meanwhile; None leaves the number as it is.

    PyTorch has a number for each thread and one for threads that are yet to start, and can only set
    both. So pieces of work that overlap in several threads all return to what was there before the
    first of them.
    """
    if count is None:
        yield
        return
    with _lock:
        # Asked in any case: a thread that never asked would take, when it first computes, the
        # number that was set last, wherever that was.
        here = torch.get_num_threads()
        _outside.append(_outside[0] if _outside else here)
        torch.set_num_threads(count)
    try:
        yield
    finally:
        with _lock:
            torch.set_num_threads(_outside.pop())
