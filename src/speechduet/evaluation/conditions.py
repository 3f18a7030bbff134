"""Where a system does well and where it fails: scores by input SNR and by kind of noise."""

import csv
import io
import math
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from speechduet.audio import READABLE_SUFFIXES
from speechduet.errors import SettingError
from speechduet.files.text import read_text

_NAMES = ("file", "name", "path", "noisy", "id")
_UNSTATED = "not stated"
_BIN_DB = 5


class Condition(NamedTuple):
    """What a manifest states about a noisy recording."""

    snr_db: float | None = None
    noise: str | None = None


class Manifest:
    """Conditions by the names of recordings, read from a CSV file.

    Its columns are ``file`` (or ``name``, ``path``, ``noisy``, ``id``: the first that there is),
    and ``snr_db`` or ``noise`` or both; others are ignored. A path counts without its audio
    suffix, and its end is enough: ``test/noisy/a.flac`` is about the recording ``a``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._whole: dict[str, set[Condition]] = {}
        self._ends: dict[str, set[Condition]] = {}
        for number, row in enumerate(_rows(path), 2):
            condition, name = _condition(path, number, row), _name(path, number, row)
            parts = name.split("/")
            self._whole.setdefault(name, set()).add(condition)
            for first in range(1, len(parts)):
                self._ends.setdefault("/".join(parts[first:]), set()).add(condition)

    def __getitem__(self, file: str) -> Condition:
        """The condition of a recording, an empty one if the manifest lacks it.

        Raises SettingError if it states several.
        """
        found = self._whole.get(file) or self._ends.get(file) or {Condition()}
        if len(found) > 1:
            raise SettingError(f"{self._path} states {len(found)} conditions for {file}", "one")
        return next(iter(found))


def by_snr(files: Iterable[str], manifest: Manifest) -> dict[str, list[str]]:
    """Names of files grouped by input SNR, in rising order: by its values if they are up to 8.

    More values than that are put into bins of 5 dB, named by what they span. Empty if the
    manifest states none.
    """
    snrs = {file: manifest[file].snr_db for file in files}
    stated = {file: snr_db for file, snr_db in snrs.items() if snr_db is not None}
    few = len(set(stated.values())) <= 8
    groups: dict[str, list[str]] = {}
    for file, snr_db in sorted(stated.items(), key=lambda pair: pair[1]):
        low = int(snr_db // _BIN_DB * _BIN_DB)
        label = f"{snr_db:g} dB" if few else f"{low} to {low + _BIN_DB} dB"
        groups.setdefault(label, []).append(file)
    unstated = [file for file in snrs if file not in stated]
    return groups | ({_UNSTATED: unstated} if groups and unstated else {})


def by_noise(files: Iterable[str], manifest: Manifest) -> dict[str, list[str]]:
    """Names of files grouped by kind of noise, in alphabetical order; empty if none is stated."""
    groups: dict[str, list[str]] = {}
    for file in files:
        groups.setdefault(manifest[file].noise or _UNSTATED, []).append(file)
    if set(groups) == {_UNSTATED}:
        return {}
    return dict(sorted(groups.items(), key=lambda group: (group[0] == _UNSTATED, group[0])))


def _rows(path: Path) -> list[dict[str, str]]:
    text = io.StringIO(read_text(path, "a CSV file"), newline="")
    try:
        reader = csv.DictReader(text)
        columns, rows = set(reader.fieldnames or ()), list(reader)
    except csv.Error as error:
        raise SettingError(f"cannot read {path} ({error})", "a CSV file") from error
    if not columns & set(_NAMES) or not columns & {"snr_db", "noise"}:
        raise SettingError(
            f"{path} has the columns {', '.join(sorted(columns)) or 'none'}",
            "file (or name, path, noisy, id) and snr_db or noise",
        )
    return rows


def _name(path: Path, number: int, row: dict[str, str]) -> str:
    column = next(column for column in _NAMES if column in row)
    if not row[column]:
        raise SettingError(f"line {number} of {path} has an empty {column}", "a recording's name")
    name = PurePosixPath(row[column])
    audible = name.suffix.lower() in READABLE_SUFFIXES
    return (name.with_suffix("") if audible else name).as_posix()


def _condition(path: Path, number: int, row: dict[str, str]) -> Condition:
    stated, snr_db = row.get("snr_db") or "", None
    if stated:
        with suppress(ValueError):
            snr_db = float(stated)
        if snr_db is None or not math.isfinite(snr_db):
            raise SettingError(f"line {number} of {path}: snr_db is {stated!r}", "a finite number")
    return Condition(snr_db, row.get("noise") or None)
