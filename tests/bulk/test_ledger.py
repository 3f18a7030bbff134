"""The ledger: parts that grow, the last row of each result, and parts that are damaged."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

import pyarrow.parquet as pq
from typer.testing import CliRunner

from speechduet.bulk import ledger as subject
from speechduet.bulk.last_rows import hash_of, read_ledger, summary, within
from speechduet.bulk.ledger import STATUSES, Ledger, Record, table_of
from speechduet.cli import app
from speechduet.errors import FileError


def record(name: str, status: subject.Status = "done", **known: float | str | None) -> Record:
    return Record(f"/in/{name}", name, status, **known)  # type: ignore[arg-type]


def note(output: Path, *records: Record) -> None:
    ledger = Ledger(str(output))
    ledger.append(table_of(records))
    ledger.flush()


def statuses(output: Path) -> dict[str, str]:
    known = read_ledger(str(output))
    codes = dict(zip(known.outputs.tolist(), known.statuses.tolist(), strict=True))
    names = ("a", "b", "c", "d")
    return {name: STATUSES[codes[hash_of(name)]] for name in names if hash_of(name) in codes}


def test_the_last_row_counts(tmp_path: Path) -> None:
    note(tmp_path, record("a", "failed", error="x"), record("b"), record("c", "failed"))
    note(tmp_path, record("a", duration_s=7.0), record("c", "found"))
    note(tmp_path, record("b", "found"), record("d", "found"))
    # What was done and is found again keeps what was measured.
    assert statuses(tmp_path) == {"a": "done", "b": "done", "c": "found", "d": "found"}
    assert len(read_ledger(str(tmp_path)).finished()) == 4


def test_a_clock_that_was_ahead(tmp_path: Path) -> None:
    note(tmp_path, record("a", "failed", error="x"))
    (part,) = (tmp_path / "_ledger").iterdir()
    part.rename(part.with_name("part-20991231T235959999999-ffffff-00000.parquet"))
    (part.parent / "part-of-somebody.parquet").write_bytes(b"x")
    note(tmp_path, record("a"), record("b", "failed"))
    note(tmp_path, record("b"))
    assert statuses(tmp_path) == {"a": "done", "b": "done"}


def test_a_part_grows_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_PART_ROWS", 3)
    ledger = Ledger(str(tmp_path))
    for number in range(7):
        ledger.append(table_of([record(str(number))]))
    ledger.flush()
    parts = sorted((tmp_path / "_ledger").iterdir())
    assert [pq.read_metadata(part).num_rows for part in parts] == [3, 3, 1]
    assert len(read_ledger(str(tmp_path)).outputs) == 7


def test_a_part_that_a_kill_cut_off_is_left_out(tmp_path: Path) -> None:
    note(tmp_path, record("a"))
    note(tmp_path, record("b"))
    first, second = sorted((tmp_path / "_ledger").iterdir())
    second.write_bytes(second.read_bytes()[:-20])
    (tmp_path / "_ledger/part-9.parquet").touch()
    known = read_ledger(str(tmp_path))
    assert statuses(tmp_path) == {"a": "done"}
    assert len(known.unreadable) == 2 and second.name in known.unreadable[0]
    first.write_text("no Parquet")
    assert summary(str(tmp_path))["done"] == 0


def test_status_counts_hours_and_names_failures(tmp_path: Path) -> None:
    failed = [record(f"f{number}", "failed", error="broken") for number in range(25)]
    hour = record("a", duration_s=3600.0, seconds_taken=1800.0)
    note(tmp_path, *failed, hour, record("f3"))
    told = summary(str(tmp_path))
    assert (told["done"], told["failed"], told["found"]) == (2, 24, 0)
    assert (told["audio_hours"], told["worker_hours"]) == (1.0, 0.5)
    assert len(told["failures"]) == 20 and told["failures"][0] == {
        "path": "/in/f0",
        "error": "broken",
    }
    assert "/in/f3" not in [failure["path"] for failure in told["failures"]]


def test_no_ledger(tmp_path: Path) -> None:
    for output in (tmp_path / "nothing", tmp_path):
        with pytest.raises(FileError, match="no recording is in the ledger of .*: no run into it"):
            summary(str(output))
        (tmp_path / "_ledger").mkdir(exist_ok=True)
    assert not len(read_ledger(str(tmp_path)).outputs)


def test_a_ledger_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "_ledger").touch()
    with pytest.raises(FileError, match="cannot write"):
        note(tmp_path, record("a"))


def test_hashes_stand_for_names() -> None:
    import numpy as np

    hashes = np.sort(np.array([hash_of("a"), hash_of("b\udcff")], np.uint64))
    assert within(hashes, "a") and within(hashes, "b\udcff") and not within(hashes, "c")
    assert not within(np.zeros(0, np.uint64), "a")


def test_a_ledger_is_read_without_threads_that_may_outlive_python(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.append(table_of([Record("a.wav", "a.wav", "failed", error="gone")]))
    ledger.flush()
    script = (
        "import sys\n"
        "from speechduet.bulk.last_rows import summary\n"
        "assert summary(sys.argv[1])['failures'] == [{'path': 'a.wav', 'error': 'gone'}]\n"
        "assert 'pyarrow.dataset' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)


def test_the_status_names_each_failure_once(tmp_path: Path) -> None:
    note(tmp_path, record("a.wav", "failed", error="cannot read /in/a.wav: gone"))
    note(tmp_path, record("b.wav", "failed", error="its worker died"))
    told = CliRunner().invoke(app, ["bulk", "--status", str(tmp_path)])
    assert told.exit_code == 1
    assert "failed: cannot read /in/a.wav: gone\n" in told.stdout
    assert "failed: /in/b.wav: its worker died\n" in told.stdout
