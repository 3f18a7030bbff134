"""Samples of a WAV stream while they arrive: all of them, whatever its header says of their number.

The rules are those of files (`speechduet.audio.stated_length`), as far as they can be kept by who
does not see the end.
"""

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from speechduet.audio.formats import Samples
from speechduet.audio.notices import Notify, warn
from speechduet.audio.stated_length import (
    BEHIND_SAMPLES,
    NEVER_BEHIND,
    TAGS,
    TOLERATED_S,
    truncated,
)
from speechduet.audio.wav_stream import WavHeader, decode
from speechduet.audio.wave_format import holds_bursts
from speechduet.errors import AudioError

_BLOCK_S = 1.0
_MOST_BYTES = 1 << 26
"""Read at once or held back, however many channels at whatever rate a header claims."""
_BEGINNING = 1 << 14
"""Samples, among which compressed sound would show."""
_CHUNK_HEAD = 9
"""Bytes of a chunk's name and size, and one before it that makes an odd size even."""
_CHUNK_BEHIND = re.compile(rb"LIST....(?:INFO|adtl)|id3 ....ID3", re.DOTALL)
_CHUNK_BEHIND_BYTES = 11


def read_samples(
    stream: BinaryIO,
    header: WavHeader,
    *,
    salvage: bool = False,
    notify: Notify = warn,
    name: str = "the stream",
) -> Iterator[Samples]:
    """Samples ``[samples, channels]`` as they arrive, without waiting for a block to be full.

    All that arrives is given, whatever the header says; ``notify`` learns where it lies. Raises
    AudioError at the end of a stream that is much shorter than its header says, unless it is to be
    salvaged.
    """
    source = _Source(stream, header)
    if header.samples is None:
        yield from source.until_the_end()
        if source.samples:
            notify(f"{name} states no length in its header; it is read to its end{source.rest()}")
        return
    yield from source.promised(header.samples * header.sample_bytes)
    whole = source.samples
    if whole < header.samples:
        yield from source.completed()
        found_s, promised_s = (n / header.sample_rate for n in (source.samples, header.samples))
        if promised_s - found_s < TOLERATED_S and source.samples:
            notify(
                f"{name} holds {whole} samples where its header promises {header.samples}; "
                "all that are there are read"
                + ("; another, of which a part is there, is completed" if source.padded else "")
            )
        elif salvage:
            notify(f"{name} is truncated: {found_s:.2f} s of the {promised_s:.2f} s are read")
        else:
            raise truncated(name, found_s, promised_s)
        return
    yield from source.behind()
    if source.samples > header.samples:
        notify(
            f"{name} holds {source.samples} samples where its header promises {header.samples}; "
            f"all that are there are read{source.rest()}"
        )
    elif source.passed_over:
        notify(f"{name} has {source.passed_over} bytes behind its samples that are passed over")


