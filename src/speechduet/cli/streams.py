"""Streams that take nothing, because they are full, closed or gone.

For stdout, where results go, that is an error; messages to stderr are lost, and the work goes on.
"""

import errno
import os
import sys
from io import BufferedWriter, FileIO, TextIOWrapper

from typing_extensions import Buffer

from speechduet.errors import FileError

_CLOSED = "stdout is closed"


class Stderr(BufferedWriter):
    """Bytes to a stream; what it does not take is dropped: messages must not end the work."""

    def write(self, data: Buffer, /) -> int:
        """Write ``data``."""
        try:
            return super().write(data)
        except OSError as error:
            self._failed(error)
        return memoryview(data).nbytes

    def flush(self) -> None:
        """Pass on what waits."""
        try:
            super().flush()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        """Do nothing; for `Stdout` to raise."""


class Stdout(Stderr):
    """Bytes to a stream; what it does not take is a FileError that names stdout, once.

    A reader that has left is none: BrokenPipeError, which ends a command without a word.
    """

    _raised = False

    def _failed(self, error: OSError) -> None:
        # The next ones are dropped: Python would tell of them as it ends.
        if self._raised:
            return
        self._raised = True
        if isinstance(error, BrokenPipeError):
            raise error
        said = _CLOSED if error.errno == errno.EBADF else f"stdout: {error.strerror}"
        raise FileError(said, "a stream to write to") from error


def check_open() -> None:
    """Raise FileError if stdout was closed before the program began."""
    if sys.__stdout__ is None:
        raise FileError(_CLOSED, "a stream to write to")


def replace() -> None:
    """Make stdout a `Stdout` and stderr a `Stderr`; keep the numbers of closed ones.

    Else the first file that is opened would be file 1, and what a library prints would be written
    into it.
    """
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None and not _is_open(number):
            # The lowest free number; the wrong way round, so that its use fails.
            os.open(os.devnull, os.O_WRONLY if number == 0 else os.O_RDONLY)
    if sys.stdout is None:
        sys.stdout = TextIOWrapper(Stdout(FileIO(os.open(os.devnull, os.O_RDONLY), "w")))
    elif isinstance(sys.stdout, TextIOWrapper):
        sys.stdout = _over(sys.stdout, Stdout)
    if isinstance(sys.stderr, TextIOWrapper):
        sys.stderr = _over(sys.stderr, Stderr)


def _over(before: TextIOWrapper, kind: type[Stderr]) -> TextIOWrapper:
    # Names need not be UTF-8, and terminals need not know every letter.
    before.reconfigure(errors="backslashreplace")
    raw = getattr(before.buffer, "raw", before.buffer)  # With python -u there is no buffer.
    if not isinstance(raw, FileIO):  # a console of Windows, or memory
        return before
    return TextIOWrapper(
        # It may be forgotten before the program ends, and must not close the stream then.
        kind(FileIO(raw.fileno(), "w", closefd=False)),
        encoding=before.encoding,
        errors=before.errors,
        line_buffering=before.line_buffering,
        write_through=before.write_through,
    )


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
