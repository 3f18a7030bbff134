"""Pairs of a clean and a noisy recording: where they are found, and excerpts to train on."""

import csv
import json
import tarfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from speechduet.data.clip import Clip
from speechduet.data.mixing import Mixing, degradation_generator, distorted, levelled
from speechduet.data.recordings import SUFFIXES, Samples
from speechduet.errors import AudioError, SettingError

_COLUMNS = ("clean", "noisy")


class Pair(NamedTuple):
    """Two recordings of the same speech."""

    name: str
    clean: Clip
    noisy: Clip


def find_pairs(source: Path) -> list[Pair]:
    """All pairs of a place, in the order of their names (of a manifest: of its lines).

    It is a manifest (.csv or .jsonl), a WebDataset shard (.tar), or a folder that holds the
    folders ``clean`` and ``noisy``, or the Kaldi lists ``clean.scp`` and ``noisy.scp``, or
    shards. Raises SettingError if it is none of these, AudioError if it holds no whole pairs.
    """
    if source.suffix in (".csv", ".jsonl"):
        return from_manifest(source)
    if source.suffix == ".tar":
        return from_shards([source])
    if (source / "clean").is_dir() and (source / "noisy").is_dir():
        return from_folders(source / "clean", source / "noisy")
    if (source / "clean.scp").is_file() and (source / "noisy.scp").is_file():
        return from_kaldi(source / "clean.scp", source / "noisy.scp")
    if shards := sorted(source.glob("*.tar")):
        return from_shards(shards)
    raise SettingError(
        f"no pairs in {source}",
        "a .csv or .jsonl manifest, .tar shards, or a folder with clean and noisy, or with "
        "clean.scp and noisy.scp",
    )


def from_folders(clean: Path, noisy: Path, suffixes: Iterable[str] = SUFFIXES) -> list[Pair]:
    """Recordings of two folders with the same path in them but for the suffix."""
    found = [_by_name(folder, tuple(suffixes)) for folder in (clean, noisy)]
    return _matched(found[0], found[1], str(clean), str(noisy))


