"""Chunks, of which WAV, RF64, Wave64, AIFF and CAF are made."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from speechduet.audio.byte_view import Source

_MOST_CHUNKS = 10_000


class Dialect(NamedTuple):
    """How a family of containers writes its chunks."""

    name_bytes: int
    size: struct.Struct
    align: int
    counts_header: bool = False
    """Whether a chunk's size counts its name and size too."""

    @property
    def head_bytes(self) -> int:
        """Bytes of a chunk's name and size."""
        return self.name_bytes + self.size.size


RIFF = Dialect(4, struct.Struct("<I"), 2)
RIFX = Dialect(4, struct.Struct(">I"), 2)
AIFF = Dialect(4, struct.Struct(">I"), 2)
CAF = Dialect(4, struct.Struct(">q"), 1)
WAVE64 = Dialect(16, struct.Struct("<q"), 8, counts_header=True)


class Chunk(NamedTuple):
    """A chunk: its name, where its body is, and how long that is said to be."""

    name: bytes
    body: int
    size: int


def chunks(file: Source, place: int, dialect: Dialect, end: int) -> Iterator[Chunk]:
    """The chunks from a place on, as far as they go."""
    for _ in range(_MOST_CHUNKS):
        if place + dialect.head_bytes > end:
            return
        file.seek(place)
        head = file.read(dialect.head_bytes)
        if len(head) < dialect.head_bytes:
            return
        name = head[: dialect.name_bytes]
        (size,) = dialect.size.unpack(head[dialect.name_bytes :])
        if dialect.counts_header:
            size -= dialect.head_bytes
        yield Chunk(name, place + dialect.head_bytes, size)
        if size < 0:
            return
        place = aligned(place + dialect.head_bytes + size, dialect)


def aligned(place: int, dialect: Dialect) -> int:
    """The first place from here on where a chunk may begin."""
    return place + -place % dialect.align
