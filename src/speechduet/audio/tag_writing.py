"""Tags put into a complete recording that has not got its name yet."""

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from speechduet.audio import riff, vorbis_comments
from speechduet.audio.formats import RIFF_FAMILY, AudioFormat
from speechduet.audio.id3 import id3_tag, write_id3
from speechduet.audio.splicing import splice
from speechduet.audio.tags import Tags
from speechduet.errors import AudioError

_IMPLIED_MASKS = {
    **{1: (0x4,), 2: (0x3,), 3: (0x7,), 4: (0x33,), 5: (0x37, 0x607)},
    **{6: (0x3F, 0x60F), 7: (0x70F,), 8: (0x63F,)},
}
"""Loudspeakers that FLAC, Vorbis and Opus have for each number of channels."""

_COMMENT_NAMES = {"track": "tracknumber", "disc": "discnumber", "album_artist": "albumartist"}
_AIFF_TEXTS = {"title": b"NAME", "artist": b"AUTH", "copyright": b"(c) ", "comment": b"ANNO"}
_LONGEST_AIFF_TEXT = 4000
"""Bytes; libsndfile refuses a file with longer ones, which thus are in its ID3 tag alone."""
_CHANNEL_BITMAP = 1 << 16
"""The layout tag of Core Audio for a mask of channels, whose bits are those of WAV."""


def needs_mask(tags: Tags, audio_format: AudioFormat) -> bool:
    """Whether a WAV file must say which loudspeakers its channels are for."""
    return 0 < tags.mask.bit_count() <= audio_format.channels


def write_tags(partial: Path, audio_format: AudioFormat, tags: Tags, path: Path) -> list[str]:
    """Put tags into a complete file, and return what it cannot hold.

    Raises AudioError, about ``path``, if the disk is full.
    """
    lost = list(tags.lost)
    write = _WRITERS.get(audio_format.container)
    if not (tags.texts or tags.chunks or tags.mask) and audio_format.container != "RF64":
        return lost
    if write is None:
        lost += [name for name, _ in tags.texts if not tags.chunks]
        return lost + _mask_name(tags, audio_format, kept=False) + _titles(tags)
    try:
        with partial.open("r+b") as file:
            return lost + write(file, audio_format, tags)
    except OSError as error:
        raise AudioError(f"cannot write {path}: {error.strerror or error}") from error


def _titles(tags: Tags) -> list[str]:
    return [chunk.title for chunk in tags.chunks]


def _others(tags: Tags) -> list[str]:
    """Chunks of WAV whose content is no text that FFmpeg reads."""
    return [name for name in _titles(tags) if name.lower() not in ("list info", "id3")]


def _mask_name(tags: Tags, audio_format: AudioFormat, kept: bool) -> list[str]:
    implied = tags.mask in _IMPLIED_MASKS.get(audio_format.channels, ())
    plain = audio_format.channels <= 2 and implied
    return [] if kept or plain or not tags.mask else ["the channel mask"]


def _wav(file: BinaryIO, audio_format: AudioFormat, tags: Tags) -> list[str]:
    chunks = list(tags.chunks)
    if not chunks:
        info = riff.info_chunk(tags.common)
        chunks = [info] if info else []
        if any(name not in riff.INFO for name, _ in tags.common):
            chunks.append(riff.Chunk(b"id3 ", id3_tag(tags.common), False))
    fits = needs_mask(tags, audio_format)
    riff.write_notes(file, chunks, tags.mask if fits else 0)
    return _mask_name(tags, audio_format, fits)


def _flac(file: BinaryIO, audio_format: AudioFormat, tags: Tags) -> list[str]:
    texts = _comments(tags)
    if tags.mask and audio_format.channels > 2:
        texts.append(("waveformatextensible_channel_mask", f"0x{tags.mask:X}"))
    if texts:
        vorbis_comments.write_flac(file, texts)
    return _illegal(tags) + _others(tags)


def _ogg(file: BinaryIO, audio_format: AudioFormat, tags: Tags) -> list[str]:
    texts = _comments(tags)
    without = vorbis_comments.write_ogg(file, texts) if texts else []
    implied = tags.mask in _IMPLIED_MASKS.get(audio_format.channels, ())
    mask = _mask_name(tags, audio_format, implied)
    return [name for name, _ in without] + mask + _illegal(tags) + _others(tags)


def _comments(tags: Tags) -> vorbis_comments.Texts:
    return [(_COMMENT_NAMES.get(name, name), text) for name, text in tags.texts]


def _illegal(tags: Tags) -> list[str]:
    return [name for name, _ in tags.texts if not vorbis_comments.legal(name)]


def _mp3(file: BinaryIO, audio_format: AudioFormat, tags: Tags) -> list[str]:
    if tags.texts:
        write_id3(file, tags.common)
    return _mask_name(tags, audio_format, kept=False) + _others(tags)


def _aiff(file: BinaryIO, audio_format: AudioFormat, tags: Tags) -> list[str]:
    chunks = [
        (_AIFF_TEXTS[name], text.encode("utf-8"))
        for name, text in tags.common
        if name in _AIFF_TEXTS and len(text.encode("utf-8")) < _LONGEST_AIFF_TEXT
    ]
    if tags.texts:
        chunks.append((b"ID3 ", id3_tag(tags.common)))
    if fits := needs_mask(tags, audio_format):
        chunks.append((b"CHAN", struct.pack(">III", _CHANNEL_BITMAP, tags.mask, 0)))
    end = file.seek(0, os.SEEK_END)
    file.write(bytes(end % 2))
    for name, body in chunks:
        file.write(name + struct.pack(">I", len(body)) + body + bytes(len(body) % 2))
    size = file.tell() - 8
    file.seek(4)
    file.write(struct.pack(">I", size))
    return _mask_name(tags, audio_format, fits) + _others(tags)


def _caf(file: BinaryIO, audio_format: AudioFormat, tags: Tags) -> list[str]:
    chunks = b""
    if fits := needs_mask(tags, audio_format):
        chunks += b"chan" + struct.pack(">qIII", 12, _CHANNEL_BITMAP, tags.mask, 0)
    if tags.texts:
        strings = [
            f"{name}\0{text}\0".encode()
            for name, text in ((_COMMENT_NAMES.get(name, name), text) for name, text in tags.common)
        ]
        body = struct.pack(">I", len(strings)) + b"".join(strings)
        chunks += b"info" + struct.pack(">q", len(body)) + body
    place = 8
    file.seek(place)
    while (head := file.read(12))[:4] != b"data":
        place += 12 + struct.unpack(">q", head[4:])[0]
        file.seek(place)
    splice(file, place, place, chunks)
    return _mask_name(tags, audio_format, fits) + _others(tags)


_Writer = Callable[[BinaryIO, AudioFormat, Tags], list[str]]
_WRITERS: dict[str, _Writer] = {
    **dict.fromkeys(RIFF_FAMILY, _wav),
    "FLAC": _flac,
    "OGG": _ogg,
    "MP3": _mp3,
    "AIFF": _aiff,
    "CAF": _caf,
}
