"""``speechduet bulk``: recordings without number, on Ray."""

import json
from glob import has_magic
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated, Any, Literal

import typer

from speechduet.audio import suffix_of
from speechduet.audio.folders import is_there, resolved, split_pattern
from speechduet.cli import options
from speechduet.errors import SettingError
from speechduet.extras import need
from speechduet.names import shown

_RAY = "Ray"


def _option(
    *names: str,
    text: str,
    panel: str | None = _RAY,
    least: float | None = None,
    most: float | None = None,
) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, min=least, max=most)


Input = Annotated[
    str | None,
    typer.Argument(
        metavar="INPUT",
        help="A folder, a manifest (.csv, .jsonl, .parquet with a column path and, if wanted, "
        "output) or a glob; local, or as s3://, gs://, https://. Needed "
        "unless --status is given.",
        show_default=False,
    ),
]
Output = Annotated[str | None, _option("-o", "--output", text="The folder of results.", panel=None)]
StatusOf = Annotated[
    str | None,
    _option(
        "--status",
        text="Tell what the ledger in this folder of results says. The exit status is 0 if nothing "
        "has failed, and 1 if something has or if no run has begun.",
        panel=None,
    ),
]
Json = Annotated[bool, _option("--json", text="Tell the status as JSON.", panel=None)]
Shards = Annotated[
    Literal["tar", "parquet"] | None,
    _option(
        "--shards",
        text="Put results together: tar files as WebDataset reads them, or Parquet with bytes.",
        panel=None,
    ),
]
ShardSize = Annotated[
    int, _option("--shard-size", text="Recordings of a shard.", panel=None, least=1, most=1_000_000)
]
Address = Annotated[
    str | None,
    _option("--address", text="host:port of a cluster's head, or auto; by default this machine."),
]
Workers = Annotated[
    int | None,
    _option(
        "--workers",
        text="Processes that enhance, each with the model; by default all cores or GPUs.",
        least=1,
        most=100_000,
    ),
]
Threads = Annotated[int, _option("--threads", text="Cores of each worker.", least=1, most=1024)]
Gpus = Annotated[
    float | None,
    _option(
        "--gpus",
        text="GPUs of each worker, or a part of one; by default 1 if there are any.",
        least=0,
        most=64,
    ),
]
Tries = Annotated[
    int,
    _option(
        "--tries",
        text="How often a recording is tried that fails for a reason that may pass, or whose "
        "worker dies.",
        least=1,
        most=100,
    ),
]
Spool = Annotated[
    Path | None,
    _option(
        "--spool",
        text="Folder on each machine for copies of what is not local: one recording and one "
        "result, or shard, per worker.",
    ),
]


@options.with_sampler_settings
def bulk(
    given: Input = None,
    output: Output = None,
    status: StatusOf = None,
    as_json: Json = False,
    model: options.Model = None,
    mode: options.Mode = "balanced",
    strength: options.Strength = 1.0,
    seed: options.Seed = 0,
    container: options.Format = None,
    overwrite: options.Overwrite = False,
    shards: Shards = None,
    shard_size: ShardSize = 256,
    track: options.Track = None,
    salvage: options.Salvage = False,
    quiet: options.Quiet = False,
    address: Address = None,
    workers: Workers = None,
    threads: Threads = 1,
    gpus: Gpus = None,
    tries: Tries = 3,
    spool: Spool = None,
    device: options.Device = "auto",
    backend: options.Backend = "auto",
    precision: options.Arithmetic = "auto",
    batch_size: options.BatchSize = None,
    segment: options.Segment = 16.0,
    *,
    expert: options.Expert,
) -> None:
    """Enhance a folder, a manifest or a glob of any size on Ray, on this machine or a cluster.

    What became of each recording is in the ledger, OUTPUT/_ledger. The same command again does
    what is left.
    """
    need("ray", "pyarrow", "fsspec")
    if status is not None:
        if given is not None or output is not None:
            raise typer.BadParameter("goes without INPUT and --output", param_hint="--status")
        if _tell_status(status, as_json):
            raise typer.Exit(1)
        return
    if given is None:
        raise typer.BadParameter("give a folder, a manifest or a glob", param_hint="INPUT")
    if output is None:
        raise typer.BadParameter("say where results go", param_hint="'-o' / '--output'")
    # They need the packages of the extra.
    from speechduet.bulk.shard_list import Sharding
    from speechduet.bulk.work import Request
    from speechduet.cli.bulk_run import Asked, enhance_all

    _check_apart(given, output)
    request = Request(
        *(_absolute(model), device, threads, segment, batch_size, backend, precision),
        *(mode, strength, seed, track, salvage, expert),
    )
    asked = Asked(
        given,
        _absolute_place(output),
        None if container is None else suffix_of(container),
        request,
        None if shards is None else Sharding(shards, shard_size),
        overwrite,
        quiet,
        address,
        *(workers, gpus),
        *(tries, (spool or Path(gettempdir()) / "speechduet-bulk").absolute()),
    )
    if enhance_all(asked):
        raise typer.Exit(1)


def _check_apart(given: str, output: str) -> None:
    """Raise SettingError if results would be among what is read."""
    from speechduet.bulk.places import canonical, local_path
    from speechduet.bulk.rows import is_manifest

    path, out = local_path(given), local_path(output)
    if path is None or out is None:
        read, made = (canonical(one).rstrip("/") + "/" for one in (given, output))
        inside = read.startswith(made)
    else:
        if has_magic(str(path)) and not is_there(path):
            path = split_pattern(path)[0]
        source, out = resolved(path), resolved(out)
        # The result of one recording lies in the output itself.
        alone = source.is_file() and not is_manifest(given) and out == source.parent
        inside = alone or (source.is_dir() and (out == source or out in source.parents))
    if inside:
        raise SettingError(
            f"{given} is in the folder of results, {output}",
            "a folder of results apart from what is read",
        )


def _absolute(model: str | None) -> str | None:
    """A model's path as workers find it, who are in another folder."""
    return str(Path(model).absolute()) if model and Path(model).exists() else model


def _absolute_place(output: str) -> str:
    """A local folder of results as workers find it, who are in another folder."""
    from speechduet.bulk.places import local_path

    path = local_path(output)
    return output if path is None else str(path.absolute())


def _tell_status(output: str, as_json: bool) -> int:
    """Print what a ledger says; how many recordings failed."""
    from speechduet.bulk.last_rows import summary
    from speechduet.cli.bulk_progress import lasting

    told = summary(output)
    failed: int = told["failed"]
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return failed
    typer.echo(f"{told['done']} done, {told['failed']} failed, {told['found']} found")
    hours, taken = told["audio_hours"], told["worker_hours"]
    if taken:
        typer.echo(
            f"{lasting(3600 * hours)} of audio in {lasting(3600 * taken)} of one worker's time: "
            f"{hours / taken:.1f} h of audio per worker and hour"
        )
    for failure in told["failures"]:
        path, error = failure["path"], failure["error"]
        typer.echo(shown(f"failed: {error if path in error else f'{path}: {error}'}"))
    if failed > len(told["failures"]):
        typer.echo(f"and {failed - len(told['failures'])} more")
    for damaged in told["unreadable"]:
        typer.echo(shown(f"cannot be read: {damaged}"))
    return failed
