"""The header of NIST SPHERE: text with the place and the number of the samples."""

import re
from typing import NamedTuple

MAGIC = b"NIST_1A\n"
_HEADER = re.compile(MAGIC + rb" *(\d{1,15})\n")
_FIELD = re.compile(rb"^(\w+) -(?:i|s\d+) (\S+)", re.MULTILINE)


class Sphere(NamedTuple):
    """What the header states."""

    data: int
    """Place of the first byte of samples."""
    frames: int
    """Samples of each channel; 0 if it is not stated."""
    frame_bytes: int
    sample_rate: int
    interleaved: bool
    """Whether the channels of a sample stand beside each other, and not one whole channel first."""


def sphere_of(head: bytes) -> Sphere | None:
    """The header at the beginning of a file; None if it is another, or the sound is compressed."""
    begin = _HEADER.match(head)
    if begin is None:
        return None
    data = int(begin[1])
    fields = dict(_FIELD.findall(head[:data]))
    numbers = (
        fields.get(name, default)
        for name, default in (
            (b"sample_count", b"0"),
            (b"channel_count", b"1"),
            (b"sample_n_bytes", b"2"),
            (b"sample_rate", b""),
        )
    )
    try:
        frames, channels, width, rate = map(int, numbers)
    except ValueError:
        return None
    packed = b"embedded" in fields.get(b"sample_coding", b"")
    if packed or min(channels, width, rate, frames + 1) < 1:
        return None
    apart = channels > 1 and fields.get(b"channels_interleaved", b"").upper() == b"FALSE"
    return Sphere(data, frames, channels * width, rate, not apart)
