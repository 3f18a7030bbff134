"""MP3 files: the length that their first frame states, and tags in the midst of the sound.

Files that were joined carry the tags of each. A decoder that meets one takes the picture in it for
sound, so tags are left out before it sees them.
"""

import struct
from typing import BinaryIO, NamedTuple

from speechduet.audio.searching import places_of

_RATES = (44_100, 48_000, 32_000)
_ID3_BYTES, _APE_BYTES = 10, 32


class Stated(NamedTuple):
    """What the first frame of an MP3 states of the whole (Xing, LAME)."""

    duration_s: float
    lacking_s: float | None
    """How much of it are bytes that are not there; None if it states no bytes."""


def stated_of(file: BinaryIO) -> Stated | None:
    """What the first frame of an open MP3 states; None if it does not."""
    start = _sound_start(file)
    size = file.seek(0, 2) - start
    file.seek(start)
    frame = file.read(256)
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] < 0xE0 or frame[2] & 0x0C == 0x0C:
        return None
    # 3 is MPEG 1, 2 is MPEG 2 at half the rate, 0 is MPEG 2.5 at a quarter.
    version = frame[1] >> 3 & 3
    rate = _RATES[frame[2] >> 2 & 3] >> {3: 0, 2: 1}.get(version, 2)
    samples = 1152 if version == 3 else 576
    for name in (b"Xing", b"Info"):
        place = frame.find(name)
        flags = frame[place + 7] if 0 <= place <= len(frame) - 16 else 0
        if flags & 1:
            frames, size_bytes = struct.unpack(">2I", frame[place + 8 : place + 16])
            duration_s = frames * samples / rate
            if not flags & 2 or not size_bytes:
                return Stated(duration_s, None)
            return Stated(duration_s, duration_s * max(0.0, 1 - size / size_bytes))
    return None


def without_inner_tags(file: BinaryIO) -> list[tuple[int, int] | bytes]:
    """The stretches of an open file that are not tags in its midst. It is read once."""
    end = file.seek(0, 2)
    start = _sound_start(file)
    pieces: list[tuple[int, int] | bytes] = []
    done = 0
    for place in places_of(file, start, (b"ID3", b"APETAGEX")):
        length = _tag_bytes(file, place)
        # What is no tag, or the tag at the very end, is for the decoder.
        if place < done or not length or place + length >= end:
            continue
        file.seek(place + length)
        following = file.read(2)
        if (following[:1] == b"\xff" and following[1:] >= b"\xe0") or following in (b"ID", b"AP"):
            pieces.append((done, place))
            done = place + length
    return [*pieces, (done, end)]


def _sound_start(file: BinaryIO) -> int:
    return _tag_bytes(file, 0)


def _tag_bytes(file: BinaryIO, place: int) -> int:
    """The length of a tag (ID3v2 or APE) that begins here; 0 if none does."""
    file.seek(place)
    head = file.read(_APE_BYTES)
    if head[:3] == b"ID3" and len(head) >= _ID3_BYTES:
        version, revision, _, *size = head[3:_ID3_BYTES]
        if version in (2, 3, 4) and revision < 0xFF and max(size) < 0x80:
            return _ID3_BYTES + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3])
    elif head[:8] == b"APETAGEX" and len(head) == _APE_BYTES:
        version, size_bytes, _, flags = struct.unpack("<4I", head[8:24])
        # A footer begins a tag that has no header; it stands behind what it belongs to.
        if version in (1000, 2000) and size_bytes >= _APE_BYTES:
            return size_bytes + _APE_BYTES if flags & 1 << 29 else _APE_BYTES
    return 0
