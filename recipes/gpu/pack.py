"""Pack a training set in parts for a machine without a network.

    python recipes/gpu/pack.py ../shared/corpus/train --skip 'emodb_*' 'so762_*' --wheels 3.12

makes ``recipes/gpu/packed/part0.tar``, ... of at most ``--part-mb`` with the recordings below
``speech``, ``noise`` and, if there, ``rir``, as they are (FLAC, WAV, Ogg, MP3). ``--wheels`` puts
beside them what the job needs and the machine may lack, for that version of Python on x86-64 Linux.
"""

import argparse
import fnmatch
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from speechduet.audio.folders import find_recordings

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
    paths = recordings(options.source, options.skip)
    shutil.rmtree(options.output, ignore_errors=True)
    options.output.mkdir(parents=True)
    for number, part in enumerate(parts(paths, options.part_mb * 1e6)):
        archive = options.output / f"part{number}.tar"
        with tarfile.open(archive, "w", dereference=True) as opened:
            for path in part:
                opened.add(path, path.relative_to(options.source))
        print(f"{archive}: {len(part)} recordings, {archive.stat().st_size / 1e6:.1f} MB")
    if options.wheels:
        bring_wheels(options.output / "wheels", options.wheels)


def recordings(source: Path, skipped: Sequence[str]) -> list[Path]:
    """What is packed; speech and noise there must be."""
    kept = []
    for name in FOLDERS:
        is_there = (source / name).is_dir()
        found = find_recordings(source / name, SUFFIXES) if is_there else []
        found = [p for p in found if not any(fnmatch.fnmatch(p.stem, s) for s in skipped)]
        if not found and name != "rir":
            there = "no recordings but those that are skipped in" if is_there else "no folder"
            sys.exit(f"{there} {source / name}")
        kept += found
    # There all of them become WAV.
    twice = [name for name, count in Counter(p.with_suffix("") for p in kept).items() if count > 1]
    if twice:
        sys.exit(f"{twice[0]} is there with several suffixes: skip all but one")
    return kept


def parts(paths: Sequence[Path], most_bytes: float) -> list[list[Path]]:
    """Recordings in as few parts as their sizes allow when taken in order."""
    filled: list[list[Path]] = [[]]
    size = 0
    for path in paths:
        # A member of an archive has a header of 512 bytes, and is filled up to as many.
        own = path.stat().st_size + 1024
        if own > most_bytes - 10_240:
            sys.exit(f"{path} does not fit into a part: raise --part-mb, or skip it")
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
    subprocess.run([*command, *(f"{name}=={version(name)}" for name in PACKAGES)], check=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="folder with speech and noise")
    parser.add_argument("--output", type=Path, default=HERE / "packed")
    parser.add_argument("--skip", nargs="*", default=[], help="patterns of names to leave out")
    parser.add_argument("--part-mb", type=float, default=40)
    parser.add_argument("--wheels", metavar="VERSION", help="of Python, to bring packages for it")
    return parser


if __name__ == "__main__":
    main()
