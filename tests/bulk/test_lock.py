"""One run at a time for each local output; a run that is killed holds no other up."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

from typer.testing import Result

from speechduet.bulk.lock import only_run
from speechduet.errors import SettingError

Bulk = Callable[..., Result]


def test_a_second_run_is_refused(bulk: Bulk, recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with only_run(str(out)), only_run(str(tmp_path / "other")):
        second = bulk(recordings, "-o", out)
    assert second.exit_code == 2, second.output
    assert f"another run is at work in {out}; expected one run at a time" in second.stderr
    assert [one.name for one in out.rglob("*")] == ["_ledger", "lock"]
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


def test_stores_have_no_locks() -> None:
    with only_run("memory://out"), only_run("memory://out"):
        pass


def test_file_systems_without_locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr("speechduet.bulk.lock.FileLock.acquire", refuse)
    with only_run(str(tmp_path)):
        pass
