"""Recordings that a set is made of, in files and in archives: read, checked, resampled."""

import math
import re
from collections.abc import Iterable
from importlib.resources import as_file
from pathlib import Path
from typing import NamedTuple
from zipfile import Path as Member

import numpy as np

from speechduet import audio
from speechduet.data.mono import (
    Samples,
    check_finite,
    is_heard,
    resampled,
    sounding,
)
from speechduet.errors import AudioError
from speechduet.files.zipped import DAMAGED_ZIP

Source = Path | Member
"""A file, or a member of a zip archive."""


class Made(NamedTuple):
    """A pair as it is to be written."""

    clean: Samples
    noisy: Samples
    subtype: str = "PCM_16"
    note: str = ""
    """What a user should know: that another channel was taken, that it was turned down."""


class _Read(NamedTuple):
    channels: Samples
    rate: int
    subtype: str


class Channel(NamedTuple):
    """One channel of a recording, and how the recording stores it."""

    samples: Samples
    subtype: str


def read(source: Source, sample_rate: int) -> Channel:
    """The first channel with sound of a recording, at a sample rate."""
    channels, rate, subtype = _read(source)
    samples = channels[sounding(channels)]
    check_finite(samples, source)
    return Channel(resampled(samples, rate, sample_rate), subtype)


def read_pair(clean: Source, noisy: Source, sample_rate: int) -> Made:
    """Two recordings at a sample rate, in a format that holds all that was read of them.

    Of several channels the first with clean sound is taken of both. Raises AudioError unless they
    are of one length and rate and finite.
    """
    one, other = _read(clean), _read(noisy)
    if one.rate != other.rate:
        raise AudioError(
            f"{clean} has {one.rate} Hz and {noisy} {other.rate} Hz", "one sample rate"
        )
    lengths = [read.channels.shape[1] for read in (one, other)]
    if lengths[0] != lengths[1]:
        raise AudioError(f"{clean} has {lengths[0]} samples and {noisy} {lengths[1]}", "one length")
    channel = sounding(one.channels)
    noisy_channel = min(channel, len(other.channels) - 1)
    if not is_heard(other.channels[noisy_channel]):
        noisy_channel = sounding(other.channels)
    pair = one.channels[channel], other.channels[noisy_channel]
    notes = []
    if channel:
        notes.append(f"channel {channel + 1} is taken, for the clean ones before it are silent")
    if noisy_channel > channel:
        notes.append(
            f"channel {noisy_channel + 1} of noisy is taken, for the one before it is silent"
        )
    for role, samples, source in zip(("clean", "noisy"), pair, (clean, noisy), strict=True):
        check_finite(samples, source)
        if not is_heard(samples):
            notes.append(f"the {role} recording is silent")
    subtype = holding(one.subtype, other.subtype)
    sounds = [resampled(samples, one.rate, sample_rate) for samples in pair]
    decibels = _excess_db(sounds, subtype)
    if decibels:
        notes.append(
            f"clean and noisy are turned down alike by {decibels:.2f} dB, for {subtype} ends at "
            "full scale"
        )
    gain = np.float32(10 ** (-decibels / 20))
    return Made(gain * sounds[0], gain * sounds[1], subtype, "; ".join(notes))


def holding(*subtypes: str) -> str:
    """What WAV files hold such recordings in, none of them cut short: all are read as float32."""
    if any(subtype in ("FLOAT", "DOUBLE") for subtype in subtypes):
        return "FLOAT"
    bits = max(map(_bits, subtypes))
    return "PCM_16" if bits <= 16 else "PCM_24" if bits <= 24 else "PCM_32"


def _bits(subtype: str) -> int:
    """Of a sample; 16 for coders that have no such number, and for 8 bits, which hiss."""
    found = re.fullmatch(r"(?:PCM_S?|ALAC_|DWVW_)(\d+)", subtype)
    return int(found[1]) if found else 16


def _excess_db(pair: Iterable[Samples], subtype: str) -> float:
    """By how many dB the louder of two goes beyond what can be stored; 0 if neither does."""
    if subtype == "FLOAT":
        return 0.0
    # In two's complement the highest number is one below full scale.
    highest = 1 - 2.0 ** (1 - _bits(subtype))
    excess = 1.0
    for samples in pair:
        if len(samples):
            excess = max(excess, float(samples.max()) / highest, -float(samples.min()))
    return 20 * math.log10(excess)


def _read(source: Source) -> _Read:
    try:
        with as_file(source) as path:
            try:
                channels, rate = audio.read(path)
                return _Read(channels, rate, audio.probe(path).subtype)
            except AudioError as error:
                # A member of an archive was unpacked under a meaningless name.
                raise AudioError(str(error).replace(str(path), str(source))) from error
    except DAMAGED_ZIP as error:
        raise AudioError(
            f"{source} is damaged ({error})", remedy="fetch the archive again"
        ) from error
    except OSError as error:
        raise AudioError(f"cannot unpack {source} ({error.strerror or error})") from error
