"""Files that appear under their names only when complete: one, or several that belong together."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from errno import ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from speechduet.errors import FileError, SpeechduetError
from speechduet.files.partial import unfinished
from speechduet.names import utf8

Kind = type[SpeechduetError]
"""What to raise for a file that cannot be written, by what the file means to the caller."""

LONGEST_NAME = 255
"""Bytes that a file's name may have on the usual file systems."""
_MOST_LINKS = 40
"""That are followed, as Linux does."""
_STREAMS = (Path("/proc"), Path("/dev/fd"))
"""Where links stand for what a process has open; /dev/stdout is one to there."""


def write_bytes(path: Path, content: bytes, kind: Kind = FileError) -> None:
    """Write a whole file."""
    with replacing(path, kind) as partial:
        partial.write_bytes(content)


def write_together(texts: Mapping[Path, str], kind: Kind = FileError) -> None:
    """Write whole files of UTF-8: all of them, or none."""
    with replacing_together(list(texts), kind) as partials:
        for partial, text in zip(partials, texts.values(), strict=True):
            partial.write_bytes(utf8(text).encode())


def write_text(path: Path, text: str, kind: Kind = FileError) -> None:
    """Write a whole file of UTF-8; bytes of names that are not UTF-8 are written in hexadecimal."""
    write_bytes(path, utf8(text).encode(), kind)


@contextmanager
def replacing(path: Path, kind: Kind = FileError) -> Iterator[Path]:
    """A name to write to; the file takes its real name at the end, or is gone after an error.

    The rest is as for `replacing_together`.
    """
    with replacing_together([path], kind) as (partial,):
        yield partial


@contextmanager
def replacing_together(paths: Sequence[Path], kind: Kind = FileError) -> Iterator[list[Path]]:
    """Names to write to; the files take their real names at the end, or are gone after an error.

    They take them in the order of ``paths``. Missing folders are made, and are gone after an error
    too. Raises an error of the given kind, before anything is written, if one of the files cannot
    be, and for every OSError while they are written.
    """
    names: dict[str, Path] = {}  # by those of the unfinished files
    with _nothing_new_after_an_error(paths), ExitStack() as stack:
        try:
            # The last to be begun is the first to be named.
            for path in reversed(paths):
                names[str(stack.enter_context(_nameless(path, kind)))] = path
            yield [Path(partial) for partial in reversed(names)]
            stack.close()
        except OSError as error:
            name = str(error.filename2 or error.filename or paths[-1])
            raise kind(
                f"cannot write {names.get(name, name)}: {error.strerror or error}"
            ) from error


def check_replaceable(path: Path, kind: Kind = FileError) -> None:
    """Raise an error of this kind if a folder or device has the name, or if no file can have it."""
    try:
        mode = path.stat().st_mode
        if leads_to_stream(path):
            raise kind(f"{path} stands for a stream", "the name of a file to write")
    except OSError as error:
        if error.errno in (ENOENT, ENOTDIR, ELOOP):
            return
        if error.errno == ENAMETOOLONG and len(name := os.fsencode(path.name)) > LONGEST_NAME:
            raise kind(
                f"cannot write {path}: {error.strerror} ({len(name)} bytes)",
                f"at most {LONGEST_NAME}",
                "give the result or its source a shorter name",
            ) from error
        raise kind(f"cannot write {path}: {error.strerror}") from error
    if not S_ISREG(mode):
        raise kind(
            f"{path} is not a file but {'a folder' if S_ISDIR(mode) else 'a device or pipe'}",
            "the name of a file to write",
            "" if S_ISDIR(mode) else "use - to write to a stream",
        )


def leads_to_stream(path: Path) -> bool:
    """Whether a name stands for what a process has open, as /dev/stdout does, or links to it.

    What it stands for may be a file all the same; but a new file would take the link's place.
    """
    for _ in range(_MOST_LINKS):
        if not path.is_symlink():
            return False
        place = Path(os.path.realpath(path.parent))
        if any(root == place or root in place.parents for root in _STREAMS):
            return True
        path = place / path.readlink()
    return False


@contextmanager
def _nameless(path: Path, kind: Kind) -> Iterator[Path]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise kind(f"cannot write {path}: {error.strerror}") from error
    check_replaceable(path, kind)
    with unfinished(path.parent) as partial:
        try:
            partial.touch()
        except OSError as error:
            raise kind(f"cannot write {path}: {error.strerror}") from error
        yield partial
        partial.replace(path)


@contextmanager
def _nothing_new_after_an_error(paths: Sequence[Path]) -> Iterator[None]:
    files = [path for path in paths if not os.path.lexists(path)]
    folders = {folder for path in paths for folder in path.parents if not os.path.lexists(folder)}
    try:
        yield
    except BaseException:
        for path in files:
            with suppress(OSError):
                path.unlink()
        for folder in sorted(folders, key=lambda folder: len(folder.parts), reverse=True):
            # Others may have put something there meanwhile.
            with suppress(OSError):
                folder.rmdir()
        raise
