"""Where bytes stand in a file that may be large."""

from collections.abc import Iterator
from typing import BinaryIO

_WINDOW = 1 << 20


def places_of(file: BinaryIO, start: int, names: tuple[bytes, ...]) -> Iterator[int]:
    """Where one of some names stands behind a place of an open file, in order. It is read once."""
    overlap = max(map(len, names)) - 1
    base = start
    while True:
        file.seek(base)
        window = file.read(_WINDOW + overlap)
        found = []
        for name in names:
            place = -1
            while (place := window.find(name, place + 1, _WINDOW + len(name) - 1)) >= 0:
                found.append(base + place)
        yield from sorted(found)
        if len(window) <= _WINDOW:
            return
        base += _WINDOW
