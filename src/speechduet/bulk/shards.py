"""Results put together: tar files as WebDataset reads them, or Parquet with the files' bytes.

Which recordings a shard holds, and in what order, is that of the input; nothing else is in it. So
its bytes do not depend on who wrote it, or on how often it was begun.
"""

import io
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from speechduet.attempt import Attempt
from speechduet.bulk.ledger import Record
from speechduet.bulk.places import is_written, joined, local_path, publish, readable, room_in
from speechduet.bulk.planning import Piece
from speechduet.bulk.rows import Row
from speechduet.bulk.work import Worker
from speechduet.errors import AudioError
from speechduet.files.atomic import replacing
from speechduet.files.partial import unfinished_folder
from speechduet.names import utf8

KINDS = ("tar", "parquet")

_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
    ]
)
"""``audio`` as Hugging Face's `datasets` has it; ``path`` is the name of the result."""

_GROUP_BYTES = 16 << 20


class TarPack:
    """A tar file whose members have no time and no owner."""

    def __init__(self, path: Path) -> None:
        self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def add(self, name: str, content: bytes) -> None:
        """Append a file."""
        member = tarfile.TarInfo(name)
        member.size = len(content)
        self._tar.addfile(member, io.BytesIO(content))

    def close(self) -> None:
        """Write the end."""
        self._tar.close()


class ParquetPack:
    """A Parquet file of `_SCHEMA`, in row groups that fit the memory."""

    def __init__(self, path: Path) -> None:
        # Opened here, for pyarrow opens no names that are not UTF-8.
        self._file = path.open("wb")
        self._writer = pq.ParquetWriter(self._file, _SCHEMA, compression="none")
        self._rows: list[dict[str, object]] = []
        self._bytes = 0

    def add(self, name: str, content: bytes) -> None:
        """Append a file."""
        name = utf8(name)
        self._rows.append({"path": name, "audio": {"bytes": content, "path": name}})
        self._bytes += len(content)
        if self._bytes >= _GROUP_BYTES:
            self._write()

    def close(self) -> None:
        """Write the end."""
        with self._file:
            self._write()
            self._writer.close()

    def _write(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=_SCHEMA))
        self._rows, self._bytes = [], 0


def write_shard(
    worker: Worker,
    piece: Piece,
    output: str,
    spool: Path,
    begun: Callable[[Row], str],
    overwrite: bool = False,
) -> Iterator[Record]:
    """Enhance the recordings of a shard and publish it whole; then what became of each.

    Members of a shard that is there are copied, and not enhanced again. ``begun`` is told of each
    recording, and answers why it is not to be tried, or nothing.
    """
    assert piece.shard is not None
    place = joined(output, piece.shard)
    with Attempt(place) as attempt, ExitStack() as stack:
        folder = stack.enter_context(unfinished_folder(spool))
        old: dict[str, Callable[[], bytes]] = {}
        if not overwrite and is_written(place):
            old = _members(stack.enter_context(readable(place, spool)))
        if {utf8(row.output) for row in piece.rows} <= old.keys():
            return iter([Record(*row, "found", shard=piece.shard) for row in piece.rows])
        packed = folder / piece.shard
        with room_in(spool):
            records = _pack(worker, piece, packed, old, begun)
        _publish(packed, place)
    if attempt.failure:
        records = [_failed(row, attempt.failure) for row in piece.rows]
    return iter(records)


def _pack(
    worker: Worker,
    piece: Piece,
    packed: Path,
    old: Mapping[str, Callable[[], bytes]],
    begun: Callable[[Row], str],
) -> list[Record]:
    """Write the shard into the spool; what became of each of its recordings."""
    records: list[Record] = []
    with closing(TarPack(packed) if packed.suffix == ".tar" else ParquetPack(packed)) as pack:
        for row in piece.rows:
            if utf8(row.output) in old:
                pack.add(row.output, old[utf8(row.output)]())
                records.append(Record(*row, "found", shard=packed.name))
                continue
            reason = begun(row)
            result = packed.with_name(f"result{PurePosixPath(row.output).suffix}")
            record = _failed(row, reason) if reason else worker.tried(row, result)
            if record.status == "done":
                pack.add(row.output, result.read_bytes())
            records.append(replace(record, shard=packed.name))
    return records


def _publish(packed: Path, place: str) -> None:
    path = local_path(place)
    if path is None:
        publish(packed, place)
        return
    with replacing(path, AudioError) as unfinished:
        shutil.copyfile(packed, unfinished)


def _failed(row: Row, reason: str) -> Record:
    return Record(*row, "failed", error=reason)


def _members(shard: Path) -> dict[str, Callable[[], bytes]]:
    """What gives each member of a shard, by its name as UTF-8; of a damaged one, nothing."""
    with Attempt() as attempt:
        return _parquet_members(shard) if _is_parquet(shard) else _tar_members(shard)
    assert attempt.failure
    return {}


def _is_parquet(shard: Path) -> bool:
    with shard.open("rb") as file:
        return file.read(4) == b"PAR1"


def _tar_members(shard: Path) -> dict[str, Callable[[], bytes]]:
    def read(offset: int, size: int) -> bytes:
        with shard.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    with tarfile.open(shard) as tar:
        places = [(one.name, one.offset_data, one.size) for one in tar if one.isfile()]
    return {utf8(name): partial(read, at, size) for name, at, size in places}


def _parquet_members(shard: Path) -> dict[str, Callable[[], bytes]]:
    def read(group: int, index: int) -> bytes:
        with shard.open("rb") as file:
            rows = pq.ParquetFile(file).read_row_group(group, columns=["audio"])
        content: bytes = rows["audio"][index].as_py()["bytes"]
        return content

    found: dict[str, Callable[[], bytes]] = {}
    with shard.open("rb") as file:
        table = pq.ParquetFile(file)
        for group in range(table.num_row_groups):
            names = table.read_row_group(group, columns=["path"])["path"].to_pylist()
            for index, name in enumerate(names):
                found[name] = partial(read, group, index)
    return found
