"""FLAC files that were joined end to end.

FFmpeg takes what is joined for one stream, and may then drop the first frame of a later recording.
"""

from typing import BinaryIO

from speechduet.audio.searching import places_of

_BEGINNINGS = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")
"""The mark of FLAC and the head of its first block, which may be the last one too."""
_LAST = 0x80
_MOST_BLOCKS = 10_000


def joined_in(file: BinaryIO) -> list[tuple[int, int]]:
    """Start and stop of each recording in an open file; mostly it is one."""
    starts: list[int] = []
    sound = 0
    for place in places_of(file, 0, _BEGINNINGS):
        # One inside of a block, such as a picture, is no recording.
        if place >= sound:
            starts.append(place)
            sound = _sound_start(file, place)
    stops = [*starts[1:], file.seek(0, 2)]
    return list(zip([0, *starts[1:]], stops, strict=True)) if starts else [(0, stops[-1])]


def _sound_start(file: BinaryIO, place: int) -> int:
    """Where the blocks in front of the sound end."""
    place += 4
    for _ in range(_MOST_BLOCKS):
        file.seek(place)
        head = file.read(4)
        place += 4 + int.from_bytes(head[1:], "big")
        if len(head) < 4 or head[0] & _LAST:
            break
    return place
