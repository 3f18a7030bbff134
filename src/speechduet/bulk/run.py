"""What is left, through Ray Data: workers that keep the model, and their rows for the ledger."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from speechduet.attempt import Attempt
from speechduet.bulk.ledger import Record, table_of
from speechduet.bulk.planning import Left, Piece, piece_of, read_pieces
from speechduet.bulk.rows import Row
from speechduet.bulk.shards import write_shard
from speechduet.bulk.unfinished import Unfinished
from speechduet.bulk.work import Request, Worker
from speechduet.errors import ModelError, SpeechduetError
from speechduet.files.partial import remove_leftovers
from speechduet.names import utf8

_AHEAD = 2
"""Pieces that a worker is given before it has done the first, so that it does not wait."""

_WORKER_BYTES = 512 << 20
"""Memory that a worker asks for: the bundled model on segments of 16 s, PyTorch and Ray."""


@dataclass(frozen=True)
class Fleet:
    """The workers: how many, and what each has."""

    workers: int
    cores: int
    gpus: float
    tries: int
    spool: Path


class BulkError(SpeechduetError):
    """Work that came to an end before all was tried."""


class Pieces:
    """What an actor of Ray runs: pieces in, rows of the ledger out."""

    def __init__(
        self,
        request: Request,
        output: str,
        fleet: Fleet,
        overwrite: bool,
        model_hash: str,
        begun: Any,
    ) -> None:
        import ray

        self._ray, self._begun = ray, begun
        self._output, self._fleet, self._overwrite = output, fleet, overwrite
        remove_leftovers(fleet.spool)
        self._worker = Worker(request, output, fleet.spool, fleet.tries)
        if self._worker.model_hash != model_hash:
            raise ModelError(
                f"a worker has other weights ({self._worker.model_hash}) than were checked "
                f"({model_hash})",
                "the same model on all machines",
            )

    def __call__(self, table: pa.Table) -> pa.Table:
        """Enhance the recordings of pieces."""
        records = [
            record for columns in table.to_pylist() for record in self._done(piece_of(columns))
        ]
        self._ray.get(self._begun.end.remote([utf8(record.output) for record in records]))
        return table_of(records)

    def _done(self, piece: Piece) -> Iterator[Record]:
        if piece.shard is not None:
            yield from write_shard(
                *(self._worker, piece, self._output, self._fleet.spool),
                *(self._refused, self._overwrite),
            )
            return
        for row in piece.rows:
            reason = self._refused(row)
            if reason:
                yield Record(*row, "failed", error=reason)
            else:
                yield self._worker.enhance(row, self._overwrite)

    def _refused(self, row: Row) -> str:
        """Why a recording is not tried once more; empty if it is."""
        before = self._ray.get(self._begun.begin.remote(utf8(row.output)))
        if before < self._fleet.tries:
            return ""
        return f"{row.source}: {before} workers ended while they enhanced it"


def enhance_left(
    ray: Any,
    left: Left,
    request: Request,
    output: str,
    fleet: Fleet,
    overwrite: bool,
    model_hash: str,
    take: Callable[[pa.Table], None],
) -> None:
    """Enhance what is left; ``take`` is given the rows of the ledger as they come.

    Raises BulkError if Ray ends the work.
    """
    begun = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Unfinished).remote()
    place = left.place

    def read(table: pa.Table) -> Iterator[pa.Table]:
        yield from read_pieces(place, table["group"].to_pylist())

    # A row of the first data set stands for some hundred pieces, which are read as they are
    # needed: Ray stops reading while enough of them wait.
    pieces = ray.data.from_items([{"group": group} for group in range(left.groups)]).map_batches(
        read, batch_size=None, batch_format="pyarrow"
    )
    rows = pieces.repartition(target_num_rows_per_block=1).map_batches(
        Pieces,
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(
            size=min(fleet.workers, left.pieces), max_tasks_in_flight_per_actor=_AHEAD
        ),
        fn_constructor_args=(request, output, fleet, overwrite, model_hash, begun),
        num_cpus=fleet.cores,
        num_gpus=fleet.gpus,
        # So that no machine is given more workers than it has memory for. It also keeps Ray from
        # running what reads the list, which asks for none, within one of them.
        memory=_WORKER_BYTES,
    )
    with Attempt("Ray", ends=(SpeechduetError,)) as attempt:
        for table in rows.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            take(table)
    if attempt.failure:
        raise BulkError(_reason(attempt.failure), remedy="run it again to go on where it ended")


def _reason(failure: str) -> str:
    """The line that says most of what Ray reports with the traceback of a worker."""
    named = [part for part in failure.split("speechduet.errors.") if part]
    return f"the work on Ray ended: {named[-1] if len(named) > 1 else failure}"[:1000]


def cores_here() -> int:
    """The cores that this process may use."""
    # On Linux a process may be confined to some of the cores.
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return own or 1
