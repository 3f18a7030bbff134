import os
import signal
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from errno import EMFILE

import pytest

from speechduet.errors import SpeechduetError
from speechduet.evaluation.processes import in_processes, signals_later


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_results_come_in_order(jobs: int) -> None:
    assert list(in_processes(abs, [-3, 1, -2], jobs)) == [3, 1, 2]


def test_one_process_is_this_one() -> None:
    assert list(in_processes(lambda _: os.getpid(), ["a", "b"], 1)) == [os.getpid()] * 2
    assert list(in_processes(lambda _: os.getpid(), ["a"], 2)) == [os.getpid()]


def test_a_killed_worker_is_an_error() -> None:
    with pytest.raises(SpeechduetError, match="a worker process was killed; if memory ran out"):
        list(in_processes(os._exit, [9, 9], 2))


def test_processes_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def limited(*_: object) -> None:
        raise OSError(EMFILE, "Too many open files")

    monkeypatch.setattr(ProcessPoolExecutor, "map", limited)
    with pytest.raises(SpeechduetError, match="processes: Too many open files; use one"):
        list(in_processes(abs, [1, 2], 2))


def test_a_signal_waits_until_the_workers_are_started() -> None:
    handled: list[str] = []
    before = signal.signal(signal.SIGTERM, lambda *_: handled.append("now"))
    try:
        with signals_later():
            signal.raise_signal(signal.SIGTERM)
            assert not handled
        assert handled == ["now"]
        signal.raise_signal(signal.SIGTERM)
        assert handled == ["now", "now"]
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(nothing_else_in_a_thread).result()
    finally:
        signal.signal(signal.SIGTERM, before)


def nothing_else_in_a_thread() -> bool:
    with signals_later():
        return True
