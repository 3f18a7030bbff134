"""One run at a time for each local output; a run that is killed holds no other up."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

import pyarrow.parquet as pq
from typer.testing import Result

from speechduet.bulk.ledger import Ledger, Record, table_of
from speechduet.bulk.lock import only_run
from speechduet.errors import SettingError

Bulk = Callable[..., Result]


def test_a_second_run_is_refused(bulk: Bulk, recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with only_run(str(out)), only_run(str(tmp_path / "other")):
        second = bulk(recordings, "-o", out)
    assert second.exit_code == 2, second.output
    assert f"another run is at work in {out}; expected one run at a time" in second.stderr
    assert [one.name for one in out.rglob("*")] == ["_ledger", "_lock"]
    assert bulk(recordings, "-o", out).exit_code == 0


def test_a_killed_run_leaves_no_lock(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from speechduet.bulk.lock import only_run\n"
        "with only_run(sys.argv[1]):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        with pytest.raises(SettingError, match="another run"), only_run(str(tmp_path)):
            pass
        holder.kill()
        holder.wait()
        with only_run(str(tmp_path)):
            pass


def test_an_error_before_any_work_leaves_nothing(tmp_path: Path) -> None:
    for output, error in ((tmp_path / "a/b", SettingError("x")), (tmp_path / "c", OSError())):
        with pytest.raises(type(error)), only_run(str(output)):
            raise error
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SettingError), only_run(str(tmp_path / "a")):
        (tmp_path / "a/result.wav").touch()
        raise SettingError("x")
    assert (tmp_path / "a/result.wav").exists()
    with only_run(str(tmp_path / "c")):
        pass
    assert (tmp_path / "c/_ledger/_lock").exists()


def test_the_ledger_is_read_as_a_folder(tmp_path: Path) -> None:
    with only_run(str(tmp_path)):
        ledger = Ledger(str(tmp_path))
        ledger.append(table_of([Record("a.wav", "a.wav", "done", mean_confidence=0.9)]))
        ledger.flush()
    assert pq.read_table(tmp_path / "_ledger")["mean_confidence"].to_pylist() == [0.9]


def test_stores_have_no_locks() -> None:
    with only_run("memory://out"), only_run("memory://out"):
        pass


def test_file_systems_without_locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr("speechduet.bulk.lock.FileLock.acquire", refuse)
    with only_run(str(tmp_path)):
        pass
