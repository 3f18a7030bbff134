"""How a live stream keeps up, on a clock that the tests turn."""

import threading
from collections import deque
from collections.abc import Callable

import numpy as np
import pytest

from speechduet.enhancement.arrivals import MOST_HELD_S, ROOM_S, Arrivals
from speechduet.enhancement.pace import (
    ALLOWED_S,
    CAUGHT_UP_S,
    JUDGED_S,
    MOST_PATIENCE_S,
    PATIENCE_S,
    Pace,
)

LEVELS = ("best", "fast", "input")
BLOCK_S = 0.02


class Simulation:
    """A microphone, a machine, and a reader with a buffer between, in steps of one block.

    ``cost(now, level)`` is how many seconds of computing a second of sound takes, ``reads(now)``
    how many seconds of sound are read in a second.
    """

    def __init__(
        self,
        cost: Callable[[float, int], float],
        reads: Callable[[float], float] = lambda _: 1e9,
        room_s: float = 1e9,
        live: bool | None = None,
        levels: tuple[str, ...] = LEVELS,
    ) -> None:
        self.now = 0.0
        self.pace = Pace(levels, 0.5, live, lambda: self.now)
        self.cost, self.reads, self.room_s = cost, reads, room_s
        self.waiting: deque[float] = deque()
        self.next_block_s = 0.0
        self.unread_s = 0.0
        self.lags: list[tuple[float, float, int]] = []
        """Time, how late a block was when it could be heard, and the level."""

    def pass_time(self, duration_s: float) -> None:
        """Let the microphone and the reader work for so long."""
        end = self.now + duration_s
        while self.next_block_s <= end:
            before, self.now = self.now, max(self.now, self.next_block_s)
            self.unread_s = max(0.0, self.unread_s - self.reads(before) * (self.now - before))
            self.waiting.append(self.pace.arrive(BLOCK_S))
            self.next_block_s += BLOCK_S
        self.unread_s = max(0.0, self.unread_s - self.reads(self.now) * (end - self.now))
        self.now = end

    def run(self, until_s: float) -> "Simulation":
        while self.now < until_s:
            if not self.waiting:
                self.pass_time(max(0.0, self.next_block_s - self.now))
            arrived_s = self.waiting.popleft()
            if not self.pace.take(arrived_s, BLOCK_S, self.unread_s):
                continue
            self.pass_time(self.cost(self.now, self.pace.level) * BLOCK_S)
            while self.unread_s > self.room_s and self.now < until_s:
                self.pass_time(BLOCK_S)  # it cannot be written yet
            self.unread_s += BLOCK_S
            lag_s = self.now - arrived_s + self.unread_s
            self.lags.append((self.now, lag_s, self.pace.level))
        return self

    def worst(self, since_s: float) -> float:
        return max(lag_s for now, lag_s, _ in self.lags if now >= since_s)


def test_a_machine_that_keeps_up_does_what_was_asked() -> None:
    run = Simulation(lambda *_: 0.9).run(60)
    counters = run.pace.counters
    assert counters.level == "best" and counters.falls == 0 and counters.left_out_s == 0
    assert counters.seconds["best"] == pytest.approx(60, abs=0.1)
    assert counters.seconds["fast"] == counters.seconds["input"] == 0
    assert run.worst(0) < 0.1


def test_a_machine_that_is_too_slow_takes_the_cheaper_mode() -> None:
    run = Simulation(lambda _, level: (1.5, 0.5, 0.01)[level]).run(300)
    counters = run.pace.counters
    assert run.worst(10) < 2 * ALLOWED_S + 0.1
    assert counters.seconds["input"] == counters.left_out_s == 0
    # It tries the mode that was asked for again, and ever more seldom.
    assert 3 <= counters.falls <= 10
    assert counters.seconds["fast"] > 0.8 * 300


def test_a_machine_too_slow_for_that_passes_the_input_on() -> None:
    run = Simulation(lambda _, level: (9, 1.2, 0.01)[level]).run(300)
    assert run.worst(10) < 4 * ALLOWED_S
    assert run.pace.counters.seconds["input"] > 0.5 * 300
    assert run.pace.counters.left_out_s == 0


def test_it_returns_to_what_was_asked() -> None:
    """A machine that is busy for ten seconds."""
    run = Simulation(lambda now, level: (5 if 20 < now < 30 else 0.5, 0.4, 0.01)[level]).run(60)
    counters = run.pace.counters
    assert counters.level == "best" and counters.falls >= 1
    assert run.worst(35) < 0.1
    assert all(level == 0 for now, _, level in run.lags if now > 30 + 2 * PATIENCE_S + 8)


def test_patience_grows_and_is_forgotten() -> None:
    slow = Simulation(lambda now, level: (3 if now < 200 else 0.5, 0.4, 0.01)[level]).run(200)
    assert slow.pace._patience_s == MOST_PATIENCE_S
    slow.cost = lambda now, level: (3 if now > 500 else 0.5, 0.4, 0.01)[level]
    slow.run(504)
    assert slow.pace.level == 1 and slow.pace._patience_s == PATIENCE_S


