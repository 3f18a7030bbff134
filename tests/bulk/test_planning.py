"""The list of what is left: each run has its own, and none stays."""

import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

import fsspec
from typer.testing import Result

from speechduet.bulk.last_rows import read_ledger
from speechduet.bulk.planning import Left, piece_of, planned, read_pieces
from speechduet.bulk.rows import Row

Bulk = Callable[..., Result]


def plan(output: str, *rows: Row) -> AbstractContextManager[Left]:
    known = read_ledger(output)
    return planned(lambda: iter(rows), output, known, ("fast", "0"), None, False, lambda _: None)


def rows_in(left: Left) -> list[Row]:
    tables = read_pieces(left.place, list(range(left.groups)))
    return [row for table in tables for piece in table.to_pylist() for row in piece_of(piece).rows]


@pytest.mark.parametrize("output", ["local", "memory://two"])
def test_two_runs_have_two_lists(output: str, tmp_path: Path) -> None:
    output = str(tmp_path) if output == "local" else output
    one, other = Row("/in/a.wav", "a.wav"), Row("/in/\udcff.wav", "\udcff.wav")
    with plan(output, one) as first:
        with plan(output, other) as second:
            assert rows_in(first) == [one] and rows_in(second) == [other]
        assert rows_in(first) == [one]
    files = fsspec.filesystem("memory")
    assert not list(tmp_path.rglob("*.*")) and not files.find("/two")


SCRIPT = """
import sys, time
from pathlib import Path
from speechduet.bulk.last_rows import read_ledger
from speechduet.bulk.planning import planned
from speechduet.bulk.rows import Row
from speechduet.cli.termination import ended_in_order
from speechduet.files.partial import unfinished

def wait():
    print("waits", flush=True)
    time.sleep(300)

out, *others = sys.argv[1:]
rows, known = lambda: iter([Row("/in/a.wav", "a.wav")]), read_ledger(out)
with ended_in_order(), planned(rows, out, known, ("", ""), None, False, lambda _: None):
    for folder in others:
        name = unfinished(Path(folder)).__enter__()
        name.write_bytes(b"half")
    try:
        wait()
    finally:
        wait()
"""


def begun(out: Path, *others: Path) -> "subprocess.Popen[bytes]":
    """A process that has begun a run, with unfinished files in other folders."""
    command = [sys.executable, "-c", SCRIPT, str(out), *map(str, others)]
    # Heeded even if these tests run in the background, where SIGINT is ignored.
    heed = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=heed)
    assert process.stdout and process.stdout.readline() == b"waits\n"
    assert list(out.rglob(".speechduet*"))
    return process


def test_a_second_interruption_leaves_no_list(tmp_path: Path) -> None:
    with begun(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        assert process.stdout and process.stdout.readline() == b"waits\n"
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    assert list(tmp_path.rglob(".speechduet*")) == []


def test_the_next_run_sweeps_what_a_killed_one_left(
    bulk: Bulk, recordings: Path, tmp_path: Path
) -> None:
    out, spool = tmp_path / "out", tmp_path / "spool"
    for folder in (out / "deep", spool):
        folder.mkdir(parents=True)
    with begun(out, out / "deep", spool) as process:
        process.kill()
    assert len(list(tmp_path.rglob(".speechduet*"))) == 3
    done = bulk(recordings, "-o", out, "--spool", spool)
    assert done.exit_code == 0, done.output
    assert list(tmp_path.rglob(".speechduet*")) == []
