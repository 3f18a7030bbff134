"""What was measured, as tables and as plain values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from speechduet.bench.machine import Peak
from speechduet.bench.memory import Memory
from speechduet.bench.request import Request
from speechduet.bench.timing import Spread, times_as_fast

PATHS = ("model", "recipe", "sgmse")
SMALL = 0.005
"""Kinds of operations with a smaller share are left out of the table."""


@dataclass(frozen=True)
class Measured:
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
class Report:
    """All that was measured; the first candidate is what was asked for."""

    request: Request
    version: str
    commit: str | None
    day: str
    machine: Mapping[str, Any]
    candidates: Mapping[str, Measured]

    def ratios(self) -> dict[str, Spread]:
        """How many times as fast as each other candidate the first is."""
        first, *others = self.candidates.items()
        return {name: times_as_fast(first[1].seconds, told.seconds) for name, told in others}

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
            "contestants": {name: told.to_json() for name, told in self.candidates.items()},
        }

    def to_markdown(self) -> str:
        """A heading and tables for a terminal."""
        told, request = next(iter(self.candidates.values())), self.request
        machine = f"{self.machine.get('gpu', self.machine['processor'])}"
        lines = [
            f"One {request.work} of {self._subject()}: {told.audio_s:.2f} s of audio in "
            f"{told.examples} example{'s' if told.examples > 1 else ''}.",
            f"{machine}, {self.machine['threads']} threads, torch {self.machine['torch']}; "
            f"speechduet {self.version}{f', commit {self.commit}' if self.commit else ''}.",
            *(
                ["Each code with the allocator's settings of its own programs."]
                * request.as_shipped
            ),
            "",
            *self._speeds(),
        ]
        if len(self.candidates) > 1:
            lines += ["", *self._comparison()]
        return "\n".join([*lines, "", *self._kinds()]) + "\n"

    def _subject(self) -> str:
        request = self.request
        if request.recipe:
            return request.recipe.name
        return request.network or request.model or ("sgmse_plus" if request.sgmse else "the model")

    def _speeds(self) -> list[str]:
        training = self.request.train
        header = (
            *("", f"s, median of {len(next(iter(self.candidates.values())).seconds)} (range)"),
            *("examples/s" if training else "real-time factor", "GMAC", "GFLOP/s"),
            *("of convolution peak", "of its products alone", "peak memory (MB)"),
        )
        rows = []
        for name, told in self.candidates.items():
            spread, peak, floor_s = told.spread, told.peak, told.floor_s
            speed = told.examples / spread.median if training else spread.median / told.audio_s
            rows.append(
                (
                    *(name, f"{spread.median:.3g} ({spread.least:.3g}–{spread.greatest:.3g})"),
                    *(f"{speed:.3g}", f"{told.macs / 1e9:.4g}", f"{told.gflops:.0f}"),
                    f"{told.gflops / peak.convolution:.0%} of {peak.convolution:.0f}"
                    if peak
                    else "–",
                    f"{floor_s / spread.median:.0%} ({floor_s:.3g} s)" if floor_s else "–",
                    f"{told.memory.peak / 1e6:.0f}" if told.memory else "–",
                )
            )
        return _table(header, rows)

    def _comparison(self) -> list[str]:
        first = next(iter(self.candidates))
        return _table(
            (f"{first}, against", "times as fast (range of rounds)", "difference of results"),
            (
                (
                    name,
                    f"{ratio.median:.2f} ({ratio.least:.2f}–{ratio.greatest:.2f})",
                    f"{self.candidates[name].difference:.1e}",
                )
                for name, ratio in self.ratios().items()
            ),
        )

    def _kinds(self) -> list[str]:
        seen = {name: told for name, told in self.candidates.items() if told.shares}
        everyone = seen.values()
        kinds = dict.fromkeys(kind for told in everyone for kind in told.shares)
        return _table(
            ("share of operations' time", *seen),
            (
                (kind, *(f"{told.shares.get(kind, 0):.1%}" for told in everyone))
                for kind in kinds
                if any(told.shares.get(kind, 0) >= SMALL for told in everyone)
            ),
        )


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    return [lines[0], "|---" * len(header) + "|", *lines[1:]]
