"""Shards hold the recordings of one list: none of an older one stays among them."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

import fsspec
from typer.testing import Result

from speechduet.cli import bulk_run

Bulk = Callable[..., Result]


def shards(out: Path) -> set[str]:
    return {path.name for path in out.iterdir() if path.is_file()}


def test_old_shards_beyond_the_last_are_removed(
    bulk: Bulk, recordings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = (recordings, "-o", out, "--shards", "tar")
    assert bulk(*arguments, "--shard-size", "1").exit_code == 0
    others = {"shard-000005.parquet", "shard-00001.tar", "my-shard-000001.tar", "shard-1.tar.txt"}
    for name in others:
        (out / name).touch()
    assert shards(out) == others | {f"shard-00000{number}.tar" for number in range(3)}
    done = bulk(*arguments, "--shard-size", "2", "--overwrite")
    assert done.exit_code == 0, done.output
    assert shards(out) == others | {"shard-000000.tar", "shard-000001.tar"}
    again = bulk(*arguments, "--shard-size", "2")
    assert "0 recordings to enhance" in again.stderr


def test_in_a_store(bulk: Bulk, recordings: Path) -> None:
    arguments = (recordings, "-o", "memory://stale", "--shards", "parquet")
    assert bulk(*arguments, "--shard-size", "1").exit_code == 0
    assert bulk(*arguments, "--overwrite").exit_code == 0
    files = fsspec.filesystem("memory")
    assert files.glob("/stale/*.parquet") == ["/stale/shard-000000.parquet"]
    files.rm("/stale", recursive=True)


def test_shards_that_no_run_has_noted_stay(bulk: Bulk, recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "shard-000009.tar").touch()
    assert bulk(recordings, "-o", out, "--shards", "tar", "--overwrite").exit_code == 0
    assert shards(out) == {"shard-000000.tar", "shard-000009.tar"}


def test_an_interrupted_overwrite_mixes_no_lists(
    bulk: Bulk, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    arguments = (recordings, "-o", out, "--shards", "tar", "--shard-size")
    assert bulk(*arguments, "1").exit_code == 0

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bulk_run, "enhance_left", interrupted)
        assert bulk(*arguments, "2", "--overwrite").exit_code != 0
    assert len(shards(out)) == 3
    for size in ("1", "2"):
        refused = bulk(*arguments, size)
        assert refused.exit_code == 2, refused.output
        assert "an --overwrite of them was interrupted" in refused.stderr
    assert "3 enhanced" in bulk(*arguments, "2", "--overwrite").stderr
    assert "3 done before" in bulk(*arguments, "2").stderr


def test_what_was_made_as_a_file_is_not_in_a_shard(
    bulk: Bulk, recordings: Path, tmp_path: Path
) -> None:
    listed, out = recordings / "list.csv", tmp_path / "out"
    listed.write_text("path\na.wav\nlate.wav\n")
    assert bulk(listed, "-o", out, "--shards", "tar").exit_code == 1
    (recordings / "c.wav").rename(recordings / "late.wav")
    assert bulk(listed, "-o", out).exit_code == 0
    assert bulk(listed, "-o", out, "--shards", "tar").exit_code == 0
    with tarfile.open(out / "shard-000000.tar") as shard:
        assert shard.getnames() == ["a.wav", "late.wav"]
    assert "2 done before" in bulk(listed, "-o", out, "--shards", "tar").stderr


def test_a_digest_that_cannot_be_read(bulk: Bulk, recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "out/_ledger/shards.digest").mkdir(parents=True)
    done = bulk(recordings, "-o", tmp_path / "out", "--shards", "tar")
    assert done.exit_code == 2 and "shards.digest: it is a folder" in done.stderr, done.output
