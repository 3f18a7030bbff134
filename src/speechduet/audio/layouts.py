"""Headers of WAV, RF64, Wave64, AIFF, CAF, AU and SPHERE: where samples are, and how many."""

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from speechduet.audio.byte_view import Source
from speechduet.audio.chunks import AIFF, CAF, RIFF, RIFX, WAVE64, Dialect, chunks
from speechduet.audio.formats import LENGTH_UNKNOWN
from speechduet.audio.sphere import MAGIC, sphere_of
from speechduet.audio.wave_format import BITS_AT, LEAST_BYTES, WaveSamples, samples_of, wide_kind

_UNKNOWN_64 = 1 << 40
"""No recording is so long: who writes such a length does not know it."""
_SPHERE_BYTES = 1 << 14
_GUID_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_HTK_WAVEFORM = b"\0\2\0\0"
"""Two bytes a sample, of the kind waveform."""
_HTK_PERIODS = (13, 10_000)
"""Of samples, in units of 100 ns: 768 to 1 kHz. Other numbers belong to files of other kinds."""
_PLAIN_AIFF = (b"", b"NONE", b"twos", b"sowt", b"raw ", b"fl32", b"FL32", b"fl64", b"FL64")
_PLAIN_CAF = (b"lpcm", b"ulaw", b"alaw")


class SizeField(NamedTuple):
    """A place in a header that states a size."""

    place: int
    form: struct.Struct
    extra: int = 0
    """Added to the bytes of samples."""
    unit: int = 1
    """Bytes that one of what is counted has."""

    def encode(self, size: int) -> bytes:
        """The field for this many bytes of samples; all ones if they do not fit."""
        value = size // self.unit + self.extra
        if value >= 1 << (8 * self.form.size):
            return b"\xff" * self.form.size
        return self.form.pack(value)


@dataclass
class Layout:
    """Where a file's samples are, and what its header says of their length."""

    data: int
    """Place of the first byte."""
    size: int | None
    """Bytes of samples by the header; None if it says that it does not know."""
    block: int
    """Bytes of what cannot be divided: a sample of all channels, or a block of compressed ones."""
    bytes_per_s: float
    outer_end: int | None = None
    """Where the whole file ends by its header, if that says so."""
    dialect: Dialect | None = None
    fields: list[SizeField] = field(default_factory=list)
    consistent: bool = True
    """Whether the header does not say two things of the length."""
    plain: bool = True
    """Whether samples stand one behind the other, and not in compressed blocks."""
    corrections: dict[int, bytes] = field(default_factory=dict)
    """What has to stand at some places of the header for libsndfile to read the samples."""
    unreadable: str = ""
    """Why they cannot be read at all, in words behind the file's name."""


def layout_of(file: Source, end: int) -> Layout | None:
    """Where the samples of an open file of this many bytes are; None if it is no such container."""
    file.seek(0)
    head = file.read(40)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _riff(file, head, end)
    if head[:4] == b"riff" and head[24:28] == b"wave":
        return _wave64(file, head, end)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff(file, head, end)
    if head[:4] == b"caff":
        return _caf(file, end)
    if head[:4] in (b".snd", b"dns."):
        return _au(head)
    if head.startswith(MAGIC):
        return _sphere(file)
    return _htk(head) if head[8:12] == _HTK_WAVEFORM else None


