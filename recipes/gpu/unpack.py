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


def main(arguments: Sequence[str]) -> None:
    if len(arguments) < 2:
        sys.exit("usage: unpack.py PART... FOLDER")
    *archives, folder = map(Path, arguments)
    jobs = []
    for archive in archives:
        with tarfile.open(archive) as opened:
            for member in filter(tarfile.TarInfo.isfile, opened):
                content = opened.extractfile(member)
                assert content is not None
                jobs.append((content.read(), (folder / member.name).with_suffix(".wav")))
    with Pool() as pool:
        seconds = sum(pool.imap_unordered(decode, jobs, chunksize=8))
    print(f"{folder}: {len(jobs)} recordings, {seconds / 3600:.2f} h")


def decode(job: tuple[bytes, Path]) -> float:
    """Write a recording as float32 WAV; how long it is, in seconds."""
    content, target = job
    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    target.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(target, samples, rate, subtype="FLOAT")
    return len(samples) / rate


if __name__ == "__main__":
    main(sys.argv[1:])
