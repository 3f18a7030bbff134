import numpy as np
import pytest

from speechduet.data.filtering import _quick_size, convolved, low_pass


@pytest.mark.parametrize("lengths", [(1, 1), (7, 3), (3, 7), (1000, 128), (4801, 2000)])
def test_convolution(lengths: tuple[int, int], rng: np.random.Generator) -> None:
    one, other = (rng.standard_normal(length) for length in lengths)
    np.testing.assert_allclose(convolved(one, other), np.convolve(one, other), atol=1e-9)


def test_filters_equal_those_of_scipy(rng: np.random.Generator) -> None:
    signal = pytest.importorskip("scipy.signal")
    np.testing.assert_allclose(
        low_pass(255, 3000.0, 16_000), signal.firwin(255, 3000.0, fs=16_000), atol=1e-12
    )
    samples = rng.standard_normal(5000)
    response = rng.standard_normal(128)
    same = signal.fftconvolve(samples, response, mode="same")
    np.testing.assert_allclose(convolved(samples, response)[63 : 63 + 5000], same, atol=1e-9)


def test_sizes_have_small_factors_only() -> None:
    fft = pytest.importorskip("scipy.fft")
    for least in (1, 2, 7, 97, 1025, 32_767, 34_640):
        assert _quick_size(least) == fft.next_fast_len(least, real=True)
