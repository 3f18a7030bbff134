"""How far an estimate sounds from clean speech: a loss after ITU-T P.862 (PESQ), wideband.

It follows the standard's model of hearing: loudness in bands of equal width on the Bark scale,
small differences not heard, added sound heard more than missing sound. Left out: alignment in
time, bad intervals, and the standard's tables, which formulas of the literature stand for. Its use
is its gradient; report the score of the pesq package.
"""

import math
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

SAMPLE_RATE = 16_000
LENGTH, HOP = 512, 256
BANDS = 49
SPEECH_HZ = (325.0, 3250.0)
"""Where the level of speech is measured."""
SPEECH_POWER = 2.3e8
"""Of both signals in `SPEECH_HZ`, where 1 is the reference of sound pressure levels: 84 dB."""
LOUDNESS = 0.1866
"""Brings loudness to sone."""
NOT_HEARD = 0.25
"""Differences up to this share of the smaller loudness are not heard."""
LOUDEST_DISTURBANCE = 45.0
SECTION = 20
"""Frames over which the worst moments count most; sections overlap by half."""


class Hearing(NamedTuple):
    """Constants of the model, for bins or bands."""

    bands: Tensor
    """1 where a bin belongs to a band, ``[bins, bands]``; below 39 Hz there is none."""
    input_filter: Tensor
    """Power gain of the standard's wideband input filter, ``[bins]``."""
    speech: Tensor
    """1 in `SPEECH_HZ`, ``[bins]``."""
    threshold: Tensor
    """Power of the faintest audible sound, ``[bands]``."""
    exponent: Tensor
    """Of loudness by power, ``[bands]``."""
    width: Tensor
    """Of a band, in Bark, ``[]``."""


def bark(hertz: Tensor) -> Tensor:
    """Traunmueller's formula."""
    return 26.81 * hertz / (1960 + hertz) - 0.53


@cache
def hearing(device: torch.device, dtype: torch.dtype) -> Hearing:
    """Constants for bins of `LENGTH` samples at `SAMPLE_RATE`; made once for a device."""
    hertz = torch.linspace(0, SAMPLE_RATE / 2, LENGTH // 2 + 1)
    places = bark(hertz)
    width = places[-1] / BANDS
    band = (places / width).floor().clamp(max=BANDS - 1)
    bands = (band[:, None] == torch.arange(BANDS)).float()
    centres = (torch.arange(BANDS) + 0.5) * width
    khz = 1.96 * (centres + 0.53) / (26.28 - centres)
    threshold_db = (  # Terhardt, 1979
        3.64 * khz**-0.8 - 6.5 * (-0.6 * (khz - 3.3) ** 2).exp() + 1e-3 * khz**4
    )
    turn = torch.exp(-2j * math.pi * hertz / SAMPLE_RATE)
    # ITU-T P.862.2: a second-order high-pass filter.
    above = 2.740826 - 5.4816519 * turn + 2.740826 * turn**2
    below = 1 - 1.9444777 * turn + 0.94597794 * turn**2
    constants = Hearing(
        bands,
        (above / below).abs().square(),
        ((hertz >= SPEECH_HZ[0]) & (hertz <= SPEECH_HZ[1])).float(),
        10 ** (threshold_db / 10),
        0.23 * (6 / (centres + 2)).clamp(1, 2) ** 0.15,
        width,
    )
    return Hearing(*(constant.to(device, dtype) for constant in constants))


def perceptual_distance(estimate: Tensor, clean: Tensor) -> Tensor:
    """Points that PESQ takes off before its last mapping, per example ``[batch]``, 0 to about 6.

    Of waveforms ``[batch, samples]`` at `SAMPLE_RATE`. Their levels do not matter.
    """
    model = hearing(clean.device, clean.dtype)
    heard, reference = _band_powers(estimate, model), _band_powers(clean, model)
    reference, heard = _adapted(reference, heard, model)
    loudness, expected = _loudness(heard, model), _loudness(reference, model)
    difference = loudness - expected
    disturbance = functional.relu(difference.abs() - NOT_HEARD * torch.minimum(loudness, expected))
    added = ((heard + 50) / (reference + 50)) ** 1.2
    added = torch.where(added < 3, 0, added.clamp(max=12))
    importance = ((_audible(reference, model) + 1e5) / 1e7) ** 0.04
    total = model.width * BANDS
    both = model.width * (disturbance.square().sum(-1) * total + 1e-8).sqrt()
    more = model.width * (disturbance * added).sum(-1)
    symmetric, asymmetric = (
        _over_time((each / importance).clamp(max=LOUDEST_DISTURBANCE)) for each in (both, more)
    )
    return 0.1 * symmetric + 0.0309 * asymmetric


def _band_powers(waveform: Tensor, model: Hearing) -> Tensor:
    """``[batch, samples]`` -> ``[batch, frames, bands]``, at the standard's level."""
    waveform = functional.pad(waveform, (0, max(0, LENGTH - waveform.shape[-1])))
    window = torch.hann_window(LENGTH, device=waveform.device)
    bins = torch.stft(waveform, LENGTH, HOP, window=window, center=False, return_complex=True)
    powers = (bins.real.square() + bins.imag.square()).transpose(1, 2)
    level = (powers @ model.speech).mean(-1)
    powers = powers * (SPEECH_POWER / (level + 1e-6))[:, None, None] * model.input_filter
    return powers @ model.bands


def _audible(powers: Tensor, model: Hearing, above: float = 1.0) -> Tensor:
    """Power of a frame, of bands this many times above the threshold, ``[batch, frames]``."""
    return (powers * (powers > above * model.threshold)).sum(-1)


def _adapted(reference: Tensor, heard: Tensor, model: Hearing) -> tuple[Tensor, Tensor]:
    """What hearing adapts to: the reference gets the steady colour, ``heard`` the level of each
    frame.
    """
    speaks = (_audible(reference, model, 100) >= 1e7)[..., None]
    means = [
        (powers * (powers > 100 * model.threshold) * speaks).mean(1, keepdim=True)
        for powers in (heard, reference)
    ]
    colour = ((means[0] + 1000) / (means[1] + 1000)).clamp(0.01, 100)
    reference = reference * colour
    gain = (_audible(reference, model) + 5e3) / (_audible(heard, model) + 5e3)
    gain = torch.cat((gain[:, :1], 0.8 * gain[:, 1:] + 0.2 * gain[:, :-1]), dim=1)
    return reference, heard * gain.clamp(3e-4, 5)[..., None]


def _loudness(powers: Tensor, model: Hearing) -> Tensor:
    """Zwicker's law: sone by power; 0 below the threshold."""
    scale = LOUDNESS * (2 * model.threshold) ** model.exponent
    relative = (powers / model.threshold).clamp(min=1)
    return scale * ((0.5 + 0.5 * relative) ** model.exponent - 1)


def _over_time(disturbance: Tensor) -> Tensor:
    """Of frames ``[batch, frames]``: power 6 within sections, power 2 over them, ``[batch]``."""
    length = min(SECTION, disturbance.shape[1])
    sections = disturbance.unfold(1, length, max(1, length // 2))
    worst = ((sections + 1e-6) ** 6).mean(-1) ** (1 / 6)
    return worst.square().mean(-1).sqrt()
