"""Blocks between who receives them and who enhances them: two threads, at a `Pace`."""

from collections import deque
from collections.abc import Callable, Iterator
from threading import Condition

from speechduet.audio import Samples
from speechduet.enhancement.pace import Pace

ROOM_S = 2.0
"""How much of a source without a clock is taken before it is needed."""
MOST_HELD_S = 10.0
"""How much of a live source may wait; what is older is left out."""


class Arrivals:
    """A queue of blocks ``[samples, channels]``, each with the time at which it came.

    ``unread_s()`` is how many seconds of what was given out have not been taken yet.
    """

    def __init__(
        self, pace: Pace, sample_rate: int, unread_s: Callable[[], float] = lambda: 0.0
    ) -> None:
        self.pace = pace
        self._sample_rate = sample_rate
        self._unread_s = unread_s
        self._waiting: deque[tuple[float, Samples]] = deque()
        self._held_s = 0.0
        self._closed = False
        self._failure: Exception | None = None
        self._changed = Condition()

    def put(self, block: Samples) -> None:
        """Add a block; never waits."""
        with self._changed:
            if self._closed:
                return
            duration_s = self._duration_s(block)
            self._waiting.append((self.pace.arrive(duration_s), block))
            self._held_s += duration_s
            while self.pace.is_live and self._held_s > MOST_HELD_S and len(self._waiting) > 1:
                self.pace.leave_out(self._duration_s(self._pop()[1]))
            self._changed.notify_all()

    def wait_for_room(self, timeout_s: float | None = None) -> bool:
        """Wait until more may come of a source that can be held up, or nobody wants more.

        A live source cannot, and always has room.
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: self._closed or self.pace.is_live is not False or self._held_s < ROOM_S,
                timeout_s,
            )

    def close(self, failure: Exception | None = None) -> None:
        """No more comes; ``failure`` is raised where the blocks are taken, behind the last."""
        with self._changed:
            self._closed = True
            self._failure = failure
            self._changed.notify_all()

    def abandon(self) -> None:
        """No more comes, and nobody wants what is there."""
        with self._changed:
            self._waiting.clear()
            self._held_s = 0.0
        self.close()

    @property
    def closed(self) -> bool:
        """Whether no more comes."""
        return self._closed

    def __iter__(self) -> Iterator[Samples]:
        """The blocks that are to be enhanced, each as soon as it is there."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    break
                arrived_s, block = self._pop()
                last = self._closed
                self._changed.notify_all()
            duration_s = self._duration_s(block)
            if self.pace.take(arrived_s, duration_s, self._unread_s(), last):
                yield block
        if self._failure is not None:
            raise self._failure

    def _pop(self) -> tuple[float, Samples]:
        arrived_s, block = self._waiting.popleft()
        self._held_s -= self._duration_s(block)
        return arrived_s, block

    def _duration_s(self, block: Samples) -> float:
        return len(block) / self._sample_rate
