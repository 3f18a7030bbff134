"""Samples of WAV and Wave64 by the chunk ``fmt `` of their header."""

import struct
from typing import Literal, NamedTuple

import numpy as np

from speechduet.audio.byte_view import Source

_EXTENSIBLE, _EXTENSIBLE_TAG_AT = 0xFFFE, 24
_COMPANDED = (6, 7)
"""A-law and mu-law."""
_PLAIN = (1, 3, *_COMPANDED)
BITS_AT, LEAST_BYTES = 14, 16
"""Where the chunk states the bits of a sample, and its bytes up to there."""
_LOOK_BYTES = 1 << 20

_MOST_COOL = 1 << 17
"""Above full scale, 32,768, by 12 dB: no sample of Cool Edit is larger."""

_BURST = bytes.fromhex("72f81f4e")
"""How a burst begins: two words of 16 bits that no sound is likely to hold."""

Wide = Literal["upper", "lower", "cool"]
"""Where the bits of a sample stand in more bytes than they need; the last: Cool Edit's floats."""


class WaveSamples(NamedTuple):
    """How samples are stored."""

    block: int
    """Bytes of what cannot be divided: a sample of all channels, or a block of compressed ones."""
    bytes_per_s: float
    plain: bool
    """Whether samples stand one behind the other, and not in compressed blocks."""
    used: int = 0
    """Bytes that the bits of a sample need."""
    width: int = 0
    """Bytes that it is said to take, if they are more; `wide_kind` tells. Otherwise 0."""


def samples_of(body: bytes, order: str) -> WaveSamples | None:
    """How samples are stored by the body of the chunk; None if it does not say.

    The block that it states of plain samples may be wrong, and is not what libsndfile follows.
    """
    if len(body) < LEAST_BYTES:
        return None
    tag, channels, rate, bytes_per_s, block, bits = struct.unpack_from(f"{order}HHIIHH", body)
    if tag == _EXTENSIBLE and len(body) >= _EXTENSIBLE_TAG_AT + 2:
        (tag,) = struct.unpack_from(f"{order}H", body, _EXTENSIBLE_TAG_AT)
    plain = tag in _PLAIN
    used, (width, rest) = (bits + 7) // 8, divmod(block, max(channels, 1))
    wide = tag == 1 and 2 <= used < width <= 4 and not rest
    if plain:
        block = channels * (1 if tag in _COMPANDED else used)
        bytes_per_s = rate * block
    if not block:
        return None
    return WaveSamples(block, bytes_per_s, plain, used, width if wide else 0)


def wide_kind(file: Source, used: int, width: int, order: str) -> Wide | None:
    """How the samples from here on use so many bytes each.

    None if they take no more than they need, or are silence. In the upper ones the lowest are 0, in
    the lower ones the highest repeat the sign. Quiet samples may have both; louder ones decide.
    Where there are none, they are in the lower ones.
    """
    sounding, upper, lower, cool = False, True, True, (used, width) == (3, 4)
    while (upper and lower) and (data := file.read(_LOOK_BYTES // width * width)):
        whole = data[: len(data) // width * width]
        words = np.frombuffer(whole, np.uint8).reshape(-1, width)
        words = words if order == "<" else words[:, ::-1]
        sounding = sounding or bool(words.any())
        upper = not words[:, : width - used].any()
        sign = np.where(words[:, used - 1 : used] & 0x80, 0xFF, 0)
        lower = bool((words[:, used:] == sign).all())
        cool = cool and bool((np.abs(np.frombuffer(whole, f"{order}f4")) <= _MOST_COOL).all())
    if not sounding:
        return None
    return "lower" if lower else "upper" if upper else "cool" if cool else None


def holds_bursts(data: bytes, block: int) -> bool:
    """Whether what is said to be PCM is compressed sound of a digital output (IEC 61937)."""
    return block == 4 and _BURST in data
