"""Stdout whose failures are errors with a name: a full disk, a closed stream, a device gone."""

import errno
import os
import sys
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import cast

from typing_extensions import Buffer

from speechduet.errors import FileError

_CLOSED = "stdout is closed"


class Stdout(BufferedWriter):
    """Bytes to a stream; what cannot be written is a FileError that names stdout, once.

    A reader that has left is none: BrokenPipeError, which ends a command without a word.
    """

    _failed = False

    def write(self, data: Buffer, /) -> int:
        """Write ``data``; raise FileError if the stream takes none."""
        try:
            return super().write(data)
        except OSError as error:
            self._raise_once(error)
        return memoryview(data).nbytes

    def flush(self) -> None:
        """Pass on what waits; raise FileError if the stream takes none."""
        try:
            super().flush()
        except OSError as error:
            self._raise_once(error)

    def _raise_once(self, error: OSError) -> None:
        """Name an error. Those after it are dropped: Python would tell of them as it ends."""
        if self._failed:
            return
        self._failed = True
        if isinstance(error, BrokenPipeError):
            raise error
        said = _CLOSED if error.errno == errno.EBADF else f"stdout: {error.strerror}"
        raise FileError(said, "a stream to write to") from error


def check_open() -> None:
    """Raise FileError if stdout was closed before the program began."""
    if sys.__stdout__ is None:
        raise FileError(_CLOSED, "a stream to write to")


def replace() -> None:
    """Make stdout a `Stdout`, and keep the numbers of closed streams from other files.

    Without that the first file that is opened would be file 1, and what a library prints would be
    written into it. Names need not be UTF-8, and terminals need not know every letter: backslashes.
    """
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None and not _is_open(number):
            # The lowest free number; the wrong way round, so that its use fails.
            os.open(os.devnull, os.O_WRONLY if number == 0 else os.O_RDONLY)
    if isinstance(sys.stderr, TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    if sys.stdout is None:
        sys.stdout = TextIOWrapper(Stdout(FileIO(os.open(os.devnull, os.O_RDONLY), "w")))
    elif isinstance(sys.stdout, TextIOWrapper):
        before = sys.stdout
        sys.stdout = TextIOWrapper(
            # With python -u there is no buffer over it.
            Stdout(cast(FileIO, getattr(before.buffer, "raw", before.buffer))),
            encoding=before.encoding,
            errors="backslashreplace",
            line_buffering=before.line_buffering,
            write_through=before.write_through,
        )


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
