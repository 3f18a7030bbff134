"""Samples of WAV and Wave64 by the chunk ``fmt `` of their header."""

import struct
from typing import NamedTuple

_EXTENSIBLE, _EXTENSIBLE_TAG_AT = 0xFFFE, 24
_COMPANDED = (6, 7)
"""A-law and mu-law."""
_PLAIN = (1, 3, *_COMPANDED)


class WaveSamples(NamedTuple):
    """How samples are stored."""

    block: int
    """Bytes of what cannot be divided: a sample of all channels, or a block of compressed ones."""
    bytes_per_s: float
    plain: bool
    """Whether samples stand one behind the other, and not in compressed blocks."""


def samples_of(body: bytes, order: str) -> WaveSamples | None:
    """How samples are stored by the body of the chunk; None if it does not say.

    The block that it states of plain samples may be wrong, and is not what libsndfile follows.
    """
    if len(body) < 16:
        return None
    tag, channels, rate, bytes_per_s, block, bits = struct.unpack_from(f"{order}HHIIHH", body)
    if tag == _EXTENSIBLE and len(body) >= _EXTENSIBLE_TAG_AT + 2:
        (tag,) = struct.unpack_from(f"{order}H", body, _EXTENSIBLE_TAG_AT)
    plain = tag in _PLAIN
    if plain:
        block = channels * (1 if tag in _COMPANDED else (bits + 7) // 8)
        bytes_per_s = rate * block
    return WaveSamples(block, bytes_per_s, plain) if block else None
