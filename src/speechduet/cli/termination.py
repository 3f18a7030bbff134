"""How a command with worker processes ends when it is asked to by SIGTERM."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import active_children
from types import FrameType


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Within it SIGTERM ends the workers at once, and this process as an error would.

    By default it would end this process alone, on the spot: a bar would leave the terminal
    without its cursor. The exit status is 143, as ever.
    """

    def end(number: int, frame: FrameType | None) -> None:
        for worker in active_children():
            worker.terminate()
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
