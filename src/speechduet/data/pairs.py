"""Pairs of a clean and a noisy recording: where they are found, and whether they fit."""

import csv
import io
import json
import os
import tarfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from speechduet.audio import READABLE_SUFFIXES
from speechduet.audio.folders import find_recordings, is_there, looked_for
from speechduet.data.clip import Clip, Shape
from speechduet.errors import AudioError, SettingError
from speechduet.files.bounded import BoundedFile
from speechduet.files.text import read_text

_COLUMNS = ("clean", "noisy")
_MOST_HEADER_BYTES = 1 << 20


class ClipPair(NamedTuple):
    """Two recordings of the same speech."""

    name: str
    clean: Clip
    noisy: Clip


def find_pairs(source: Path) -> list[ClipPair]:
    """All pairs of a place, in the order of their names (of a manifest: of its lines).

    It is a manifest (.csv or .jsonl), a WebDataset shard (.tar), or a folder that holds the
    folders ``clean`` and ``noisy``, or the Kaldi lists ``clean.scp`` and ``noisy.scp``, or
    shards. Raises SettingError if it is none of these, AudioError if it holds no whole pairs.
    """
    if source.suffix.lower() in (".csv", ".jsonl"):
        return from_manifest(source)
    if source.suffix.lower() == ".tar":
        return from_shards([source])
    if (source / "clean").is_dir() and (source / "noisy").is_dir():
        return from_folders(source / "clean", source / "noisy")
    if (source / "clean.scp").is_file() and (source / "noisy.scp").is_file():
        return from_kaldi(source / "clean.scp", source / "noisy.scp")
    if shards := _shards(source):
        return from_shards(shards)
    raise SettingError(
        f"no pairs in {source}" if is_there(source) else f"{looked_for(source)} is not there",
        "a .csv or .jsonl manifest, .tar shards, or a folder with clean and noisy, or with "
        "clean.scp and noisy.scp",
    )


def from_folders(clean: Path, noisy: Path) -> list[ClipPair]:
    """Recordings of two folders with the same path in them but for the suffix."""
    found = [_by_name(folder) for folder in (clean, noisy)]
    return _matched(found[0], found[1], str(clean), str(noisy))


def from_manifest(path: Path) -> list[ClipPair]:
    """Lines with the columns (CSV) or keys (JSONL) ``clean`` and ``noisy``.

    They are paths, relative to the manifest's folder; other columns are ignored.
    """
    pairs = []
    for number, row in _rows(path, read_text(path, "a manifest")):
        if not all(isinstance(row.get(column), str) and row[column] for column in _COLUMNS):
            found = ", ".join(str(key) for key, value in row.items() if value) or "nothing"
            raise SettingError(f"line {number} of {path} has {found}", "columns clean and noisy")
        try:
            clean, noisy = (path.parent / _checked(str(row[column])) for column in _COLUMNS)
        except ValueError as error:
            raise SettingError(f"line {number} of {path} names no file ({error})") from None
        pairs.append(ClipPair(str(row["clean"]), Clip(clean), Clip(noisy)))
    if not pairs:
        raise AudioError(f"{path} lists no pairs", "at least one")
    return pairs


def from_kaldi(clean: Path, noisy: Path) -> list[ClipPair]:
    """Two lists of ``utterance path`` that name the same utterances."""
    return _matched(_kaldi_list(clean), _kaldi_list(noisy), str(clean), str(noisy))


def from_shards(shards: Iterable[Path]) -> list[ClipPair]:
    """WebDataset shards whose samples have ``NAME.clean.SUFFIX`` and ``NAME.noisy.SUFFIX``.

    Shards are not streamed: an index of their members allows any to be read at any time.
    """
    found: dict[str, dict[str, Clip]] = {"clean": {}, "noisy": {}}
    paths = list(shards)
    for path in paths:
        try:
            # Only headers are read: no whole members, whatever they declare.
            with (
                BoundedFile(path, _MOST_HEADER_BYTES) as file,
                tarfile.open(fileobj=file, mode="r:") as shard,
            ):
                members = [member for member in shard if _is_file(member)]
        except (OSError, ValueError, ArithmeticError, tarfile.TarError) as error:
            raise AudioError(f"cannot read {path} ({error})", "an uncompressed tar file") from error
        for member in members:
            folder, _, base = member.name.rpartition("/")
            name, _, kind = base.partition(".")
            role, _, suffix = kind.partition(".")
            if role in found and name and f".{suffix.lower()}" in READABLE_SUFFIXES:
                key = f"{path.name}:{folder}/{name}" if folder else f"{path.name}:{name}"
                found[role][key] = Clip(path, member.offset_data, member.size)
    place = str(paths[0]) if len(paths) == 1 else str(paths[0].parent)
    return _matched(found["clean"], found["noisy"], f"{place} (clean)", f"{place} (noisy)")