def _riff(file: Source, head: bytes, end: int) -> Layout | None:
    long, long_size, wave, format_at = head[:4] in (b"RF64", b"BW64"), None, b"", 0
    dialect, order = (RIFX, ">") if head[:4] == b"RIFX" else (RIFF, "<")
    fields = [SizeField(4, dialect.size, 0)]
    for chunk in chunks(file, 12, dialect, end):
        file.seek(chunk.body)
        if chunk.name == b"ds64":
            (long_size,) = struct.unpack("<Q", file.read(16)[8:].ljust(8, b"\0"))
            fields.append(SizeField(chunk.body + 8, struct.Struct("<Q")))
        elif chunk.name == b"fmt " and not wave:  # libsndfile follows the first.
            wave, format_at = file.read(min(chunk.size, 40)), chunk.body
        elif chunk.name == b"data":
            break
    else:
        return None
    if 0 < len(wave) < LEAST_BYTES:
        why = "does not state in its header how many bits a sample has"
        return Layout(chunk.body, None, 1, 1.0, unreadable=why)
    if not (samples := samples_of(wave, order)):
        return None
    size: int | None = chunk.size
    outer: int | None = dialect.size.unpack_from(head, 4)[0]
    if long and chunk.size == 0xFFFFFFFF:
        size = long_size
        outer = None
    else:
        fields.append(SizeField(chunk.body - 4, dialect.size))
        outer = None if outer in (0, 0xFFFFFFFF) or outer is None else outer + 8
    fields[0] = SizeField(4, dialect.size, chunk.body - 8)
    if long_size is not None:
        fields[0] = SizeField(fields[1].place - 8, struct.Struct("<Q"), chunk.body - 8)
        fields.append(SizeField(fields[1].place + 8, struct.Struct("<Q"), 0, samples.block))
    layout = Layout(chunk.body, _known(size), samples.block, samples.bytes_per_s, outer, dialect)
    layout.fields, layout.plain = fields, samples.plain
    # libsndfile follows the long size, whatever the short one says.
    layout.consistent = not long or long_size in (None, size)
    if head[:4] == b"BW64":  # The same but for its name, which libsndfile does not know.
        layout.corrections[0] = b"RF64"
    _widen(layout, samples, file, format_at + BITS_AT, order)
    return layout


def _widen(layout: Layout, samples: WaveSamples, file: Source, bits_at: int, order: str) -> None:
    """Samples that stand in the upper part of more bytes than they need are read as wider ones."""
    used, width = samples.used, samples.width
    if not width:
        return
    file.seek(layout.data)
    kind = wide_kind(file, used, width, order)
    if kind == "upper":
        layout.block = layout.block // used * width
        layout.bytes_per_s *= width / used
        layout.corrections[bits_at] = struct.pack(f"{order}H", 8 * width)
    elif kind == "lower":
        layout.unreadable = f"holds samples of {8 * used} bits in the lower {used} of {width} bytes"
    elif kind == "cool":
        layout.unreadable = "holds samples of Cool Edit's own kind, floats up to 32,768"


def _wave64(file: Source, head: bytes, end: int) -> Layout | None:
    wave, format_at = b"", 0
    for chunk in chunks(file, 40, WAVE64, end):
        file.seek(chunk.body)
        if chunk.name == b"fmt " + _GUID_TAIL:
            wave, format_at = file.read(40), chunk.body
        elif chunk.name == b"data" + _GUID_TAIL:
            break
    else:
        return None
    if not (samples := samples_of(wave, "<")):
        return None
    (outer,) = struct.unpack_from("<Q", head, 16)
    fields = [
        SizeField(16, WAVE64.size, chunk.body),
        SizeField(chunk.body - 8, WAVE64.size, WAVE64.head_bytes),
    ]
    outer_end = outer if 0 < outer < _UNKNOWN_64 else None
    size, block, speed = _known(chunk.size), samples.block, samples.bytes_per_s
    layout = Layout(chunk.body, size, block, speed, outer_end, WAVE64, fields)
    layout.plain = samples.plain
    _widen(layout, samples, file, format_at + BITS_AT, "<")
    return layout


