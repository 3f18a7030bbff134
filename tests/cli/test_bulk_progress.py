"""Progress of ``bulk``: a bar on a terminal, lines elsewhere, and what is summed up."""

import os
import subprocess
import sys
from itertools import count

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

from speechduet.bulk.ledger import Record, table_of
from speechduet.cli import bulk_progress as subject
from speechduet.cli.bulk_progress import BulkProgress


def done(name: str) -> Record:
    return Record(f"/in/{name}", name, "done", duration_s=1800.0)


def failed(name: str) -> Record:
    return Record(f"/in/{name}", name, "failed", error=f"{name} [red] is broken")


def test_lines_with_throughput_time_left_and_failures(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = count(0, 60)
    monkeypatch.setattr(subject, "monotonic", lambda: next(seconds))
    progress = BulkProgress(quiet=False)
    progress.begin(20, 3)
    with progress:
        for number in range(6):
            progress.take(table_of([done(f"{number}")]))
        progress.take(table_of([failed("x")]))
    progress.end()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "20 recordings to enhance, 3 done before"
    assert "left" not in lines[1] and lines[1].startswith("1 of 20 recordings, 30.0 min of audio")
    assert "2 of 20 recordings, 1.00 h of audio, " in lines[2] and " h per hour, 0 fai" in lines[2]
    assert "left" in lines[2]
    assert lines[-3] == "failed: x [red] is broken"
    assert lines[-1].startswith("6 enhanced (3.00 h of audio") and lines[-1].endswith("1 failed")
    assert progress.failures == 1


def test_one_is_no_plural_and_units_fit(capsys: pytest.CaptureFixture[str]) -> None:
    progress = BulkProgress(quiet=False)
    progress.begin(1, 0)
    progress.take(table_of([Record("/in/a", "a", "done", duration_s=7.4)]))
    progress.end()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "1 recording to enhance, 0 done before"
    assert lines[1].startswith("1 enhanced (7 s of audio, ")
    assert [subject.lasting(seconds) for seconds in (59, 90, 3600)] == ["59 s", "1.5 min", "1.00 h"]


def test_quiet_tells_failures_and_not_all_of_many(capsys: pytest.CaptureFixture[str]) -> None:
    progress = BulkProgress(quiet=True)
    progress.begin(30, 0)
    progress.tell("starting Ray")
    with progress:
        progress.take(table_of([failed(str(number)) for number in range(30)]))
    progress.end()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21 and lines[-1] == "further failures are told by --status"


def test_a_bar_on_a_terminal() -> None:
    pty = pytest.importorskip("pty", reason="needs pseudo terminals")
    script = (
        "from speechduet.bulk.ledger import Record, table_of\n"
        "from speechduet.cli.bulk_progress import BulkProgress\n"
        "progress = BulkProgress(False)\n"
        "progress.begin(2, 0)\n"
        "with progress:\n"
        "    good, bad = Record('a', 'a', 'done', 3600.0), Record('b', 'b', 'failed', error='!')\n"
        "    for one in (good, bad):\n"
        "        progress.take(table_of([one]))\n"
        "        progress.progress.refresh()\n"
        "progress.end()\n"
    )
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "150"}
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stderr=theirs, env=environment) as process:
        os.close(theirs)
        said = b""
        # Reading ends with an error on Linux when the other side is closed.
        while piece := _read(ours):
            said += piece
    os.close(ours)
    assert process.returncode == 0
    shown = said.decode()
    assert "Enhancing" in shown and "━" in shown, shown
    assert "1/2" in shown and "1.00 h of audio" in shown and "h per hour, 0 failed" in shown
    assert "2/2" in shown and "1 failed" in shown and "failed: !" in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def test_an_interruption_says_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    progress = BulkProgress(quiet=False)
    progress.interrupted()
    assert capsys.readouterr().err == "interrupted: the same command does the rest\n"
    progress.begin(2, 0)
    progress.interrupted()
    assert capsys.readouterr().err.endswith(
        "interrupted: 2 recordings left; the same command does the rest\n"
    )
