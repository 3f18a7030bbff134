from typing import Any

import pytest
import torch
from torch import Tensor

from speechduet.errors import SettingError
from speechduet.network.compact import Compact, fold, unfold
from speechduet.network.system import Layout, System
from speechduet.process import OrnsteinUhlenbeck

TINY = Compact(bins=32, channels=(4, 6), width=8, encoder_blocks=2, decoder_blocks=1, embedding=8)


def spectrogram(batch: int = 2, frames: int = 7, bins: int = 32) -> Tensor:
    return 0.1 * torch.randn(batch, 1, bins, frames, dtype=torch.complex64)


def system(prior_std: float = 0.0) -> System:
    return System(Layout(True, "shared", "clean", prior_std), OrnsteinUhlenbeck(), TINY)


def wake(network: System) -> System:
    """Give the heads, which begin at zero, weights."""
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


def test_unfolding_undoes_folding() -> None:
    x = torch.randn(2, 3, 8, 5)
    assert torch.equal(unfold(fold(x)), x)
    assert fold(x).shape == (2, 3, 4, 10)


@pytest.mark.parametrize("frames", [1, 2, 7, 64])
def test_any_number_of_frames_keeps_its_shape(frames: int) -> None:
    y = spectrogram(frames=frames)
    told = wake(system()).estimate(y, y, y, torch.full((2,), 0.5), generative=True, predictive=True)
    assert told.generative is not None and told.predictive is not None
    assert told.generative.shape == told.predictive.shape == y.shape
    assert told.generative.isfinite().all()


def test_head_scales_with_gains_of_the_inputs() -> None:
    """With a bias of 1 on the real gain of y alone, the output is y."""
    network = system()
    decoder = network.predictive_decoder
    assert decoder is not None
    with torch.no_grad():
        decoder.head.bias.copy_(torch.tensor([0.0, 0, 1, 0, 0, 0]).repeat(2))
    x_t, y = spectrogram(), spectrogram()
    told = network.estimate(x_t, y, y, torch.ones(2), generative=False, predictive=True)
    assert told.predictive is not None
    torch.testing.assert_close(told.predictive, y)


def test_time_changes_both_estimates() -> None:
    network, y = wake(system()), spectrogram()
    early = network.estimate(y, y, y, torch.full((2,), 0.9), generative=True, predictive=True)
    late = network.estimate(y, y, y, torch.full((2,), 0.1), generative=True, predictive=True)
    for one, other in zip(early, late, strict=True):
        assert one is not None and other is not None
        assert not torch.allclose(one, other)


def test_prior_trusts_the_state_where_its_noise_vanishes() -> None:
    """With noise far below the prior's, the estimate is what the state says; far above, F."""
    torch.manual_seed(0)
    y, x_0, t = spectrogram(), spectrogram(), torch.full((2,), 0.03)
    process = OrnsteinUhlenbeck()
    x_t = process.mean(x_0, y, t)
    certain = wake(system(prior_std=100.0)).estimate(x_t, y, y, t, generative=True).generative
    assert certain is not None
    torch.testing.assert_close(certain, x_0, atol=1e-4, rtol=1e-3)
    torch.manual_seed(1)
    doubtful = wake(system(prior_std=1e-6)).estimate(x_t, y, y, t, generative=True).generative
    torch.manual_seed(1)
    plain = wake(system(prior_std=0.0)).estimate(x_t, y, y, t, generative=True).generative
    assert doubtful is not None and plain is not None
    torch.testing.assert_close(doubtful, plain, atol=1e-4, rtol=1e-3)


def test_a_frame_far_away_has_no_influence() -> None:
    """The receptive field is bounded, so that long files can be cut into segments."""
    network, y = wake(system()), spectrogram(batch=1, frames=80)
    changed = y.clone()
    changed[..., -1] += 1
    at = torch.full((1,), 0.5)
    before = network.estimate(y, y, y, at).generative
    after = network.estimate(changed, changed, changed, at).generative
    assert before is not None and after is not None
    torch.testing.assert_close(before[..., :20], after[..., :20])
    assert not torch.allclose(before[..., -3:], after[..., -3:])


@pytest.mark.parametrize(
    ("dimensions", "message"),
    [
        ({"bins": 30}, "bins is 30; expected a multiple of 4"),
        ({"channels": (4, 0)}, "channels"),
        ({"width": 0}, "width is 0"),
        ({"decoder_blocks": -1}, "decoder_blocks is -1"),
    ],
)
def test_dimensions_that_cannot_be_built(dimensions: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Compact(**{"bins": 32, "channels": (4, 6), **dimensions})
