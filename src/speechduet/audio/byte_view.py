"""A file as it should have been: pieces of one file, and other bytes between them, read as one."""

from bisect import bisect_right
from io import SEEK_CUR, SEEK_END
from itertools import accumulate
from typing import BinaryIO


class ByteView:
    """Reads pieces of an open file, and bytes of one's own, as if they were one file.

    A piece is ``(start, stop)`` of the file, or bytes. What libsndfile and FFmpeg call is here:
    `read`, `seek` and `tell`; nothing is held in memory. It does not close the file.
    """

    def __init__(self, file: "Source", pieces: list[tuple[int, int] | bytes]) -> None:
        self._file = file
        self._pieces = [piece for piece in pieces if _length(piece)]
        self._ends = list(accumulate(map(_length, self._pieces)))
        self._position = 0

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def read(self, count: int = -1) -> bytes:
        """Up to this many bytes from here, or all; fewer only at the end."""
        count = len(self) if count < 0 else count
        parts = []
        while count > 0 and self._position < len(self):
            part = self._part(count)
            if not part:  # the file has become shorter since it was looked at
                break
            parts.append(part)
            self._position += len(part)
            count -= len(part)
        return b"".join(parts)

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer from here; return the number of bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, as in any file; return it."""
        origin = {SEEK_CUR: self._position, SEEK_END: len(self)}.get(whence, 0)
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        """The place of the next byte."""
        return self._position

    def seekable(self) -> bool:
        """Always."""
        return True

    def _part(self, count: int) -> bytes:
        index = bisect_right(self._ends, self._position)
        piece = self._pieces[index]
        within = self._position - self._ends[index] + _length(piece)
        if isinstance(piece, bytes):
            return piece[within : within + count]
        start, stop = piece
        self._file.seek(start + within)
        return self._file.read(min(count, stop - start - within))


Source = BinaryIO | ByteView
"""What can be read from any place."""


def _length(piece: tuple[int, int] | bytes) -> int:
    return len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]


def whole(file: BinaryIO) -> ByteView:
    """An open file in which one may go to any place, as FFmpeg does that believes a header."""
    return ByteView(file, [(0, file.seek(0, SEEK_END))])


def patched(file: Source, size: int, patches: dict[int, bytes], padding: int) -> ByteView:
    """The first ``size`` bytes of a file with others at some places, and zeros behind them."""
    pieces: list[tuple[int, int] | bytes] = []
    done = 0
    for place, data in sorted(patches.items()):
        pieces += [(done, place), data]
        done = place + len(data)
    return ByteView(file, [*pieces, (done, size), bytes(padding)])
