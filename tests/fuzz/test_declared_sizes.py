"""Small files that declare far more than they hold take no more memory than they are worth."""

import resource
import subprocess
import sys

import pytest

from declared import recordings

FILES = dict(recordings())
MOST_MB = 64
"""A few blocks of 1024 channels, and what decoders take."""
READ = """
import io, resource, sys
from pathlib import Path
from speechduet.audio import read_blocks
from speechduet.audio.tags import read_tags
from speechduet.audio.wav_arrival import read_samples
from speechduet.audio.wav_stream import read_header
from speechduet.errors import SpeechduetError

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

def samples_of(blocks):
    try:
        return sum(map(len, blocks))
    except SpeechduetError as error:
        assert "\\n" not in str(error), error
        return -1

paths = [Path(name) for name in sys.argv[1:]]
for path in [paths[0], *paths]:
    before = peak_mb()
    read_tags(path)
    counts = [
        samples_of(read_blocks(path, salvage=salvage, notify=lambda text: None))
        for salvage in (False, True)
    ]
    with path.open("rb") as stream:
        header, _ = read_header(stream)
        if header is not None:
            blocks = read_samples(stream, header, salvage=True, notify=lambda text: None)
            counts.append(samples_of(blocks))
    print(path.name, peak_mb() - before, max(counts), sep="\\t")
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, int]]:
    """Megabytes more than before, and samples, of each file; all are read in one process."""
    folder = tmp_path_factory.mktemp("declared")
    # What the libraries take once is taken by an ordinary video.
    names = ["moov of 2 GB.mp4", *(name for name in FILES if name != "moov of 2 GB.mp4")]
    for name in names:
        (folder / name).write_bytes(FILES[name])
    done = subprocess.run(
        [sys.executable, "-c", READ, *(str(folder / name) for name in names)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30)),
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    return {name: (int(taken_mb), int(count)) for name, taken_mb, count in lines}


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
@pytest.mark.parametrize("name", FILES)
def test_memory_is_bounded(measured: dict[str, tuple[int, int]], name: str) -> None:
    taken_mb, samples = measured[name]
    assert len(FILES[name]) < 200_000
    assert taken_mb <= MOST_MB
    # An hour of silence and little more is the most that time stamps are followed for.
    assert samples < 8000 * 3800
