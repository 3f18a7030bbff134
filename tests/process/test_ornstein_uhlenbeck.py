"""The process of SGMSE+ against its published numbers and its own formulas."""

from math import exp, log, sqrt

import pytest
import torch

from speechduet.errors import SettingError
from speechduet.process import OrnsteinUhlenbeck

PROCESS = OrnsteinUhlenbeck()


@pytest.mark.parametrize(("t", "std"), [(1.0, 0.3890), (0.03, 0.01883)])
def test_published_standard_deviations(t: float, std: float) -> None:
    assert PROCESS.kernel(torch.tensor([t])).std.item() == pytest.approx(std, rel=5e-4)


def test_the_clean_speech_left_at_the_end() -> None:
    assert PROCESS.kernel(torch.ones(1)).clean.item() == pytest.approx(0.2231, rel=5e-4)


def test_the_weights_of_clean_and_noisy_sum_to_1() -> None:
    kernel = PROCESS.kernel(torch.linspace(0, 1, 11))
    torch.testing.assert_close(kernel.clean + kernel.anchor, torch.ones(11))


@pytest.mark.parametrize("t", [0.03, 0.3, 1.0])
def test_drift_and_diffusion_as_they_are_printed(t: float) -> None:
    """Paper eq. 1: ``theta (y - x)`` and ``sigma_min r^t sqrt(2 log r)``."""
    x, y = torch.randn(2, 1, 1, 3, 2, dtype=torch.complex64)
    time = torch.tensor([t])
    drift, diffusion = PROCESS.forward_equation(x, y, time)
    torch.testing.assert_close(drift, 1.5 * (y - x))
    assert diffusion.item() == pytest.approx(0.05 * 10**t * sqrt(2 * log(10)), rel=1e-5)


@pytest.mark.parametrize("t", [0.03, 0.3, 1.0])
def test_variance_as_it_is_printed(t: float) -> None:
    """Paper eq. 6."""
    growth = log(10)
    variance = 0.05**2 * (10 ** (2 * t) - exp(-3 * t)) * growth / (1.5 + growth)
    found = PROCESS.kernel(torch.tensor([t], dtype=torch.float64)).variance.item()
    assert found == pytest.approx(variance, rel=1e-12)


def test_noise_that_does_not_grow() -> None:
    with pytest.raises(SettingError, match="sigma_min is 0.5; expected less than sigma_max, 0.5"):
        OrnsteinUhlenbeck(sigma_min=0.5, sigma_max=0.5)
