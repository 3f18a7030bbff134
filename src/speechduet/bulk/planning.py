"""What is left to do: the rows without those that are done, as a list that lies on disk."""

import io
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from speechduet.attempt import Attempt
from speechduet.bulk.ledger import Hashes, Known, hash_of, within, write_whole
from speechduet.bulk.places import canonical, filesystem, is_written, joined, local_path
from speechduet.bulk.rows import LEDGER, Row
from speechduet.errors import FileError, SettingError

ROWS_OF_A_PIECE = 4
"""Recordings that a worker is given at once; fewer while there are but few."""

_SHARDS = "shards.digest"
_SMALL = 256
_GROUP_PIECES = 256
_FOUND_ROWS = 1000

_SCHEMA = pa.schema(
    [
        ("shard", pa.string()),
        ("sources", pa.list_(pa.string())),
        ("outputs", pa.list_(pa.string())),
    ]
)


class Piece(NamedTuple):
    """What a worker does in one go: a few recordings, or those of a shard."""

    shard: str | None
    rows: tuple[Row, ...]


class Sharding(NamedTuple):
    """How results are put together: ``tar`` or ``parquet`` files of so many recordings."""

    kind: str
    recordings: int


Rows = Callable[[], Iterator[Row]]
Found = Callable[[Sequence[Row]], None]


def check_rows(rows: Rows, output: str, known: Known) -> None:
    """Go through all rows before any work.

    Raises SettingError for one that cannot be meant, for two that have one result, for a result
    that would replace a source, and for a source that is a result of an earlier run.
    """
    below = canonical(joined(output, "x")).removesuffix("x")
    sources, outputs = array("Q"), array("Q")
    for row in rows():
        source = canonical(row.source)
        if source.startswith(below) and within(known.outputs, source.removeprefix(below)):
            raise SettingError(
                f"{row.source} is a result of an earlier run",
                "recordings that are to be enhanced",
            )
        sources.append(hash_of(source))
        outputs.append(hash_of(below + row.output))
    made = np.sort(np.frombuffer(outputs, np.uint64))
    twice = made[1:][made[1:] == made[:-1]]
    if len(twice):
        _refuse_twice(row for row in rows() if within(twice, below + row.output))
    read = np.sort(np.frombuffer(sources, np.uint64))
    if np.isin(made, read).any():
        for row in rows():
            if within(read, below + row.output):
                raise SettingError(
                    f"{joined(output, row.output)} would be replaced by a result",
                    "results apart from what is read",
                )


def _refuse_twice(suspects: Iterator[Row]) -> None:
    """Raise SettingError for the first result that two rows have, and not only its hash."""
    sources: dict[str, str] = {}
    for row in suspects:
        if row.output in sources:
            raise SettingError(
                f"{sources[row.output]} and {row.source} would both become {row.output}",
                "a different output for each row",
                "give them in a column output",
            )
        sources[row.output] = row.source


def written_results(output: str) -> Callable[[str], bool]:
    """Whether a result of this name is there: of local ones asked, of others listed once."""
    if local_path(output) is not None:
        return lambda name: is_written(joined(output, name))
    files, root = filesystem(output)
    found = array("Q")
    with Attempt(output) as attempt:
        if files.exists(root):
            for folder, _, names in files.walk(root, on_error="raise"):
                below = folder.removeprefix(root).strip("/")
                found.extend(hash_of(f"{below}/{name}".lstrip("/")) for name in names)
    if attempt.failure:
        raise SettingError(f"cannot list {attempt.failure}")
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


@contextmanager
def planned(
    rows: Rows,
    output: str,
    known: Known,
    sharding: Sharding | None,
    overwrite: bool,
    found: Found,
) -> Iterator[Left]:
    """The list of what is left, beside the ledger as long as the context lasts.

    ``found`` is called with the rows whose results are there but not in the ledger. Raises
    SettingError if nothing can be written there.
    """
    place = joined(output, f"{LEDGER}/left.parquet")
    counts = {"rows": 0, "skipped": 0}
    pieces = (
        _shards(rows, output, known, sharding, overwrite, counts)
        if sharding
        else _files(rows, output, known, overwrite, found, counts)
    )
    try:
        if sharding:
            _check_shards(rows, output, sharding, overwrite)
        written, groups = _write(pieces, place)
    except FileError as error:
        raise SettingError(str(error), "an output that can be written to") from error
    try:
        yield Left(place, counts["rows"], counts["skipped"], written, groups)
    finally:
        files, name = filesystem(place)
        with Attempt(place):
            files.rm_file(name)


def _files(
    rows: Rows,
    output: str,
    known: Known,
    overwrite: bool,
    found: Found,
    counts: dict[str, int],
) -> Iterator[Piece]:
    is_there, finished = written_results(output), known.finished()
    held, unnoted = list[Row](), list[Row]()
    for row in rows():
        if not overwrite and is_there(row.output):
            counts["skipped"] += 1
            if not within(finished, row.output):
                unnoted.append(row)
            if len(unnoted) == _FOUND_ROWS:
                found(unnoted)
                unnoted = []
            continue
        counts["rows"] += 1
        held.append(row)
        if len(held) == (1 if counts["rows"] <= _SMALL else ROWS_OF_A_PIECE):
            yield Piece(None, tuple(held))
            held = []
    if held:
        yield Piece(None, tuple(held))
    if unnoted:
        found(unnoted)


def _check_shards(rows: Rows, output: str, sharding: Sharding, overwrite: bool) -> None:
    """Raise SettingError if an earlier run has put other recordings into the shards, or else so.

    What a shard holds follows from the whole list, whose digest is kept beside the ledger.
    """
    digest = blake2b(f"{sharding.kind} {sharding.recordings}".encode(), digest_size=16)
    for row in rows():
        digest.update(f"\n{row.output}".encode(errors="surrogatepass"))
    place, made_of = joined(joined(output, LEDGER), _SHARDS), digest.hexdigest()
    files, name = filesystem(place)
    before = files.cat_file(name).decode(errors="replace") if files.exists(name) else made_of
    if before != made_of and not overwrite:
        raise SettingError(
            f"the shards in {output} are of another list of recordings, or of another size",
            "the same input with the same --shards and --shard-size",
            "give another output, or --overwrite to make all of them anew",
        )
    write_whole(place, made_of.encode())


def _shards(
    rows: Rows,
    output: str,
    known: Known,
    sharding: Sharding,
    overwrite: bool,
    counts: dict[str, int],
) -> Iterator[Piece]:
    is_there, finished = written_results(output), known.finished()
    every = rows()
    number = 0
    while members := tuple(islice(every, sharding.recordings)):
        shard = f"shard-{number:06d}.{sharding.kind}"
        number += 1
        whole = all(within(finished, row.output) for row in members)
        if whole and is_there(shard) and not overwrite:
            counts["skipped"] += len(members)
            continue
        counts["rows"] += len(members)
        yield Piece(shard, members)


def _write(pieces: Iterator[Piece], place: str) -> tuple[int, int]:
    """Write the list; how many pieces it has, in how many groups. Raises FileError."""
    # The list is compressed while it is made: 100 000 rows take a megabyte or two.
    buffer, written, groups = io.BytesIO(), 0, 0
    with pq.ParquetWriter(buffer, _SCHEMA, compression="zstd") as writer:
        while group := list(islice(pieces, _GROUP_PIECES)):
            columns = {
                "shard": [piece.shard for piece in group],
                "sources": [[row.source for row in piece.rows] for piece in group],
                "outputs": [[row.output for row in piece.rows] for piece in group],
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
    return Piece(columns["shard"], tuple(Row(*pair) for pair in pairs))
