"""Files that belong together: all of them appear, complete, or none does."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from speechduet.audio.atomic import replacing
from speechduet.errors import AudioError


@contextmanager
def replacing_together(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Names to write to; the files take their real names at the end, or are gone after an error.

    They take them in the order of ``paths``. Folders that were made for them are gone after an
    error too. Raises AudioError, before anything is written, if one of them cannot be.
    """
    for path in paths:
        check_replaceable(path)
    with _nothing_new_after_an_error(paths), ExitStack() as stack:
        try:
            # The last to be begun is the first to be named.
            partials = [stack.enter_context(replacing(path)) for path in reversed(paths)]
            yield partials[::-1]
            stack.close()
        except OSError as error:
            name = error.filename2 or error.filename or paths[-1]
            raise AudioError(f"cannot write {name}: {error.strerror or error}") from error


def check_replaceable(path: Path) -> None:
    """Raise AudioError if a folder, device or pipe has this name, or if no file can have it."""
    try:
        file_or_free = path.is_file() or not path.exists()
    except OSError as error:
        raise AudioError(f"cannot write {path}: {error.strerror or error}") from error
    if not file_or_free:
        folder = path.is_dir()
        raise AudioError(
            f"{path} is not a file but {'a folder' if folder else 'a device or pipe'}",
            "the name of a file to write",
            "" if folder else "use - to write to a stream",
        )


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
