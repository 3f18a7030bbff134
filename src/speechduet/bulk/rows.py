"""What is to be enhanced: the rows of a manifest, of a folder, or of a glob."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeGuard

from speechduet.audio import READABLE_SUFFIXES, WRITABLE_SUFFIXES, writable_suffix
from speechduet.audio.folders import (
    find_recordings,
    is_folder,
    is_there,
    match_recordings,
    split_pattern,
)
from speechduet.bulk.manifest import MANIFESTS, columns_of
from speechduet.bulk.places import (
    asking,
    filesystem,
    joined,
    local_path,
    name_in,
    split_chain,
)
from speechduet.errors import AudioError, SettingError

LEDGER = "_ledger"
"""The folder of a folder of results that holds the ledger."""

_EXPECTED = "a folder, a glob, a recording, or a manifest that ends in " + " ".join(MANIFESTS)


class Row(NamedTuple):
    """A recording to enhance, and the name of its result below the folder of results."""

    source: str
    output: str


Name = Callable[[Mapping[Path, Path]], list[Path]]
"""The results of local sources, given with their places below the input: as ``enhance`` has it."""


def is_manifest(given: str) -> bool:
    """Whether an input is a list of recordings.

    Raises SettingError if a store does not say whether a name in brackets is a file or a glob.
    """
    if not _ends_in(given, MANIFESTS) or _is_pattern(given):
        return False
    path = local_path(given)
    return path is None or not is_folder(path)


def _ends_in(given: str, suffixes: Iterable[str]) -> bool:
    return PurePosixPath(name_in(given)).suffix.lower() in suffixes


def _is_pattern(given: str) -> bool:
    """Whether it is to be matched; what there is under the very name is meant itself."""
    if not has_magic(given):
        return False
    path = local_path(given)
    if path is not None:
        return not is_there(path)
    there = False
    with asking("read", given):
        files, name = filesystem(given)
        there = not has_magic(name) or files.exists(name)
    return not there


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
    where = ""
    for where, columns in columns_of(manifest):
        source, output = columns.get("path"), columns.get("output")
        if "path" not in columns:
            raise SettingError(
                f"{where}: there is no column path but {_listed(columns)}",
                "a column path and, if wanted, a column output",
            )
        if not _is_name(source) or not PurePosixPath(source).name:
            raise SettingError(f"{where}: the path is {source!r}", "the path of a recording")
        if output not in (None, "") and not _is_name(output):
            raise SettingError(f"{where}: the output is {output!r}", _INSIDE)
        named = output or _name_of(source, suffix)
        called = "the output" if output else "without an output the result would be"
        _check_inside(f"{where}: {called}", named)
        yield Row(_absolute(source, manifest), named)
    if not where:
        raise SettingError(f"{manifest} lists no recording", "a row for each recording")


def _listed(columns: Iterable[Any]) -> str:
    return ", ".join(repr(str(name)) for name in columns) or "no column at all"


def _is_name(value: Any) -> TypeGuard[str]:
    """Whether a file can have the name: a text that is not blank and has no code that is none."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        return False
    with suppress(UnicodeEncodeError):
        return bool(value.encode() if "://" in value else os.fsencode(value))
    return False


def _absolute(source: str, manifest: str) -> str:
    """A path of a manifest; a relative one begins where the manifest lies."""
    path, listed = local_path(source), local_path(manifest)
    if path is None or path.is_absolute():
        return source
    if listed is not None:
        # Workers may be in another folder.
        return str((listed.parent / path).absolute())
    folder = name_in(manifest)
    return joined(folder[: folder.rindex("/") + 1], path.as_posix()) + split_chain(manifest)[1]


def _name_of(source: str, suffix: str | None) -> str:
    """The result of a source of which a manifest says none: its relative path, or its name."""
    path = PurePosixPath(name_in(source).partition("://")[2] or source)
    if "://" in source or path.is_absolute():
        path = PurePosixPath(path.name)
    return str(_with_suffix(path, suffix))


def _with_suffix(path: PurePosixPath, suffix: str | None) -> PurePosixPath:
    known = path.suffix.lower() in READABLE_SUFFIXES
    stem = path.stem if known else path.name
    return path.with_name(stem + (suffix or writable_suffix(Path(path.name))))


_INSIDE = "a name inside the folder of results, such as calls/monday.wav, in the column output"


