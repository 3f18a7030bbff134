"""What a header promises and what is there: the rule by which a file is whole, lies, or is cut.

- A size of 0, of all ones, or as large as programs write that cannot go back to their header,
  states nothing: the samples end where the file ends, or where the chunks behind them begin.
- Samples that go on behind the stated end, where no chunk begins, are samples.
- Less than `TOLERATED_S` missing is a header that lies a little: what is there is read. More is a
  truncated file.
- The last sample of which a part is there is completed with zeros if the header promises it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from speechduet.audio.byte_view import ByteView, Source, patched
from speechduet.audio.chunks import RIFF, RIFX, WAVE64, Dialect, aligned, chunks
from speechduet.audio.formats import LENGTH_UNKNOWN
from speechduet.audio.id3 import TAG_HEADER_BYTES, tag_bytes
from speechduet.audio.layouts import Layout, layout_of
from speechduet.errors import AudioError

TOLERATED_S = 0.5
"""So much sound may be missing from what a header promises before a file is called truncated."""
_TAIL_BYTES = 1 << 18
TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")
BEHIND_SAMPLES = (
    *(b"LIST", b"id3 ", b"ID3 ", b"bext", b"iXML", b"_PMX", b"cue ", b"smpl", b"fact", b"PEAK"),
    *(b"JUNK", b"junk", b"FLLR", b"PAD ", b"afsp", b"DISP", b"acid", b"inst", b"plst", b"cart"),
    *(b"axml", b"chna", b"SNDM", b"MARK", b"INST", b"COMT", b"ANNO", b"NAME", b"AUTH", b"(c) "),
    *(b"APPL", b"MIDI", b"AESD", b"CHAN", b"BASC", b"info", b"uuid", b"free", b"strg", b"mark"),
    *(b"midi", b"peak", b"chan", b"umid", b"edct", b"regn", b"ovvw"),
)
"""Names of chunks that are seen behind the samples."""
NEVER_BEHIND = (
    *(b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b"caff", b".snd", b"dns."),
    *(b"fmt ", b"data", b"ds64", b"COMM", b"SSND", b"desc", b"pakt"),
)
"""Beginnings of another recording, or of its samples."""
_SAMPLES = b"data"

_LARGEST_BLOCK = 1024 * 8
"""Bytes of a sample of all channels; libsndfile reads no more, whatever a header says."""


@dataclass(frozen=True)
class Promise:
    """A header's word on the length of the samples, and how they can be read whole."""

    layout: Layout
    promised: int | None
    """Bytes of samples by the header, if it states them."""
    found: int
    """Bytes of samples that are there."""
    behind: int
    """Bytes behind them that are neither samples nor chunks."""
    next_at: int | None = None
    """Where another recording begins behind it, or another chunk of its samples."""

    @property
    def missing_s(self) -> float:
        """Seconds of sound that are promised and not there."""
        return max(0, (self.promised or 0) - self.found) / max(self.layout.bytes_per_s, 1)

    @property
    def padding(self) -> int:
        """Zeros that complete the last sample, of which a part is there."""
        lacking = -self.found % self.layout.block
        promised = self.promised or 0
        promised += -promised % self.layout.block
        return lacking if lacking < _LARGEST_BLOCK and self.found + lacking <= promised else 0

    @property
    def truncated(self) -> bool:
        """Whether more is missing than a careless program would leave out."""
        return self.missing_s >= TOLERATED_S

    @property
    def honest(self) -> bool:
        """Whether the file is as its header says."""
        torn = self.layout.plain and self.found % self.layout.block
        exact = (
            self.promised == self.found and self.layout.consistent and not self.layout.corrections
        )
        return exact and not torn and not self.behind and self.next_at is None

    def remark(self) -> str:
        """What a user should know, in words behind the file's name; empty if there is nothing."""
        parts = []
        if self.promised is None:
            parts.append("states no length in its header; it is read to its end")
        elif self.promised != self.found:
            parts.append(
                f"holds {self.found} bytes of samples where its header promises {self.promised}; "
                "all that are there are read"
            )
        elif not self.layout.consistent:
            parts.append("states two lengths in its header; all samples that are there are read")
        if self.padding:
            parts.append("the last sample, of which a part is there, is completed with zeros")
        elif self.layout.plain and (rest := self.found % self.layout.block):
            parts.append(f"{rest} bytes of a part of a sample at its end are left out")
        if self.behind:
            parts.append(f"{self.behind} bytes behind its samples are passed over")
        return "; ".join(parts)

    def view(self, file: Source) -> ByteView:
        """The file as it is with a right header, without what is behind its samples."""
        size = self.found + self.padding
        if self.layout.plain:
            size -= size % self.layout.block
        patches = {field.place: field.encode(size) for field in self.layout.fields}
        patches |= self.layout.corrections
        return patched(file, self.layout.data + min(size, self.found), patches, self.padding)


def promise_of(file: Source, size: int) -> Promise | None:
    """What the header of an open file of this many bytes promises; None for another kind."""
    layout = layout_of(file, size)
    if layout is None or layout.data > size:
        return None
    promised = layout.size
    room = size - layout.data
    if promised is not None and promised >= LENGTH_UNKNOWN and promised > room:
        # Beyond four gigabytes the low half of the length may be all that was written.
        promised = None if promised <= 0xFFFFFFFF else promised
    next_at = _next_recording(file, layout, promised, size)
    if next_at is not None:
        return Promise(layout, promised or 0, promised or 0, 0, next_at)
    end, behind = _end_of_samples(file, layout, promised, size)
    return Promise(layout, promised, end - layout.data, behind)


