"""Disks that are full: it is said, nothing half-written stays, and room is all that is needed."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

import fsspec
from typer.testing import Result

Bulk = Callable[..., Result]
Resize = Callable[[Path, str], None]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Resize]:
    """Makes a folder a disk of a size, or changes it."""
    if sys.platform != "linux":
        pytest.skip("needs Linux to mount a small disk")
    mounted: list[Path] = []

    def resize(folder: Path, size: str) -> None:
        options = f"size={size}" + (",remount" if folder in mounted else "")
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"may not mount a small disk: {done.stderr.strip()}")
        mounted.append(folder)

    yield resize
    for folder in set(mounted):
        subprocess.run(["umount", "-l", str(folder)], check=False)


def results(out: Path) -> dict[str, bytes]:
    files = [one for one in out.rglob("*") if one.is_file()]
    assert not [one for one in files if one.name.startswith(".")]
    return {
        one.relative_to(out).as_posix(): one.read_bytes()
        for one in files
        if one.parent.name != "_ledger"
    }


def check_finished(done: Result, out: Path, wanted: dict[str, bytes]) -> None:
    assert done.exit_code == 0, done.output
    assert results(out) == wanted


@pytest.mark.parametrize("size", ["4k", "12k", "24k", "48k"])
def test_an_output_without_room(
    size: str,
    disk: Resize,
    bulk: Bulk,
    recordings: Path,
    wanted: dict[str, bytes],
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    disk(out, size)
    full = bulk(recordings, "-o", out)
    assert full.exit_code in (1, 2), full.output
    assert "No space left on device" in full.stderr and "Traceback" not in full.output
    assert results(out).items() <= wanted.items()
    disk(out, "16m")
    check_finished(bulk(recordings, "-o", out), out, wanted)


@pytest.mark.parametrize("size", ["4k", "8k", "12k"])
def test_a_ledger_without_room(
    size: str,
    disk: Resize,
    bulk: Bulk,
    recordings: Path,
    wanted: dict[str, bytes],
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    disk(out / "_ledger", size)
    full = bulk(recordings, "-o", out)
    assert full.exit_code in (1, 2), full.output
    assert "_ledger/" in full.stderr and "No space left on device" in full.stderr
    assert results(out).items() <= wanted.items()
    disk(out / "_ledger", "16m")
    check_finished(bulk(recordings, "-o", out), out, wanted)


@pytest.mark.parametrize("shards", [(), ("--shards", "tar"), ("--shards", "parquet")])
def test_a_spool_without_room(
    shards: tuple[str, ...],
    disk: Resize,
    bulk: Bulk,
    recordings: Path,
    wanted: dict[str, bytes],
    tmp_path: Path,
) -> None:
    files, spool = fsspec.filesystem("memory"), tmp_path / "small"
    disk(spool, "16k")
    arguments = (recordings, "-o", "memory://full", *shards, "--spool", spool)
    full = bulk(*arguments)
    assert full.exit_code == 1, full.output
    assert f"the spool {spool} is full; give a larger folder as --spool" in full.stderr
    assert list(spool.iterdir()) == []
    disk(spool, "16m")
    done = bulk(*arguments)
    assert done.exit_code == 0, done.output
    if shards:
        assert bulk(*arguments[:1], "-o", tmp_path / "undisturbed", *shards).exit_code == 0
        expected = results(tmp_path / "undisturbed")
    else:
        expected = wanted
    made = {name: files.cat_file(f"/full/{name}") for name in expected}
    assert made == expected and list(spool.iterdir()) == []
    files.rm("/full", recursive=True)


def test_copies_without_room(disk: Resize, bulk: Bulk, recordings: Path, tmp_path: Path) -> None:
    files, spool = fsspec.filesystem("memory"), tmp_path / "small"
    files.pipe_file("/noisy/a.wav", (recordings / "a.wav").read_bytes())
    disk(spool, "8k")
    arguments = ("memory://noisy", "-o", tmp_path / "out", "--spool", spool)
    full = bulk(*arguments)
    assert full.exit_code == 1 and f"bytes and the spool {spool} room for" in full.stderr
    disk(spool, "16m")
    assert bulk(*arguments).exit_code == 0
    files.rm("/noisy", recursive=True)
