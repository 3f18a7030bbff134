"""Formats of recordings: containers, sample formats, and the suffixes that stand for them."""

from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf

from speechduet.errors import AudioError, SettingError

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
    *(".aifc", ".snd", ".sph", ".voc", ".mp2", ".eac3", ".flv"),
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".3gp", ".mka"),
)
"""Suffixes by which recordings are found in a folder; a file named outright may have any."""

LENGTH_UNKNOWN = 0x7FFFF000
"""Lengths from here on are what programs write into a header that they cannot go back to."""

RIFF_FAMILY = ("WAV", "WAVEX", "RF64")
"""WAV by its three names: plain, with a channel mask, with 64-bit lengths."""

_DEPTHS = {
    **{"PCM_24": 24, "ALAC_20": 24, "ALAC_24": 24, "DWVW_24": 24},
    **{"PCM_32": 32, "ALAC_32": 32, "FLOAT": 32, "DOUBLE": 32},
}
"""Bits of PCM that hold these sample formats; 16 hold every other."""

_MOST_CHANNELS = {"MP3": 2, "FLAC": 8, "OGG": 255}
_MOST_CHANNELS_ANYWHERE = 1024

_RATES = {
    "MPEG_LAYER_III": (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
    "OPUS": (8000, 12_000, 16_000, 24_000, 48_000),
    "VORBIS": (96_000, 192_000),
    "FLAC": (96_000, 192_000, 384_000),
}
"""The rates that an encoder has, or those to change to where it has (nearly) all up to a limit."""


HIGHEST_RATE = 10_000_000
"""Hz; a header that states more is damaged."""


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

    A rate that the encoder does not have is replaced by one that it has. Raises AudioError if
    the name's suffix stands for no container that can be written, or for one that cannot hold so
    many channels.
    """
    container = _CONTAINERS.get(target.suffix.lower())
    if container is None:
        raise AudioError(
            f"cannot write {target.suffix or 'a file without suffix'}: {target}",
            "one of " + " ".join(WRITABLE_SUFFIXES),
        )
    most = _MOST_CHANNELS.get(container, _MOST_CHANNELS_ANYWHERE)
    if source.channels > most:
        raise AudioError(
            f"{source.channels} channels in {target}",
            f"at most {most} there",
            "choose another format, such as wav" if container in _MOST_CHANNELS else "",
        )
    subtype = "OPUS" if target.suffix.lower() == ".opus" else _subtype(source, container)
    rate = _rate(source.sample_rate, "FLAC" if container == "FLAC" else subtype)
    return AudioFormat(rate, source.channels, container, subtype)


def writable_suffix(source: Path) -> str:
    """The suffix of an output made from this file: its own if it can be written, else .wav."""
    suffix = source.suffix.lower()
    return suffix if suffix in _CONTAINERS else ".wav"


def suffix_of(container: str) -> str:
    """The suffix of a container by its name, such as wav or flac.

    Raises SettingError for one that cannot be written.
    """
    suffix = "." + container.lower().lstrip(".")
    if suffix not in _CONTAINERS:
        choices = ", ".join(known.lstrip(".") for known in _CONTAINERS)
        raise SettingError(f"format {container!r} cannot be written", f"one of {choices}")
    return suffix


def _subtype(source: AudioFormat, container: str) -> str:
    """The source's sample format if the container has it and keeps the length, else the nearest.

    ADPCM, GSM and their like come in blocks, which makes a recording longer; MP3 inside WAV
    cannot be written.
    """
    if container == "MP3":
        return "MPEG_LAYER_III"
    if container == "OGG":
        return source.subtype if source.subtype in ("VORBIS", "OPUS") else "VORBIS"
    at_home = source.container == container or {source.container, container} <= set(RIFF_FAMILY)
    kept = source.subtype.startswith(("PCM", "FLOAT", "DOUBLE")) or (
        at_home and source.subtype.startswith(("ULAW", "ALAW", "ALAC"))
    )
    if kept and sf.check_format(container, source.subtype):
        return source.subtype
    depth = _DEPTHS.get(source.subtype, 16)
    return f"PCM_{depth}" if sf.check_format(container, f"PCM_{depth}") else "PCM_24"


def _rate(rate: int, encoder: str) -> int:
    rates = _RATES.get(encoder)
    # libvorbis crashes above its limit. Above 65,535 Hz FLAC counts in steps of 10 Hz.
    anyhow = {
        "VORBIS": rate <= 200_000,
        "FLAC": rate <= 65_535 or (rate <= 655_350 and rate % 10 == 0),
    }
    if rates is None or anyhow.get(encoder, rate in rates):
        return rate
    # Inside, Opus has but this one.
    return 48_000 if encoder == "OPUS" else rates[min(bisect_left(rates, rate), len(rates) - 1)]
