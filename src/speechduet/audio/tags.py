"""What a recording says beside its samples: texts, chunks of WAV, loudspeakers of channels.

A tag that is damaged is passed over: it never keeps a recording from being read.
"""

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from speechduet.audio import riff, vorbis_comments
from speechduet.audio.byte_view import whole

if TYPE_CHECKING:
    import av

_ENCODER = frozenset(
    (
        *("encoder", "encoder_options", "encoding", "encodersettings", "vendor_id"),
        *("major_brand", "minor_version", "compatible_brands", "handler_name"),
        *("duration", "bps", "number_of_frames", "number_of_bytes"),
    )
)
"""Texts that programs write about the file itself; they would be wrong of another one."""

_NAMES = {
    **{"tracknumber": "track", "track number": "track", "albumartist": "album_artist"},
    **{"discnumber": "disc", "author": "artist", "year": "date", "tyer": "date"},
    **{"comments": "comment"},
}
"""Names of texts in one container or another, and the one that is used here."""

_PICTURES = ("mjpeg", "png", "bmp", "gif", "webp", "tiff")
"""What covers are: to FFmpeg, video of one frame."""

_MASK_TEXT = "waveformatextensible_channel_mask"

_LOUDSPEAKERS = (
    *("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR"),
    *("TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR"),
)
"""FFmpeg's names of the bits of a channel mask, from the lowest on."""


@dataclass(frozen=True)
class Tags:
    """What is to survive beside the samples."""

    texts: tuple[tuple[str, str], ...] = ()
    """Names in small letters, such as title, artist, date; one may occur several times."""
    chunks: tuple[riff.Chunk, ...] = ()
    """The chunks of a WAV file, its texts among them."""
    mask: int = 0
    """Loudspeaker of each channel, as in WAV; 0 if it is not known."""
    lost: tuple[str, ...] = ()
    """What cannot be kept anywhere."""

    @property
    def common(self) -> list[tuple[str, str]]:
        """The texts, with a description for a comment as where there are no descriptions."""
        has_comment = any(name == "comment" for name, _ in self.texts)
        return [
            ("comment" if name == "description" and not has_comment else name, text)
            for name, text in self.texts
        ]

    def at_rate(self, ratio: float) -> "Tags":
        """The same for a file of another rate, new over old: places counted in samples move."""
        if ratio == 1:
            return self
        texts = [
            (name, str(round(int(text) * ratio)))
            if name == "time_reference" and text.isdecimal()
            else (name, text)
            for name, text in self.texts
        ]
        return replace(self, texts=tuple(texts))


NO_TAGS = Tags()


def read_tags(path: Path, *, track: int | None = None) -> Tags:
    """What a recording says beside its samples, or one of its sound tracks (counted from 1)."""
    texts: vorbis_comments.Texts | None = None
    notes = riff.RiffNotes()
    try:
        with path.open("rb") as file:
            head = file.read(12)
            if riff.is_riff(head):
                notes = riff.read_notes(file)
            elif head[:4] == b"fLaC":
                texts = vorbis_comments.read_flac(file)
            elif head[:4] == b"OggS":
                texts = vorbis_comments.read_ogg(file)
    except OSError:
        return NO_TAGS
    general = _general(path, track)
    named = list(general.texts)
    if texts is not None:
        named = [(_name(name), _text(text)) for name, text in texts]
    mask = notes.mask if riff.is_riff(head) else _stated_mask(named) or general.mask
    return Tags(
        tuple(pair for pair in named if all(pair) and pair[0] not in _ENCODER | {_MASK_TEXT}),
        notes.chunks,
        mask,
        general.lost + notes.too_large,
    )


def _general(path: Path, track: int | None) -> Tags:
    """What FFmpeg finds in any container."""
    if find_spec("av") is None:  # a machine that only trains, or one that only runs ONNX
        return NO_TAGS
    import av
    from av.error import FFmpegError

    try:
        # By the open file, for FFmpeg takes only names that are UTF-8, and some for protocols.
        with (
            path.open("rb") as file,
            av.open(whole(file), "r", metadata_errors="surrogateescape") as container,
        ):
            sounds = container.streams.audio
            stream = sounds[track - 1 if track and track <= len(sounds) else 0] if sounds else None
            found = dict(container.metadata)
            for name, text in stream.metadata.items() if stream else ():
                # Video containers state this of every track, known or not.
                if name.lower() != "language":
                    found.setdefault(name, text)
            picture = any(
                image.codec_context is not None and image.codec_context.name in _PICTURES
                for image in container.streams.video
            )
            speakers = _speakers(stream)
    except (FFmpegError, OSError, ValueError):
        return NO_TAGS
    texts = [(_name(name), _text(text)) for name, text in found.items()]
    mask = 0
    if len(speakers) > 2 and set(speakers) <= set(_LOUDSPEAKERS):
        mask = sum(1 << _LOUDSPEAKERS.index(name) for name in set(speakers))
    return Tags(tuple(texts), mask=mask, lost=("the cover picture",) if picture else ())


def _speakers(stream: "av.AudioStream | None") -> list[str]:
    # A stream that nothing can decode has no context.
    if stream is None or stream.codec_context is None:
        return []
    return [channel.name for channel in stream.codec_context.layout.channels]


def _name(name: str) -> str:
    name = _text(name).lower()
    return _NAMES.get(name, name)


def _text(text: str) -> str:
    """UTF-8 if it is that, else what western European Windows would have meant."""
    data = text.encode("utf-8", "surrogateescape")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    return text.replace("\0", " ").strip()


def _stated_mask(texts: list[tuple[str, str]]) -> int:
    for name, text in texts:
        if name == _MASK_TEXT:
            try:
                return int(text, 0)
            except ValueError:
                return 0
    return 0