def check(pair: ClipPair, sample_rate: int | None = None) -> int:
    """The length in samples of a pair; AudioError unless both have the same, and one rate."""
    return check_shapes(pair, pair.clean.shape(), pair.noisy.shape(), sample_rate)


def check_shapes(pair: ClipPair, clean: Shape, noisy: Shape, sample_rate: int | None = None) -> int:
    """As `check`, of a pair whose shapes are known."""
    if clean.sample_rate != noisy.sample_rate:
        raise AudioError(
            f"{pair.clean} has {clean.sample_rate} Hz and {pair.noisy} {noisy.sample_rate} Hz",
            "one sample rate",
        )
    if sample_rate not in (None, clean.sample_rate):
        raise AudioError(f"{pair.clean} has {clean.sample_rate} Hz", f"{sample_rate} Hz")
    if clean.samples != noisy.samples:
        raise AudioError(
            f"{pair.clean} has {clean.samples} samples and {pair.noisy} {noisy.samples}",
            "one length",
        )
    if not clean.samples:
        raise AudioError(f"{pair.clean} holds no samples", "at least one")
    return clean.samples


def _is_file(member: tarfile.TarInfo) -> bool:
    if member.size < 0:  # With that, tarfile would come back to it for ever.
        raise tarfile.ReadError(f"{member.name} has {member.size} bytes")
    return member.isfile()


def _checked(name: str) -> str:
    """ValueError for what no file can be called; JSON can say it."""
    if "\0" in name:
        raise ValueError("a name with a zero byte")
    os.fsencode(name)
    return name


def _matched(clean: dict[str, Clip], noisy: dict[str, Clip], *places: str) -> list[ClipPair]:
    if not clean and not noisy:
        raise AudioError(f"no recordings in {places[0]} and {places[1]}", "pairs of them")
    for lone, place in ((clean.keys() - noisy, places[1]), (noisy.keys() - clean, places[0])):
        if lone:
            raise AudioError(
                f"{len(lone)} recordings have no partner in {place} (first: {min(lone)})",
                "every clean recording and its noisy one under the same name",
            )
    return [ClipPair(name, clean[name], noisy[name]) for name in sorted(clean)]


def _by_name(folder: Path) -> dict[str, Clip]:
    paths = find_recordings(folder)
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in paths]
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    if count > 1:
        raise AudioError(f"{count} recordings in {folder} are named {name}", "one of each name")
    return {name: Clip(path) for name, path in zip(names, paths, strict=True)}


def _shards(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.glob("*")
        if path.suffix.lower() == ".tar" and not path.name.startswith(".")
    )


def _rows(path: Path, text: str) -> Iterable[tuple[int, dict[str, object]]]:
    if path.suffix.lower() == ".csv":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        try:
            for row in reader:
                yield reader.line_num, row
        except csv.Error as error:
            raise SettingError(f"line {reader.line_num} of {path} is not CSV ({error})") from error
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise SettingError(f"line {number} of {path} is not JSON ({error})") from error
            yield number, row if isinstance(row, dict) else {}


def _kaldi_list(path: Path) -> dict[str, Clip]:
    clips = {}
    lines = read_text(path, "a list of recordings").split("\n")
    for number, line in enumerate(lines, start=1):
        if number == len(lines) and not line:
            continue  # what follows the last end of line
        name, _, place = line.strip().partition(" ")
        place = place.strip()
        if not place or place.endswith("|") or ".ark" in place:
            raise SettingError(
                f"line {number} of {path} is {line!r}",
                "an utterance and a file",
                "write pipes and archives out as files first",
            )
        clips[name] = Clip(Path(place))
    return clips
