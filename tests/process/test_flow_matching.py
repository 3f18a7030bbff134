"""Linear flow matching."""

import pytest
import torch

from speechduet.errors import SettingError
from speechduet.process import FlowMatching
from speechduet.process.base import over_state


def test_a_straight_line_to_the_noisy_end() -> None:
    process = FlowMatching(sigma_end=0.5)
    x_0, y, z = torch.randn(3, 1, 1, 3, 2, dtype=torch.complex64)
    t = torch.tensor([0.25])
    line = 0.75 * x_0 + 0.25 * (y + 0.5 * z)
    torch.testing.assert_close(process.perturb(x_0, y, t, z), line)


def test_the_flow_is_the_line_from_its_clean_end() -> None:
    """``f - g^2 score / 2``, the probability flow, is ``(x_t - x_0) / t``."""
    process = FlowMatching()
    t = torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
    x_t, x_0, y = torch.randn(3, 9, 1, 3, 2, dtype=torch.complex128)
    score = process.score_from_clean(x_0, x_t, y, t)
    drift, diffusion = process.forward_equation(x_t, y, t)
    flow = drift - over_state(diffusion.square() / 2, score) * score
    torch.testing.assert_close(flow, (x_t - x_0) / over_state(t, x_t))


def test_noise_whose_square_32_bits_cannot_hold() -> None:
    assert FlowMatching(sigma_end=0).sigma_end == 0
    with pytest.raises(SettingError, match="sigma_end is 5e-07; expected 0, or 1e-06 or more"):
        FlowMatching(sigma_end=5e-7)
