"""Several framings of a waveform, averaged."""

import numpy as np
import pytest
import torch
from torch import Tensor

from speechduet.enhancement.enhancer import Enhancer
from speechduet.model.folder import Pretrained
from speechduet.network.compact import Compact
from speechduet.network.layout import Layout
from speechduet.network.system import System
from speechduet.process import OrnsteinUhlenbeck
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram

TRANSFORM = Spectrogram(n_fft=62, hop=32)
MODES = {
    "fast": Sampling(steps=0),
    "balanced": Sampling(steps=2, predictor="ancestral", corrector_steps=0, beta=0.5),
}


def enhancer(segment_s: float = 16) -> Enhancer:
    torch.manual_seed(0)
    size = Compact(bins=32, channels=(4,), width=8, encoder_blocks=1, decoder_blocks=1)
    system = System(Layout(True, "shared", "clean"), OrnsteinUhlenbeck(), size)
    for parameter in system.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return Enhancer(Pretrained("new", system, TRANSFORM, MODES), "cpu", segment_s=segment_s)


@pytest.fixture
def speech(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-0.5, 0.5, 3 * 16_000).astype(np.float32)


@pytest.mark.parametrize("mode", MODES)
def test_the_result_is_the_mean_over_framings(speech: np.ndarray, mode: str) -> None:
    averaged = enhancer()(speech, 16_000, mode, framings=2)
    behind = np.pad(speech, (16, 0))
    one, other = (enhancer()(waveform, 16_000, mode) for waveform in (speech, behind))
    # The zeros in front shift the mean that is taken out as direct current a little.
    np.testing.assert_allclose(averaged, (one + other[16:]) / 2, rtol=1e-4, atol=5e-5)
    assert np.abs(averaged - one).max() > 1e-4


def test_segments_channels_and_silence(speech: np.ndarray) -> None:
    stereo = np.stack([speech, np.zeros_like(speech)])
    whole = enhancer()(speech, 16_000, framings=3)
    cut = enhancer(segment_s=1)(stereo, 16_000, framings=3)
    assert cut.shape == stereo.shape and not cut[1].any()
    # Away from a seam nothing changes; this network's blocks look two frames around.
    np.testing.assert_allclose(cut[0, :4000], whole[:4000], atol=1e-5)


def test_a_live_stream_takes_them_too(speech: np.ndarray) -> None:
    live = enhancer().live(16_000, mode="fast", framings=2)
    streamed = np.concatenate([live.process(speech), live.finish()])
    assert streamed.shape == speech.shape
    once = enhancer().live(16_000, mode="fast")
    assert np.abs(streamed - np.concatenate([once.process(speech), once.finish()])).max() > 1e-4


def test_each_framing_draws_from_noise_of_the_users_own(speech: np.ndarray) -> None:
    shapes = []

    def draw(shape: tuple[int, ...]) -> Tensor:
        shapes.append(shape)
        return torch.randn(shape, dtype=torch.complex64)

    enhancer()(speech, 16_000, noise=draw)
    once = len(shapes)
    enhancer()(speech, 16_000, noise=draw, framings=3)
    assert len(shapes) == 4 * once
