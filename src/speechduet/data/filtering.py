"""Filters, with NumPy alone: mixing is to work wherever the package does."""

import numpy as np
from numpy.typing import NDArray

from speechduet.data.mono import Samples


def convolved(samples: Samples, response: NDArray[np.floating]) -> NDArray[np.float64]:
    """The whole convolution of the two, ``[len(samples) + len(response) - 1]``."""
    length = len(samples) + len(response) - 1
    size = _quick_size(length)
    spectrum = np.fft.rfft(np.asarray(samples, np.float64), size)
    spectrum *= np.fft.rfft(np.asarray(response, np.float64), size)
    whole: NDArray[np.float64] = np.fft.irfft(spectrum, size)[:length]
    return whole


def low_pass(taps: int, cutoff_hz: float, sample_rate: int) -> NDArray[np.float64]:
    """A symmetric response of a number of taps by the window method: Hamming, gain 1 at 0 Hz."""
    share = 2 * cutoff_hz / sample_rate
    times = np.arange(taps) - (taps - 1) / 2
    response = share * np.sinc(share * times) * np.hamming(taps)
    normalised: NDArray[np.float64] = response / response.sum()
    return normalised


def _quick_size(least: int) -> int:
    """The next length with no prime factor above 5, which Fourier transforms are quick at."""
    best = 1 << (least - 1).bit_length()
    fives = 1
    while fives < best:
        odd = fives
        while odd < best:
            quotient = -(-least // odd)
            best = min(best, odd << (quotient - 1).bit_length())
            odd *= 3
        fives *= 5
    return best
