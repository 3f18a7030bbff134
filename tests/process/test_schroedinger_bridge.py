"""The bridge against its published weights."""

from math import log

import pytest
import torch

from speechduet.process import SchroedingerBridge

PROCESS = SchroedingerBridge()


@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_weights_as_they_are_printed(t: float) -> None:
    """Jukic et al. 2024: ``sigma_t^2 = c (k^(2t) - 1) / (2 log k)`` and what follows of it."""
    now, total = (0.4 * (2.6 ** (2 * s) - 1) / (2 * log(2.6)) for s in (t, 1.0))
    kernel = PROCESS.kernel(torch.tensor([t], dtype=torch.float64))
    assert kernel.clean.item() == pytest.approx((total - now) / total, rel=1e-12)
    assert kernel.anchor.item() == pytest.approx(now / total, rel=1e-12)
    assert kernel.variance.item() == pytest.approx(now * (total - now) / total, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_ends_are_exact(dtype: torch.dtype) -> None:
    kernel = PROCESS.kernel(torch.tensor([0.0, 1.0], dtype=dtype))
    assert kernel.clean.tolist() == [1.0, 0.0]
    assert kernel.anchor.tolist() == [0.0, 1.0]
    assert kernel.variance.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("t", [0.0, 0.5, 0.99])
def test_diffusion_as_it_is_printed(t: float) -> None:
    """``g^2 = c k^(2t)``."""
    x, time = (
        torch.zeros(1, 1, 1, 1, dtype=torch.complex128),
        torch.tensor([t], dtype=torch.float64),
    )
    found = PROCESS.forward_equation(x, x, time)[1].item()
    assert found**2 == pytest.approx(0.4 * 2.6 ** (2 * t), rel=1e-10)
