"""What the two decoders are trained on. Every loss is a mean over the batch.

Spectrograms are complex ``[batch, 1, bins, frames]``; the paper sums squared errors over the
coefficients of an example, and so does everything here.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from speechduet.process import Process
from speechduet.settings import NotNegative, Settings, Share
from speechduet.spectrogram import Spectrogram
from speechduet.training.perceptual import perceptual_distance

Weighting = Literal["score", "clean"]
Balancing = Literal["fixed", "gradient_norm"]
TermsFor = Literal["predictive", "both"]


@dataclass(frozen=True)
class LossSettings(Settings):
    """Weights of the terms; the defaults are the paper's recipe.

    ``weighting`` of the generative error: *score*, ``(a/s)^2``, makes it the score-matching loss
    (paper eq. 9); *clean*, 1, spreads effort evenly over times, which few-step samplers reward.
    ``magnitude`` adds the squared error of compressed magnitudes, ``si_sdr`` the negative
    scale-invariant signal-to-distortion ratio of the waveform (per dB), ``resolutions`` an error
    that short clicks and the harmonics of a voice both show in. They are for the
    predictive decoder; ``terms_for`` *both* adds them to the generative one as well, whose estimate
    then is no longer a conditional mean: right for a model that is used with one step or two.
    ``excess`` makes noise that is left over weigh more than speech that is lost.
    ``perceptual`` adds the distance of `perceptual_distance` to the generative decoder alone, so
    that the predictive one stays faithful to the waveform. ``adversarial`` and ``matching`` train
    it, alone as well, with the discriminators of an `Adversary`. With ``heard_beta`` below 1 all
    three hear the final fusion (paper eq. 13) of both decoders with that beta, and the generative
    decoder learns what the prediction lacks.
    """

    weighting: Weighting = "score"
    generative: NotNegative = 0.5
    """Weight of the generative loss."""
    predictive: NotNegative = 0.5
    """Weight of the predictive loss."""
    balance: Balancing = "fixed"
    """*gradient_norm* makes the two weights shares of the gradient at the shared encoder."""
    magnitude: NotNegative = 0.0
    excess: NotNegative = 0.0
    """Of the squared error of compressed magnitudes where the estimate is the louder."""
    si_sdr: NotNegative = 0.0
    resolutions: NotNegative = 0.0
    """Of the relative error of compressed magnitudes at several resolutions of the waveform."""
    terms_for: TermsFor = "predictive"
    perceptual: NotNegative = 0.0
    """Of the generative decoder: per point of PESQ, at 16 kHz only."""
    adversarial: NotNegative = 0.0
    """Of the generative decoder: how surely discriminators tell it from clean speech."""
    matching: NotNegative = 0.0
    """Of the generative decoder: the distance of their features from those of clean speech."""
    heard_beta: Share = 1.0
    """Share of the generative estimate in what these three hear; the rest is the prediction."""


WINDOWS = (256, 512, 1024, 2048)
"""Samples of the windows of ``resolutions``: 16 to 128 ms at 16 kHz."""


def squared_error(estimate: Tensor, x_0: Tensor) -> Tensor:
    """Sum of squared magnitudes of the error, per example ``[batch]``."""
    error = estimate - x_0
    return (error.real.square() + error.imag.square()).sum(dim=(1, 2, 3))


def generative_loss(
    process: Process, clean: Tensor, x_0: Tensor, t: Tensor, weighting: Weighting
) -> Tensor:
    """``1/2 |s score + z|^2`` (paper eq. 9), written as a weighted error of the clean estimate."""
    weight = process.score_weight(t) if weighting == "score" else torch.ones_like(t)
    return (0.5 * weight * squared_error(clean, x_0)).mean()


def magnitude_error(estimate: Tensor, x_0: Tensor) -> Tensor:
    """Sum of squared differences of magnitudes, per example ``[batch]``."""
    difference = _magnitude(estimate) - _magnitude(x_0)
    return difference.square().sum(dim=(1, 2, 3))


def magnitude_excess(estimate: Tensor, x_0: Tensor) -> Tensor:
    """The part of `magnitude_error` where the estimate is the louder, per example ``[batch]``."""
    difference = _magnitude(estimate) - _magnitude(x_0)
    return difference.relu().square().sum(dim=(1, 2, 3))


def negative_si_sdr(estimate: Tensor, clean: Tensor) -> Tensor:
    """Negative SI-SDR in dB of waveforms ``[batch, samples]``, per example ``[batch]``."""
    scale = (estimate * clean).sum(-1, keepdim=True) / (clean.square().sum(-1, keepdim=True) + 1e-6)
    target = scale * clean
    distortion = (estimate - target).square().sum(-1)
    return -10 * torch.log10((target.square().sum(-1) + 1e-6) / (distortion + 1e-6))


def resolutions_error(estimate: Tensor, clean: Tensor, exponent: float) -> Tensor:
    """Squared error of magnitudes to this power relative to the clean ones', ``[batch]``.

    Of waveforms ``[batch, samples]``; the mean over `WINDOWS` that overlap by three quarters.
    """
    errors = []
    for length in WINDOWS:
        window = torch.hann_window(length, device=estimate.device)
        magnitudes = []
        for waveform in (estimate, clean):
            bins = torch.stft(
                waveform,
                length,
                length // 4,
                window=window,
                pad_mode="constant",
                return_complex=True,
            )
            magnitudes.append(_magnitude(bins) ** exponent)
        error = magnitudes[0] - magnitudes[1]
        energy = magnitudes[1].square().sum(dim=(1, 2)) + 1e-6
        errors.append(error.square().sum(dim=(1, 2)) / energy)
    return torch.stack(errors).mean(0)


def perceptual_error(
    estimate: Tensor, x_0: Tensor, spectrogram: Spectrogram, samples: int
) -> Tensor:
    """`perceptual_distance` of the waveforms of spectrograms, per example ``[batch]``."""
    waveform, clean = waveforms(estimate, x_0, spectrogram, samples)
    return perceptual_distance(waveform, clean)


def predictive_loss(
    prediction: Tensor,
    x_0: Tensor,
    settings: LossSettings,
    spectrogram: Spectrogram,
    samples: int,
) -> Tensor:
    """``|x_pred - x_0|^2`` (paper eq. 11) and the further terms of the settings."""
    terms = further_terms(prediction, x_0, settings, spectrogram, samples)
    return (squared_error(prediction, x_0) + terms).mean()


def further_terms(
    estimate: Tensor,
    x_0: Tensor,
    settings: LossSettings,
    spectrogram: Spectrogram,
    samples: int,
) -> Tensor:
    """The terms beside the squared error with their weights, per example ``[batch]``."""
    terms = torch.zeros(len(x_0), device=x_0.device)
    if settings.magnitude:
        terms = terms + settings.magnitude * magnitude_error(estimate, x_0)
    if settings.excess:
        terms = terms + settings.excess * magnitude_excess(estimate, x_0)
    if settings.si_sdr or settings.resolutions:
        waveform, clean = waveforms(estimate, x_0, spectrogram, samples)
        if settings.si_sdr:
            terms = terms + settings.si_sdr * negative_si_sdr(waveform, clean)
        if settings.resolutions:
            error = resolutions_error(waveform, clean, spectrogram.exponent)
            terms = terms + settings.resolutions * error
    return terms


def waveforms(
    estimate: Tensor, x_0: Tensor, spectrogram: Spectrogram, samples: int
) -> tuple[Tensor, Tensor]:
    """Those of both spectrograms, ``[batch, samples]``, up to the centre of the last frame.

    Behind it only the end of one window is left, and decoding would divide by nearly 0.
    """
    samples -= samples % spectrogram.hop
    return spectrogram.decode(estimate, samples), spectrogram.decode(x_0, samples)


def _magnitude(spectrogram: Tensor) -> Tensor:
    return (spectrogram.real.square() + spectrogram.imag.square() + 1e-10).sqrt()