def _aiff(file: Source, head: bytes, end: int) -> Layout | None:
    common, frames_at, data = b"", 0, None
    for chunk in chunks(file, 12, AIFF, end):
        file.seek(chunk.body)
        if chunk.name == b"COMM":
            common, frames_at = file.read(min(chunk.size, 22)), chunk.body + 2
        elif chunk.name == b"SSND":
            data = chunk
            if common:
                break
    if data is None or len(common) < 18:
        return None
    channels, frames, bits, exponent, mantissa = struct.unpack(">hIhHQ", common[:18])
    kind = common[18:22]
    true_bits = {b"in24": 24, b"in32": 32}.get(kind, bits)
    corrections = {frames_at + 4: struct.pack(">h", true_bits)} if true_bits != bits else {}
    bits = true_bits
    if kind not in (*_PLAIN_AIFF, b"in24", b"in32"):
        if kind.lower() not in (b"ulaw", b"alaw"):
            return None
        bits = 8
    block = channels * ((bits + 7) // 8)
    # An extended float; no rate has more than 32 binary digits.
    power = (exponent & 0x7FFF) - 16383
    rate = mantissa * 2.0 ** (power - 63) if 0 <= power < 32 else 0
    if block < 1 or rate < 1:
        return None
    (outer,) = struct.unpack_from(">I", head, 4)
    file.seek(data.body)
    offset = int.from_bytes(file.read(4), "big")
    body = data.body + 8 + offset
    fields = [
        SizeField(4, AIFF.size, body - 8),
        SizeField(data.body - 4, AIFF.size, 8 + offset),
        SizeField(frames_at, AIFF.size, 0, block),
    ]
    size = data.size - 8 - offset if 8 + offset < data.size < LENGTH_UNKNOWN else None
    counted = frames * block if 0 < frames < LENGTH_UNKNOWN else None
    outer_end = None if outer in (0, 0xFFFFFFFF) else outer + 8
    # Some writers count the byte that makes an odd size even.
    consistent = size is not None and counted is not None and size - counted in (0, counted % 2)
    stated = counted if consistent else size or counted
    layout = Layout(body, stated, block, rate * block, outer_end, AIFF, fields)
    layout.consistent, layout.corrections = consistent, corrections
    return layout


def _caf(file: Source, end: int) -> Layout | None:
    description = b""
    for chunk in chunks(file, 8, CAF, end):
        file.seek(chunk.body)
        if chunk.name == b"desc":
            description = file.read(32)
        elif chunk.name == b"data":
            break
    else:
        return None
    if len(description) < 32:
        return None
    rate, kind, _, packet, frames, channels, bits = struct.unpack(">d4s5I", description)
    if kind not in _PLAIN_CAF or not packet or not frames:
        return None
    fields = [SizeField(chunk.body - 8, CAF.size, 4)]
    size = chunk.size - 4 if chunk.size >= 4 else None
    speed = rate / frames * packet
    layout = Layout(chunk.body + 4, _known(size), packet, speed, None, CAF, fields)
    width = packet // frames // max(channels, 1)
    if kind == b"lpcm" and width != (bits + 7) // 8:
        layout.unreadable = f"holds samples of {bits} bits in {width} bytes each"
    return layout


def _au(head: bytes) -> Layout | None:
    order = ">" if head[:4] == b".snd" else "<"
    if len(head) < 24:
        return None
    start, size, kind, rate, channels = struct.unpack_from(f"{order}5I", head, 4)
    width = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}.get(kind)
    if width is None or not channels or not rate:
        return None
    block = width * channels
    fields = [SizeField(8, struct.Struct(f"{order}I"))]
    layout = Layout(max(start, 24), _known(size), block, rate * block, None, None, fields)
    if start < 24:  # Where the header is.
        layout.corrections[4] = struct.pack(f"{order}I", 24)
    return layout


def _sphere(file: Source) -> Layout | None:
    file.seek(0)
    header = sphere_of(file.read(_SPHERE_BYTES))
    if header is None:
        return None
    data, frames, block, rate, interleaved = header
    layout = Layout(data, _known(frames * block), block, rate * block)
    if not interleaved:
        layout.unreadable = "holds its channels one behind the other"
    return layout


def _htk(head: bytes) -> Layout | None:
    samples, period = struct.unpack_from(">2i", head)
    if samples < 1 or not _HTK_PERIODS[0] <= period <= _HTK_PERIODS[1]:
        return None
    fields = [SizeField(0, struct.Struct(">I"), unit=2)]
    return Layout(12, 2 * samples, 2, 2 * 1e7 / period, fields=fields)


def _known(size: int | None) -> int | None:
    # Programs that cannot go back to their header leave 0 or a number of all ones in it.
    return None if size is None or size <= 0 or size >= _UNKNOWN_64 else size
