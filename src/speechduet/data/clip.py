"""A recording in a file of its own or inside an archive, any stretch of which is read."""

import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from math import ceil, gcd
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, NamedTuple

import numpy as np
import soundfile
from typing_extensions import Buffer

from speechduet import audio
from speechduet.data.mono import SILENCE, Samples, check_finite, resampled
from speechduet.errors import AudioError

_SEEKABLE = (b"RIFF", b"RF64", b"riff", b"fLaC", b"OggS", b"FORM", b".snd", b"caff")
"""How files begin that libsndfile finds any place in, MP3 sound within them excepted."""

_MOST_FRAMES = 1 << 40
"""Longer is what programs claim that do not know the length."""

_MARGIN = 1024
"""Samples, at the lower of two rates, around a stretch that is resampled."""

_BLOCK = 1 << 12


class Shape(NamedTuple):
    """What is known of a recording before its sound is read."""

    sample_rate: int
    channels: int
    samples: int


class Clip(NamedTuple):
    """A file, or the bytes of one within an uncompressed archive."""

    path: Path
    offset: int = 0
    size: int | None = None

    def __str__(self) -> str:
        return str(self.path) if self.size is None else f"{self.path} (from byte {self.offset})"

    def shape(self) -> Shape:
        """Rate, channels, length. Raises AudioError for what is missing or is not audio."""
        with self._direct() as file:
            if file is not None:
                return Shape(file.samplerate, file.channels, file.frames)
        channels, rate = _decoded(self)
        return Shape(rate, *channels.shape)

    def survey(self, enough: int) -> tuple[Shape, list[bool]]:
        """Its shape, and which channels hold sound.

        It stops at the first sound in the channel ``enough``. But floats are read to the end:
        among them may be NaN. Raises AudioError if the channel holds any.
        """
        with self._direct() as file:
            if file is None:
                channels, rate = _decoded(self)
                shape, blocks = Shape(rate, *channels.shape), iter([channels.T])
            else:
                shape = Shape(file.samplerate, file.channels, file.frames)
                blocks = _blocks(self, file)
            floats = file is None or file.subtype in ("FLOAT", "DOUBLE")
            sounds = np.zeros(shape.channels, bool)
            enough = min(enough, shape.channels - 1)
            for block in blocks:
                sounds |= (np.abs(block) > SILENCE).any(0)
                check_finite(block[:, enough], self)
                if not floats and sounds[enough]:
                    break
        return shape, [bool(one) for one in sounds]

    def read(
        self, start: int, length: int, sample_rate: int | None = None, channel: int = 0
    ) -> Samples:
        """A stretch of a channel, with silence after the recording's end.

        Start and length are counted at ``sample_rate``, by default the recording's own.
        """
        with self._direct() as file:
            if file is None:
                channels, rate = _decoded(self)
                whole = channels[channel]
                piece = _stretch(
                    lambda first, count: whole[first : first + count],
                    *(rate, sample_rate or rate, start, length),
                )
            else:

                def of_file(first: int, count: int) -> Samples:
                    file.seek(min(first, file.frames))
                    return _read(self, file, count)[:, channel]

                rate = file.samplerate
                piece = _stretch(of_file, rate, sample_rate or rate, start, length)
        check_finite(piece, self)
        out = np.zeros(length, np.float32)
        out[: len(piece)] = piece
        return out

    @contextmanager
    def _direct(self) -> Iterator[soundfile.SoundFile | None]:
        """The file if any place in it can be found; None for what has to be decoded as a whole."""
        try:
            with self.path.open("rb") as raw:
                raw.seek(self.offset)
                known = raw.read(4) in _SEEKABLE
        except OSError as error:
            raise AudioError(f"cannot read {self} ({error.strerror})", "a recording") from error
        file = _open(self) if known else None
        if file is None:
            yield None
            return
        with file:
            usable = 0 < file.frames < _MOST_FRAMES and not file.subtype.startswith("MPEG")
            yield file if usable else None


def _open(clip: Clip) -> soundfile.SoundFile | None:
    try:
        # As bytes, for soundfile refuses names that are not UTF-8.
        return soundfile.SoundFile(os.fsencode(clip.path) if clip.size is None else _Window(clip))
    except soundfile.LibsndfileError:
        return None  # FFmpeg may know it: it is decoded as a whole then.


def _read(clip: Clip, file: soundfile.SoundFile, count: int) -> Samples:
    try:
        read: Samples = file.read(count, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{clip} is damaged ({error.error_string})") from error
    return read


def _blocks(clip: Clip, file: soundfile.SoundFile) -> Iterator[Samples]:
    while len(block := _read(clip, file, _BLOCK)):
        yield block


def _stretch(
    source: Callable[[int, int], Samples], rate: int, wanted_rate: int, start: int, length: int
) -> Samples:
    """A stretch, counted at the wanted rate, of a source that is counted at its own.

    Not the whole source is resampled, but what surrounds the stretch, from a sample on that both
    rates share.
    """
    if rate == wanted_rate:
        return source(start, length)
    common = gcd(rate, wanted_rate)
    every, own_every = wanted_rate // common, rate // common
    margin = ceil(_MARGIN * max(1.0, wanted_rate / rate))
    shared = max(0, start - margin) // every
    skipped = start - shared * every
    count = ceil((skipped + length + margin) * rate / wanted_rate)
    return resampled(source(shared * own_every, count), rate, wanted_rate)[skipped:][:length]


@lru_cache(maxsize=4)
def _decoded(clip: Clip) -> tuple[Samples, int]:
    """All of it, ``[channels, samples]``, and its rate."""
    if clip.size is None:
        return audio.read(clip.path, salvage=True, notify=_ignored)
    with NamedTemporaryFile() as unpacked:
        _copy(clip, unpacked.file)
        unpacked.flush()
        try:
            return audio.read(Path(unpacked.name), salvage=True, notify=_ignored)
        except AudioError as error:
            # The temporary name means nothing to the user.
            raise AudioError(str(error).replace(unpacked.name, str(clip))) from error


def _ignored(text: str) -> None:
    """Takes the notices of a file that is read again and again, which would be repeated."""


def _copy(clip: Clip, target: IO[bytes]) -> None:
    with _Window(clip) as window:
        shutil.copyfileobj(window, target)


class _Window(io.RawIOBase):
    """A stretch of a file's bytes as a file, so that a member is not read to see its header."""

    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self._file = clip.path.open("rb")
        self._offset = clip.offset
        self._size = clip.size or 0
        self._position = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        self._file.seek(self._offset + self._position)
        count = self._file.readinto(view[: max(0, self._size - self._position)])
        self._position += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
