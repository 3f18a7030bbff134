"""Names that are not UTF-8, that no file can have, or that links lead elsewhere: rows, no ends."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

import fsspec
import pyarrow.parquet as pq
from typer.testing import CliRunner, Result

from speechduet.cli import app

Bulk = Callable[..., Result]


def ledger(out: Path) -> list[dict[str, object]]:
    parts = sorted((out / "_ledger").glob("part-*"))
    tables = [pq.read_table(io.BytesIO(part.read_bytes())) for part in parts]
    return [row for table in tables for row in table.to_pylist()]


@pytest.fixture
def odd(recordings: Path) -> Path:
    """The folder with two more names that are not UTF-8, the second of a file without sound."""
    try:
        (recordings / "\udcff.wav").write_bytes((recordings / "a.wav").read_bytes())
    except OSError:
        pytest.skip("the file system takes no such names")
    (recordings / "bad\udce4.wav").write_bytes(b"no sound")
    return recordings


def test_names_that_are_not_utf8(
    bulk: Bulk, odd: Path, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out\udcfe"
    first = bulk(odd, "-o", out)
    assert first.exit_code == 1 and "4 enhanced" in first.stderr, first.output
    assert "failed: " in first.stderr and r"bad\xe4.wav" in first.stderr
    assert (out / "\udcff.wav").read_bytes() == wanted["a.wav"]
    rows = {row["output"]: row for row in ledger(out)}
    assert rows[r"\xff.wav"]["status"] == "done"
    assert rows[r"bad\xe4.wav"]["status"] == "failed"
    again = bulk(odd, "-o", out)
    assert again.exit_code == 1 and "1 recording to enhance, 4 done before" in again.stderr
    assert len(ledger(out)) == 6, "what was done is found again"
    told = CliRunner().invoke(app, ["bulk", "--status", str(out)])
    assert told.exit_code == 1 and "4 done, 1 failed, 0 found" in told.stdout
    assert r"bad\xe4.wav" in told.stdout


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_shards_of_such_names(kind: str, bulk: Bulk, odd: Path, tmp_path: Path) -> None:
    out, spool = tmp_path / "out\udcfe", tmp_path / "spool\udcfd"
    arguments = (odd, "-o", out, "--shards", kind, "--spool", spool)
    first = bulk(*arguments)
    assert first.exit_code == 1 and "4 enhanced" in first.stderr, first.output
    shard = out / f"shard-000000.{kind}"
    whole = shard.read_bytes()
    if kind == "tar":
        with tarfile.open(shard) as tar:
            assert "\udcff.wav" in tar.getnames()
    else:
        assert r"\xff.wav" in pq.read_table(io.BytesIO(whole))["path"].to_pylist()
    again = bulk(*arguments)
    assert "0 enhanced" in again.stderr and shard.read_bytes() == whole


def test_a_store_that_takes_no_such_names(bulk: Bulk, odd: Path) -> None:
    done = bulk(odd, "-o", "memory://odd")
    assert done.exit_code == 1 and "Traceback" not in done.output
    assert "/odd/a.wav" in fsspec.filesystem("memory").find("/odd")
    fsspec.filesystem("memory").rm("/odd", recursive=True)


def test_names_that_no_file_can_have(bulk: Bulk, recordings: Path, tmp_path: Path) -> None:
    out, long = tmp_path / "out", "x" * 300
    rows = [
        {"path": "a.wav"},
        {"path": "a.wav", "output": f"{long}.wav"},
        {"path": "a.wav", "output": "/".join(["y" * 200] * 30) + ".wav"},
        {"path": f"{long}.wav", "output": "source.wav"},
        {"path": "/".join(["z" * 200] * 30) + ".wav", "output": "deep.wav"},
        {"path": "c.wav"},
    ]
    manifest = recordings / "list.jsonl"
    manifest.write_text("\n".join(map(json.dumps, rows)))
    done = bulk(manifest, "-o", out)
    assert done.exit_code == 1 and "2 enhanced" in done.stderr, done.output
    assert "4 failed" in done.stderr and done.stderr.count("File name too long") == 4
    assert {path.name for path in out.rglob("*.wav")} == {"a.wav", "c.wav"}
    assert len(ledger(out)) == 6


def test_a_long_name_in_a_store(bulk: Bulk, recordings: Path) -> None:
    manifest, long = recordings / "list.csv", "x" * 300
    manifest.write_text(f"path,output\na.wav,{long}.wav\n")
    done = bulk(manifest, "-o", "memory://long")
    assert done.exit_code == 0, done.output
    assert f"/long/{long}.wav" in fsspec.filesystem("memory").find("/long")
    fsspec.filesystem("memory").rm("/long", recursive=True)


def test_links_do_not_lead_results_out_of_their_folder(
    bulk: Bulk, recordings: Path, tmp_path: Path
) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    out.mkdir()
    (out / "deep").symlink_to(elsewhere, target_is_directory=True)
    first = bulk(recordings, "-o", out)
    assert first.exit_code == 1 and "2 enhanced" in first.stderr, first.output
    assert f"deep is a link that leads out of {out}, to {elsewhere}" in first.stderr
    assert list(elsewhere.iterdir()) == []
    # What lies there is no result either.
    (elsewhere / "b.flac").write_bytes(b"somebody else's")
    again = bulk(recordings, "-o", out)
    assert again.exit_code == 1 and "2 done before, 1 failed" in again.stderr, again.output
    assert (elsewhere / "b.flac").read_bytes() == b"somebody else's"
    # The folder of all results may be a link.
    (tmp_path / "link").symlink_to(elsewhere, target_is_directory=True)
    assert bulk(recordings, "-o", tmp_path / "link").exit_code == 0
