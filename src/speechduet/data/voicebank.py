"""VoiceBank-DEMAND (Valentini-Botinhao 2017, doi:10.7488/ds/2117), as it is published.

Its recordings have 48 kHz and lie in one archive for each split and role. The splits made of
them are those of the field: two speakers of the training archives are for validation.
"""

import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from zipfile import Path as Member
from zipfile import ZipFile

from speechduet.data.preparation import Task
from speechduet.data.sources import Source, read_pair
from speechduet.errors import AudioError, SettingError
from speechduet.files.atomic import write_bytes
from speechduet.files.zipped import DAMAGED_ZIP

PAGE = "https://doi.org/10.7488/ds/2117"
ADDRESS = "https://datashare.ed.ac.uk/bitstream/handle/10283/2791"
PARTS = {
    "train": ("clean_trainset_28spk_wav", "noisy_trainset_28spk_wav"),
    "test": ("clean_testset_wav", "noisy_testset_wav"),
}
TRANSCRIPTS = {"train": "trainset_28spk_txt", "test": "testset_txt"}


@dataclass(frozen=True)
class Release:
    """What the published set holds."""

    train: int = 11_572
    """Pairs of the training archives, those for validation included."""
    test: int = 824
    valid_speakers: tuple[str, ...] = ("p226", "p287")


def tasks(source: Path, release: Release, sample_rate: int) -> list[Task]:
    """The pairs to make of a folder with the four archives, or with what they unpack to.

    Raises SettingError, saying what to fetch, if a part is missing, and for a speaker who is not
    there; AudioError if a part is damaged, or if the number of recordings or their names are not
    the published ones.
    """
    missing = [
        f"{part}.zip" for parts in PARTS.values() for part in parts if not _has(source, part)
    ]
    if missing:
        raise SettingError(
            f"{source} lacks {', '.join(missing)}",
            "the archives of VoiceBank-DEMAND, or the folders that they unpack to",
            f"fetch them from {PAGE} and put them into {source}, or use --download",
        )
    made = []
    for split, parts in PARTS.items():
        clean, noisy = (_members(source, part, ".wav") for part in parts)
        for part, members in zip(parts, (clean, noisy), strict=True):
            expected = getattr(release, split)
            if len(members) != expected:
                raise AudioError(
                    f"{part} holds {len(members)} recordings", str(expected), "fetch it again"
                )
        if lone := clean.keys() ^ noisy.keys():
            raise AudioError(
                f"{len(lone)} recordings of {' and '.join(parts)} have no partner "
                f"(first: {min(lone)})",
                "the same names in both",
            )
        if split == "train":
            _check_speakers(release.valid_speakers, {_speaker(name) for name in clean})
        for name in sorted(clean):
            speaker = _speaker(name)
            valid = split == "train" and speaker in release.valid_speakers
            make = partial(read_pair, clean[name], noisy[name], sample_rate)
            made.append(Task(name, make, "valid" if valid else split, {"speaker": speaker}))
    return made


def _speaker(name: str) -> str:
    return name.partition("_")[0]


def _check_speakers(wanted: Iterable[str], known: set[str]) -> None:
    for speaker in wanted:
        if speaker not in known:
            nearest = get_close_matches(speaker, sorted(known), n=1, cutoff=0)
            raise SettingError(
                f"the training archives have no speaker {speaker!r}",
                "speakers with commas between, such as p226,p287",
                f"did you mean {nearest[0]!r}?",
            )


def copy_transcripts(source: Path, folder: Path, release: Release) -> int:
    """Copy the transcripts that the source has, byte for byte, and return their number."""
    copied = 0
    for split, part in TRANSCRIPTS.items():
        for name, member in _members(source, part, ".txt").items() if _has(source, part) else ():
            valid = split == "train" and _speaker(name) in release.valid_speakers
            path = folder / ("valid" if valid else split) / "transcripts" / f"{name}.txt"
            try:
                content = member.read_bytes()
            except (*DAMAGED_ZIP, OSError) as error:
                raise AudioError(f"cannot read {member} ({error})", "a transcript") from error
            write_bytes(path, content)
            copied += 1
    return copied


def download(
    source: Path, progress: Callable[[str, int, int], None], address: str = ADDRESS
) -> None:
    """Fetch the archives that a folder lacks, going on where an earlier attempt stopped.

    ``progress`` gets the archive's name, the number of bytes fetched and that of all (0 if the
    server does not say). Raises AudioError, saying what to fetch by hand, if it fails.
    """
    audible = [part for parts in PARTS.values() for part in parts]
    for part in (*audible, *TRANSCRIPTS.values()):
        if not _has(source, part):
            _fetch(f"{address}/{part}.zip", source / f"{part}.zip", progress)


def _fetch(url: str, path: Path, progress: Callable[[str, int, int], None]) -> None:
    unfinished = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = unfinished.stat().st_size if unfinished.exists() else 0
        _append(url, unfinished, held, lambda held, whole: progress(path.name, held, whole))
        unfinished.replace(path)
    except (OSError, HTTPException) as error:
        raise AudioError(
            f"cannot fetch {url} ({error})",
            remedy=f"run it again, or fetch {path.name} from {PAGE} and put it into {path.parent}",
        ) from error


def _append(url: str, path: Path, held: int, progress: Callable[[int, int], None]) -> None:
    """Fetch what follows the bytes that are held, or all if the server knows no ranges."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={held}-"} if held else {})
    try:
        response = urllib.request.urlopen(request, timeout=60)
    except HTTPError as error:
        if held and error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # There is nothing after what is held.
        raise
    with response:
        resumed = response.status == HTTPStatus.PARTIAL_CONTENT
        held = held if resumed else 0
        whole = held + int(response.headers.get("Content-Length") or 0)
        with path.open("ab" if resumed else "wb") as file:
            while block := response.read(1 << 20):
                file.write(block)
                held += len(block)
                progress(held, whole)
    if held < whole:
        raise OSError(f"it ended after {held} of {whole} bytes")


def _has(source: Path, part: str) -> bool:
    return (source / part).is_dir() or (source / f"{part}.zip").is_file()


def _members(source: Path, part: str, suffix: str) -> dict[str, Source]:
    """The files of an archive or of a folder, whichever is there, by their stems."""
    if (source / part).is_dir():
        files = (source / part).rglob("*")
        return {path.stem: path for path in files if _is_meant(path, suffix)}
    path = source / f"{part}.zip"
    try:
        archive = ZipFile(path)
    except DAMAGED_ZIP as error:
        raise AudioError(
            f"{path} is damaged or incomplete", "a zip archive", "fetch it again"
        ) from error
    return {
        Path(name).stem: Member(archive, name)
        for name in archive.namelist()
        if _is_meant(Path(name), suffix)
    }


def _is_meant(path: Path, suffix: str) -> bool:
    """Whether it is a file of the set: archivers of one maker add ``._NAME`` of their own."""
    own = "__MACOSX" not in path.parts and not path.name.startswith(".")
    return own and path.suffix.lower() == suffix
