"""Streams that are full, closed or left by their reader."""

import os
import subprocess
import sys
from io import FileIO
from pathlib import Path

import numpy as np
import pytest

from speechduet.audio import write
from speechduet.cli.streams import Stdout
from speechduet.errors import FileError

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")


def run(arguments: str, how: str) -> subprocess.CompletedProcess[str]:
    command = f'"{sys.executable}" -m speechduet {arguments} {how}'
    return subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True, check=False)


@pytest.mark.parametrize("arguments", ["models", "info MODEL", "--version", "info --help"])
@pytest.mark.parametrize(
    ("how", "said"), [(">/dev/full", "stdout: No space left"), (">&-", "stdout is closed")]
)
def test_what_nobody_can_read_is_an_error(
    tiny_model: Path, arguments: str, how: str, said: str
) -> None:
    done = run(arguments.replace("MODEL", f'"{tiny_model}"'), how)
    assert done.returncode == 1
    assert done.stderr.startswith(f"speechduet: {said}") and done.stderr.count("\n") == 1


def test_messages_that_find_no_room_end_no_work(tmp_path: Path, tiny_model: Path) -> None:
    """Nor do those of the worker processes."""
    for number in range(2):
        write(tmp_path / f"in/{number}.wav", np.full((1, 9000), 0.1, np.float32), 16_000)
    noisy, out = tmp_path / "in", tmp_path / "out"
    arguments = f'enhance "{noisy}" -o "{out}" -m "{tiny_model}" --mode fast --workers 2'
    assert run(arguments, "2>/dev/full").returncode == 0
    assert len(list(out.iterdir())) == 2


def test_all_streams_closed(tiny_model: Path) -> None:
    assert run(f'info "{tiny_model}"', "<&- >&- 2>&-").returncode == 1


def test_a_reader_that_leaves(tiny_model: Path) -> None:
    assert run(f'info "{tiny_model}"', "| head -c 1 >/dev/null").stderr == ""


def test_the_numbers_of_closed_streams_are_kept() -> None:
    code = (
        "import os; from speechduet.cli import streams; streams.replace();"
        "os._exit(os.open(os.devnull, os.O_RDONLY) > 2)"
    )
    command = f'"{sys.executable}" -c "{code}" <&- >&- 2>&-'
    assert subprocess.run(command, shell=True, check=False).returncode == 1


def test_the_first_failure_alone_is_raised() -> None:
    with FULL.open("wb", buffering=0) as raw:
        stream = Stdout(raw)
        assert stream.write(b"abc") == 3
        with pytest.raises(FileError, match="stdout: No space"):
            stream.flush()
        stream.flush()
        assert stream.write(bytes(100_000)) == 100_000
        stream.detach()


def test_a_broken_pipe_stays_one() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with FileIO(writing, "wb") as raw:
        stream = Stdout(raw)
        stream.write(b"abc")
        with pytest.raises(BrokenPipeError):
            stream.flush()