@pytest.mark.parametrize("room_s", [0.2, 2.0])
@pytest.mark.parametrize("speed", [1.0, 20.0], ids=["as fast as sound", "as fast as it can"])
def test_a_reader_that_stops_for_five_seconds(room_s: float, speed: float) -> None:
    run = Simulation(lambda *_: 0.2, lambda now: 0 if 20 < now < 25 else speed, room_s).run(60)
    counters = run.pace.counters
    assert counters.most_lag_s >= 2
    assert counters.level == "best" and not run.pace.leaving_out
    if speed > 1:
        # Soon, and all is heard unless it was known already that the reader is behind.
        assert run.worst(26.5) <= CAUGHT_UP_S
        assert counters.left_out_s == (0 if room_s < ALLOWED_S else pytest.approx(3, abs=0.2))
    else:
        # What was missed has to be left out, and the reader's buffer is heard first.
        assert run.worst(32) <= CAUGHT_UP_S + 2 * BLOCK_S
        assert counters.left_out_s == pytest.approx(5, abs=0.6)


def test_a_little_late_for_long_is_late_too() -> None:
    """Sound that is passed on and heard no faster than it comes never catches up by itself."""
    run = Simulation(lambda *_: 0.01, lambda now: 0 if 20 < now < 20.8 else 1.0).run(60)
    assert run.worst(20) > ALLOWED_S
    assert run.worst(30) <= CAUGHT_UP_S + 2 * BLOCK_S


@pytest.mark.parametrize("speed", [1.5, 100.0])
def test_a_file_is_never_cheapened(speed: float) -> None:
    """It comes faster than it lasts, and the machine is slower than that."""
    now = 0.0
    pace = Pace(LEVELS, 0.5, None, lambda: now)
    sent, taken = deque[float](), 0
    for _ in range(5000):
        now += BLOCK_S / speed
        sent.append(pace.arrive(BLOCK_S))
        if now > (taken + 1) * 3 * BLOCK_S:
            assert pace.take(sent.popleft(), BLOCK_S) and pace.level == 0
            taken += 1
    assert pace.is_live is False and pace.counters.most_lag_s == 0


def test_told_what_it_is() -> None:
    slow: Callable[[float, int], float] = lambda *_: 3.0  # noqa: E731
    assert Simulation(slow, live=False).run(30).pace.counters.falls == 0
    told = Simulation(slow, live=True)
    assert told.run(1.5).pace.counters.falls > 0
    assert Simulation(slow).run(JUDGED_S - 0.1).pace.counters.falls == 0


def test_a_microphone_that_is_a_little_fast_stays_live() -> None:
    now = 0.0
    pace = Pace(LEVELS, clock=lambda: now)
    for _ in range(1_000_000):
        now += BLOCK_S * 0.999
        pace.arrive(BLOCK_S)
    assert pace.is_live


@pytest.mark.parametrize(("begun_s", "live"), [(4.0, True), (None, False)])
def test_what_came_before_one_could_listen_does_not_make_a_file(
    begun_s: float | None, live: bool
) -> None:
    now = 10.0
    pace = Pace(LEVELS, clock=lambda: now, begun_s=begun_s)
    for _ in range(300):
        pace.arrive(BLOCK_S)
    assert pace.is_live is (None if live else False)
    while now < 10.1 + JUDGED_S:
        now += BLOCK_S
        pace.arrive(BLOCK_S)
    assert pace.is_live is live


def test_the_rest_is_enhanced_whatever_the_time() -> None:
    now = 0.0
    pace = Pace(LEVELS, live=True, clock=lambda: now)
    stamp = pace.arrive(1.0)
    now = 100.0
    assert pace.take(stamp, 1.0, last=True) and pace.level == 0


# The queue


def block(duration_s: float) -> np.ndarray:
    return np.zeros((round(duration_s * 1000), 1), np.float32)


def test_blocks_go_through_in_order_and_an_error_comes_last() -> None:
    arrivals = Arrivals(Pace(LEVELS), 1000)
    blocks = [np.full((10, 1), number, np.float32) for number in range(5)]

    def receive() -> None:
        for one in blocks:
            arrivals.put(one)
        arrivals.close(ValueError("broken off"))

    thread = threading.Thread(target=receive)
    thread.start()
    taken = []
    with pytest.raises(ValueError, match="broken off"):
        for one in arrivals:
            taken.append(one[0, 0])
    thread.join()
    assert taken == [0, 1, 2, 3, 4]
    arrivals.put(blocks[0])  # to no purpose, and without harm
    assert arrivals.closed


def test_a_file_is_held_up() -> None:
    arrivals = Arrivals(Pace(LEVELS, live=False), 1000)
    arrivals.put(block(ROOM_S / 2))
    assert arrivals.wait_for_room(0)
    arrivals.put(block(ROOM_S / 2))
    assert not arrivals.wait_for_room(0)
    next(iter(arrivals))
    assert arrivals.wait_for_room(0)


def test_a_microphone_is_not_and_what_is_too_old_is_left_out() -> None:
    arrivals = Arrivals(Pace(LEVELS, live=True), 1000)
    for _ in range(30):
        arrivals.put(block(0.5))
        assert arrivals.wait_for_room(0)
    assert arrivals.pace.counters.left_out_s == 15 - MOST_HELD_S


@pytest.mark.parametrize("step_s", [0.0, -0.5], ids=["still", "back"])
def test_a_clock_that_does_not_go_on_does_no_harm(step_s: float) -> None:
    readings = iter(100 + step_s * reading for reading in range(10_000))
    pace = Pace(LEVELS, 0.5, True, readings.__next__)
    assert all(pace.take(pace.arrive(BLOCK_S), BLOCK_S) for _ in range(500))
    counters = pace.counters
    assert (counters.level, counters.falls, counters.left_out_s) == ("best", 0, 0)
    assert counters[1:3] == (0, 0)
