"""What libsndfile reads: containers of plain samples, under a right header if theirs is wrong."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import soundfile as sf

from speechduet.audio.byte_view import ByteView
from speechduet.audio.conforming import Conformer, change_remark
from speechduet.audio.formats import LENGTH_UNKNOWN, AudioFormat, Samples
from speechduet.audio.notices import Notify
from speechduet.audio.stated_length import TOLERATED_S, Promise, recordings_in, truncated
from speechduet.audio.wave_format import holds_bursts
from speechduet.errors import AudioError

_BLOCK = 1 << 16


def format_of(path: Path) -> AudioFormat | None:
    """The format of a recording that libsndfile reads rightly; None for another."""
    try:
        with path.open("rb") as stream:
            view, promise = next(recordings_in(stream, path.stat().st_size))
            with _opened(path, view, promise) as file:
                if file.format == "VOC" and "multi-segment" in file.extra_info:
                    return None  # It would take the heads of the further blocks for samples.
                if promise is not None:
                    view.seek(promise.layout.data)
                    if holds_bursts(view.read(_BLOCK), promise.layout.block):
                        return None
                return AudioFormat(file.samplerate, file.channels, file.format, file.subtype)
    except sf.LibsndfileError:
        return None


def blocks_of(path: Path, salvage: bool, notify: Notify) -> Iterator[Samples]:
    """The samples of a recording, in blocks ``[samples, channels]``.

    Raises AudioError if it is truncated and not to be salvaged.
    """
    with path.open("rb") as stream:
        parts = list(recordings_in(stream, path.stat().st_size))
        joined = [part for part in parts if part[1] is None or part[1].found or part[1].promised]
        if len(joined) > 1:
            notify(f"{path} holds {len(joined)} recordings joined end to end; they are read as one")
        conformer = None
        for number, (view, promise) in enumerate(joined or parts, 1):
            try:
                file = _opened(path, view, promise)
            except sf.LibsndfileError as error:
                notify(f"{path} is read without recording {number} of it: {error.error_string}")
                continue
            with file:
                kind = (file.samplerate, file.channels)
                if conformer is None:
                    conformer = Conformer(path, *kind)
                elif kind != (conformer.sample_rate, conformer.channels):
                    notify(f"{path} {change_remark(kind)}")
                for block in _part(path, file, promise, salvage, notify):
                    yield from conformer.push(block, file.samplerate)
        if conformer is not None:
            yield from conformer.flush()


def _part(
    path: Path, file: sf.SoundFile, promise: Promise | None, salvage: bool, notify: Notify
) -> Iterator[Samples]:
    """The samples of one of the recordings in a file."""
    found_s = file.frames / file.samplerate
    promised_s = _logged_promise_s(file) if promise is None else found_s + promise.missing_s
    if promised_s - found_s >= TOLERATED_S:
        error = truncated(path, found_s, promised_s)
        if not salvage:
            raise error
        notify(f"{path} is truncated: {found_s:.2f} s of the {promised_s:.2f} s are read")
    elif promise is not None and file.frames and (remark := promise.remark()):
        notify(f"{path} {remark}")
    elif "truncated file" in file.extra_info:
        notify(f"{path} seems to be truncated: {found_s:.2f} s are read")
    there = _frames_there(file)
    if promise is not None and promise.layout.plain:
        # Of Wave64 libsndfile takes the zeros that fill a chunk for samples.
        there = min(there, -(-promise.found // promise.layout.block))
    yield from _read(path, file, there, salvage, notify)


def whole_ogg(view: ByteView) -> sf.SoundFile | None:
    """An undamaged recording of Ogg, all of whose samples libsndfile gives; None if it cannot."""
    try:
        return sf.SoundFile(view)
    except sf.LibsndfileError:
        view.seek(0)
        return None


def _read(
    path: Path, file: sf.SoundFile, there: int, salvage: bool, notify: Notify
) -> Iterator[Samples]:
    read = 0
    while True:
        try:
            block = file.read(min(_BLOCK, there - read), dtype="float32", always_2d=True)
        except sf.LibsndfileError as error:
            found_s = read / file.samplerate
            if not salvage:
                raise AudioError(
                    f"{path} is damaged behind {found_s:.2f} s ({error.error_string})",
                    "a file that can be read to its end",
                    "copy it again, or let --salvage (in Python salvage=True) read what there is",
                ) from error
            notify(f"{path} is damaged: {found_s:.2f} s are read")
            return
        if not len(block):
            break
        read += len(block)
        yield block
    if file.frames - read >= TOLERATED_S * file.samplerate:
        # Its own count comes from the header.
        found_s, promised_s = read / file.samplerate, file.frames / file.samplerate
        if not salvage:
            raise truncated(path, found_s, promised_s)
        notify(f"{path} is truncated: {found_s:.2f} s of the {promised_s:.2f} s are read")


def _frames_there(file: sf.SoundFile) -> int:
    """How many frames to ask for: of a truncated SDS file libsndfile gives nothing at its end."""
    logged = re.search(r"^Frames *: (\d+)", file.extra_info, re.MULTILINE)
    frames: int = file.frames
    return min(frames, int(logged[1])) if file.format == "SDS" and logged else frames


def _opened(path: Path, view: ByteView, promise: Promise | None) -> sf.SoundFile:
    """One of the recordings in a file, with a right header."""
    if promise is not None and promise.layout.unreadable:
        raise AudioError(f"{path} {promise.layout.unreadable}", remedy="convert it, say to FLAC")
    if promise is not None and promise.honest and len(view) == path.stat().st_size:
        # As bytes, for a name need not be UTF-8.
        return sf.SoundFile(os.fsencode(path))
    # Not by its name, from whose suffix libsndfile would take anything for MP3.
    view = view if promise is None or promise.honest else promise.view(view)
    view.seek(0)
    return sf.SoundFile(view)


def _logged_promise_s(file: sf.SoundFile) -> float:
    # libsndfile shortens a file that promises too much, and says so only in its log.
    promised_s: float = file.frames / file.samplerate
    for promised, found in re.findall(
        r"(?:data|SSND|BODY|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", file.extra_info
    ):
        if int(found) < int(promised) < LENGTH_UNKNOWN:
            promised_s *= int(promised) / max(int(found), 1)
    if file.format in ("MAT4", "MAT5"):
        # The matrix of samples is the last one of the file.
        promised_s = int(re.findall(r"Cols *: (\d+)", file.extra_info)[-1]) / file.samplerate
    for frames in re.findall(r"^ *Frames *: (\d+)", file.extra_info, re.MULTILINE):
        if int(frames) < LENGTH_UNKNOWN:
            promised_s = max(promised_s, int(frames) / file.samplerate)
    return promised_s
