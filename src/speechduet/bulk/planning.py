"""What is left to do: the rows without those that are done, as a list that lies on disk."""

import io
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from speechduet.attempt import Attempt
from speechduet.audio.folders import check_inside
from speechduet.bulk.last_rows import Hashes, LastRows, hash_of, hash_of_making, within
from speechduet.bulk.ledger import write_whole
from speechduet.bulk.places import asking, filesystem, is_written, joined, local_path
from speechduet.bulk.rows import LEDGER, Row
from speechduet.bulk.shard_list import Sharding, begin_shards, end_shards
from speechduet.errors import FileError, SettingError
from speechduet.files.partial import unfinished

ROWS_OF_A_PIECE = 4
"""Recordings that a worker is given at once; fewer while there are but few."""

_SMALL = 256
_GROUP_PIECES = 256
_FOUND_ROWS = 1000
_UTF8 = ("utf-8", "surrogatepass")

_SCHEMA = pa.schema(
    [
        ("shard", pa.string()),
        # Bytes, for names need not be UTF-8.
        ("sources", pa.list_(pa.binary())),
        ("outputs", pa.list_(pa.binary())),
    ]
)


class Piece(NamedTuple):
    """What a worker does in one go: a few recordings, or those of a shard."""

    shard: str | None
    rows: tuple[Row, ...]


Rows = Callable[[], Iterator[Row]]
Found = Callable[[Sequence[Row]], None]


def written_results(output: str) -> Callable[[str], bool]:
    """Whether a result of this name is there: of local ones asked, of others listed once."""
    local = local_path(output)
    if local is not None:
        out = local

        @lru_cache(4096)
        def leads_out(folder: Path) -> bool:
            with Attempt() as attempt:
                check_inside(folder, out)
            return bool(attempt.failure)

        # What a link leads elsewhere is no result; who is to write it will say so.
        return lambda name: is_written(joined(output, name)) and not leads_out((out / name).parent)
    files, root = filesystem(output)
    found = array("Q")
    with asking("list", output):
        if files.exists(root):
            for folder, _, names in files.walk(root, on_error="raise"):
                below = folder.removeprefix(root).strip("/")
                found.extend(hash_of(f"{below}/{name}".lstrip("/")) for name in names)
    hashes: Hashes = np.sort(np.frombuffer(found, np.uint64)) if found else np.zeros(0, np.uint64)
    return lambda name: within(hashes, name)


class Left(NamedTuple):
    """What has been planned."""

    place: str
    """Of the list of pieces."""
    rows: int
    """Recordings that the pieces hold."""
    skipped: int
    pieces: int
    groups: int
    otherwise: int
    """Results that are kept although they were made of something else, or in another way."""
    example: str
    """One of these, or nothing."""


@dataclass
class _Counts:
    rows: int = 0
    skipped: int = 0
    otherwise: int = 0
    example: str = ""
    shards: int = 0

    def keep(self, output: str, otherwise: bool) -> None:
        if otherwise:
            self.otherwise += 1
            self.example = self.example or output


@contextmanager
def planned(
    rows: Rows,
    output: str,
    last: LastRows,
    made_by: tuple[str, str],
    sharding: Sharding | None,
    overwrite: bool,
    found: Found,
) -> Iterator[Left]:
    """The list of what is left, beside the ledger as long as the context lasts.

    ``made_by`` are the mode and the hash of the model. ``found`` is called with the rows whose
    results are there but not in the ledger. Raises SettingError if nothing can be written there.
    If no error ends the context, shards that an earlier run left beyond the last are removed.
    """
    counts = _Counts()

    def otherwise(row: Row) -> bool:
        return last.made_otherwise(row.output, hash_of_making(row.source, *made_by))

    pieces = (
        _shards(rows, output, last, otherwise, sharding, overwrite, counts)
        if sharding
        else _files(rows, output, last, otherwise, overwrite, found, counts)
    )
    with _place_of_list(output) as place:
        try:
            shards = sharding and begin_shards(rows, output, sharding, overwrite)
            written, groups = _write(pieces, place)
        except FileError as error:
            raise SettingError(str(error), "an output that can be written to") from error
        yield Left(
            *(place, counts.rows, counts.skipped, written, groups),
            *(counts.otherwise, counts.example),
        )
        if sharding and shards:
            end_shards(shards, output, sharding, counts.shards)


