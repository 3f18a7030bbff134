"""Bytes put into the middle of a file that may be larger than memory."""

import os
from typing import BinaryIO

_BLOCK = 1 << 20


def splice(file: BinaryIO, start: int, stop: int, replacement: bytes) -> None:
    """Replace the bytes from start to stop, in a file open for reading and writing.

    What comes behind them is moved within the file, block by block.
    """
    end = file.seek(0, os.SEEK_END)
    shift = len(replacement) - (stop - start)
    places = range(stop, end, _BLOCK)
    for place in places if shift < 0 else reversed(places):
        if shift:
            file.seek(place)
            block = file.read(_BLOCK)
            file.seek(place + shift)
            file.write(block)
    file.seek(start)
    file.write(replacement)
    file.truncate(end + shift)
