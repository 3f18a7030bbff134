"""Scale-invariant energy ratios (Le Roux et al. 2019), in dB.

The estimate is split by projection, each onto one signal alone and with no mean removed:

    s_target = <s_hat, s> s / |s|^2      what is left of the clean speech s
    e_noise  = <s_hat, n> n / |n|^2      what is left of the noise n
    e_art    = s_hat - s_target - e_noise  what the processing added
"""

from typing import NamedTuple

import numpy as np

from speechduet.metrics.signals import Samples, Signal, not_silent, same_length


class EnergyRatios(NamedTuple):
    """Distortion, interference and artefacts of an estimate, each in dB; more is better."""

    si_sdr: float
    """Target against all that is not target."""
    si_sir: float
    """Target against the remaining noise."""
    si_sar: float
    """Target against artefacts."""


def si_sdr(estimate: Signal, reference: Signal) -> float:
    """Scale-invariant signal-to-distortion ratio in dB; infinite for a scaled reference.

    Examples:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> speech, noise = np.linalg.qr(rng.standard_normal((1000, 2)))[0].T  # orthonormal
        >>> round(si_sdr(speech + noise / np.sqrt(10), speech), 6)
        10.0
        >>> round(si_sdr(0.05 * speech + 0.05 * noise, speech), 6)
        0.0
        >>> si_sdr(np.zeros(1000), speech)
        Traceback (most recent call last):
            ...
        speechduet.metrics.signals.MetricError: estimate is silent; expected sound in it
    """
    s_hat, s = same_length(estimate=estimate, reference=reference)
    not_silent(s, "reference")
    not_silent(s_hat, "estimate")
    target = _project(s_hat, s)
    return _decibels(target, s_hat - target)


def energy_ratios(estimate: Signal, reference: Signal, noise: Signal) -> EnergyRatios:
    """SI-SDR, SI-SIR and SI-SAR of an estimate, given the clean speech and the noise (y - x_0).

    Examples:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> speech, noise, click = np.linalg.qr(rng.standard_normal((1000, 3)))[0].T
        >>> ratios = energy_ratios(10 * speech + noise + 0.1 * click, speech, noise)
        >>> [round(ratio, 3) for ratio in ratios]
        [19.957, 20.0, 40.0]
    """
    s_hat, s, n = same_length(estimate=estimate, reference=reference, noise=noise)
    not_silent(s, "reference")
    not_silent(s_hat, "estimate")
    not_silent(n, "noise")
    target, interference = _project(s_hat, s), _project(s_hat, n)
    artefacts = s_hat - target - interference
    return EnergyRatios(
        _decibels(target, s_hat - target),
        _decibels(target, interference),
        _decibels(target, artefacts),
    )


def _project(onto_target: Samples, target: Samples) -> Samples:
    projection: Samples = (onto_target @ target) / (target @ target) * target
    return projection


def _decibels(numerator: Samples, denominator: Samples) -> float:
    with np.errstate(divide="ignore"):
        ratio = np.float64(numerator @ numerator) / np.float64(denominator @ denominator)
        return float(10 * np.log10(ratio))
