"""Work spread over processes that end with the one that started them, however it ends."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TypeVar

from speechduet.audio.notices import show_warnings_as_lines
from speechduet.errors import SpeechduetError

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_processes(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    jobs: int,
    prepare: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """What ``work`` makes of each item, in order, in so many processes; in this one if one will do.

    Each new process calls ``prepare`` first. SpeechduetError if one of them is killed.
    """
    if jobs == 1 or len(items) < 2:
        yield from map(work, items)
        return
    # Spawned, for a fork would inherit the locks of torch's threads.
    context = get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(items)), context, _begin, (prepare,)) as executor:
        try:
            yield from executor.map(work, items)
        except BrokenProcessPool as error:
            raise SpeechduetError(
                "a worker process was killed", remedy="if memory ran out, use fewer (--jobs)"
            ) from error
        finally:
            executor.shutdown(cancel_futures=True)


def _begin(prepare: Callable[[], None] | None) -> None:
    # Ctrl-C reaches all processes of a terminal. The one that started this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    show_warnings_as_lines()
    Thread(target=_end_with_parent, daemon=True).start()
    if prepare is not None:
        prepare()


def _end_with_parent() -> None:
    """A pool's worker waits for work for ever, for it holds the other end of its queue itself."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
