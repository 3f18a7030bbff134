"""Vorbis comments: the texts of FLAC, Ogg Vorbis and Opus, as lists of NAME=text."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from speechduet.audio.splicing import splice

Texts = list[tuple[str, str]]

_COMMENTS = 4
"""Type of the FLAC metadata block that holds them."""
_VORBIS, _OPUS = b"\x03vorbis", b"OpusTags"
_PAGE_BYTES, _MOST_SEGMENTS = 27, 255
_MOST_PAGES = 64

_POLYNOMIAL = 0x04C11DB7


def decode(data: bytes) -> tuple[bytes, Texts]:
    """The vendor and the texts, as far as they are whole."""
    vendor, place = _string(data, 0)
    texts: Texts = []
    if place + 4 <= len(data):
        (count,) = struct.unpack_from("<I", data, place)
        place += 4
        while len(texts) < count and place + 4 <= len(data):
            entry, place = _string(data, place)
            name, equals, text = entry.partition(b"=")
            if not equals:
                count -= 1
                continue
            texts.append((name.decode("ascii", "replace"), text.decode("utf-8", "replace")))
    return vendor, texts


def encode(vendor: bytes, texts: Iterable[tuple[str, str]]) -> bytes:
    """Vendor and texts as FLAC, Vorbis and Opus store them; names in capitals."""
    entries = [f"{name.upper()}={text}".encode() for name, text in texts if legal(name)]
    packed = b"".join(struct.pack("<I", len(entry)) + entry for entry in entries)
    return struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(entries)) + packed


def legal(name: str) -> bool:
    """Whether a comment may have this name."""
    return bool(name) and all(" " <= letter <= "}" and letter != "=" for letter in name)


def read_flac(file: BinaryIO) -> Texts:
    """The comments of a FLAC file."""
    for kind, body in _flac_blocks(file)[0]:
        if kind == _COMMENTS:
            return decode(body)[1]
    return []


def write_flac(file: BinaryIO, texts: Texts) -> None:
    """Add comments to a complete FLAC file."""
    blocks, end = _flac_blocks(file)
    vendor, there = next((decode(body) for kind, body in blocks if kind == _COMMENTS), (b"", []))
    others = [block for block in blocks if block[0] != _COMMENTS]
    blocks = [others[0], (_COMMENTS, encode(vendor, there + texts)), *others[1:]]
    data = b""
    for index, (kind, body) in enumerate(blocks):
        last = 0x80 if index == len(blocks) - 1 else 0
        data += bytes([kind | last]) + len(body).to_bytes(3, "big") + body
    splice(file, 4, end, data)


def read_ogg(file: BinaryIO) -> Texts | None:
    """The comments of the first stream of an Ogg file; None if it is of an unknown kind."""
    pages = _ogg_pages(file, 2)
    packets = _packets(pages)
    for prefix in (_VORBIS, _OPUS):
        if len(packets) > 1 and packets[1].startswith(prefix):
            return decode(packets[1][len(prefix) :])[1]
    return None


def write_ogg(file: BinaryIO, texts: Texts) -> Texts:
    """Add comments to a complete Ogg Vorbis or Opus file, and return those that had no room.

    The headers stay on as many pages as they are on, for else each later page would have to be
    numbered anew.
    """
    opus = _packets(_ogg_pages(file, 1))[0].startswith(b"OpusHead")
    pages = _ogg_pages(file, 2 if opus else 3)
    packets = _packets(pages)
    prefix, end_mark = (_OPUS, b"") if opus else (_VORBIS, b"\x01")
    vendor, there = decode(packets[1][len(prefix) :])
    headers = pages[1:]
    left = list(texts)
    without: Texts = []
    while True:
        packets[1] = prefix + encode(vendor, there + left) + end_mark
        segments = [size for packet in packets[1:] for size in _lacing(packet)]
        if len(segments) <= _MOST_SEGMENTS * len(headers) or not left:
            break
        without.append(max(left, key=lambda text: len(text[1])))
        left.remove(without[-1])
    data = _paged(headers, segments, b"".join(packets[1:]))
    splice(file, headers[0].start, headers[-1].stop, data)
    return without


@dataclass(frozen=True)
class _Page:
    head: bytes
    lacing: bytes
    body: bytes
    start: int

    @property
    def stop(self) -> int:
        return self.start + len(self.head) + len(self.lacing) + len(self.body)


def _flac_blocks(file: BinaryIO) -> tuple[list[tuple[int, bytes]], int]:
    """Type and body of each metadata block, and where the first frame begins."""
    file.seek(4)
    blocks: list[tuple[int, bytes]] = []
    while len(head := file.read(4)) == 4:
        blocks.append((head[0] & 0x7F, file.read(int.from_bytes(head[1:], "big"))))
        if head[0] & 0x80:
            break
    return blocks, file.tell()


def _ogg_pages(file: BinaryIO, packets: int) -> list[_Page]:
    """The pages up to the end of that many packets of the first stream."""
    file.seek(0)
    pages: list[_Page] = []
    while len(_packets(pages)) < packets and len(pages) < _MOST_PAGES:
        start = file.tell()
        head = file.read(_PAGE_BYTES)
        if len(head) < _PAGE_BYTES or head[:4] != b"OggS":
            break
        lacing = file.read(head[26])
        body = file.read(sum(lacing))
        if not pages or head[14:18] == pages[0].head[14:18]:
            pages.append(_Page(head, lacing, body, start))
    return pages


def _packets(pages: list[_Page]) -> list[bytes]:
    """The packets that are complete on these pages."""
    packets: list[bytes] = []
    begun = b""
    for page in pages:
        place = 0
        for size in page.lacing:
            begun += page.body[place : place + size]
            place += size
            if size < 255:
                packets.append(begun)
                begun = b""
    return packets


def _lacing(packet: bytes) -> list[int]:
    whole, rest = divmod(len(packet), 255)
    return [255] * whole + [rest]


def _paged(pages: list[_Page], segments: list[int], data: bytes) -> bytes:
    """Header packets on as many pages as there were."""
    made, place = b"", 0
    begun_before = False
    for index, page in enumerate(pages):
        left = len(pages) - index - 1
        count = min(_MOST_SEGMENTS, len(segments) - left)
        lacing, segments = bytes(segments[:count]), segments[count:]
        size = sum(lacing)
        ends = any(length < 255 for length in lacing)
        flags = 1 if begun_before else 0
        granule = struct.pack("<q", 0 if ends else -1)
        head = bytearray(page.head)
        head[5:14] = bytes([flags]) + granule
        head[22:26] = bytes(4)
        head[26] = count
        page_data = bytes(head) + lacing + data[place : place + size]
        checksum = struct.pack("<I", _checksum(page_data))
        made += page_data[:22] + checksum + page_data[26:]
        begun_before = lacing[-1] == 255
        place += size
    return made


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (_POLYNOMIAL if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return table


_TABLE = _table()


def _checksum(data: bytes) -> int:
    """Ogg's: not reflected, from zero."""
    value = 0
    for byte in data:
        value = ((value << 8) & 0xFFFFFFFF) ^ _TABLE[(value >> 24) ^ byte]
    return value


def _string(data: bytes, place: int) -> tuple[bytes, int]:
    if place + 4 > len(data):
        return b"", len(data)
    (size,) = struct.unpack_from("<I", data, place)
    return data[place + 4 : place + 4 + size], place + 4 + size
