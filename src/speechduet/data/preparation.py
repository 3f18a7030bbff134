"""A data set on disk: checked pairs at one sample rate, with manifests and checksums.

A set is a folder with ``SPLIT/clean/NAME.wav``, ``SPLIT/noisy/NAME.wav`` and
``SPLIT/manifest.csv``, all of them listed in ``SHA256SUMS``; the split may be absent.
"""

import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from speechduet import audio
from speechduet.data.clip import Clip
from speechduet.data.mono import RESAMPLING
from speechduet.data.pairs import ClipPair, check
from speechduet.data.sources import Made
from speechduet.errors import AudioError, FileError, SettingError, SpeechduetError
from speechduet.files.atomic import LONGEST_NAME, replacing_together, write_bytes
from speechduet.files.partial import remove_leftovers

CHECKSUMS = "SHA256SUMS"
_SETTINGS = "preparation.json"


class Task(NamedTuple):
    """A pair to make: under which name, how, and what the manifest says of it."""

    name: str
    make: Callable[[], Made]
    split: str = ""
    details: Mapping[str, str] = {}


class Prepared(NamedTuple):
    """A pair on disk; the paths are relative to the set's folder, the checksums are SHA-256."""

    task: Task
    samples: int
    checksums: Mapping[Path, str]
    note: str = ""
    """What a user should know of it, if it was made in this run."""


class FailedTask(NamedTuple):
    """A pair that could not be made, and why."""

    name: str
    error: str


def prepare(
    tasks: Sequence[Task],
    folder: Path,
    sample_rate: int,
    settings: Mapping[str, Any],
    workers: int = 1,
) -> Iterator[Prepared | FailedTask]:
    """Make all pairs that are not there yet, in order; what is there and whole is kept.

    Raises SettingError, before anything is made, if the folder holds a set of other settings.
    """
    _claim(folder, {**settings, "sample_rate": sample_rate, "resampling": f"soxr {RESAMPLING}"})
    known = _read_checksums(folder / CHECKSUMS)
    with ThreadPoolExecutor(workers) as executor:
        attempts = [executor.submit(_attempt, task, folder, sample_rate, known) for task in tasks]
        try:
            for task, attempt in zip(tasks, attempts, strict=True):
                yield _outcome(task, attempt)
        finally:
            executor.shutdown(cancel_futures=True)


def _outcome(task: Task, attempt: Future[Prepared]) -> Prepared | FailedTask:
    """A pair or its failure; raises what concerns all pairs: wrong settings, interruptions."""
    error = attempt.exception()
    if error is None:
        return attempt.result()
    if isinstance(error, SettingError) or not isinstance(error, Exception):
        raise error
    known = isinstance(error, SpeechduetError)
    place = (Path(task.split) / task.name).as_posix()
    return FailedTask(place, str(error) if known else f"{type(error).__name__}: {error}")


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
        remove_leftovers(folder / place)
    for split, pairs in splits.items():
        manifest = Path(split) / "manifest.csv"
        write_bytes(folder / manifest, os.fsencode(_manifest(pairs, split)))
        checksums[manifest] = _checksum(folder / manifest)
    lines = [_checksum_line(checksums[path], path) for path in sorted(checksums)]
    write_bytes(folder / CHECKSUMS, os.fsencode("".join(lines)))


def _attempt(task: Task, folder: Path, sample_rate: int, known: Mapping[Path, str]) -> Prepared:
    clean, noisy = (
        Path(task.split) / role / file_name(task.name, ".wav") for role in ("clean", "noisy")
    )
    pair = ClipPair(task.name, Clip(folder / clean), Clip(folder / noisy))
    note = ""
    checksums = _kept(pair, (clean, noisy), folder, sample_rate, known)
    if checksums is None:
        made = task.make()
        with replacing_together([folder / clean, folder / noisy], AudioError) as partials:
            roles = zip((clean, noisy), (made.clean, made.noisy), partials, strict=True)
            for path, samples, partial in roles:
                audio.write(folder / path, samples, sample_rate, made.subtype, partial=partial)
        checksums = {path: _checksum(folder / path) for path in (clean, noisy)}
        note = made.note
    return Prepared(task, check(pair, sample_rate), checksums, note)


def file_name(name: str, suffix: str) -> Path:
    """A path of this name; if it is longer than file systems take, its end becomes a checksum."""
    path = Path(name)
    raw = os.fsencode(path.name)
    if len(raw) + len(suffix) > LONGEST_NAME:
        mark = f"~{hashlib.sha256(raw).hexdigest()[:8]}"
        kept = raw[: LONGEST_NAME - len(suffix) - len(mark)]
        # Not half a letter at the end.
        short = kept.decode(errors="ignore") if _is_utf8(raw) else os.fsdecode(kept)
        path = path.with_name(short + mark)
    return path.with_name(path.name + suffix)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _kept(
    pair: ClipPair,
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
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else None
    except (OSError, ValueError) as error:
        raise FileError(f"cannot read {path}: {error}", remedy="give a new folder") from error
    if before is None:
        write_bytes(path, text.encode())
    elif before != text:
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
    known = {}
    for line in os.fsdecode(path.read_bytes()).split("\n"):
        checksum, _, name = line.removeprefix("\\").partition("  ")
        if line.startswith("\\"):
            name = re.sub(r"\\[\\nr]", lambda found: _UNESCAPED[found[0]], name)
        if name:
            known[Path(name)] = checksum
    return known


_UNESCAPED = {r"\\": "\\", r"\n": "\n", r"\r": "\r"}


def _checksum_line(checksum: str, path: Path) -> str:
    """As ``sha256sum`` writes it: a line that begins with a backslash has some in its name."""
    name = path.as_posix()
    escaped = name
    for plain, sign in (("\\", r"\\"), ("\n", r"\n"), ("\r", r"\r")):
        escaped = escaped.replace(plain, sign)
    return f"{'' if escaped == name else chr(92)}{checksum}  {escaped}\n"


def _checksum(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise AudioError(f"cannot read {path} ({error.strerror})") from error
