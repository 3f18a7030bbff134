"""Files that appear under their name only when they are complete."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from speechduet.audio.partial import unfinished
from speechduet.errors import AudioError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write to; the file takes its real name at the end, or is gone after an error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Asked before all the work: a name can be too long, and a device is never replaced.
        if _kind(path) not in (None, stat.S_IFREG):
            raise AudioError(f"{path} is not a file", "the name of a file to write")
    except OSError as error:
        raise AudioError(f"cannot write {path}: {error.strerror or error}") from error
    with unfinished(path.parent) as partial:
        try:
            partial.touch()
        except OSError as error:
            raise AudioError(f"cannot write {path}: {error.strerror or error}") from error
        yield partial
        partial.replace(path)


def _kind(path: Path) -> int | None:
    """What there is under a name, if anything; OSError if it cannot be a name."""
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        return None
