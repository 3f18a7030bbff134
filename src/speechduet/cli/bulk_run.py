"""A run of ``speechduet bulk``: what is left is planned, enhanced on Ray, and noted."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from speechduet.attempt import Attempt
from speechduet.bulk.checking import check_rows
from speechduet.bulk.cluster import cluster
from speechduet.bulk.last_rows import LastRows, read_ledger
from speechduet.bulk.ledger import Ledger, Record, table_of
from speechduet.bulk.leftovers import sweep
from speechduet.bulk.lock import only_run
from speechduet.bulk.places import local_path, make_spool
from speechduet.bulk.planning import Left, planned
from speechduet.bulk.rows import Row, is_manifest, rows_of
from speechduet.bulk.run import Fleet, cores_here, enhance_left
from speechduet.bulk.shard_list import Sharding
from speechduet.bulk.work import Request
from speechduet.cli.bulk_progress import BulkProgress, counted
from speechduet.cli.naming import Naming
from speechduet.errors import FileError, SettingError


@dataclass(frozen=True)
class Asked:
    """What the command line says."""

    given: str
    output: str
    suffix: str | None
    request: Request
    sharding: Sharding | None
    overwrite: bool
    quiet: bool
    address: str | None
    workers: int | None
    gpus: float | None
    tries: int
    spool: Path

    def rows(self) -> Iterator[Row]:
        """The rows of the input. Raises SettingError."""
        # In a store nothing is asked about the folder, which only has to have a name.
        out = local_path(self.output) or Path(self.output.replace("://", "/"))

        def name(found: Mapping[Path, Path]) -> list[Path]:
            return [target.relative_to(out) for target in Naming(out, self.suffix).targets(found)]

        return rows_of(self.given, self.output, self.suffix, name)


def enhance_all(asked: Asked) -> int:
    """Do what is left; how many recordings failed.

    Raises SettingError or ModelError before any work, BulkError or FileError if it came to an end
    before all was tried.
    """
    last = read_ledger(asked.output)
    if is_manifest(asked.given):
        check_rows(asked.rows, asked.output, last)
    model_hash = asked.request.check()
    with only_run(asked.output):
        return _enhance_left(asked, last, model_hash)


def _enhance_left(asked: Asked, last: LastRows, model_hash: str) -> int:
    sweep(asked.output, asked.spool)
    ledger, progress = Ledger(asked.output), BulkProgress(asked.quiet)
    for damaged in last.unreadable:
        progress.say(f"a part of the ledger is left out: {damaged}")

    def note(found: Sequence[Row]) -> None:
        ledger.append(table_of([Record(*row, "found") for row in found]))

    made_by = asked.request.mode, model_hash
    plan = (asked.rows, asked.output, last, made_by, asked.sharding, asked.overwrite)
    with _ended_in_order(asked, ledger, progress), planned(*plan, note) as left:
        ledger.flush()
        progress.begin(left.rows, left.skipped)
        if left.otherwise:
            progress.say(
                "kept although made of another file, in another mode or with another model: "
                f"{counted(left.otherwise, 'result')}, such as {left.example}; "
                "--overwrite makes all anew"
            )
        if left.rows:
            _enhance_on_ray(asked, left, model_hash, ledger, progress)
    progress.end()
    return progress.failures


@contextmanager
def _ended_in_order(asked: Asked, ledger: Ledger, progress: BulkProgress) -> Iterator[None]:
    """Whatever ends it: what is known goes into the ledger, and nothing half-written stays."""
    completed = False
    try:
        yield
        completed = True
    except KeyboardInterrupt:
        progress.interrupted()
        raise
    finally:
        with Attempt("the ledger") as written:
            ledger.flush()
        sweep(asked.output, asked.spool, wait=not completed)
        if written.failure and completed:
            raise FileError(written.failure, "a ledger with all rows", "run it again")
        if written.failure:  # What has ended it is said as well.
            progress.say(written.failure)


def _enhance_on_ray(
    asked: Asked, left: Left, model_hash: str, ledger: Ledger, progress: BulkProgress
) -> None:
    threads = asked.request.threads
    cores = (asked.workers or cores_here() // threads or 1) * threads

    def take(table: pa.Table) -> None:
        ledger.append(table)
        progress.take(table)

    if asked.address is None:
        make_spool(asked.spool)
        progress.tell("starting Ray, which takes a minute, or some on a busy machine")
    # One more for what reads the list of what is left.
    with cluster(asked.address, cores + 1) as ray, progress:
        fleet = _fleet(asked, ray.cluster_resources())
        enhance_left(
            *(ray, left, asked.request, asked.output, fleet, asked.overwrite, model_hash, take)
        )


def _fleet(asked: Asked, there: Mapping[str, float]) -> Fleet:
    """The workers that are asked for. Raises SettingError if they do not fit what is there."""
    threads, device, gpus = asked.request.threads, asked.request.device, asked.gpus
    if gpus is None:
        wanted = device == "auto" or device.startswith("cuda")
        gpus = 1.0 if there.get("GPU", 0) and wanted else 0.0
    if gpus > 1 and gpus != int(gpus):
        raise SettingError(f"{gpus:g} GPUs", "a part of one, or whole ones", "give that as --gpus")
    # A core is left for what feeds them.
    most = int(max(there.get("CPU", 1) - 1, 1) // threads)
    if gpus:
        most = min(most, int(there.get("GPU", 0) // gpus))
    workers = asked.workers or most
    if workers > most or not most:
        each = counted(threads, "core") + (f" and {gpus:g} GPUs" if gpus else "")
        raise SettingError(
            f"{counted(workers or 1, 'worker')} of {each} where {most} fit",
            remedy="give less as --workers, --threads or --gpus",
        )
    return Fleet(workers, threads, gpus, asked.tries, asked.spool)
