"""Whether a live stream keeps up, and what is done if it does not.

What is behind has waited too long: for this machine, or for who reads the result. First a cheaper
mode takes over, then the input is passed on as it is, and if that does not help either (for a
reader that took a pause, and now takes no more in a second than a second of sound) sound is left
out until nothing waits. Some time after it has caught up, the stream goes back step by step.

Sound from a file has no clock: it comes faster than it lasts, whoever reads it waits for all of it,
and neither its quality nor a sample of it is given up. All here is arithmetic on times and lengths.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

ALLOWED_S = 0.5
"""How late sound may be beyond the stream's latency; as late as that latency if it is longer,
for so long may one evaluation take on a machine that keeps up."""
CAUGHT_UP_S = 0.1
"""How late sound may be when no more is left out."""
PERSISTING_S = 2.0
"""How long it may stay late before the next measure is taken."""
PATIENCE_S, MOST_PATIENCE_S = 4.0, 64.0
"""How long it has to be in time before the last measure is taken back. If that turns out too soon,
twice as long the next time."""
JUDGED_S = 5.0
"""For how long a source is watched before it is taken for live."""
AHEAD_S, AHEAD = 2.0, 0.01
"""A source that has sent more sound than time has passed, by so many seconds and by this share of
the time, does not record as it goes."""


class Counters(NamedTuple):
    """How a stream has kept up so far."""

    level: str
    """What is done now: a mode's name, or ``input`` for sound that is passed on as it is."""
    lag_s: float
    """How late sound is, beyond the latency."""
    most_lag_s: float
    """The latest that it was."""
    falls: int
    """How often a cheaper level took over."""
    seconds: dict[str, float]
    """Seconds of sound by the level that they were taken in at."""
    left_out_s: float
    """Seconds of sound that were left out."""

    def account(self) -> str:
        """What was done to keep up, in one line; empty if nothing was."""
        if not self.falls and not self.left_out_s:
            return ""
        parts = [f"{seconds:.1f} s {name}" for name, seconds in self.seconds.items() if seconds]
        if self.left_out_s:
            parts.append(f"{self.left_out_s:.1f} s left out")
        return f"to keep up: {', '.join(parts)}; at most {self.most_lag_s:.1f} s behind"


class Pace:
    """Decides, block by block, at which level a stream goes on.

    ``levels`` are names from what was asked for to what costs nothing. ``live`` says whether the
    source has a clock; None finds out. ``clock`` gives seconds, and ``begun_s`` are those at which
    the source began, if it could not be listened to at once.
    """

    def __init__(
        self,
        levels: Sequence[str],
        latency_s: float = 0.0,
        live: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
        begun_s: float | None = None,
    ) -> None:
        self.level = 0
        """Index of what is done now."""
        self.leaving_out = False
        """Whether sound is left out now."""
        self.is_live = live
        """Whether the source has a clock; None while that is not known."""
        self._told = live is not None
        self._begun_s = begun_s
        self._first_s: float | None = None
        self._arrived_s = 0.0
        self._levels = tuple(levels)
        self._allowed_s = max(ALLOWED_S, latency_s)
        self._clock = clock
        self._lag_s = self._most_lag_s = self._left_out_s = 0.0
        self._seconds = [0.0] * len(self._levels)
        self._falls = 0
        self._patience_s = PATIENCE_S
        self._risen_s = float("-inf")
        self._lag_at_fall_s = 0.0
        self._late_since_s: float | None = None
        self._timely_since_s: float | None = None

    @property
    def counters(self) -> Counters:
        """How it has gone so far."""
        return Counters(
            self._levels[self.level],
            round(self._lag_s, 3),
            round(self._most_lag_s, 3),
            self._falls,
            {name: round(s, 3) for name, s in zip(self._levels, self._seconds, strict=True)},
            round(self._left_out_s, 3),
        )

    def arrive(self, duration_s: float) -> float:
        """Note that a block has come from the source; returns when."""
        now = self._clock()
        if self._first_s is None:
            self._first_s = now
        passed_s = now - (self._first_s if self._begun_s is None else self._begun_s)
        if not self._told:
            if self._arrived_s - passed_s > AHEAD_S + AHEAD * passed_s:
                self.is_live, self._told = False, True
            elif now - self._first_s >= JUDGED_S:
                self.is_live = True
        self._arrived_s += duration_s
        return now

    def take(
        self, arrived_s: float, duration_s: float, unread_s: float = 0.0, last: bool = False
    ) -> bool:
        """Whether a block that came then is to be enhanced, at the present `level`, or left out.

        ``unread_s`` is how much of what was given out has not been taken yet. With ``last`` the
        source has ended, and nobody waits for more.
        """
        now = self._clock()
        self._lag_s = max(0.0, now - arrived_s) + unread_s
        if self.is_live and not last:
            self._most_lag_s = max(self._most_lag_s, self._lag_s)
            self._decide(now, unread_s)
            if self.leaving_out:
                self.leave_out(duration_s)
                return False
        self._seconds[self.level] += duration_s
        return True

    def leave_out(self, duration_s: float) -> None:
        """Note that sound is left out."""
        self._left_out_s += duration_s

    def _decide(self, now: float, unread_s: float) -> None:
        if self.leaving_out:
            if self._lag_s > CAUGHT_UP_S:
                return
            self.leaving_out = False
            self._late_since_s = None
        late = self._lag_s > self._allowed_s
        timely = self._lag_s <= self._allowed_s / 2
        self._late_since_s = self._since(self._late_since_s, late, now)
        self._timely_since_s = self._since(self._timely_since_s, timely, now)
        if self._late_since_s is not None:
            persists = now - self._late_since_s >= PERSISTING_S
            grows = self._lag_s > max(self._lag_at_fall_s, 2 * self._allowed_s)
            last = self.level == len(self._levels) - 1
            if persists and (last or unread_s > self._allowed_s):
                # No level makes a reader faster.
                self.leaving_out = True
            elif not last and (persists or grows or self._late_since_s == now):
                self._fall(now)
        elif self.level:
            self._rise(now)

    def _rise(self, now: float) -> None:
        if self._timely_since_s is not None and now - self._timely_since_s >= self._patience_s:
            self.level -= 1
            self._risen_s = self._timely_since_s = now

    def _fall(self, now: float) -> None:
        too_soon = now - self._risen_s < 2 * self._patience_s
        self._patience_s = min(2 * self._patience_s, MOST_PATIENCE_S) if too_soon else PATIENCE_S
        self.level += 1
        self._falls += 1
        self._late_since_s = now
        self._lag_at_fall_s = self._lag_s

    @staticmethod
    def _since(before: float | None, holds: bool, now: float) -> float | None:
        """Since when something holds; None if it does not."""
        if not holds:
            return None
        return now if before is None else before
