"""The ledger: what became of each recording, as Parquet in parts beside the results."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex
from time import monotonic
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from speechduet.attempt import Attempt
from speechduet.bulk.places import filesystem, joined, local_path
from speechduet.bulk.rows import LEDGER
from speechduet.errors import FileError, SettingError
from speechduet.files.atomic import write_bytes

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

Hashes = npt.NDArray[np.uint64]


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
        one.name: [getattr(record, one.name) for record in records] for one in fields(Record)
    }
    return pa.table({**columns, "ended_at": [now] * len(records)}, schema=SCHEMA)


def hash_of(name: str) -> int:
    """64 bits that stand for a name, so that many millions fit the memory."""
    return int.from_bytes(
        blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest(), "little"
    )


class Ledger:
    """A part that grows: rows are appended, and written whole every second or so.

    At 20 000 rows the next part begins. A part is replaced by its longer self, so that a kill
    loses what came within the last second, and never what had been written.
    """

    def __init__(self, output: str) -> None:
        self._folder = joined(output, LEDGER)
        # Names in the order of time, whoever writes them.
        self._name = f"part-{datetime.now(timezone.utc):%Y%m%dT%H%M%S%f}-{token_hex(3)}"
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


class Known(NamedTuple):
    """The last row of each result: a hash of its name, in order, and what became of it."""

    outputs: Hashes
    statuses: npt.NDArray[np.int8]
    durations_s: npt.NDArray[np.float64]
    seconds_taken: npt.NDArray[np.float64]
    unreadable: tuple[str, ...]
    """Parts that a kill, or somebody, has damaged."""

    def finished(self) -> Hashes:
        """Hashes of results that were made, in order."""
        finished: Hashes = self.outputs[self.statuses != STATUSES.index("failed")]
        return finished


def read_ledger(output: str) -> Known:
    """What the ledger beside results says; nothing where there is none."""
    unreadable: list[str] = []
    hashes: list[Hashes] = [np.zeros(0, np.uint64)]
    numbers: list[list[npt.NDArray[Any]]] = [[np.zeros(0)] for _ in range(3)]
    columns = ["output", "status", "duration_s", "seconds_taken"]
    for table in parts(output, columns, unreadable):
        names = table["output"].to_pylist()
        hashes.append(np.fromiter(map(hash_of, names), np.uint64, len(names)))
        numbers[0].append(np.array([STATUSES.index(one) for one in table["status"].to_pylist()]))
        for held, column in zip(numbers[1:], columns[2:], strict=True):
            held.append(table[column].fill_null(0).to_numpy())
    every = np.concatenate(hashes)
    statuses, durations, taken = (np.concatenate(one) for one in numbers)
    outputs, last = _last_of_each(every)
    # What was done and is found again, in a shard that was written anew, was done.
    (done,) = np.nonzero(statuses == STATUSES.index("done"))
    done_outputs, latest = _last_of_each(every[done])
    again = (statuses[last] == STATUSES.index("found")) & np.isin(outputs, done_outputs)
    last[again] = done[latest[np.searchsorted(done_outputs, outputs[again])]]
    codes = statuses[last].astype(np.int8)
    return Known(outputs, codes, durations[last], taken[last], tuple(unreadable))


def parts(output: str, columns: Sequence[str] | None, unreadable: list[str]) -> Iterator[pa.Table]:
    """The rows of the ledger, part by part in the order of time.

    A part that cannot be read is named in ``unreadable`` and passed over: its results are there.
    """
    for place in _part_places(output):
        with Attempt(place) as attempt:
            files, name = filesystem(place)
            with files.open(name, "rb") as file:
                table = pq.read_table(io.BytesIO(file.read()), columns=columns)
            if set(table["status"].unique().to_pylist()) - set(STATUSES):
                raise ValueError("it has a status that is none")
        if attempt.failure:
            unreadable.append(attempt.failure)
        else:
            yield table


def _part_places(output: str) -> list[str]:
    folder = joined(output, LEDGER)
    files, path = filesystem(folder)
    names: list[str] = []
    with Attempt(folder) as attempt:
        if files.exists(path):
            names = files.ls(path, detail=False)
    if attempt.failure:
        raise SettingError(f"cannot read the ledger {attempt.failure}")
    found = (Path(name).name for name in names)
    return [
        joined(folder, name)
        for name in sorted(found)
        if name.startswith("part-") and name.endswith(".parquet")
    ]


def _last_of_each(hashes: Hashes) -> tuple[Hashes, npt.NDArray[np.intp]]:
    """The different hashes in order, and where each stands last."""
    order = np.argsort(hashes, kind="stable")
    arranged = hashes[order]
    last = np.append(arranged[1:] != arranged[:-1], True)[: len(arranged)]
    return arranged[last], order[last]


def summary(output: str, failures: int = 20) -> Mapping[str, Any]:
    """What ``bulk --status`` tells: counts, hours, speed, and the first failures.

    Raises SettingError if there is no ledger.
    """
    known = read_ledger(output)
    if not len(known.outputs) and not known.unreadable:
        raise SettingError(f"there is no ledger in {output}", "the output of speechduet bulk")
    done = known.statuses == STATUSES.index("done")
    failed = np.sort(known.outputs[known.statuses == STATUSES.index("failed")])
    return {
        **{one: int(np.sum(known.statuses == code)) for code, one in enumerate(STATUSES)},
        "audio_hours": float(known.durations_s[done].sum()) / 3600,
        "worker_hours": float(known.seconds_taken[done].sum()) / 3600,
        "failures": list(_failures(output, failed, failures)),
        "unreadable": list(known.unreadable),
    }


def _failures(output: str, failed: Hashes, most: int) -> Iterator[dict[str, str]]:
    last: dict[str, dict[str, str]] = {}
    if not len(failed):
        return
    for table in parts(output, ["path", "output", "status", "error"], []):
        rows = table.filter(pa.compute.equal(table["status"], "failed")).to_pylist()
        for row in rows:
            if within(failed, row["output"]) and (row["output"] in last or len(last) < most):
                last[row["output"]] = {"path": row["path"], "error": row["error"]}
    yield from last.values()


def within(hashes: Hashes, name: str) -> bool:
    """Whether a name's hash is among hashes in order."""
    wanted = np.uint64(hash_of(name))
    at = int(np.searchsorted(hashes, wanted))
    return at < len(hashes) and bool(hashes[at] == wanted)
