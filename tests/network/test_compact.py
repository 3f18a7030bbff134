from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from speechduet.errors import SettingError
from speechduet.network.compact import Compact, FrameNorm, fold, temporal_blocks, unfold
from speechduet.network.layout import Layout
from speechduet.network.system import System
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
    estimates = wake(system()).estimate(
        y, y, y, torch.full((2,), 0.5), generative=True, predictive=True
    )
    assert estimates.generative is not None and estimates.predictive is not None
    assert estimates.generative.shape == estimates.predictive.shape == y.shape
    assert estimates.generative.isfinite().all()


def test_head_scales_with_gains_of_the_inputs() -> None:
    """With a bias of 1 on the real gain of y alone, the output is y."""
    network = system()
    decoder = network.predictive_decoder
    assert decoder is not None
    with torch.no_grad():
        decoder.head.bias.copy_(torch.tensor([0.0, 0, 1, 0, 0, 0]).repeat(2))
    x_t, y = spectrogram(), spectrogram()
    estimates = network.estimate(x_t, y, y, torch.ones(2), generative=False, predictive=True)
    assert estimates.predictive is not None
    torch.testing.assert_close(estimates.predictive, y)


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
    "constant",
    [
        {"encoder_dilations": (2, 1)},
        {"decoder_dilations": (1,)},
        {"time_exponents": (-1.1, 0.5)},
        {"input_scale": 1.0},
        {"remainder_scale": 0.2},
    ],
    ids=str,
)
def test_constants_decide_the_output(constant: dict[str, Any]) -> None:
    one, y, t = wake(system()), spectrogram(frames=20), torch.full((2,), 0.4)
    other = System(one.layout, one.process, replace(TINY, **constant))
    other.load_state_dict(one.state_dict())
    found, expected = (network.estimate(y, y, y, t).generative for network in (one, other))
    assert found is not None and expected is not None
    assert not torch.allclose(found, expected)


def test_dilations_start_over_when_there_are_more_blocks() -> None:
    blocks = temporal_blocks(5, 4, (1, 3), None)
    assert [block.along_time.dilation for block in blocks] == [(1,), (3,), (1,), (3,), (1,)]


@pytest.mark.parametrize(
    ("dimensions", "message"),
    [
        ({"bins": 30}, "bins is 30; expected a multiple of 4"),
        ({"channels": (4, 0)}, "channels"),
        ({"width": 0}, "width is 0"),
        ({"decoder_blocks": -1}, "decoder_blocks is -1"),
        ({"encoder_dilations": ()}, r"encoder_dilations is \(\)"),
        ({"decoder_dilations": (1, 0)}, "decoder_dilations is "),
        ({"time_exponents": (1.0,)}, "time_exponents is .*expected a list of 2"),
    ],
)
def test_dimensions_that_cannot_be_built(dimensions: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Compact(**{"bins": 32, "channels": (4, 6), **dimensions})


def test_a_frame_is_normalised_as_by_pytorch() -> None:
    ours, theirs = FrameNorm((6, 4)), torch.nn.LayerNorm((6, 4))
    torch.nn.init.normal_(ours.weight)
    torch.nn.init.normal_(ours.bias)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 5, 6, 4)
    for norm in (ours, theirs):
        norm(x).square().sum().backward()
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad)


def test_pytorch_never_normalises_over_two_dimensions(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU its gradients would be wrong; see `FrameNorm`."""
    plain, shapes = torch.nn.functional.layer_norm, []

    def noting(x: Tensor, shape: Sequence[int], *further: Any) -> Tensor:
        shapes.append(shape)
        return plain(x, shape, *further)

    monkeypatch.setattr(torch.nn.functional, "layer_norm", noting)
    y = spectrogram()
    system().estimate(y, y, y, torch.full((2,), 0.5), predictive=True)
    assert shapes and all(len(shape) == 1 for shape in shapes)
