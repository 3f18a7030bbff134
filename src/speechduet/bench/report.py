"""What was measured, as tables and as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from speechduet.bench.machine import Peak
from speechduet.bench.memory import Memory
from speechduet.bench.request import Request
from speechduet.evaluation.tables import Table

PATHS = ("model", "recipe", "sgmse")
SMALL = 0.005
"""Kinds of operations with a smaller share are left out of the table."""


class Spread(NamedTuple):
    """The median of some numbers, with the least and the greatest."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Spread":
        """Of at least one number."""
        return cls(median(numbers), min(numbers), max(numbers))


def times_as_fast(seconds: Sequence[float], other: Sequence[float]) -> Spread:
    """How many times as fast the first is, by the rounds in which both ran."""
    return Spread.of([theirs / ours for ours, theirs in zip(seconds, other, strict=True)])


@dataclass(frozen=True)
class Performance:
    """What one candidate takes for one run."""

    macs: int
    """Multiplications, each with its addition, in convolutions, matrix products and attention."""
    audio_s: float
    examples: int
    seconds: Sequence[float]
    """Of each timed run."""
    difference: float
    """Of its result from the first candidate's, relative to the greatest magnitude."""
    shares: Mapping[str, float]
    """Of the operations' time, by kind; empty for a backend that shows no operations."""
    floor_s: float | None
    """What the dense convolutions and matrix products of speechduet take alone in PyTorch at this
    precision; None if PyTorch did not run in it."""
    peak: Peak | None
    """The machine's, at this precision; None for int8."""
    memory: Memory | None

    @property
    def spread(self) -> Spread:
        """Seconds of a run."""
        return Spread.of(self.seconds)

    @property
    def gflops(self) -> float:
        """Operations per second of a run, in GFLOP/s."""
        return 2 * self.macs / self.spread.median / 1e9

    def to_json(self) -> dict[str, Any]:
        """Plain values, with what follows from them."""
        return asdict(self) | {
            "peak": self.peak and self.peak._asdict(),
            "memory": self.memory and self.memory._asdict(),
            "seconds_median": self.spread.median,
            "gflops": self.gflops,
            "share_of_convolution_peak": self.peak and self.gflops / self.peak.convolution,
            "share_of_floor": self.floor_s and self.floor_s / self.spread.median,
            "examples_per_s": self.examples / self.spread.median,
            "real_time_factor": self.spread.median / self.audio_s,
        }


@dataclass(frozen=True)
class Record:
    """All that was measured; the first candidate is what was asked for."""

    request: Request
    version: str
    commit: str | None
    day: str
    machine: Mapping[str, Any]
    candidates: Mapping[str, Performance]

    def ratios(self) -> dict[str, Spread]:
        """How many times as fast as each other candidate the first is."""
        (_, first), *others = self.candidates.items()
        return {name: times_as_fast(first.seconds, other.seconds) for name, other in others}

    def to_json(self) -> dict[str, Any]:
        """Plain values, to be kept; of the path of something, its last part."""
        asked = {
            key: Path(value).name if key in PATHS and value and Path(value).exists() else value
            for key, value in asdict(self.request).items()
        }
        return {
            "speechduet": self.version,
            "commit": self.commit,
            "day": self.day,
            "machine": dict(self.machine),
            "request": asked | {"work": self.request.work},
            "times_as_fast_as": {name: spread._asdict() for name, spread in self.ratios().items()},
            "contestants": {name: one.to_json() for name, one in self.candidates.items()},
        }

    def to_markdown(self) -> str:
        """A heading and tables for a terminal."""
        first, request = next(iter(self.candidates.values())), self.request
        machine = self.machine.get("gpu", self.machine["processor"])
        own_allocators = "Each code with the allocator's settings of its own programs."
        lines = [
            f"One {request.work} of {self._subject()}: {first.audio_s:.2f} s of audio in "
            f"{first.examples} example{'s' if first.examples > 1 else ''}.",
            f"{machine}, {self.machine['threads']} threads, torch {self.machine['torch']}; "
            f"speechduet {self.version}{f', commit {self.commit}' if self.commit else ''}.",
            *([own_allocators] if request.as_shipped else []),
        ]
        tables = [self._speeds(), self._kinds()]
        if len(self.candidates) > 1:
            tables.insert(1, self._comparison())
        return "\n".join(["\n".join(lines) + "\n", *(table.to_markdown() for table in tables)])

    def _subject(self) -> str:
        request = self.request
        if request.recipe:
            return request.recipe.name
        return request.network or request.model or ("sgmse_plus" if request.sgmse else "the model")

    def _speeds(self) -> Table:
        training = self.request.train
        repeats = len(next(iter(self.candidates.values())).seconds)
        header = (
            *("", f"s, median of {repeats} (range)"),
            *("examples/s" if training else "real-time factor", "GMAC", "GFLOP/s"),
            *("of convolution peak", "of its products alone", "peak memory (MB)"),
        )
        rows = []
        for name, one in self.candidates.items():
            spread, peak, floor_s = one.spread, one.peak, one.floor_s
            speed = one.examples / spread.median if training else spread.median / one.audio_s
            share = f"{one.gflops / peak.convolution:.0%} of {peak.convolution:.0f}" if peak else ""
            alone = f"{floor_s / spread.median:.0%} ({floor_s:.3g} s)" if floor_s else ""
            memory = f"{one.memory.peak / 1e6:.0f}" if one.memory else ""
            times = f"{spread.median:.3g} ({spread.least:.3g}–{spread.greatest:.3g})"
            amounts = f"{speed:.3g}", f"{one.macs / 1e9:.4g}", f"{one.gflops:.0f}"
            rows.append((name, times, *amounts, share or "–", alone or "–", memory or "–"))
        return Table(header, rows)

    def _comparison(self) -> Table:
        first = next(iter(self.candidates))
        rows = [
            (
                name,
                f"{ratio.median:.2f} ({ratio.least:.2f}–{ratio.greatest:.2f})",
                f"{self.candidates[name].difference:.1e}",
            )
            for name, ratio in self.ratios().items()
        ]
        header = (f"{first}, against", "times as fast (range of rounds)", "difference of results")
        return Table(header, rows)

    def _kinds(self) -> Table:
        shares = {name: one.shares for name, one in self.candidates.items() if one.shares}
        rows = []
        for kind in dict.fromkeys(kind for known in shares.values() for kind in known):
            row = [known.get(kind, 0) for known in shares.values()]
            if max(row) >= SMALL:
                rows.append((kind, *(f"{share:.1%}" for share in row)))
        return Table(("share of operations' time", *shares), rows)
