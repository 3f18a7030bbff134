"""Files that appear under their name only when they are complete."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from zlib import crc32

from speechduet.errors import AudioError

_LONGEST_BYTES = 100
"""Of a name that is kept in that of its partial file: file systems allow 143 or 255 in all."""
_ATTEMPTS = 5

Made = TypeVar("Made")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write to; the file takes its real name at the end, or is gone after an error.

    Folders that it needs are made, and are gone after an error too.
    """
    with replacing_together([path]) as (partial,):
        yield partial


@contextmanager
def replacing_together(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Names to write to, for files that belong together: all take their real names, or none.

    Raises AudioError, before anything is written, if one of them cannot be.
    """
    for path in paths:
        check_replaceable(path)
    partials: list[Path] = []
    with folders_of(paths):
        try:
            for path in paths:
                partial = path.with_name(_partial_name(path.name))
                partials.append(partial)
                try:
                    in_folder(path.parent, partial.touch)
                except OSError as error:
                    raise AudioError(f"cannot write {path}: {error.strerror or error}") from error
            yield partials
            _rename(partials, paths)
        finally:
            for partial in partials:
                # It is not there after all went well, and its folder may be none.
                with suppress(OSError):
                    partial.unlink()


@contextmanager
def folders_of(paths: Sequence[Path]) -> Iterator[None]:
    """Folders that are missing above these files may be made; those left empty by an error go."""
    missing = [folder for path in paths for folder in path.parents if not os.path.lexists(folder)]
    try:
        yield
    except BaseException:
        for folder in sorted(set(missing), key=lambda folder: len(folder.parts), reverse=True):
            with suppress(OSError):
                folder.rmdir()
        raise


def in_folder(folder: Path, make: Callable[[], Made]) -> Made:
    """Make something in a folder, which is made first. Raises OSError."""
    for _ in range(_ATTEMPTS):
        # Another recording whose enhancement failed may have taken its folder with it since.
        with suppress(FileNotFoundError):
            folder.mkdir(parents=True, exist_ok=True)
            return make()
    folder.mkdir(parents=True, exist_ok=True)
    return make()


def check_replaceable(path: Path) -> None:
    """Raise AudioError if a folder, device or pipe has this name, or if no file can have it."""
    try:
        file_or_free = path.is_file() or not path.exists()
    except OSError as error:
        raise AudioError(f"cannot write {path}: {error.strerror or error}") from error
    if not file_or_free:
        kind = "a folder" if path.is_dir() else "a device or pipe"
        raise AudioError(
            f"{path} is not a file but {kind}",
            "the name of a file to write",
            "" if path.is_dir() else "use - to write to a stream",
        )


def _partial_name(name: str) -> str:
    encoded = os.fsencode(name)
    if len(encoded) > _LONGEST_BYTES:
        start = encoded[:_LONGEST_BYTES].decode("utf-8", "ignore")
        name = f"{start}.{crc32(encoded):08x}"
    return f".{name}.{os.getpid()}.partial"


def _rename(partials: Sequence[Path], paths: Sequence[Path]) -> None:
    new: list[Path] = []
    for partial, path in zip(partials, paths, strict=True):
        there = path.exists()
        try:
            partial.replace(path)
        except OSError as error:
            for other in new:
                other.unlink(missing_ok=True)
            raise AudioError(f"cannot write {path}: {error.strerror or error}") from error
        if not there:
            new.append(path)
