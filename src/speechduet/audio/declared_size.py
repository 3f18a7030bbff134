"""Whether a file of MP4, Matroska or AVI is shorter than its own outline says."""

from typing import BinaryIO

_SEGMENT = b"\x18\x53\x80\x67"
_EBML = b"\x1a\x45\xdf\xa3"
_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"moof", b"pnot")
_MOST_BOXES = 100_000


def missing_bytes(file: BinaryIO) -> int | None:
    """How many bytes the outline of an open file says are missing; None if it says nothing."""
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(64)
    if head.startswith(_EBML):
        end = _matroska_end(head)
    elif head[4:8] in _BOXES:
        end = _boxes_end(file, size)
    elif head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        stated = int.from_bytes(head[4:8], "little")
        end = stated + 8 if 0 < stated < 0x7FFFF000 else 0
    else:
        end = 0
    return max(0, end - size) if end else None


def is_fragmented(file: BinaryIO) -> bool:
    """Whether an open file is an MP4 in fragments, whose beginning knows no length of the whole."""
    return any(name == b"moof" for name, _ in _boxes(file, file.seek(0, 2)))


def has_index(file: BinaryIO) -> bool:
    """Whether an MP4 holds the index without which nothing of it can be read; true for others."""
    size = file.seek(0, 2)
    names = {name for name, _ in _boxes(file, size)}
    return b"mdat" not in names or b"moov" in names


def _matroska_end(head: bytes) -> int:
    """Where the segment ends by its size; 0 if that is unknown, as in a live stream."""
    place = 4
    size, width = _number(head, place)
    place += width + size
    if head[place : place + 4] != _SEGMENT:
        return 0
    size, width = _number(head, place + 4)
    if not width or size == (1 << (7 * width)) - 1:
        return 0
    return place + 4 + width + size


def _number(data: bytes, place: int) -> tuple[int, int]:
    """A number of EBML, and how many bytes it takes."""
    if place >= len(data) or not data[place]:
        return 0, 0
    width = 9 - data[place].bit_length()
    value = int.from_bytes(data[place : place + width], "big") & ((1 << (7 * width)) - 1)
    return value, width


def _boxes(file: BinaryIO, size: int) -> list[tuple[bytes, int]]:
    """Names and ends of the outermost boxes of an MP4."""
    place = 0
    found: list[tuple[bytes, int]] = []
    while place + 8 <= size and len(found) < _MOST_BOXES:
        file.seek(place)
        head = file.read(16)
        length, name = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:], "big")
        elif length == 0:
            length = size - place
        if length < 8 or not all(0x20 <= letter < 0x7F or letter == 0xA9 for letter in name):
            break
        place += length
        found.append((name, place))
    return found


def _boxes_end(file: BinaryIO, size: int) -> int:
    boxes = _boxes(file, size)
    return max((end for name, end in boxes if name in (*_BOXES, b"sidx", b"mfra")), default=0)
