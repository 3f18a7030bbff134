"""Files that appear under their name only when they are complete."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from speechduet.errors import AudioError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write to; the file takes its real name at the end, or is gone after an error."""
    if path.exists() and not path.is_file():
        raise AudioError(f"{path} is not a file", "the name of a file to write")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.touch()
        except OSError as error:
            raise AudioError(f"cannot write {path}: {error.strerror or error}") from error
        yield partial
        partial.replace(path)
    finally:
        # It is not there after all went well, and its folder may be none.
        with suppress(OSError):
            partial.unlink()
