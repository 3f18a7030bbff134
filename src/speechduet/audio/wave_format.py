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

Wide = Literal["upper", "lower"]
"""Where in four bytes the 24 bits of a sample stand."""


class WaveSamples(NamedTuple):
    """How samples are stored."""

    block: int
    """Bytes of what cannot be divided: a sample of all channels, or a block of compressed ones."""
    bytes_per_s: float
    plain: bool
    """Whether samples stand one behind the other, and not in compressed blocks."""
    may_be_wide: bool = False
    """Whether samples of 24 bits are said to take four bytes each; `wide_kind` tells."""


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
    may_be_wide = tag == 1 and bits == 24 and block == 4 * channels
    if plain:
        block = channels * (1 if tag in _COMPANDED else (bits + 7) // 8)
        bytes_per_s = rate * block
    return WaveSamples(block, bytes_per_s, plain, may_be_wide) if block else None


def wide_kind(file: Source) -> Wide | None:
    """How the samples from here on use four bytes each; None if they take three, or are silence.

    In the upper three the lowest byte is 0, in the lower three the highest repeats the sign. Quiet
    samples may have both; louder ones decide. Where there are none, 16 bits are in the lower three.
    """
    sounding, upper, lower = False, True, True
    while (upper and lower) and (data := file.read(_LOOK_BYTES)):
        words = np.frombuffer(data[: len(data) // 4 * 4], np.uint8).reshape(-1, 4)
        sounding = sounding or bool(words.any())
        upper = not words[:, 0].any()
        lower = bool((words[:, 3] == np.where(words[:, 2] & 0x80, 0xFF, 0)).all())
    if not sounding or not (upper or lower):
        return None
    return "lower" if lower else "upper"
