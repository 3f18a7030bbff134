"""What a client of the WebSocket ``/live`` may ask for and send."""

import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from fastapi import Query

from speechduet.app.query import ModeQuery, SeedQuery
from speechduet.audio import Samples
from speechduet.audio.wav_stream import WavHeader, decode
from speechduet.enhancement.live import LATENCY_S
from speechduet.errors import AudioError
from speechduet.sampling import SettingValue

LONGEST_BLOCK_S = 5.0
"""Seconds of sound in one message."""
LONGEST_TEXT = 100
WRONG_TYPE, WRONG_CONTENT, LATE, TOO_LARGE = 1003, 1007, 1008, 1009
"""Codes with which a WebSocket ends."""

SampleFormat = Literal["s16le", "f32le"]


class BlockError(AudioError):
    """A message that is no block of the stream; ``code`` is how the WebSocket ends."""

    def __init__(self, code: int, found: str, expected: str = "") -> None:
        super().__init__(found, expected)
        self.code = code


@dataclass(frozen=True)
class LiveRequest:
    """How a stream of samples is laid out, and what is to be done with it."""

    sample_rate: int
    channels: int
    format: SampleFormat
    mode: str
    latency_s: float
    seed: int
    live: bool | None
    expert: dict[str, Any] = field(default_factory=dict)

    @property
    def header(self) -> WavHeader:
        """The layout, as that of a WAV file."""
        floating = self.format == "f32le"
        return WavHeader(self.sample_rate, self.channels, 32 if floating else 16, floating, None)

    def block(self, data: bytes) -> Samples:
        """The samples ``[samples, channels]`` of a binary message.

        Raises BlockError for one that holds none, or too many.
        """
        width = self.header.sample_bytes
        if len(data) % width:
            raise BlockError(
                WRONG_CONTENT,
                f"a block of {len(data)} bytes",
                f"a multiple of {width}, for {self.channels} channels of {self.format}",
            )
        if len(data) > LONGEST_BLOCK_S * self.sample_rate * width:
            raise BlockError(
                TOO_LARGE,
                f"a block of {len(data)} bytes",
                f"at most {LONGEST_BLOCK_S:g} s of sound in one",
            )
        block = decode(data, self.header)
        if not np.isfinite(block).all():
            raise BlockError(WRONG_CONTENT, "NaN or infinite samples", "finite ones")
        return block


def largest_block(samples_per_s: int) -> int:
    """Most bytes in a message of a stream with so many samples in a second of sound."""
    return int(LONGEST_BLOCK_S * samples_per_s * np.dtype(np.float32).itemsize)


class Played(NamedTuple):
    """How many samples of the result a client has played."""

    samples: int


def told(text: str) -> Played | None:
    """What a text message says: how much has been played, or (None) that no more comes.

    Raises BlockError for any other.
    """
    try:
        message = json.loads(text) if len(text) <= LONGEST_TEXT else None
    except ValueError:
        message = None
    match message:
        case {"type": "end"}:
            return None
        case {"type": "played", "samples": int(samples)} if samples >= 0:
            return Played(samples)
    raise BlockError(
        WRONG_TYPE,
        f"the text message {text[:40]!r}",
        'binary blocks of samples, or {"type": "end"} or {"type": "played", "samples": 123}',
    )


def live_request(
    sample_rate: Annotated[
        int, Query(ge=1, le=768_000, description="Samples per second.")
    ] = 16_000,
    channels: Annotated[int, Query(ge=1, le=1024, description="Interleaved channels.")] = 1,
    format: Annotated[SampleFormat, Query(description="Sample format.")] = "s16le",
    mode: ModeQuery = "fast",
    latency: Annotated[
        float, Query(gt=0, le=60, description="Seconds that the result is behind.")
    ] = LATENCY_S,
    seed: SeedQuery = 0,
    live: Annotated[
        bool | None, Query(description="Whether the source cannot wait; by default found out.")
    ] = None,
    *,
    expert: dict[str, SettingValue],
) -> LiveRequest:
    """What a query asks for."""
    return LiveRequest(sample_rate, channels, format, mode, latency, seed, live, expert)
