"""Where frames of sound belong by their time stamps, so that sound stays with its picture.

Frames follow one another without a seam while their stamps stay within `TOLERANCE_S` of where
they fall: that covers coarse stamps and the jitter of recorders, and is less than what viewers
notice between picture and sound (45 ms, ITU-R BT.1359). A stamp that is later is a gap, which
becomes silence; one that is earlier, by up to `OVERLAP_S`, is sound that was there already, and is
left out. A stamp that the next one does not bear out is an error of one stamp and is ignored. Gaps
beyond `LIMIT_S` and larger steps back are taken for a clock that was set anew; and so are gaps once
they are an hour together and `MOST_SILENCE_RATIO` times the sound, for a few bytes of stamps could
otherwise stand for years.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

TOLERANCE_S = 0.04
OVERLAP_S = 1.0
LIMIT_S = 600.0
MOST_SILENCE_S = 3600.0
MOST_SILENCE_RATIO = 100.0


class Frame(NamedTuple):
    """Some sound with its time stamp."""

    stamp_s: float | None
    """None if it has none: it follows what was before."""
    duration_s: float
    lost_s: float
    """How much before it is known to be lost; 0 if nothing is."""
    sound: Any


class Placed(NamedTuple):
    """Some sound, and what is to be done before it."""

    shift_s: float
    """Seconds of silence before it; if negative, seconds at its beginning that are left out."""
    sound: Any


@dataclass
class Timeline:
    """Places frames, and keeps count of what it met."""

    tick_s: float
    """The grain of the time stamps."""
    position_s: float = 0.0
    """Where the next frame falls."""
    gaps: list[tuple[float, float]] = field(default_factory=list)
    """Start and length of each gap in seconds."""
    overlaps: list[tuple[float, float]] = field(default_factory=list)
    jumps: list[tuple[float, float]] = field(default_factory=list)
    """Steps of the clock that were not followed."""
    _offset_s: float | None = None
    _silence_s: float = 0.0
    """In all gaps."""
    _sound_s: float = 0.0

    def place(self, frames: Iterable[Frame]) -> Iterator[Placed]:
        """Each frame, in order; one whose stamp is off waits for the next."""
        held: Frame | None = None
        for frame in frames:
            if held is not None:
                yield self._settled(held, self._borne_out(held, frame))
                held = None
            off_s = self._off_s(frame)
            if frame.lost_s and frame.stamp_s is None:
                yield self._placed(frame, frame.lost_s)
            elif frame.lost_s and 0 < off_s <= frame.lost_s + self._tolerance_s:
                yield self._placed(frame, off_s)
            elif abs(off_s) <= self._tolerance_s:
                yield self._placed(frame, 0.0)
            else:
                held = frame
        if held is not None:
            yield self._settled(held, True)

    @property
    def _tolerance_s(self) -> float:
        return TOLERANCE_S + 2 * self.tick_s

    def _off_s(self, frame: Frame) -> float:
        if frame.stamp_s is None:
            return 0.0
        if self._offset_s is None:
            self._offset_s = frame.stamp_s - self.position_s
        return frame.stamp_s - self._offset_s - self.position_s

    def _borne_out(self, frame: Frame, following: Frame) -> bool:
        if frame.stamp_s is None or following.stamp_s is None:
            return True
        step_s = following.stamp_s - frame.stamp_s - frame.duration_s
        # After a gap there may be another, but the clock does not go back.
        return abs(step_s) <= self._tolerance_s or (step_s > 0 and self._off_s(frame) > 0)

    def _settled(self, frame: Frame, believed: bool) -> Placed:
        off_s = self._off_s(frame)
        if believed and -OVERLAP_S <= off_s <= LIMIT_S:
            return self._placed(frame, off_s)
        if believed and self._offset_s is not None:
            self._offset_s += off_s
        self.jumps.append((self.position_s, off_s))
        return self._placed(frame, 0.0)

    def _placed(self, frame: Frame, shift_s: float) -> Placed:
        shift_s = max(shift_s, -frame.duration_s)
        if self._silence_s + shift_s > MOST_SILENCE_S + MOST_SILENCE_RATIO * self._sound_s:
            self.jumps.append((self.position_s, shift_s))
            if self._offset_s is not None:
                self._offset_s += shift_s
            shift_s = 0.0
        self._silence_s += max(shift_s, 0.0)
        self._sound_s += frame.duration_s
        if shift_s > 0:
            self.gaps.append((self.position_s, shift_s))
        elif shift_s < 0:
            again = bool(self.overlaps) and self.overlaps[-1][0] == self.position_s
            before_s = self.overlaps.pop()[1] if again else 0.0
            self.overlaps.append((self.position_s, before_s - shift_s))
        self.position_s += shift_s + frame.duration_s
        return Placed(shift_s, frame.sound)

    def remarks(self, shift_s: float = 0.0) -> list[str]:
        """What a user should know, in words behind the file's name; times are shifted."""
        gaps, overlaps, jumps = (
            _summary(places, shift_s) for places in (self.gaps, self.overlaps, self.jumps)
        )
        lines = []
        if gaps:
            lines.append(f"has gaps in its sound ({gaps}), where silence is put")
        if overlaps:
            lines.append(f"has sound that overlaps what is before it ({overlaps}); it is left out")
        if jumps:
            lines.append(f"has time stamps that jump ({jumps}) and are not followed")
        return lines


def _summary(places: list[tuple[float, float]], shift_s: float) -> str:
    if not places:
        return ""
    total_s = sum(abs(length_s) for _, length_s in places)
    times = "once" if len(places) == 1 else f"{len(places)} times"
    return f"{times}, {total_s:.2f} s together, first at {places[0][0] + shift_s:.2f} s"
