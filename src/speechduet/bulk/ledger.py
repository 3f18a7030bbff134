"""The ledger: what became of each recording, as Parquet in parts beside the results."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from secrets import token_hex
from time import monotonic
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from speechduet.attempt import Attempt
from speechduet.bulk.places import asking, filesystem, joined, local_path
from speechduet.bulk.rows import LEDGER
from speechduet.errors import FileError
from speechduet.files.atomic import write_bytes
from speechduet.names import utf8

Status = Literal["done", "failed", "found"]
"""``found``: the result was there without a row, whose process had been killed before it."""

STATUSES: tuple[Status, ...] = ("done", "failed", "found")

SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("output", pa.string()),
        ("status", pa.string()),
        ("duration_s", pa.float64()),
        ("seconds_taken", pa.float64()),
        ("sample_rate", pa.int32()),
        ("channels", pa.int16()),
        ("mode", pa.string()),
        ("model", pa.string()),
        ("model_hash", pa.string()),
        ("mean_confidence", pa.float64()),
        ("level_before_db", pa.float64()),
        ("level_after_db", pa.float64()),
        ("tries", pa.int16()),
        ("shard", pa.string()),
        ("notes", pa.string()),
        ("error", pa.string()),
        ("ended_at", pa.timestamp("ms", "UTC")),
    ]
)
"""Columns of the ledger; durations in seconds, levels in dB of full scale."""

_PART_ROWS = 20_000
_PAUSE_S = 1.0
"""Least time between two writings of a part; a busy store makes it longer."""


@dataclass(frozen=True)
class Record:
    """What became of one recording; the fields are the columns of `SCHEMA`."""

    path: str
    output: str
    status: Status
    duration_s: float | None = None
    seconds_taken: float | None = None
    sample_rate: int | None = None
    channels: int | None = None
    mode: str | None = None
    model: str | None = None
    model_hash: str | None = None
    mean_confidence: float | None = None
    level_before_db: float | None = None
    level_after_db: float | None = None
    tries: int = 0
    shard: str | None = None
    notes: str | None = None
    error: str | None = None


def table_of(records: Sequence[Record]) -> pa.Table:
    """Records as rows, with the time at which they are made."""
    now = datetime.now(timezone.utc)
    columns: dict[str, list[Any]] = {
        one.name: [_held(getattr(record, one.name)) for record in records] for one in fields(Record)
    }
    return pa.table({**columns, "ended_at": [now] * len(records)}, schema=SCHEMA)


def _held(value: Any) -> Any:
    """A value as Parquet can hold it: bytes of names that are not UTF-8 in hexadecimal."""
    return utf8(value) if isinstance(value, str) else value


def part_places(output: str) -> list[str]:
    """The parts of the ledger beside results, in the order of time. Raises SettingError."""
    folder = joined(output, LEDGER)
    names: list[str] = []
    with asking("list", folder):
        files, path = filesystem(folder)
        names = files.ls(path, detail=False) if files.exists(path) else []
    found = (Path(name).name for name in names)
    return [
        joined(folder, name)
        for name in sorted(found)
        if name.startswith("part-") and name.endswith(".parquet")
    ]


class Ledger:
    """A part that grows: rows are appended, and written whole every second or so.

    At 20 000 rows the next part begins. A part is replaced by its longer self, so that a kill
    loses what came within the last second, and never what had been written.
    """

    def __init__(self, output: str) -> None:
        self._folder = joined(output, LEDGER)
        # Names in the order of time, whoever writes them, and if a clock is wrong or was.
        earlier = re.findall(r"/part-(\d{8})T(\d{12})-", "".join(part_places(output)))
        now = int(f"{datetime.now(timezone.utc):%Y%m%d%H%M%S%f}")
        digits = str(max([now, *(int(day + time) + 1 for day, time in earlier)]))
        self._name = f"part-{digits[:8]}T{digits[8:]}-{token_hex(3)}"
        self._number = 0
        self._tables: list[pa.Table] = []
        self._rows = 0
        self._unwritten = False
        self._next = 0.0

    def append(self, table: pa.Table) -> None:
        """Take in rows of `SCHEMA`. Raises FileError if the part cannot be written."""
        self._tables.append(table)
        self._rows += table.num_rows
        self._unwritten = True
        if self._rows >= _PART_ROWS:
            self.flush()
            self._number, self._tables, self._rows = self._number + 1, [], 0
        elif monotonic() >= self._next:
            self.flush()

    def flush(self) -> None:
        """Write what has not been written. Raises FileError."""
        if not self._unwritten:
            return
        begun = monotonic()
        self._tables = [pa.concat_tables(self._tables).combine_chunks()]
        written = io.BytesIO()
        pq.write_table(self._tables[0], written, compression="zstd")
        place = joined(self._folder, f"{self._name}-{self._number:05d}.parquet")
        write_whole(place, written.getvalue())
        self._unwritten = False
        ended = monotonic()
        self._next = ended + max(_PAUSE_S, 20 * (ended - begun))


def write_whole(place: str, content: bytes) -> None:
    """Write a small file that is there whole or not at all. Raises FileError."""
    path = local_path(place)
    if path is not None:
        write_bytes(path, content)
        return
    files, name = filesystem(place)
    with Attempt(place) as attempt:
        files.pipe_file(name, content)
    if attempt.failure:
        raise FileError(f"cannot write {attempt.failure}")
