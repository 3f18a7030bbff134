"""Unpack parts of a training set, decoded on all cores: reading them then takes seconds.

python3 recipes/gpu/unpack.py recipes/gpu/packed/part0.tar /tmp/data
"""

import io
import sys
import tarfile
from collections.abc import Sequence
from multiprocessing import Pool
from pathlib import Path

import soundfile

Job = tuple[str, bytes, Path]
"""Where a recording comes from, what it holds, and the WAV to write."""


class UnpackError(Exception):
    """What is wrong, in a line. Only this file and soundfile need be there."""


def main(arguments: Sequence[str]) -> None:
    if len(arguments) < 2:
        sys.exit("usage: unpack.py PART... FOLDER")
    *archives, folder = map(Path, arguments)
    try:
        jobs = [job for archive in archives for job in members(archive, folder)]
        folder.mkdir(parents=True, exist_ok=True)
        with Pool() as pool:
            seconds = sum(pool.imap_unordered(decode, jobs, chunksize=8))
    except UnpackError as error:
        sys.exit(f"unpack: {error}")
    except OSError as error:
        sys.exit(f"unpack: {error.filename or folder}: {error.strerror or error}")
    print(f"{folder}: {len(jobs)} recordings, {seconds / 3600:.2f} h")


def members(archive: Path, folder: Path) -> list[Job]:
    """The recordings of a part; UnpackError if it is none, or not all of one."""
    jobs, end = [], 0
    try:
        with tarfile.open(archive, "r:") as opened:
            for member in filter(tarfile.TarInfo.isfile, opened):
                content = opened.extractfile(member)
                assert content is not None
                target = (folder / member.name).with_suffix(".wav")
                jobs.append((f"{archive}: {member.name}", content.read(), target))
                end = member.offset_data + member.size
    except tarfile.TarError as error:
        raise UnpackError(
            f"{archive} is cut short or damaged ({error}); expected a part that pack.py wrote"
        ) from None
    # Cut between two members it would look like a smaller part; whole, it ends with zeros.
    with archive.open("rb") as file:
        file.seek(end + -end % tarfile.BLOCKSIZE)
        rest = file.read()
    if len(rest) < 2 * tarfile.BLOCKSIZE or any(rest):
        raise UnpackError(f"{archive} is cut short; expected a part that pack.py wrote")
    return jobs


def decode(job: Job) -> float:
    """Write a recording as float32 WAV; how long it is, in seconds."""
    name, content, target = job
    try:
        samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    except soundfile.LibsndfileError as error:
        raise UnpackError(f"{name} cannot be decoded ({error.error_string.rstrip('.')})") from None
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        soundfile.write(target, samples, rate, subtype="FLOAT")
    except soundfile.LibsndfileError as error:
        raise UnpackError(f"cannot write {target} ({error.error_string.rstrip('.')})") from None
    return len(samples) / rate


if __name__ == "__main__":
    main(sys.argv[1:])
