"""Formats of recordings: containers, sample formats, and the suffixes that stand for them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf

from speechduet.errors import AudioError

Samples = npt.NDArray[np.float32]
"""Float32, full scale at 1; ``[samples, channels]`` unless it is said otherwise."""

_CONTAINERS = {
    ".wav": "WAV",
    ".flac": "FLAC",
    ".ogg": "OGG",
    ".oga": "OGG",
    ".opus": "OGG",
    ".mp3": "MP3",
    ".aif": "AIFF",
    ".aiff": "AIFF",
    ".au": "AU",
    ".caf": "CAF",
    ".w64": "W64",
    ".rf64": "RF64",
}
WRITABLE_SUFFIXES = tuple(_CONTAINERS)
READABLE_SUFFIXES = (
    *WRITABLE_SUFFIXES,
    *(".m4a", ".m4b", ".aac", ".wma", ".amr", ".ac3", ".ape", ".wv", ".tta"),
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".3gp", ".mka"),
)
"""Suffixes by which recordings are found in a folder; a file named outright may have any."""

LENGTH_UNKNOWN = 0x7FFFF000
"""Lengths from here on are what programs write into a header that they cannot go back to."""


@dataclass(frozen=True)
class AudioFormat:
    """How a recording is stored; container and subtype as soundfile names them.

    The container is empty for what only PyAV reads; such a subtype is the nearest PCM.
    """

    sample_rate: int
    channels: int
    container: str = "WAV"
    subtype: str = "PCM_16"


def target_format(source: AudioFormat, target: Path) -> AudioFormat:
    """How to store a recording under the target's name: as its source was, where that can be.

    Raises AudioError if the name's suffix stands for no container that can be written.
    """
    container = _CONTAINERS.get(target.suffix.lower())
    if container is None:
        raise AudioError(
            f"cannot write {target.suffix or 'a file without suffix'}: {target}",
            "one of " + " ".join(WRITABLE_SUFFIXES),
        )
    lossless = source.subtype.startswith(("PCM", "FLOAT", "DOUBLE"))
    if target.suffix.lower() == ".opus":
        subtype = "OPUS"
    elif (lossless or source.container == container) and sf.check_format(container, source.subtype):
        subtype = source.subtype
    elif container in ("OGG", "MP3"):
        subtype = {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}[container]
    else:
        deep = source.subtype in ("PCM_24", "PCM_32", "FLOAT", "DOUBLE")
        subtype = "PCM_24" if deep else "PCM_16"
    return AudioFormat(source.sample_rate, source.channels, container, subtype)


def writable_suffix(source: Path) -> str:
    """The suffix of an output made from this file: its own if it can be written, else .wav."""
    suffix = source.suffix.lower()
    return suffix if suffix in _CONTAINERS else ".wav"
