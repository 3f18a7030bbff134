"""Chunks of WAV files (RIFF, RF64, BW64) beside their samples, and the mask of their channels."""

import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from speechduet.audio.splicing import splice

_MAGIC = (b"RIFF", b"RF64", b"BW64")
_OTHER_FILES = (*_MAGIC, b"RIFX", b"riff", b"FORM", b"caff")
"""Where another recording begins that was joined to the first, and not a chunk."""
_LONG = 0xFFFFFFFF
_EXTENSIBLE = 0xFFFE
_MASK_AT = 20
"""Where the channel mask lies in an extensible fmt chunk."""
MOST_BYTES = 8 << 20
OF_THE_SAMPLES = frozenset(
    (
        *(b"fmt ", b"data", b"ds64", b"fact", b"PEAK", b"levl", b"MD5 ", b"slnt"),
        *(b"JUNK", b"junk", b"PAD ", b"FLLR", b"minf", b"elm1", b"regn", b"DGDA"),
    )
)
"""Chunks that describe the samples as they were stored, or that only fill space."""

INFO = {
    **{"title": b"INAM", "artist": b"IART", "album": b"IPRD", "date": b"ICRD", "genre": b"IGNR"},
    **{"comment": b"ICMT", "copyright": b"ICOP", "track": b"ITRK", "language": b"ILNG"},
    **{"encoded_by": b"ITCH", "software": b"ISFT"},
}
"""Names of texts, and what RIFF INFO calls them."""


@dataclass(frozen=True)
class Chunk:
    """A chunk as it is in the file."""

    name: bytes
    body: bytes
    before_samples: bool

    @property
    def title(self) -> str:
        """What a person calls it, such as bext, or LIST INFO."""
        kind = self.body[:4] if self.name == b"LIST" else b""
        return (self.name + b" " + kind).decode("latin-1").replace("  ", " ").strip()

    def encode(self) -> bytes:
        """The chunk in a file, of an even number of bytes."""
        size = len(self.body)
        return self.name + struct.pack("<I", size) + self.body + bytes(size % 2)


@dataclass(frozen=True)
class RiffNotes:
    """What a WAV file holds beside its samples."""

    chunks: tuple[Chunk, ...] = ()
    too_large: tuple[str, ...] = ()
    """Names of chunks that are not worth so much memory."""
    mask: int = 0
    """Loudspeaker of each channel, a bit each; 0 if the file does not say."""


def is_riff(head: bytes) -> bool:
    """Whether the first 12 bytes of a file are those of a WAV file."""
    return head[:4] in _MAGIC and head[8:12] == b"WAVE"


def read_notes(file: BinaryIO) -> RiffNotes:
    """The chunks and mask of a WAV file, up to where it is damaged."""
    chunks: list[Chunk] = []
    too_large: list[str] = []
    mask, before, left = 0, True, MOST_BYTES
    for name, start, size in _walk(file):
        before = before and name != b"data"
        if name == b"fmt ":
            mask = _mask(_read_at(file, start, min(size, 64)))
        if name in OF_THE_SAMPLES:
            continue
        if size > left:
            too_large.append(name.decode("latin-1").strip())
            continue
        chunk = Chunk(name, _read_at(file, start, size), before)
        if len(chunk.body) == size and chunk.body[:4] != b"wavl":
            chunks.append(chunk)
            left -= size
    return RiffNotes(tuple(chunks), tuple(too_large), mask)


def write_notes(file: BinaryIO, chunks: Iterable[Chunk], mask: int) -> None:
    """Put chunks into a complete WAV file, and the mask if its format has a place for one."""
    places = {name: (start, size) for name, start, size in reversed(list(_walk(file)))}
    chunks = tuple(_readable(chunk) if b"ds64" in places else chunk for chunk in chunks)
    format_start, format_size = places[b"fmt "]
    if format_size >= _MASK_AT + 4:
        file.seek(format_start + _MASK_AT)
        file.write(struct.pack("<I", mask))
    if not chunks:
        return
    end = file.seek(0, os.SEEK_END)
    file.write(bytes(end % 2))
    file.write(b"".join(chunk.encode() for chunk in chunks if not chunk.before_samples))
    head = b"".join(chunk.encode() for chunk in chunks if chunk.before_samples)
    if head:
        place = places[b"data"][0] - 8
        splice(file, place, place, head)
    size = file.seek(0, os.SEEK_END) - 8
    if b"ds64" in places:
        file.seek(places[b"ds64"][0])
        file.write(struct.pack("<Q", size))
    else:
        file.seek(4)
        file.write(struct.pack("<I", size))


def info_chunk(texts: Iterable[tuple[str, str]]) -> Chunk | None:
    """A LIST INFO chunk of those texts that it has names for, in UTF-8; None if there are none."""
    body = b""
    for name, text in texts:
        if name in INFO:
            data = text.encode("utf-8") + b"\0"
            body += INFO[name] + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    return Chunk(b"LIST", b"INFO" + body, True) if body else None


def _readable(chunk: Chunk) -> Chunk:
    """A chunk as libsndfile can read it in RF64, where it overlooks what makes lengths even."""
    if len(chunk.body) % 2 == 0 or not chunk.before_samples:
        return chunk
    if chunk.name == b"bext":  # ends with a text, which may be padded
        return replace(chunk, body=chunk.body + b"\0")
    return replace(chunk, before_samples=False)


def _walk(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and size of each chunk, until one that cannot be right."""
    end = file.seek(0, os.SEEK_END)
    place, long_size = 12, 0
    while place + 8 <= end:
        name, size = struct.unpack("<4sI", _read_at(file, place, 8))
        start = place + 8
        if not all(32 <= byte < 127 for byte in name) or name in _OTHER_FILES:
            return
        if name == b"ds64" and size >= 16:
            (long_size,) = struct.unpack("<Q", _read_at(file, start + 8, 8).ljust(8, b"\0"))
        if name == b"data" and size == _LONG and long_size:
            size = long_size
        yield name, start, size
        place = start + size + size % 2


def _mask(layout: bytes) -> int:
    if len(layout) < _MASK_AT + 4 or struct.unpack_from("<H", layout)[0] != _EXTENSIBLE:
        return 0
    return int(struct.unpack_from("<I", layout, _MASK_AT)[0])


def _read_at(file: BinaryIO, place: int, size: int) -> bytes:
    file.seek(place)
    return file.read(size)
