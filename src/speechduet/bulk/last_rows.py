"""What a ledger says: of each result its last row, and of all of them a summary."""

import io
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from speechduet.attempt import Attempt
from speechduet.bulk.ledger import SCHEMA, STATUSES, part_places
from speechduet.bulk.places import filesystem, local_path
from speechduet.errors import FileError
from speechduet.names import utf8

Hashes = npt.NDArray[np.uint64]


def hash_of(name: str) -> int:
    """64 bits that stand for a name, so that many millions fit the memory.

    They are those of the name as the ledger has it.
    """
    try:
        held = name.encode()
    except UnicodeEncodeError:
        held = utf8(name).encode()
    return int.from_bytes(blake2b(held, digest_size=8).digest(), "little")


def hash_of_making(source: str, mode: str | None, model_hash: str | None) -> int:
    """64 bits that stand for what a result was made of, and how."""
    return hash_of(f"{local_path(source) or source}\n{mode}\n{model_hash}")


class LastRows(NamedTuple):
    """The last row of each result: a hash of its name, in order, and what became of it."""

    outputs: Hashes
    statuses: npt.NDArray[np.int8]
    durations_s: npt.NDArray[np.float64]
    seconds_taken: npt.NDArray[np.float64]
    makings: Hashes
    """`hash_of_making` of each."""
    in_shards: npt.NDArray[np.bool_]
    """Whether the last row of each was of a shard."""
    unreadable: tuple[str, ...]
    """Parts that a kill, or somebody, has damaged."""

    def finished(self, in_shards: bool = False) -> Hashes:
        """Hashes of results that were made, in order; if asked for, only of those in shards."""
        made = self.statuses != STATUSES.index("failed")
        finished: Hashes = self.outputs[made & self.in_shards if in_shards else made]
        return finished

    def made_otherwise(self, output: str, making: int) -> bool:
        """Whether a result was made of something else, or in another way."""
        at = _place_of(self.outputs, output)
        done = at is not None and self.statuses[at] == STATUSES.index("done")
        return bool(done and self.makings[at] != np.uint64(making))


def read_ledger(output: str) -> LastRows:
    """What the ledger beside results says; nothing where there is none."""
    unreadable: list[str] = []
    hashes: list[list[Hashes]] = [[np.zeros(0, np.uint64)] for _ in range(2)]
    numbers: list[list[npt.NDArray[Any]]] = [[np.zeros(0)] for _ in range(3)]
    making, columns = ["path", "mode", "model_hash"], ["duration_s", "seconds_taken"]
    sharded = [np.zeros(0, np.bool_)]
    for table in parts(output, ["output", "status", "shard", *columns, *making], unreadable):
        names = table["output"].to_pylist()
        made = zip(*(table[column].to_pylist() for column in making), strict=True)
        for held, values in zip(
            hashes, (map(hash_of, names), (hash_of_making(*one) for one in made)), strict=True
        ):
            held.append(np.fromiter(values, np.uint64, len(names)))
        numbers[0].append(np.array([STATUSES.index(one) for one in table["status"].to_pylist()]))
        sharded.append(table["shard"].is_valid().to_numpy())
        for measured, column in zip(numbers[1:], columns, strict=True):
            values = table[column].fill_null(0).to_numpy()
            measured.append(np.nan_to_num(values, posinf=0.0, neginf=0.0))
    every, makings = (np.concatenate(one) for one in hashes)
    statuses, durations, taken = (np.concatenate(one) for one in numbers)
    outputs, last = _last_of_each(every)
    in_shards = np.concatenate(sharded)[last]
    # What was done and is found again, in a shard that was written anew, was done.
    (done,) = np.nonzero(statuses == STATUSES.index("done"))
    done_outputs, latest = _last_of_each(every[done])
    again = (statuses[last] == STATUSES.index("found")) & np.isin(outputs, done_outputs)
    last[again] = done[latest[np.searchsorted(done_outputs, outputs[again])]]
    codes = statuses[last].astype(np.int8)
    measured_last = durations[last], taken[last], makings[last]
    return LastRows(outputs, codes, *measured_last, in_shards, tuple(unreadable))


def parts(output: str, columns: Sequence[str], unreadable: list[str]) -> Iterator[pa.Table]:
    """Columns of the ledger, part by part in the order of time.

    A part that cannot be read, or holds something else than such rows, is named in ``unreadable``
    and passed over: its results are there.
    """
    schema = pa.schema([SCHEMA.field(column) for column in columns])
    for place in part_places(output):
        with Attempt(place) as attempt:
            files, name = filesystem(place)
            with files.open(name, "rb") as file:
                part = pq.ParquetFile(io.BytesIO(file.read()))
            # In no other thread: one that has not ended when Python does aborts it.
            table = part.read(list(columns), use_threads=False)
            if lacking := set(columns) - set(table.column_names):
                raise ValueError(f"it has no column {min(lacking)}")
            table = table.select(columns).cast(schema)
            if set(table["status"].unique().to_pylist()) - set(STATUSES):
                raise ValueError("it has a status that is none")
            if table["output"].null_count or table["path"].null_count:
                raise ValueError("it has a row without a name")
            table.validate(full=True)
        if attempt.failure:
            unreadable.append(attempt.failure)
        else:
            yield table


def _last_of_each(hashes: Hashes) -> tuple[Hashes, npt.NDArray[np.intp]]:
    """The different hashes in order, and where each stands last."""
    order = np.argsort(hashes, kind="stable")
    arranged = hashes[order]
    last = np.append(arranged[1:] != arranged[:-1], True)[: len(arranged)]
    return arranged[last], order[last]


def summary(output: str, failures: int = 20) -> Mapping[str, Any]:
    """What ``bulk --status`` tells: counts, hours, speed, and the first failures.

    Raises FileError if nothing is in the ledger.
    """
    known = read_ledger(output)
    if not len(known.outputs) and not known.unreadable:
        raise FileError(
            f"no recording is in the ledger of {output}: no run into it has begun",
            remedy=f"speechduet bulk INPUT -o {output} begins one",
        )
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
        for row in table.to_pylist():
            if row["status"] != "failed" or not within(failed, row["output"]):
                continue
            if row["output"] in last or len(last) < most:
                last[row["output"]] = {"path": row["path"], "error": row["error"]}
    yield from last.values()


def within(hashes: Hashes, name: str) -> bool:
    """Whether a name's hash is among hashes in order."""
    return _place_of(hashes, name) is not None


def _place_of(hashes: Hashes, name: str) -> int | None:
    wanted = np.uint64(hash_of(name))
    at = int(np.searchsorted(hashes, wanted))
    return at if at < len(hashes) and hashes[at] == wanted else None
