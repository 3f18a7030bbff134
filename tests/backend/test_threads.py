"""The number of threads: another for a piece of work, and then what it was."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread

import pytest
import torch

from speechduet.backend.threads import threads


@pytest.fixture(autouse=True)
def three() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def elsewhere() -> int:
    """The number in a thread that is new."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


def test_another_number_meanwhile() -> None:
    with threads(2):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == elsewhere() == 3
    with threads(None):
        assert torch.get_num_threads() == 3
    with pytest.raises(ZeroDivisionError), threads(1):
        raise ZeroDivisionError
    assert torch.get_num_threads() == elsewhere() == 3


def test_pieces_of_work_that_overlap_return_to_the_first_number() -> None:
    """The second begins within the first, and ends after it."""
    begun, ended = Event(), Event()
    found: list[int] = []

    def second() -> None:
        with threads(2):
            begun.set()
            ended.wait()
            found.append(torch.get_num_threads())
        found.append(torch.get_num_threads())

    worker = Thread(target=second)
    with threads(1):
        worker.start()
        begun.wait()
        assert torch.get_num_threads() == 1
    ended.set()
    worker.join()
    assert found == [2, 3]
    assert torch.get_num_threads() == elsewhere() == 3


def test_several_workers_have_the_number_at_once() -> None:
    together = Barrier(4)

    def work(_: int) -> int:
        with threads(2):
            together.wait()
            return torch.get_num_threads()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [2, 2, 2, 2]
    assert torch.get_num_threads() == elsewhere() == 3
