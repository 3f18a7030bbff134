"""How a command ends when it is asked to: nothing half-written stays, and the status is usual."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import active_children
from socket import socketpair
from threading import Thread, main_thread
from types import FrameType

from speechduet.files.partial import discard_unfinished

ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""What asks a program to end: Ctrl-C, ``kill`` or a system that shuts down, a closed terminal."""


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Within it a signal that asks to end ends the workers at once, and this process as an error.

    What was begun by `replacing` is removed, bars leave the terminal as it was, and the exit status
    is 128 and the signal's number, as ever. Threads are not waited for; a second signal waits for
    nothing at all. A signal that is ignored (nohup) stays so.
    """
    received: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        if received:
            _end_now(128 + number)
        received.append(number)
        for worker in active_children():
            worker.terminate()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    usual = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: signal.getsignal(number) for number in ENDING}
    changed = {number: handler for number, handler in before.items() if handler in usual}
    for number in changed:
        signal.signal(number, end)
    try:
        with _main_thread_awake():
            yield
    finally:
        if received:
            _end_now(128 + received[0])
        for number, handler in changed.items():
            signal.signal(number, handler)


@contextmanager
def _main_thread_awake() -> Iterator[None]:
    """Within it signals wake the main thread, the only one in which Python handles them.

    Linux gives two signals at once to any thread, and the main one would go on waiting for others.
    """
    if not hasattr(signal, "pthread_kill"):
        yield
        return
    main = main_thread().ident
    assert main is not None
    received, arriving = socketpair()
    arriving.setblocking(False)

    def wake() -> None:
        with received:
            while numbers := received.recv(64):
                if set(numbers) & set(ENDING):
                    signal.pthread_kill(main, signal.SIGURG)

    before = signal.signal(signal.SIGURG, lambda number, frame: None)
    signal.set_wakeup_fd(arriving.fileno(), warn_on_full_buffer=False)
    Thread(target=wake, daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGURG, before)
        arriving.close()


def as_usual() -> None:
    """Undo `ended_in_order` for the rest of this process, whose work has a way of its own to end.

    Training does: Lightning has handlers for schedulers, which go by what they find.
    """
    for number in ENDING:
        usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        if signal.getsignal(number) not in (signal.SIG_IGN, usual):
            signal.signal(number, usual)


def _end_now(status: int) -> None:
    discard_unfinished()
    for stream in (sys.stdout, sys.stderr):
        # The terminal may be gone, or what reads the pipe; or the signal came within a write.
        with suppress(OSError, ValueError, RuntimeError):
            stream.flush()
    os._exit(status)
