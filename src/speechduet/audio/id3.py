"""ID3v2.4 tags, which MP3 begins with and AIFF and WAV hold in a chunk."""

from collections.abc import Iterable
from typing import BinaryIO

from speechduet.audio.splicing import splice

_UTF8 = b"\x03"
_FRAMES = {
    **{"title": "TIT2", "subtitle": "TIT3", "artist": "TPE1", "album_artist": "TPE2"},
    **{"performer": "TPE3", "album": "TALB", "date": "TDRC", "genre": "TCON", "track": "TRCK"},
    **{"disc": "TPOS", "composer": "TCOM", "copyright": "TCOP", "publisher": "TPUB"},
    **{"language": "TLAN", "encoded_by": "TENC", "lyricist": "TEXT", "isrc": "TSRC"},
    **{"grouping": "TIT1", "bpm": "TBPM", "compilation": "TCMP"},
}
TAG_HEADER_BYTES = 10
"""Bytes by which a tag is known, and how long it is."""


def id3_tag(texts: Iterable[tuple[str, str]]) -> bytes:
    """A tag of these texts, in UTF-8; several of one name become one frame of several values."""
    values: dict[str, list[str]] = {}
    for name, text in texts:
        values.setdefault(name, []).append(text.replace("\0", " "))
    body = b"".join(_frame(name, texts_) for name, texts_ in values.items())
    return b"ID3\x04\0\0" + _safe(len(body)) + body


def write_id3(file: BinaryIO, texts: Iterable[tuple[str, str]]) -> None:
    """Put a tag before the first frame of an MP3 file, in place of one that is there."""
    file.seek(0)
    splice(file, 0, tag_bytes(file.read(TAG_HEADER_BYTES)), id3_tag(texts))


def tag_bytes(head: bytes) -> int:
    """The length of a tag that begins with these bytes; 0 if none does."""
    if head[:3] != b"ID3" or len(head) < TAG_HEADER_BYTES:
        return 0
    footer = TAG_HEADER_BYTES if head[5] & 0x10 else 0
    return TAG_HEADER_BYTES + sum(byte << shift for byte, shift in _sevens(head[6:])) + footer


def _frame(name: str, texts: list[str]) -> bytes:
    text = "\0".join(texts).encode("utf-8")
    if name == "comment" or name.partition("-")[0] == "lyrics":
        language = name.partition("-")[2].encode("ascii", "replace")
        body = _UTF8 + (language if len(language) == 3 else b"und") + b"\0" + text
        kind = b"COMM" if name == "comment" else b"USLT"
    elif name in _FRAMES:
        body, kind = _UTF8 + text, _FRAMES[name].encode()
    else:
        body, kind = _UTF8 + name.encode("utf-8") + b"\0" + text, b"TXXX"
    return kind + _safe(len(body)) + b"\0\0" + body


def _safe(size: int) -> bytes:
    """Four bytes of seven bits."""
    return bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))


def _sevens(data: bytes) -> Iterable[tuple[int, int]]:
    return zip(data, (21, 14, 7, 0), strict=True)
