"""Pack a training set for a machine without a network: Opus in one folder of at most 60 MB.

    python recipes/gpu/pack.py ../shared/corpus --skip 'pvww_*' 'mycroft_*' --wheels 3.12

The source has ``train/speech``, ``train/noise``, ``train/rir`` (optional), ``valid/clean`` and
``valid/noisy``. What is validated on stays lossless. ``--wheels`` adds soundfile, for a machine
with that version of Python that lacks it.
"""

import argparse
import fnmatch
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import soundfile

from speechduet.audio.folders import find_recordings

HERE = Path(__file__).parent
SUFFIXES = (".flac", ".wav", ".ogg", ".opus")
# libsndfile's scale: 0 is 256 kbit/s, 1 is 6. About 70 kbit/s for targets, 32 for what hides them.
SPEECH, NOISE = 0.75, 0.9


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    source, packed = options.source, options.output
    shutil.rmtree(packed, ignore_errors=True)
    train = source / "train"
    skipped = tuple(options.skip)
    as_opus(train / "speech", packed / "speech", SPEECH, skipped)
    as_opus(train / "noise", packed / "noise", NOISE, skipped)
    for folder, target in (("train/rir", "rooms"), ("valid/clean", "valid/clean")):
        if (source / folder).is_dir():
            copy(source / folder, packed / target, options.valid if "valid" in folder else None)
    copy(source / "valid/noisy", packed / "valid/noisy", options.valid)
    if options.wheels:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:"]
        download += ["--no-deps", "--python-version", options.wheels, "--dest"]
        names = ["soundfile", "cffi", "pycparser"]
        platform = ["--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_28_x86_64"]
        subprocess.run([*download, str(packed / "wheels"), *platform, *names], check=True)
    size_mb = sum(path.stat().st_size for path in packed.rglob("*") if path.is_file()) / 1e6
    print(f"{packed}: {size_mb:.1f} MB")
    if size_mb > options.limit_mb:
        sys.exit(f"expected at most {options.limit_mb:g} MB; skip more, or raise --limit-mb")


def as_opus(source: Path, target: Path, compression: float, skipped: tuple[str, ...]) -> None:
    """All recordings of a folder that match none of the patterns, compressed."""
    for path in recordings(source):
        if any(fnmatch.fnmatch(path.stem, pattern) for pattern in skipped):
            continue
        samples, rate = soundfile.read(path, dtype="float32")
        place = (target / path.relative_to(source)).with_suffix(".opus")
        place.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(
            place, samples, rate, format="OGG", subtype="OPUS", compression_level=compression
        )


def copy(source: Path, target: Path, most: int | None) -> None:
    """The recordings of a folder as they are; evenly picked if there are too many."""
    paths = recordings(source)
    step = -(-len(paths) // most) if most else 1
    target.mkdir(parents=True, exist_ok=True)
    for path in paths[::step]:
        shutil.copyfile(path, target / path.name)


def recordings(folder: Path) -> list[Path]:
    paths = find_recordings(folder, SUFFIXES)
    if not paths:
        sys.exit(f"no recordings in {folder}; expected {', '.join(SUFFIXES)}")
    return paths


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="folder with train and valid")
    parser.add_argument("--output", type=Path, default=HERE / "packed")
    parser.add_argument("--skip", nargs="*", default=[], help="patterns of names to leave out")
    parser.add_argument("--valid", type=int, default=12, help="most pairs to validate on")
    parser.add_argument("--wheels", metavar="VERSION", help="of Python, to bring soundfile along")
    parser.add_argument("--limit-mb", type=float, default=60)
    return parser


if __name__ == "__main__":
    main()