@contextmanager
def _place_of_list(output: str) -> Iterator[str]:
    """Where the list of what is left goes: no other run has this name. It is removed at the end."""
    path = local_path(output)
    if path is not None:
        # Also by a later run, if this one is killed.
        with unfinished(path / LEDGER) as partial:
            yield str(partial)
        return
    place = joined(output, f"{LEDGER}/_left-{token_hex(4)}.parquet")
    try:
        yield place
    finally:
        files, name = filesystem(place)
        with Attempt(place):
            files.rm_file(name)


def _files(
    rows: Rows,
    output: str,
    last: LastRows,
    otherwise: Callable[[Row], bool],
    overwrite: bool,
    found: Found,
    counts: _Counts,
) -> Iterator[Piece]:
    is_there, finished = written_results(output), last.finished()
    held, unnoted = list[Row](), list[Row]()
    for row in rows():
        if not overwrite and is_there(row.output):
            counts.skipped += 1
            counts.keep(row.output, otherwise(row))
            if not within(finished, row.output):
                unnoted.append(row)
            if len(unnoted) == _FOUND_ROWS:
                found(unnoted)
                unnoted = []
            continue
        counts.rows += 1
        held.append(row)
        if len(held) == (1 if counts.rows <= _SMALL else ROWS_OF_A_PIECE):
            yield Piece(None, tuple(held))
            held = []
    if held:
        yield Piece(None, tuple(held))
    if unnoted:
        found(unnoted)


def _shards(
    rows: Rows,
    output: str,
    last: LastRows,
    otherwise: Callable[[Row], bool],
    sharding: Sharding,
    overwrite: bool,
    counts: _Counts,
) -> Iterator[Piece]:
    is_there, finished = written_results(output), last.finished(in_shards=True)
    every = rows()
    while members := tuple(islice(every, sharding.recordings)):
        shard = sharding.name(counts.shards)
        counts.shards += 1
        kept = is_there(shard) and not overwrite
        if kept:
            for row in members:
                counts.keep(row.output, otherwise(row))
        if kept and all(within(finished, row.output) for row in members):
            counts.skipped += len(members)
            continue
        counts.rows += len(members)
        yield Piece(shard, members)


def _write(pieces: Iterator[Piece], place: str) -> tuple[int, int]:
    """Write the list; how many pieces it has, in how many groups. Raises FileError."""
    # The list is compressed while it is made: 100 000 rows take a megabyte or two.
    buffer, written, groups = io.BytesIO(), 0, 0
    with pq.ParquetWriter(buffer, _SCHEMA, compression="zstd") as writer:
        while group := list(islice(pieces, _GROUP_PIECES)):
            columns = {
                "shard": [piece.shard for piece in group],
                "sources": [[row.source.encode(*_UTF8) for row in one.rows] for one in group],
                "outputs": [[row.output.encode(*_UTF8) for row in one.rows] for one in group],
            }
            writer.write_table(pa.table(columns, schema=_SCHEMA))
            groups += 1
            written += len(group)
    write_whole(place, buffer.getvalue())
    return written, groups


def read_pieces(place: str, groups: list[int]) -> Iterator[pa.Table]:
    """The pieces of groups, one to a table, as they are asked for."""
    files, name = filesystem(place)
    with files.open(name, "rb") as file:
        table = pq.ParquetFile(file)
        for group in groups:
            rows = table.read_row_group(group)
            for start in range(rows.num_rows):
                yield rows.slice(start, 1)


def piece_of(columns: dict[str, Any]) -> Piece:
    """A piece, of a row of the list."""
    pairs = zip(columns["sources"], columns["outputs"], strict=True)
    rows = (Row(source.decode(*_UTF8), output.decode(*_UTF8)) for source, output in pairs)
    return Piece(columns["shard"], tuple(rows))
