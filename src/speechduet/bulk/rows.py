"""What is to be enhanced: the rows of a manifest, of a folder, or of a glob."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from speechduet.audio import READABLE_SUFFIXES, WRITABLE_SUFFIXES, writable_suffix
from speechduet.audio.folders import find_recordings, is_folder, match_recordings, split_pattern
from speechduet.bulk.places import filesystem, joined, local_path, opened, reachable
from speechduet.errors import AudioError, SettingError

MANIFESTS = (".csv", ".jsonl", ".parquet")
"""Suffixes of manifests. Columns: ``path`` and, if wanted, ``output``; others are left alone."""

LEDGER = "_ledger"
"""The folder of a folder of results that holds the ledger."""

_BATCH_ROWS = 4096


class Row(NamedTuple):
    """A recording to enhance, and the name of its result below the folder of results."""

    source: str
    output: str


Name = Callable[[Mapping[Path, Path]], list[Path]]
"""The results of local sources, given with their places below the input: as ``enhance`` has it."""


def is_manifest(given: str) -> bool:
    """Whether an input is a list of recordings."""
    return PurePosixPath(given).suffix.lower() in MANIFESTS and not has_magic(given)


def rows_of(given: str, output: str, suffix: str | None, name: Name) -> Iterator[Row]:
    """The rows of a folder, a glob, a file or a manifest, in an order that does not change.

    ``suffix`` is that of results; None keeps that of sources where it can be written. Raises
    SettingError, before the row, for one that cannot be meant.
    """
    if is_manifest(given):
        return _manifest_rows(given, suffix)
    path = local_path(given)
    return (
        _local_rows(path, output, name) if path is not None else _remote_rows(given, output, suffix)
    )


def _manifest_rows(manifest: str, suffix: str | None) -> Iterator[Row]:
    for where, columns in _columns(manifest):
        source, output = columns.get("path"), columns.get("output")
        if "path" not in columns:
            known = ", ".join(map(str, columns)) or "none"
            raise SettingError(
                f"{where}: there is no column path", "the columns path and output", f"found {known}"
            )
        if not isinstance(source, str) or not source.strip() or not PurePosixPath(source).name:
            raise SettingError(f"{where}: its path is {source!r}", "the path of a recording")
        if output is not None and not isinstance(output, str):
            raise SettingError(f"{where}: its output is {output!r}", "a name below the output")
        named = output or _name_of(source, suffix)
        _check_inside(where, named)
        yield Row(_absolute(source, manifest), named)


def _columns(manifest: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows of a manifest with where they stand."""
    kind = PurePosixPath(manifest).suffix.lower()
    read = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}[kind]
    with opened(manifest) as file:
        try:
            for number, columns in read(file):
                yield f"{manifest}, row {number}", columns
        except (ValueError, OSError, RecursionError, csv.Error) as error:
            if isinstance(error, SettingError):
                raise
            reason = " ".join(str(error).split())
            raise SettingError(f"cannot read {manifest}: {reason}", f"a {kind} file") from error


