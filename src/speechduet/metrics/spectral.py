"""Distance of spectra: log-spectral distance."""

import numpy as np

from speechduet.metrics.signals import MetricError, Samples, Signal, not_silent, same_length

_FLOOR = 1e-8
"""Power relative to the reference's loudest point (-80 dB) that stands for all below it."""


def log_spectral_distance(estimate: Signal, reference: Signal, sample_rate: int) -> float:
    """Log-spectral distance in dB (Gray and Markel 1976); 0 is best, and the level counts.

    Root mean square over frequency of the difference of the two power spectra in dB, averaged
    over Hann windows of 32 ms, 8 ms apart. What lies 80 dB and more below the loudest point of
    the reference counts as 80 dB below it, so that digital silence is a number too. Signals are
    ``[samples]``. Raises MetricError if they differ in length, are shorter than one window, or
    if the reference is silent.

    Examples:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).standard_normal(16_000)
        >>> round(log_spectral_distance(0.1 * noise, noise, 16_000), 3)
        20.0
    """
    s_hat, s = same_length(estimate=estimate, reference=reference)
    not_silent(s, "reference")
    window = round(0.032 * sample_rate)
    if s.size < window:
        raise MetricError(
            f"{s.size / sample_rate:.3f} s", "at least 0.032 s for the log-spectral distance"
        )
    powers = [_power(signal, window, window // 4) for signal in (s_hat, s)]
    floor = _FLOOR * powers[1].max()
    levels = [10 * np.log10(np.maximum(power, floor)) for power in powers]
    return float(np.sqrt(np.square(levels[0] - levels[1]).mean(axis=1)).mean())


def _power(signal: Samples, window: int, hop: int) -> Samples:
    """Power spectra ``[frames, bins]`` of the windows that lie within the signal."""
    frames = np.lib.stride_tricks.sliding_window_view(signal, window)[::hop]
    # Periodic Hann, as is usual for spectra.
    power: Samples = np.abs(np.fft.rfft(frames * np.hanning(window + 1)[:-1])) ** 2
    return power
