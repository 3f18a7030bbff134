"""Pack a training set in parts for a machine without a network.

    python recipes/gpu/pack.py ../shared/corpus/train --skip 'emodb_*' 'so762_*' --wheels 3.12

makes ``recipes/gpu/packed/part0.tar``, ... of at most ``--part-mb`` with the recordings below
``speech``, ``noise`` and, if there, ``rir``, as they are (FLAC, WAV, Ogg, MP3). ``--wheels`` puts
beside them what the job needs and the machine may lack, for that version of Python on x86-64 Linux.
What an earlier call left there is replaced; a folder with anything else in it is refused.
"""

import argparse
import fnmatch
import math
import re
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import soundfile

from speechduet.audio.folders import find_recordings, resolved
from speechduet.errors import AudioError, FileError, SettingError, SpeechduetError

HERE = Path(__file__).parent
FOLDERS = ("speech", "noise", "rir")
SUFFIXES = (".flac", ".wav", ".ogg", ".opus", ".mp3")
"""What soundfile alone reads."""
PACKAGES = (
    *("soundfile", "cffi", "pycparser", "soxr"),
    *("pydantic", "pydantic-core", "annotated-types", "typing-inspection"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    try:
        pack(options)
    except SpeechduetError as error:
        sys.exit(f"pack: {error}")
    except OSError as error:
        sys.exit(f"pack: {error.filename or options.output}: {error.strerror or error}")


def pack(options: argparse.Namespace) -> None:
    """All checks, then all parts."""
    check_apart(options.output, options.source)
    earlier = list(own_files(options.output))
    paths = recordings(options.source, options.skip)
    check_decodable(paths)
    divided = parts(paths, options.part_mb * 1e6)
    for path in earlier:
        path.unlink()
    options.output.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(divided):
        archive = options.output / f"part{number}.tar"
        with tarfile.open(archive, "w", dereference=True) as opened:
            for path in part:
                opened.add(path, path.relative_to(options.source))
        print(f"{archive}: {len(part)} recordings, {archive.stat().st_size / 1e6:.1f} MB")
    if options.wheels:
        bring_wheels(options.output / "wheels", options.wheels)


def check_apart(output: Path, source: Path) -> None:
    """Raise SettingError if one is the other, or in the other, links followed."""
    place = resolved(output)
    for folder in (source, *(source / name for name in FOLDERS)):
        real = resolved(folder)
        if place == real or place in real.parents or real in place.parents:
            raise SettingError(
                f"{output} and {folder} overlap", "an --output apart from the source"
            )


def own_files(output: Path) -> Iterator[Path]:
    """What an earlier call wrote there; SettingError if there is anything else."""
    if output.exists() and not output.is_dir():
        raise SettingError(f"{output} is no folder", "a new folder, or one of an earlier call")
    wheels = output / "wheels"
    brought = list(wheels.iterdir()) if wheels.is_dir() and not wheels.is_symlink() else []
    for path in [*(output.iterdir() if output.is_dir() else []), *brought]:
        pattern = r".+\.whl" if path.parent == wheels else r"part\d+\.tar"
        if path.is_file() and not path.is_symlink() and re.fullmatch(pattern, path.name):
            yield path
        elif path != wheels or not path.is_dir() or path.is_symlink():
            raise SettingError(
                f"{output} holds {path.relative_to(output)}, which is not of an earlier call",
                "a new folder, or one with part*.tar and wheels/*.whl alone",
            )


def check_decodable(paths: Sequence[Path]) -> None:
    """Raise AudioError with all recordings that the other machine could not decode."""
    with ThreadPoolExecutor() as pool:
        failures = [failure for failure in pool.map(undecodable, paths) if failure]
    if failures:
        raise AudioError(
            f"{len(failures)} of {len(paths)} recordings cannot be decoded: {'; '.join(failures)}",
            "what soundfile can read",
            "mend them, or --skip them",
        )


def undecodable(path: Path) -> str:
    """Why a recording cannot be read as unpack.py does; empty if it can."""
    try:
        soundfile.read(path, dtype="float32")
    except soundfile.LibsndfileError as error:
        return f"{path} ({error.error_string.rstrip('.')})"
    return ""


def recordings(source: Path, skipped: Sequence[str]) -> list[Path]:
    """What is packed; speech and noise there must be."""
    kept = []
    for name in FOLDERS:
        is_there = (source / name).is_dir()
        found = find_recordings(source / name, SUFFIXES) if is_there else []
        found = [p for p in found if not any(fnmatch.fnmatch(p.stem, s) for s in skipped)]
        if not found and name != "rir":
            there = "no recordings but those that are skipped in" if is_there else "no folder"
            raise SettingError(f"{there} {source / name}", "recordings below speech and noise")
        kept += found
    # There all of them become WAV.
    twice = [name for name, count in Counter(p.with_suffix("") for p in kept).items() if count > 1]
    if twice:
        raise SettingError(
            f"{twice[0]} is there with several suffixes", "one of them", "remove all others"
        )
    return kept


def parts(paths: Sequence[Path], most_bytes: float) -> list[list[Path]]:
    """Recordings in as few parts as their sizes allow when taken in order."""
    filled: list[list[Path]] = [[]]
    size = 0
    for path in paths:
        # A member of an archive has a header of 512 bytes, and is filled up to as many.
        own = path.stat().st_size + 1024
        if own > most_bytes - 10_240:
            raise SettingError(
                f"{path} does not fit into a part", remedy="raise --part-mb, or skip it"
            )
        if filled[-1] and size + own > most_bytes - 10_240:
            filled.append([])
            size = 0
        filled[-1].append(path)
        size += own
    return filled


def bring_wheels(folder: Path, python: str) -> None:
    """Download `PACKAGES`; each in the version that is installed here, as they fit each other."""
    from importlib.metadata import version

    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:"]
    command += ["--no-deps", "--python-version", python, "--dest", str(folder)]
    for platform in ("manylinux2014_x86_64", "manylinux_2_27_x86_64", "manylinux_2_28_x86_64"):
        command += ["--platform", platform]
    command += [f"{name}=={version(name)}" for name in PACKAGES]
    if subprocess.run(command, check=False).returncode:
        raise FileError(f"pip brought no wheels for Python {python} to {folder}, as it says above")


def _megabytes(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"it is {text}; expected a number above 0")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="folder with speech and noise")
    parser.add_argument("--output", type=Path, default=HERE / "packed")
    parser.add_argument("--skip", nargs="*", default=[], help="patterns of names to leave out")
    parser.add_argument("--part-mb", type=_megabytes, default=40.0)
    parser.add_argument("--wheels", metavar="VERSION", help="of Python, to bring packages for it")
    return parser


if __name__ == "__main__":
    main()
