"""Manifests: lists of recordings as CSV, JSON Lines or Parquet."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from speechduet.bulk.places import name_in, opened
from speechduet.errors import SettingError

MANIFESTS = (".csv", ".jsonl", ".parquet")
"""Suffixes of manifests. Columns: ``path`` and, if wanted, ``output``; others are left alone."""

Rows = Iterator[tuple[str, Mapping[str, Any]]]

_COLUMNS = ("path", "output")
_BATCH_ROWS = 4096


def columns_of(manifest: str) -> Rows:
    """The rows of a manifest, each with where it stands, as a stream.

    Raises SettingError if it cannot be read, or if a column is there twice.
    """
    kind = PurePosixPath(name_in(manifest)).suffix.lower()
    read = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}[kind]
    with opened(manifest) as file:
        try:
            for place, columns in read(file):
                yield f"{manifest}, {place}", columns
        except UnicodeDecodeError as error:
            read_before = error.object[max(error.start - 30, 0) : error.start]
            before = read_before.decode(errors="replace").rpartition("\n")[2]
            raise SettingError(
                f"cannot read {manifest}: the byte {error.object[error.start]:#04x} after "
                f"{before!r} is not UTF-8",
                "text in UTF-8",
            ) from error
        except (ValueError, TypeError, OSError, RuntimeError, csv.Error) as error:
            reason = " ".join(str(error).split())
            raise SettingError(f"cannot read {manifest}: {reason}", f"a {kind} file") from error


def _check_columns(names: Sequence[str]) -> None:
    """Raise ValueError for columns that could be taken for others."""
    for wanted in _COLUMNS:
        alike = [name for name in names if name.strip() == wanted]
        if len(alike) > 1:
            raise ValueError(f"it has the column {wanted} {len(alike)} times")
        if alike and alike != [wanted]:
            raise ValueError(f"it has a column {alike[0]!r}, with a space, where {wanted} is meant")


def _csv(file: Any) -> Rows:
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        rows = csv.DictReader(text, strict=True)
        names = rows.fieldnames or ()
        _check_columns(names)
        if names and "path" not in names:
            yield "line 1", dict.fromkeys(names)
        for columns in rows:
            if None in columns:
                raise ValueError(f"line {rows.line_num} has more fields than there are columns")
            yield f"line {rows.line_num}", columns


def _jsonl(file: Any) -> Rows:
    with io.TextIOWrapper(file, encoding="utf-8-sig") as text:
        for number, line in enumerate(text, 1):
            if not line.strip():
                continue
            try:
                columns = json.loads(line, object_pairs_hook=tuple)
            except json.JSONDecodeError as error:
                reason = f"{error.msg} at column {error.colno}"
                raise ValueError(f"line {number} is not JSON ({reason})") from error
            if not isinstance(columns, tuple):
                raise ValueError(f"line {number} is not an object")
            _check_columns([name for name, _ in columns])
            yield f"line {number}", dict(columns)


def _parquet(file: Any) -> Rows:
    from pyarrow.parquet import ParquetFile

    table = ParquetFile(file)
    names = table.schema_arrow.names
    _check_columns(names)
    if "path" not in names:
        yield "row 1", dict.fromkeys(names)
    number = 0
    for batch in table.iter_batches(_BATCH_ROWS, columns=[n for n in _COLUMNS if n in names]):
        for columns in batch.to_pylist():
            number += 1
            yield f"row {number}", columns