def _csv(file: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        for number, columns in enumerate(csv.DictReader(text, strict=True), 2):
            if None in columns:
                raise ValueError(f"row {number} has more fields than there are columns")
            yield number, columns


def _jsonl(file: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with io.TextIOWrapper(file, encoding="utf-8-sig") as text:
        for number, line in enumerate(text, 1):
            columns = json.loads(line) if line.strip() else {}
            if not isinstance(columns, dict):
                raise ValueError(f"row {number} is not an object")
            if line.strip():
                yield number, columns


def _parquet(file: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    from pyarrow.parquet import ParquetFile

    table = ParquetFile(file)
    wanted = [name for name in ("path", "output") if name in table.schema_arrow.names]
    if "path" not in wanted:
        yield 1, dict.fromkeys(table.schema_arrow.names)
    number = 0
    for batch in table.iter_batches(_BATCH_ROWS, columns=wanted):
        for columns in batch.to_pylist():
            number += 1
            yield number, columns


def _absolute(source: str, manifest: str) -> str:
    """A path of a manifest; a relative one begins where the manifest lies."""
    if "://" in source or Path(source).is_absolute():
        return source
    folder = manifest.rpartition("/")[0]
    return joined(folder or ".", source)


def _name_of(source: str, suffix: str | None) -> str:
    """The result of a source of which a manifest says none: its relative path, or its name."""
    path = PurePosixPath(source.partition("://")[2] or source)
    if "://" in source or path.is_absolute():
        path = PurePosixPath(path.name)
    return str(_with_suffix(path, suffix))


def _with_suffix(path: PurePosixPath, suffix: str | None) -> PurePosixPath:
    known = path.suffix.lower() in READABLE_SUFFIXES
    stem = path.stem if known else path.name
    return path.with_name(stem + (suffix or writable_suffix(Path(path.name))))


def _check_inside(where: str, output: str) -> None:
    """Raise SettingError for a name that leaves the folder of results, or cannot be written."""
    parts = output.replace("\\", "/").split("/")
    expected = "a relative name below the folder of results"
    if not all(parts) or "\0" in output or {".", ".."} & set(parts) or ":" in parts[0]:
        raise SettingError(f"{where}: its output {output!r} is not below the output", expected)
    if parts[0] == LEDGER:
        raise SettingError(f"{where}: its output {output!r} is in the ledger's folder", expected)
    if PurePosixPath(output).suffix.lower() not in WRITABLE_SUFFIXES:
        raise SettingError(
            f"{where}: its output {output!r} cannot be written",
            "a name that ends in " + " ".join(WRITABLE_SUFFIXES),
        )


def _local_rows(given: Path, output: str, name: Name) -> Iterator[Row]:
    """Recordings of a local folder or glob, or one file; results are named as by ``enhance``."""
    out = local_path(output)
    try:
        if is_folder(given):
            root, sources = given, find_recordings(given, apart_from=out)
        elif has_magic(str(given)) and not given.exists():
            root, pattern = split_pattern(given)
            sources = match_recordings(root, pattern, apart_from=out)
        else:
            root, sources = given.parent, [given] if given.is_file() else []
    except AudioError as error:
        raise SettingError(str(error), "a folder that can be read") from error
    if not sources:
        raise SettingError(f"there is no recording in {given}", "a folder or glob with recordings")
    folders: dict[Path, list[Path]] = {}
    for source in sources:
        folders.setdefault(source.parent, []).append(source)
    for found in folders.values():
        # A folder at a time: names depend on no more, and this is what is held of each source.
        targets = name({source: source.relative_to(root) for source in found})
        for source, target in zip(found, targets, strict=True):
            yield Row(str(source.absolute()), target.as_posix())


def _remote_rows(given: str, output: str, suffix: str | None) -> Iterator[Row]:
    files, path = filesystem(given)
    prefix = given.partition("://")[0] + "://"
    if has_magic(path):
        steady = path[: next(at for at, letter in enumerate(path) if letter in "*?[")]
        root = steady.rpartition("/")[0]
        reachable(files.unstrip_protocol(root))
        listed: Iterable[tuple[str, list[str]]] = [(root, files.glob(path))]
    elif PurePosixPath(path).suffix.lower() in READABLE_SUFFIXES:
        root, listed = path.rpartition("/")[0], [("", [path])]
    else:
        root = path.rstrip("/")
        reachable(given)
        listed = _walked(files, root)
    apart = filesystem(output)[1].rstrip("/") + "/" if output.startswith(prefix) else None
    found = False
    for _, names in listed:
        sources = [
            one
            for one in sorted(names)
            if PurePosixPath(one).suffix.lower() in READABLE_SUFFIXES
            and not PurePosixPath(one).name.startswith(".")
            and not (apart and one.startswith(apart))
        ]
        found = found or bool(sources)
        for source, target in _distinct(sources, suffix):
            yield Row(files.unstrip_protocol(source), target.removeprefix(root).lstrip("/"))
    if not found:
        raise SettingError(f"there is no recording in {given}", "a folder or glob with recordings")


def _walked(files: Any, root: str) -> Iterator[tuple[str, list[str]]]:
    for folder, folders, names in files.walk(root, on_error="raise"):
        folders.sort()  # in place: the order in which they are walked
        yield folder, [f"{folder}/{name}" for name in names]


def _distinct(sources: list[str], suffix: str | None) -> Iterator[tuple[str, str]]:
    """Results of one folder: ``a.wav`` of ``a.mp4``, but ``a.mp4.wav`` if there are rivals."""
    plain = {source: str(_with_suffix(PurePosixPath(source), suffix)) for source in sources}
    rivals: dict[str, int] = {}
    for target in plain.values():
        rivals[target] = rivals.get(target, 0) + 1
    for source, target in plain.items():
        alone = rivals[target] == 1 or source == target
        yield source, target if alone else source + PurePosixPath(target).suffix
