"""Work spread over processes that end with the one that started them, however it ends."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread, current_thread, main_thread
from typing import TypeVar

from speechduet.audio.notices import show_warnings_as_lines
from speechduet.errors import SpeechduetError

Item = TypeVar("Item")
Output = TypeVar("Output")


def in_processes(
    work: Callable[[Item], Output],
    items: Sequence[Item],
    jobs: int,
    prepare: Callable[[], None] | None = None,
) -> Iterator[Output]:
    """What ``work`` makes of each item, in order, in ``jobs`` processes; one is this one.

    Each new process calls ``prepare`` first. SpeechduetError if one of them is killed.
    """
    if jobs == 1 or len(items) < 2:
        yield from map(work, items)
        return
    # Spawned, for a fork would inherit the locks of torch's threads.
    context = get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(items)), context, _begin, (prepare,)) as executor:
        try:
            # A worker that is only half started is known to nobody, and could not be ended.
            with signals_later():
                outputs = _begun(executor, work, items)
            yield from outputs
        except BrokenProcessPool as error:
            raise SpeechduetError(
                "a worker process was killed", remedy="if memory ran out, use fewer (--jobs)"
            ) from error
        finally:
            executor.shutdown(cancel_futures=True)


def _begun(
    executor: ProcessPoolExecutor, work: Callable[[Item], Output], items: Sequence[Item]
) -> Iterator[Output]:
    try:
        return executor.map(work, items)
    except OSError as error:
        raise SpeechduetError(
            f"cannot start processes: {error.strerror}",
            remedy="use one (--jobs 1), or raise the limit (ulimit)",
        ) from error


@contextmanager
def signals_later() -> Iterator[None]:
    """Signals that Python code handles are handled at its end; of the main thread, as ever."""
    if current_thread() is not main_thread():
        yield
        return
    arrived: list[int] = []
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if hasattr(signal, "SIGHUP"):
        usual[signal.SIGHUP] = signal.getsignal(signal.SIGHUP)
    held = {number: handler for number, handler in usual.items() if callable(handler)}
    for number in held:
        signal.signal(number, lambda received, _: arrived.append(received))
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        for received in arrived:
            signal.raise_signal(received)


def _begin(prepare: Callable[[], None] | None) -> None:
    # Ctrl-C reaches all processes of a terminal; a worker ends with the one that started it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    show_warnings_as_lines()
    Thread(target=_end_with_parent, daemon=True).start()
    if prepare is not None:
        prepare()


def _end_with_parent() -> None:
    """A worker holds the other end of its queue itself, and so would wait for work for ever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