class _Source:
    """Samples of a stream, taken from what has arrived."""

    def __init__(self, stream: BinaryIO, header: WavHeader) -> None:
        self._stream = stream
        self._header = header
        self._width = header.sample_bytes
        block = min(int(_BLOCK_S * header.sample_rate), _MOST_BYTES // self._width)
        self._most = max(1, block) * self._width
        self._pending = b""
        self.samples = 0
        """Samples that were given."""
        self.padded = False
        self.passed_over = 0
        """Bytes at the end that are neither samples nor chunks."""

    def promised(self, missing: int) -> Iterator[Samples]:
        """So many bytes of samples, or as many as come."""
        while missing > 0 and (more := self._arrived(min(self._most, missing))):
            missing -= len(more)
            self._pending += more
            yield from self._whole()

    def completed(self) -> Iterator[Samples]:
        """The sample of which a part has come, the rest of it zeros."""
        if self._pending:
            self.padded = True
            self._pending = self._pending.ljust(self._width, b"\0")
            yield from self._whole()

    def until_the_end(self) -> Iterator[Samples]:
        """All that comes, up to a chunk behind it."""
        # An empty chunk of samples before others is one too.
        while len(self._pending) < _CHUNK_HEAD and (more := self._arrived(_CHUNK_HEAD)):
            self._pending += more
        if _chunk_at(self._pending, None):
            self._pending = b""
            self._drain()
            return
        while more := self._arrived(self._most):
            self._pending += more
            chunk = _CHUNK_BEHIND.search(self._pending)
            if chunk is not None:
                self._pending = self._pending[: chunk.start()]
                self._drain()
                break
            # The beginning of a chunk may have come without the rest of it.
            yield from self._whole(keep=_CHUNK_BEHIND_BYTES)
        yield from self._whole()

    def behind(self) -> Iterator[Samples]:
        """What comes behind all that the header promises, if it is sound."""
        agreed = self._header.behind is not None and not self._header.doubtful
        tolerated = min(TOLERATED_S * self._header.sample_rate * self._width, _MOST_BYTES)
        enough = tolerated if agreed else _CHUNK_HEAD
        outer, in_chunks = self._header.behind, False
        while len(self._pending) < enough and (more := self._arrived(self._most)):
            self._pending += more
            while chunk := _chunk_at(self._pending, outer):
                in_chunks = True
                self._pending = self._pending[chunk.start :]
                outer = None if outer is None else outer - chunk.start - chunk.size
                if chunk.name == b"data":
                    yield from self._more(chunk.size)
                else:
                    self._skip(chunk.size + chunk.size % 2)
        if in_chunks:
            self._pending = b""
            self._drain()
            return
        padding = self.samples * self._width % 2
        few = len(self._pending) < (enough if agreed else 1 + padding)
        if self._pending.startswith((*TAGS, *NEVER_BEHIND)) or few:
            self.passed_over = max(0, len(self._pending) - padding) + self._drain()
            self._pending = b""
            return
        yield from self.until_the_end()
        self.passed_over = len(self._pending)

    def rest(self) -> str:
        """What to say of a part of a sample at the very end."""
        return f"; {len(self._pending)} bytes of a part of a sample are left out" * bool(
            self._pending
        )

    def _arrived(self, most: int) -> bytes:
        # read1 returns what is there already; read would wait until it has all.
        more: bytes = self._stream.read1(most)  # type: ignore[attr-defined]
        return more

    def _more(self, size: int) -> Iterator[Samples]:
        """The samples of another chunk of this many bytes."""
        here, rest = self._pending[:size], self._pending[size:]
        self._pending = here
        yield from self._whole()
        yield from self.promised(size - len(here))
        self._pending = rest

    def _skip(self, size: int) -> None:
        here, self._pending = self._pending[:size], self._pending[size:]
        size -= len(here)
        while size > 0 and (more := self._arrived(min(self._most, size))):
            size -= len(more)

    def _drain(self) -> int:
        """Read the rest, for who writes it would fail if nobody did."""
        count = 0
        while more := self._arrived(self._most):
            count += len(more)
        return count

    def _whole(self, keep: int = 0) -> Iterator[Samples]:
        ready = max(0, len(self._pending) - keep)
        ready -= ready % self._width
        if ready:
            if self.samples < _BEGINNING and holds_bursts(self._pending[:ready], self._width):
                raise AudioError(
                    "the stream holds compressed sound of a digital output (IEC 61937), not PCM",
                    remedy="give the file by its name, or decode it first",
                )
            block = decode(self._pending[:ready], self._header)
            self._pending = self._pending[ready:]
            self.samples += len(block)
            yield block


class _Chunk(NamedTuple):
    name: bytes
    start: int
    """Of its body."""
    size: int


def _chunk_at(data: bytes, outer: int | None) -> _Chunk | None:
    """The chunk that begins here, or behind one byte that makes an odd size even, if one does."""
    for start in (0, 1):
        name = data[start : start + 4]
        if len(data) < start + _CHUNK_HEAD - 1:
            return None
        (size,) = struct.unpack_from("<I", data, start + 4)
        printable = all(0x20 <= letter < 0x7F for letter in name)
        if name in BEHIND_SAMPLES or (printable and outer is not None and size + 8 <= outer + 1):
            return _Chunk(name, start + 8, size)
    return None
