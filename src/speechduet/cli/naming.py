"""Under which name each result is written.

The rule. A result has its source's name with the suffix of its format: ``a.mp4`` becomes
``a.wav``. If that is the name of another recording's result too (of ``a.wav``, ``a.m4a``, ...), one
of them keeps it, and each other has its whole name before the suffix: ``a.mp4.wav``. The one is
whose result is there already; else the one that is of the format anyway; else the first by name.
So a recording that is added later takes a new name and leaves the old ones as they are.

Beside its source a result always has the whole name, ``a.mp4.wav``: there nothing else would
tell results from recordings.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from speechduet.audio import READABLE_SUFFIXES, WRITABLE_SUFFIXES, writable_suffix
from speechduet.audio.folders import is_recording, is_there, resolved

Found = Mapping[Path, Path]
"""Sources, with their places in the folder of results."""


@dataclass(frozen=True)
class Naming:
    """Names of results in a folder of results, and of one suffix if one is given."""

    out: Path
    suffix: str | None = None

    def targets(self, found: Found) -> list[Path]:
        """Where the result of each source goes."""
        candidates = [self._candidate(source, place) for source, place in found.items()]
        # All that lie beside it, not only those that are asked for: a name depends on no choice.
        neighbours = {
            self._candidate(other, place / other.name)
            for folder, place in {(one.source.parent, one.place.parent) for one in candidates}
            for other in _recordings_in(folder)
        }
        beside: dict[tuple[Path, Path], set[_Candidate]] = {}
        for one in neighbours:
            beside.setdefault((one.source.parent, one.plain), set()).add(one)
        elsewhere: dict[Path, set[_Candidate]] = {}
        for one in candidates:
            elsewhere.setdefault(one.plain, {one}).add(one)
        return [
            self._chosen(
                one, elsewhere[one.plain] | beside.get((one.source.parent, one.plain), set())
            )
            for one in candidates
        ]

    def without_results(self, named: Found, searched: Found) -> Found:
        """Those of the searched files that are not the results of others.

        In a folder that is the folder of results too, these are files with the name that another
        file's result would have: ``x.mp4.wav`` beside ``x.mp4``, whatever the format is now.
        """
        given = {**named, **searched}
        own = {path: self._candidate(path, place) for path, place in searched.items()}
        among = {path: one for path, one in own.items() if one.beside_source}
        if not among:
            return searched
        others: dict[Path, set[Path]] = {}
        for path, place in given.items():
            one = self._candidate(path, place)
            for result in (one.whole,) if one.beside_source else (one.plain, one.whole):
                others.setdefault(resolved(result), set()).add(path)
        return {
            path: place
            for path, place in searched.items()
            if path not in among
            or not (_is_whole_name(path) or others.get(resolved(path), set()) - {path})
        }

    def _chosen(self, candidate: "_Candidate", rivals: set["_Candidate"]) -> Path:
        if candidate.beside_source:
            return candidate.plain if candidate.keeps_format else candidate.whole
        if any(rival.place == candidate.place for rival in rivals - {candidate}):
            return candidate.plain  # Of two folders: no name would tell them apart.
        if candidate.keeps_format and len(rivals) == 1:
            return candidate.plain
        open_to = [rival for rival in rivals if not is_there(rival.whole)]
        if candidate not in open_to:
            return candidate.whole
        # A recording that is younger than the result is not what that was made of.
        elders = [rival for rival in open_to if _older(rival.source, rival.plain)]
        first = min(elders or open_to, key=lambda rival: rival.precedence)
        return candidate.plain if first == candidate else candidate.whole

    def _candidate(self, source: Path, place: Path) -> "_Candidate":
        suffix = self.suffix or writable_suffix(place)
        return _Candidate(source, place, self.out, suffix)


@dataclass(frozen=True)
class _Candidate:
    """The names that a result may have."""

    source: Path
    place: Path
    out: Path
    suffix: str

    @cached_property
    def beside_source(self) -> bool:
        """Whether the result lies in its source's own folder."""
        return resolved((self.out / self.place).parent) == resolved(self.source.parent)

    @property
    def keeps_format(self) -> bool:
        return self.source.suffix.lower() == self.suffix

    @cached_property
    def plain(self) -> Path:
        known = self.place.suffix.lower() in READABLE_SUFFIXES
        stem = self.place.stem if known else self.place.name
        return self.out / self.place.with_name(stem + self.suffix)

    @cached_property
    def whole(self) -> Path:
        name = self.place.name + self.suffix
        # Somebody may have a recording a.mp4.wav, whose own result that is.
        while not self.beside_source and is_recording(self.source.with_name(name)):
            name += self.suffix
        return self.out / self.place.with_name(name)

    @property
    def precedence(self) -> tuple[bool, bool, str]:
        return (not self.keeps_format, self.source.name != self.plain.name, self.source.name)


def _is_whole_name(path: Path) -> bool:
    """Whether this is ``x.mp4.wav`` with a recording ``x.mp4`` beside it."""
    return path.suffix.lower() in WRITABLE_SUFFIXES and is_recording(path.with_name(path.stem))


def _recordings_in(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [path for path in folder.iterdir() if is_recording(path)]
    return []


def _older(source: Path, result: Path) -> bool:
    """Whether a source was there, under its name, before a result; the result may be none."""
    with suppress(OSError):
        # Not the time of the sound: a copy may have kept that of its original.
        return source.stat().st_ctime_ns <= result.stat().st_mtime_ns
    return False