def recordings_in(file: Source, size: int) -> Iterator[tuple[ByteView, Promise | None]]:
    """The recordings that are joined in an open file, one behind the other; mostly it is one.

    Several chunks of samples under one header are as many recordings. Tags in front are left out.
    """
    header, start = (0, 0), _behind_tags(file, size)
    while True:
        view = ByteView(file, [header, (start, size)])
        promise = promise_of(view, len(view))
        yield view, promise
        if promise is None or promise.next_at is None:
            return
        before = header[1] - header[0]
        view.seek(promise.next_at)
        if view.read(4) != _SAMPLES:
            header = (0, 0)
        elif not before:
            header = (start, start + promise.layout.data - RIFF.head_bytes)
        start += promise.next_at - before


def _behind_tags(file: Source, size: int) -> int:
    """Where a container begins behind ID3 tags; 0 if none does."""
    place = 0
    file.seek(0)
    while length := tag_bytes(file.read(TAG_HEADER_BYTES)):
        place += length
        file.seek(place)
    behind = 0 < place < size and layout_of(ByteView(file, [(place, size)]), size - place)
    return place if behind else 0


def truncated(path: Path | str, found_s: float, promised_s: float) -> AudioError:
    """The error for a file that is shorter than it says."""
    return AudioError(
        f"{path} is truncated: {found_s:.2f} s of sound can be read",
        f"the {promised_s:.2f} s that its header promises",
        "copy it again, or let --salvage (in Python salvage=True) read what there is",
    )


def _next_recording(file: Source, layout: Layout, promised: int | None, size: int) -> int | None:
    """Where another recording, or more of this one, begins behind the stated end and chunks."""
    stated = layout.data + (promised or 0)
    for start in sorted({stated, _even(stated, layout)}):
        for place in _places(file, start, layout.dialect, size):
            if not 0 < place < size:
                break
            file.seek(place)
            more = file.read(4) == _SAMPLES and (layout.dialect is RIFF or layout.dialect is RIFX)
            if more or layout_of(ByteView(file, [(place, size)]), size - place):
                return place
    return None


def _places(file: Source, start: int, dialect: Dialect | None, size: int) -> Iterator[int]:
    """Where chunks begin from here on, and where the last ends."""
    yield start
    for chunk in chunks(file, start, dialect, size) if dialect else ():
        if chunk.name[:4] not in BEHIND_SAMPLES or chunk.size < 0:
            return
        yield aligned(chunk.body + chunk.size, dialect or RIFF)


def _even(place: int, layout: Layout) -> int:
    return aligned(place, layout.dialect) if layout.dialect else place


def _end_of_samples(
    file: Source, layout: Layout, promised: int | None, size: int
) -> tuple[int, int]:
    """Where the samples end, and how many bytes behind that are neither samples nor chunks."""
    stated = None if promised is None else layout.data + promised
    dialect = layout.dialect
    if layout.size == 0 or promised is None:
        # A chunk that is empty indeed, before others.
        if dialect and size > layout.data and _is_chain(file, layout.data, dialect, size):
            return layout.data, 0
    elif stated is not None and stated <= size:
        # Some writers leave the padding of an odd size out, others write it where none is due.
        starts = {stated, stated + stated % 2, _even(stated, layout)}
        if any(_is_chain(file, start, dialect, size) for start in starts):
            return stated, 0
        # A byte behind half a sample is no padding but its other half.
        torn = layout.plain and (stated - layout.data) % layout.block
        if size == stated or (size <= max(starts) and not torn):
            return stated, 0
        if _is_junk(file, layout, stated, size, trusted=not torn):
            return stated, size - stated
    tail = _tail(file, layout, size)
    return (size if tail is None else tail), 0


def _is_junk(file: Source, layout: Layout, start: int, size: int, trusted: bool) -> bool:
    """Whether what is behind the stated end is not sound: tags, padding, a few stray bytes."""
    file.seek(start)
    head = file.read(_TAIL_BYTES)
    if head.startswith(TAGS) or (len(head) >= 128 and head[-128:].startswith(b"TAG")):
        return True
    ends = (start, start + 1, _even(start, layout))
    agreed = layout.outer_end in ends
    if not trusted:
        return False
    few = size - start < TOLERATED_S * layout.bytes_per_s
    return agreed and (few or not head.strip(b"\0"))


def _is_chain(file: Source, start: int, dialect: Dialect | None, size: int) -> bool:
    """Whether chunks follow one another from here to the end; the last may be cut short."""
    if dialect is None:
        return False
    place = start
    for chunk in chunks(file, start, dialect, size):
        name = chunk.name[:4]
        if not all(0x20 <= letter < 0x7F for letter in name) or chunk.size < 0:
            return False
        if name in NEVER_BEHIND:
            return False
        place = aligned(chunk.body + chunk.size, dialect)
        if place > size + dialect.align:
            return name in BEHIND_SAMPLES
    return place > start and size - dialect.head_bytes < place <= size + dialect.align


def _tail(file: Source, layout: Layout, size: int) -> int | None:
    """Where chunks begin that go on to the end of the file, if there are any."""
    dialect = layout.dialect
    if dialect is None:
        return None
    start = max(layout.data, size - _TAIL_BYTES)
    file.seek(start)
    tail = file.read(_TAIL_BYTES)
    found = []
    for name in BEHIND_SAMPLES if dialect is not WAVE64 else ():
        place = -1
        while (place := tail.find(name, place + 1)) >= 0:
            body = start + place
            if dialect is RIFF and (body - layout.data) % 2:
                continue
            if _is_chain(file, body, dialect, size):
                found.append(body)
    return min(found, default=None)
