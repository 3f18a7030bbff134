"""A data set on disk: checked pairs at one sample rate, with manifests and checksums.

A set is a folder with ``SPLIT/clean/NAME.wav``, ``SPLIT/noisy/NAME.wav`` and
``SPLIT/manifest.csv``, all of them listed in ``SHA256SUMS``; the split may be absent.
"""

import csv
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import as_file
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile
from zipfile import Path as Member

import numpy as np
import soxr

from speechduet import audio
from speechduet.data.clip import Clip
from speechduet.data.pairs import Pair, check
from speechduet.data.recordings import Samples
from speechduet.errors import AudioError, SettingError

RESAMPLING = "VHQ"
"""soxr's quality, one for all sets: numbers on sets resampled otherwise do not compare."""

Source = Path | Member
"""A file, or a member of a zip archive."""

CHECKSUMS = "SHA256SUMS"
_SETTINGS = "preparation.json"


class Task(NamedTuple):
    """A pair to make: under which name, how, and what the manifest says of it."""

    name: str
    make: Callable[[], tuple[Samples, Samples]]
    split: str = ""
    details: Mapping[str, str] = {}


class Prepared(NamedTuple):
    """A pair on disk; the paths are relative to the set's folder, the checksums are SHA-256."""

    task: Task
    samples: int
    checksums: Mapping[Path, str]


class Failure(NamedTuple):
    """A pair that could not be made, and why."""

    name: str
    error: str


def prepare(
    tasks: Sequence[Task],
    folder: Path,
    sample_rate: int,
    settings: Mapping[str, Any],
    workers: int = 1,
) -> Iterator[Prepared | Failure]:
    """Make all pairs that are not there yet, in order; what is there and whole is kept.

    Raises SettingError, before anything is made, if the folder holds a set of other settings.
    """
    _claim(folder, {**settings, "sample_rate": sample_rate, "resampling": f"soxr {RESAMPLING}"})
    known = _read_checksums(folder / CHECKSUMS)
    with ThreadPoolExecutor(workers) as executor:
        try:
            yield from executor.map(lambda task: _attempt(task, folder, sample_rate, known), tasks)
        finally:
            executor.shutdown(cancel_futures=True)


def finish(folder: Path, prepared: Iterable[Prepared]) -> None:
    """Write the manifest of each split and the checksums of everything.

    What runs that were killed left half-written is removed.
    """
    splits: dict[str, list[Prepared]] = {}
    checksums: dict[Path, str] = {}
    for pair in prepared:
        splits.setdefault(pair.task.split, []).append(pair)
        checksums |= pair.checksums
    for place in {path.parent for path in checksums}:
        for leftover in (folder / place).glob(".*.partial"):
            leftover.unlink()
    for split, pairs in splits.items():
        manifest = Path(split) / "manifest.csv"
        write_bytes(folder / manifest, _manifest(pairs, split).encode())
        checksums[manifest] = _checksum(folder / manifest)
    lines = [f"{checksums[path]}  {path.as_posix()}\n" for path in sorted(checksums)]
    write_bytes(folder / CHECKSUMS, "".join(lines).encode())


def read(source: Source, sample_rate: int) -> Samples:
    """The first channel of a recording at a sample rate."""
    samples, rate = _read(source)
    return _resampled(samples, rate, sample_rate)


def read_pair(clean: Source, noisy: Source, sample_rate: int) -> tuple[Samples, Samples]:
    """Two recordings at a sample rate. Raises AudioError unless they are of one length and rate."""
    (clean_samples, rate), (noisy_samples, noisy_rate) = _read(clean), _read(noisy)
    if rate != noisy_rate:
        raise AudioError(f"{clean} has {rate} Hz and {noisy} {noisy_rate} Hz", "one sample rate")
    if len(clean_samples) != len(noisy_samples):
        raise AudioError(
            f"{clean} has {len(clean_samples)} samples and {noisy} {len(noisy_samples)}",
            "one length",
        )
    return (
        _resampled(clean_samples, rate, sample_rate),
        _resampled(noisy_samples, rate, sample_rate),
    )


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that appears under its name only when complete."""
    with audio.replacing(path) as partial:
        try:
            partial.write_bytes(content)
        except OSError as error:
            raise AudioError(f"cannot write {path}: {error.strerror}") from error


def _read(source: Source) -> tuple[Samples, int]:
    try:
        with as_file(source) as path:
            try:
                channels, rate = audio.read(path)
            except AudioError as error:
                # A member of an archive was unpacked under a name that tells nobody anything.
                raise AudioError(str(error).replace(str(path), str(source))) from error
    except (BadZipFile, EOFError, zlib.error) as error:
        raise AudioError(
            f"{source} is damaged ({error})", remedy="fetch the archive again"
        ) from error
    except OSError as error:
        raise AudioError(f"cannot unpack {source} ({error.strerror})") from error
    if not np.isfinite(channels[0]).all():
        raise AudioError(f"{source} holds NaN or infinite samples", "finite ones")
    return channels[0], rate


def _resampled(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    if from_rate == to_rate:
        return samples
    resampled: Samples = soxr.resample(samples, from_rate, to_rate, RESAMPLING)
    return resampled


def _attempt(
    task: Task, folder: Path, sample_rate: int, known: Mapping[Path, str]
) -> Prepared | Failure:
    clean, noisy = (Path(task.split) / role / f"{task.name}.wav" for role in ("clean", "noisy"))
    pair = Pair(task.name, Clip(folder / clean), Clip(folder / noisy))
    try:
        checksums = _kept(pair, (clean, noisy), folder, sample_rate, known)
        if checksums is None:
            for path, samples in zip((clean, noisy), task.make(), strict=True):
                audio.write(folder / path, samples, sample_rate)
            checksums = {path: _checksum(folder / path) for path in (clean, noisy)}
        return Prepared(task, check(pair, sample_rate), checksums)
    except AudioError as error:
        return Failure((Path(task.split) / task.name).as_posix(), str(error))


def _kept(
    pair: Pair,
    paths: Iterable[Path],
    folder: Path,
    sample_rate: int,
    known: Mapping[Path, str],
) -> dict[Path, str] | None:
    """The checksums of a pair that is there and whole; None for one that is to be made."""
    try:
        check(pair, sample_rate)
    except AudioError:
        return None
    checksums = {path: _checksum(folder / path) for path in paths}
    whole = all(known.get(path, checksum) == checksum for path, checksum in checksums.items())
    return checksums if whole else None


def _claim(folder: Path, settings: Mapping[str, Any]) -> None:
    path = folder / _SETTINGS
    text = json.dumps(settings, indent=1) + "\n"
    if not path.exists():
        write_bytes(path, text.encode())
    elif path.read_text(encoding="utf-8") != text:
        raise SettingError(
            f"{folder} holds a set made with other settings (see {_SETTINGS} there)",
            "a new folder",
        )


def _manifest(pairs: Iterable[Prepared], split: str) -> str:
    rows = []
    for pair in pairs:
        clean, noisy = (path.relative_to(split).as_posix() for path in pair.checksums)
        rows.append({"clean": clean, "noisy": noisy, "samples": pair.samples, **pair.task.details})
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _read_checksums(path: Path) -> dict[Path, str]:
    if not path.exists():
        return {}
    lines = (line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines())
    return {Path(line[1]): line[0] for line in lines if len(line) == 2}


def _checksum(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise AudioError(f"cannot read {path} ({error.strerror})") from error
