"""Pages of Ogg: which are whole, and where one recording ends and the next begins.

Recordings that are put one behind the other are one Ogg file (internet radio does it, and whoever
joins files). FFmpeg reads them only if all are alike, so each is handed to it on its own, without
the pages that are damaged.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

_HEAD = 27
_MOST_PAGE = 27 + 255 + 255 * 255
_WINDOW = 1 << 20
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Page(NamedTuple):
    """A whole page."""

    start: int
    stop: int
    flags: int
    serial: int
    number: int


@dataclass
class Link:
    """One recording of a chain: its whole pages, and what is known to be missing."""

    pages: list[tuple[int, int]] = field(default_factory=list)
    """Stretches of the file, neighbours joined."""
    lost_pages: int = 0
    ended: bool = False
    """Whether the last page of its sound is marked as the last."""
    bodies: bool = False
    """Whether there is more than its first pages."""


@dataclass
class Chain:
    """A whole Ogg file."""

    links: list[Link]
    skipped: int
    """Bytes that belong to no whole page."""
    cut: bool
    """Whether the file ends within a page."""


def is_ogg(file: BinaryIO) -> bool:
    """Whether an open file begins as Ogg does."""
    file.seek(0)
    return file.read(4) == b"OggS"


def is_cut_ogg(file: BinaryIO) -> bool:
    """Whether an open file begins as Ogg does and ends within a page."""
    file.seek(0)
    head = file.read(6)
    return len(head) > 3 and b"OggS\0\2".startswith(head) and chain_of(file).cut


def chain_of(file: BinaryIO) -> Chain:
    """The recordings of an open Ogg file. It is read once; its sound is not held."""
    links: list[Link] = []
    numbers: dict[int, int] = {}
    place = skipped = size = 0
    for page in _pages(file):
        skipped += page.start - place
        place = page.stop
        if page.flags & _FIRST and (not links or links[-1].bodies):
            links.append(Link())
            numbers = {}
        if not links:
            skipped += page.stop - page.start
            continue
        _add(links[-1], page, numbers)
    file.seek(place)
    rest = file.read(_MOST_PAGE)
    size = file.seek(0, 2)
    skipped += size - place
    return Chain(links, skipped, _is_cut_page(rest))


def _add(link: Link, page: Page, numbers: dict[int, int]) -> None:
    if page.flags & _FIRST:
        numbers[page.serial] = page.number
    elif page.serial in numbers:
        link.lost_pages += max(0, page.number - numbers[page.serial] - 1)
        numbers[page.serial] = page.number
        link.bodies = True
    link.ended = bool(page.flags & _LAST)
    if link.pages and link.pages[-1][1] == page.start:
        link.pages[-1] = (link.pages[-1][0], page.stop)
    else:
        link.pages.append((page.start, page.stop))


def _pages(file: BinaryIO) -> Iterator[Page]:
    """The whole pages of a file, in order."""
    window, base = b"", 0
    position = 0
    while True:
        if len(window) - position < _MOST_PAGE:
            file.seek(base + len(window))
            more = file.read(_WINDOW)
            window, base, position = window[position:] + more, base + position, 0
        position = window.find(b"OggS", position)
        if position < 0 or len(window) - position < _HEAD:
            if len(window) < _MOST_PAGE:
                return
            position = len(window) - 3 if position < 0 else position
            continue
        length = _length(window, position)
        page = window[position : position + length]
        if length and len(page) == length and _whole(page):
            serial, number = (int.from_bytes(page[at : at + 4], "little") for at in (14, 18))
            yield Page(base + position, base + position + length, page[5], serial, number)
            position += length
        else:
            position += 4


def _length(data: bytes, start: int) -> int:
    count = data[start + 26]
    table = data[start + _HEAD : start + _HEAD + count]
    return _HEAD + count + sum(table) if len(table) == count else 0


def checksum(page: bytes) -> int:
    """The checksum of a page, as it should be."""
    blank = page[:22] + bytes(4) + page[26:]
    # Ogg's checksum is that of zlib with the bits of every byte, and of the sum, turned round.
    turned = zlib.crc32(blank.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{turned:032b}"[::-1], 2)


def _whole(page: bytes) -> bool:
    return checksum(page) == int.from_bytes(page[22:26], "little")


def _is_cut_page(rest: bytes) -> bool:
    if not rest.startswith(b"OggS"):
        return bool(rest) and b"OggS".startswith(rest)
    return len(rest) < _HEAD or not (length := _length(rest, 0)) or length > len(rest)