def from_manifest(path: Path) -> list[Pair]:
    """Lines with the columns (CSV) or keys (JSONL) ``clean`` and ``noisy``.

    They are paths, relative to the manifest's folder; other columns are ignored.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"cannot read {path} ({error})", "a manifest") from error
    pairs = []
    for number, row in _rows(path, lines):
        if not all(isinstance(row.get(column), str) and row[column] for column in _COLUMNS):
            found = ", ".join(str(key) for key, value in row.items() if value) or "nothing"
            raise SettingError(f"line {number} of {path} has {found}", "columns clean and noisy")
        clean, noisy = (path.parent / str(row[column]) for column in _COLUMNS)
        pairs.append(Pair(str(row["clean"]), Clip(clean), Clip(noisy)))
    if not pairs:
        raise AudioError(f"{path} lists no pairs", "at least one")
    return pairs


def from_kaldi(clean: Path, noisy: Path) -> list[Pair]:
    """Two lists of ``utterance path`` that name the same utterances."""
    return _matched(_kaldi_list(clean), _kaldi_list(noisy), str(clean), str(noisy))


def from_shards(shards: Iterable[Path]) -> list[Pair]:
    """WebDataset shards whose samples have ``NAME.clean.SUFFIX`` and ``NAME.noisy.SUFFIX``.

    Shards are not streamed: an index of their members allows any to be read at any time.
    """
    found: dict[str, dict[str, Clip]] = {"clean": {}, "noisy": {}}
    paths = list(shards)
    for path in paths:
        try:
            with tarfile.open(path, "r:") as shard:
                members = [member for member in shard if member.isfile()]
        except (OSError, tarfile.TarError) as error:
            raise AudioError(f"cannot read {path} ({error})", "an uncompressed tar file") from error
        for member in members:
            folder, _, base = member.name.rpartition("/")
            name, _, kind = base.partition(".")
            role, _, suffix = kind.partition(".")
            if role in found and f".{suffix}" in SUFFIXES:
                key = f"{path.name}:{folder}/{name}" if folder else f"{path.name}:{name}"
                found[role][key] = Clip(path, member.offset_data, member.size)
    place = str(paths[0]) if len(paths) == 1 else str(paths[0].parent)
    return _matched(found["clean"], found["noisy"], f"{place} (clean)", f"{place} (noisy)")


def check(pair: Pair, sample_rate: int | None = None) -> int:
    """The length in samples of a pair; AudioError unless both have the same, and one rate."""
    with pair.clean.open() as clean, pair.noisy.open() as noisy:
        if clean.samplerate != noisy.samplerate:
            raise AudioError(
                f"{pair.clean} has {clean.samplerate} Hz and {pair.noisy} {noisy.samplerate} Hz",
                "one sample rate",
            )
        if sample_rate not in (None, clean.samplerate):
            raise AudioError(
                f"{pair.clean} has {clean.samplerate} Hz",
                f"{sample_rate} Hz",
                "resample with: speechduet prepare pairs",
            )
        if clean.frames != noisy.frames:
            raise AudioError(
                f"{pair.clean} has {clean.frames} samples and {pair.noisy} {noisy.frames}",
                "one length",
            )
        if not clean.frames:
            raise AudioError(f"{pair.clean} holds no samples", "at least one")
        return int(clean.frames)


class PairExcerpts:
    """Excerpts of pairs, in a new order in every epoch, without end: `Examples`.

    Of the settings of mixing those apply that come after it: excerpt, clipping, band limit,
    level. What is shorter than an excerpt is followed by silence. Raises AudioError at once if
    there is no pair, or one that cannot be read, or that differs in length or sample rate.
    """

    def __init__(self, pairs: list[Pair], settings: Mixing, sample_rate: int, seed: int) -> None:
        if not pairs:
            raise AudioError("there are no pairs to train on", "at least one")
        self.pairs = pairs
        self.settings = settings
        self.sample_rate = sample_rate
        self.seed = seed
        self._lengths = [check(pair, sample_rate) for pair in pairs]
        self._epoch = -1
        self._order = np.arange(0)

    def example(self, index: int) -> tuple[Samples, Samples]:
        """Excerpt number ``index``; every ``len(pairs)`` of them hold each pair once."""
        epoch, place = divmod(index, len(self.pairs))
        if epoch != self._epoch:
            self._order = np.random.default_rng([self.seed, epoch, 2]).permutation(len(self.pairs))
            self._epoch = epoch
        which = int(self._order[place])
        random = np.random.default_rng([self.seed, index])
        length = round(self.settings.excerpt_s * self.sample_rate)
        start = int(random.integers(0, max(1, self._lengths[which] - length + 1)))
        pair = self.pairs[which]
        clean, noisy = pair.clean.read(start, length), pair.noisy.read(start, length)
        degrading = degradation_generator(self.seed, index)
        clean, noisy = distorted(degrading, clean, noisy, self.settings, self.sample_rate)
        return levelled(clean, noisy, random.uniform(*self.settings.level_db))


def _matched(clean: dict[str, Clip], noisy: dict[str, Clip], *places: str) -> list[Pair]:
    if not clean and not noisy:
        raise AudioError(f"no recordings in {places[0]} and {places[1]}", "pairs of them")
    for lone, place in ((clean.keys() - noisy, places[1]), (noisy.keys() - clean, places[0])):
        if lone:
            raise AudioError(
                f"{len(lone)} recordings have no partner in {place} (first: {min(lone)})",
                "every clean recording and its noisy one under the same name",
            )
    return [Pair(name, clean[name], noisy[name]) for name in sorted(clean)]


def _by_name(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Clip]:
    paths = [path for path in folder.rglob("*") if path.suffix.lower() in suffixes]
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in paths]
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    if count > 1:
        raise AudioError(f"{count} recordings in {folder} are named {name}", "one of each name")
    return {name: Clip(path) for name, path in zip(names, paths, strict=True)}


def _rows(path: Path, lines: list[str]) -> Iterable[tuple[int, dict[str, object]]]:
    if path.suffix == ".csv":
        yield from enumerate(csv.DictReader(lines), start=2)
        return
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise SettingError(f"line {number} of {path} is not JSON ({error})") from error
            yield number, row if isinstance(row, dict) else {}


def _kaldi_list(path: Path) -> dict[str, Clip]:
    clips = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"cannot read {path} ({error})", "a list of recordings") from error
    for number, line in enumerate(lines, start=1):
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
