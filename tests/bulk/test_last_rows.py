"""What a ledger says, of which some parts are not what a run has written."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

import pyarrow as pa
import pyarrow.parquet as pq
from typer.testing import CliRunner, Result

from speechduet.bulk.last_rows import read_ledger, summary
from speechduet.bulk.ledger import Ledger, Record, table_of
from speechduet.cli import app


def note(output: Path, *records: Record) -> None:
    ledger = Ledger(str(output))
    ledger.append(table_of(records))
    ledger.flush()


def status(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["bulk", "--status", *map(str, arguments)])


GOOD = {
    "path": ["/in/x.wav"],
    "output": ["x.wav"],
    "status": ["done"],
    "duration_s": [1.0],
    "seconds_taken": [1.0],
    "mode": ["fast"],
    "model_hash": ["0"],
    "shard": [None],
    "error": [None],
}


@pytest.mark.parametrize(
    "changed",
    [
        {"duration_s": ["long"]},
        {"seconds_taken": [{"s": 1}]},
        {"output": [None]},
        {"path": [None]},
        {"output": [b"\xff.wav"]},
        {"output": pa.array([b"\xff.wav"]).view(pa.string())},
        {"output": [["x.wav"]]},
        {"status": [3]},
        {"status": [None]},
        {"status": ["started"]},
        {"mode": [[1]]},
        {"path": None},
        {"output": None},
        {"status": None},
        {"duration_s": None},
    ],
    ids=range(15),
)
def test_a_foreign_part_is_named_and_left_out(changed: dict[str, Any], tmp_path: Path) -> None:
    note(tmp_path, Record("/in/a.wav", "a.wav", "done"))
    columns = {name: values for name, values in {**GOOD, **changed}.items() if values is not None}
    pq.write_table(pa.table(columns), tmp_path / "_ledger/part-9.parquet")
    known = read_ledger(str(tmp_path))
    assert len(known.outputs) == 1
    assert len(known.unreadable) == 1 and "part-9.parquet" in known.unreadable[0]
    told = status(tmp_path)
    assert told.exit_code == 0 and "1 done, 0 failed" in told.stdout
    assert "cannot be read: " in told.stdout and told.stdout.count("\n") == 2


def test_parts_of_other_widths_count(tmp_path: Path) -> None:
    (tmp_path / "_ledger").mkdir()
    columns = {name: pa.array(values) for name, values in GOOD.items()}
    columns["path"] = columns["path"].cast(pa.large_string())
    columns["status"] = columns["status"].dictionary_encode()
    columns["duration_s"] = pa.array([float("nan")])
    columns["seconds_taken"] = pa.array([2], pa.int32())
    pq.write_table(pa.table(columns), tmp_path / "_ledger/part-1.parquet")
    told = summary(str(tmp_path))
    assert (told["done"], told["unreadable"], told["audio_hours"]) == (1, [], 0.0)


def test_a_folder_in_place_of_a_part(tmp_path: Path) -> None:
    (tmp_path / "_ledger/part-1.parquet").mkdir(parents=True)
    assert "part-1.parquet" in read_ledger(str(tmp_path)).unreadable[0]


def test_the_exit_status_says_whether_something_failed(tmp_path: Path) -> None:
    for output in (tmp_path / "nothing", tmp_path):
        told = status(output)
        assert told.exit_code == 1 and "no run into it has begun" in told.stderr, told.output
        (tmp_path / "_ledger").mkdir(exist_ok=True)
    note(tmp_path, Record("/in/a", "a", "done", duration_s=90.0, seconds_taken=30.0))
    told = status(tmp_path)
    assert told.exit_code == 0, told.output
    speed = "1.5 min of audio in 30 s of one worker's time: 3.0 h of audio per worker and hour"
    assert told.stdout.splitlines() == ["1 done, 0 failed, 0 found", speed]
    note(tmp_path, Record("/in/b", "b", "failed", error="/in/b is broken"))
    assert status(tmp_path).exit_code == 1
    told = status(tmp_path, "--json")
    assert told.exit_code == 1 and json.loads(told.stdout)["failed"] == 1