def _check_inside(where: str, output: str) -> None:
    """Raise SettingError for a name that leaves the folder of results, or cannot be written."""
    parts = output.replace("\\", "/").split("/")
    if not all(parts) or {".", ".."} & set(parts) or ":" in parts[0]:
        raise SettingError(f"{where} {output!r}, outside of the folder of results", _INSIDE)
    if parts[0] == LEDGER:
        raise SettingError(f"{where} {output!r}, in the folder of the ledger", _INSIDE)
    if PurePosixPath(output).suffix.lower() not in WRITABLE_SUFFIXES:
        raise SettingError(
            f"{where} {output!r}, which is not the name of an audio file",
            "a name that ends in " + " ".join(WRITABLE_SUFFIXES),
        )


def _local_rows(given: Path, output: str, name: Name) -> Iterator[Row]:
    """Recordings of a local folder or glob, or one file; results are named as by ``enhance``."""
    out = local_path(output)
    try:
        if is_folder(given):
            root, sources = given, find_recordings(given, apart_from=out)
        elif _is_pattern(str(given)):
            root, pattern = split_pattern(given)
            sources = match_recordings(root, pattern, apart_from=out)
        elif not is_there(given):
            raise SettingError(f"there is nothing at {given}", _EXPECTED)
        else:
            root = given.parent
            sources = [given] if given.suffix.lower() in READABLE_SUFFIXES else []
    except AudioError as error:
        raise SettingError(str(error), "a folder that can be read") from error
    if not sources:
        raise SettingError(f"there is no recording in {given}", _EXPECTED)
    folders: dict[Path, list[Path]] = {}
    for source in sources:
        folders.setdefault(source.parent, []).append(source)
    for found in folders.values():
        # A folder at a time: names depend on no more, and this is what is held of each source.
        targets = name({source: source.relative_to(root) for source in found})
        for source, target in zip(found, targets, strict=True):
            yield Row(str(source.absolute()), target.as_posix())


def _remote_rows(given: str, output: str, suffix: str | None) -> Iterator[Row]:
    with asking("reach", given):
        files, path = filesystem(given)
    place, chain = split_chain(given)
    if _is_pattern(given):
        steady = path[: next(at for at, letter in enumerate(path) if letter in "*?[")]
        root = steady.rpartition("/")[0]
        place = place.removesuffix(path[len(root) :].lstrip("/"))
        with asking("list", place + chain, "a folder that is there"):
            files.ls(root, detail=False)
            matching = files.glob(path, detail=True).items()
            names = [name for name, found in matching if found["type"] != "directory"]
        listed: Iterable[tuple[str, list[str]]] = [(root, names)]
    elif _ends_in(place, READABLE_SUFFIXES):
        yield Row(given, _name_of(given, suffix))
        return
    else:
        root = path.rstrip("/")
        with asking("list", given, "a folder that is there"):
            files.ls(root, detail=False)
        listed = _walked(files, root)
    out_files, out = filesystem(output)
    apart = out.rstrip("/") + "/" if out_files == files else None

    def below(name: str) -> str:
        return name.removeprefix(root).lstrip("/")

    found = False
    for _, names in listed:
        sources = [
            one
            for one in sorted(names)
            if PurePosixPath(one).suffix.lower() in READABLE_SUFFIXES
            and not any(part.startswith(".") for part in below(one).split("/"))
            and not (apart and one.startswith(apart))
        ]
        found = found or bool(sources)
        for source, target in _distinct(sources, suffix):
            # Not as the file system names it, which leaves out the host and what it lies in.
            yield Row(joined(place, below(source)) + chain, below(target))
    if not found:
        raise SettingError(f"there is no recording in {given}", _EXPECTED)


def _walked(files: Any, root: str) -> Iterator[tuple[str, list[str]]]:
    with asking("list", root):
        for folder, folders, names in files.walk(root, on_error="raise"):
            folders.sort()  # in place: the order in which they are walked
            yield folder, [f"{folder}/{name}" for name in names]


def _distinct(sources: list[str], suffix: str | None) -> Iterator[tuple[str, str]]:
    """Results of one folder: ``a.wav`` of ``a.mp4``, but ``a.mp4.wav`` if there are rivals."""
    plain = {source: str(_with_suffix(PurePosixPath(source), suffix)) for source in sources}
    taken = Counter(plain.values())
    for source, target in plain.items():
        whole, end = target, PurePosixPath(target).suffix
        if taken[target] > 1 and source != target:
            whole = source + end
            # Somebody may have a recording a.mp4.wav, whose own result that is.
            while taken[whole]:
                whole += end
        yield source, whole
