import math

import numpy as np
import pytest

from speechduet.metrics import MetricError, log_spectral_distance

RATE = 16_000


def test_a_perfect_estimate_has_no_distance(speech: np.ndarray) -> None:
    assert log_spectral_distance(speech, speech, RATE) == 0


@pytest.mark.parametrize("gain_db", [-6.0, 3.0])
def test_a_gain_is_a_distance_of_as_many_db(gain_db: float, rng: np.random.Generator) -> None:
    noise = rng.standard_normal(RATE)
    louder = 10 ** (gain_db / 20) * noise
    assert log_spectral_distance(louder, noise, RATE) == pytest.approx(abs(gain_db), abs=1e-3)


def test_it_agrees_with_the_spectrogram_of_scipy(
    speech: np.ndarray, rng: np.random.Generator
) -> None:
    signal = pytest.importorskip("scipy.signal")
    noisy = speech + 0.01 * rng.standard_normal(speech.size)
    powers = [
        signal.spectrogram(
            x, window="hann", nperseg=512, noverlap=384, detrend=False, mode="complex"
        )[2]
        for x in (noisy.astype(np.float64), speech.astype(np.float64))
    ]
    loudest = np.abs(powers[1]).max()
    first, second = (20 * np.log10(np.maximum(np.abs(p) / loudest, 1e-4)) for p in powers)
    expected = np.mean(np.sqrt(np.mean((first - second) ** 2, axis=0)))
    assert log_spectral_distance(noisy, speech, RATE) == pytest.approx(expected, abs=1e-6)


def test_silence_is_80_db_below_the_loudest_point(rng: np.random.Generator) -> None:
    # One frame, of which silence is at the floor in every bin.
    noise = rng.standard_normal(512)
    assert 50 < log_spectral_distance(np.zeros(512), noise, RATE) < 80


def test_signals_without_a_distance_are_refused() -> None:
    with pytest.raises(MetricError, match=r"expected at least 0\.032 s"):
        log_spectral_distance(np.ones(511), np.ones(511), RATE)
    with pytest.raises(MetricError, match="reference is silent"):
        log_spectral_distance(np.ones(RATE), np.zeros(RATE), RATE)
    with pytest.raises(MetricError, match="NaN"):
        log_spectral_distance(np.full(RATE, math.nan), np.ones(RATE), RATE)
    with pytest.raises(MetricError, match="lengths differ"):
        log_spectral_distance(np.ones(RATE), np.ones(RATE - 1), RATE)
