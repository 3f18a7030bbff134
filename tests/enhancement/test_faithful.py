"""Leaning on the predictive estimate and the input where the result is least sure."""

import numpy as np
import pytest
import torch
from torch import Tensor

from speechduet.enhancement.confidence import confidence
from speechduet.errors import SettingError
from speechduet.expected_error import expected_error
from speechduet.export.recording import recorded
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram
from stand_ins import Ruled, noisy, ruled

MODES = {"fast": Sampling(steps=0), "balanced": Sampling(steps=2, corrector_steps=0, beta=0.5)}


def lower(x_t: Tensor, y: Tensor) -> Tensor:
    """What is below 4 kHz."""
    below = y.clone()
    below[:, :, 128:] = 0
    return below


def quieter(x_t: Tensor, y: Tensor) -> Tensor:
    """All of it with a compressed magnitude of a tenth."""
    return 0.1 * y


def test_the_expected_error_is_that_of_the_ratio() -> None:
    kept, removed = torch.tensor([1.0, 1.0, 100.0]), torch.tensor([1.0, 100.0, 1.0])
    at_0_db, up, down = expected_error(kept, removed).tolist()
    assert at_0_db == pytest.approx(0.11)
    assert up / at_0_db == pytest.approx(at_0_db / down) == pytest.approx(100**0.43)
    assert expected_error(torch.zeros(1), torch.zeros(1)).item() == pytest.approx(0.11)


def test_confidence_is_of_the_energies_behind_the_compression() -> None:
    transform = Spectrogram()
    y = torch.randn(2, 1, 256, 9, dtype=torch.complex64)
    y[..., 4] *= 0.01
    result = 0.5 * y
    # A compressed magnitude of a half is a quarter, so 9/16 of the energy is in what is removed.
    expected = 1 / (1 + expected_error(torch.tensor(1 / 16), torch.tensor(9 / 16)))
    sure = confidence(transform, result, y)
    assert sure.shape == (2, 1, 1, 9)
    torch.testing.assert_close(sure, expected.expand(2, 1, 1, 9), atol=1e-4, rtol=0)


@pytest.mark.parametrize("mode", MODES)
def test_none_is_the_mode_itself_and_more_is_nearer_to_the_input(mode: str) -> None:
    enhancer = ruled(Ruled(lower, lower, frame_multiple=16), MODES)
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000).astype(np.float32)
    plain = enhancer(samples, 16_000, mode)
    np.testing.assert_array_equal(plain, enhancer(samples, 16_000, mode, faithful=0.0))
    distances = [
        np.abs(enhancer(samples, 16_000, mode, faithful=share) - samples).mean()
        for share in (0.0, 0.5, 1.0)
    ]
    assert distances[0] > 1.0005 * distances[1] > 1.001 * distances[2]


@pytest.mark.parametrize("fused", [False, True])
def test_it_is_one_share_per_frame_of_prediction_and_input(fused: bool) -> None:
    beta = 0.5 if fused else 1.0
    modes = {"balanced": Sampling(steps=1, corrector_steps=0, beta=beta, predictor="deterministic")}
    enhancer = ruled(Ruled(quieter, lower, frame_multiple=16), modes)
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000).astype(np.float32)
    (plain,) = enhancer.stream(samples, 16_000)
    (step,) = enhancer.stream(samples, 16_000, faithful=0.8)
    assert plain.generative is not None and (plain.predictive is not None) == fused
    y = plain.generative / 0.1
    share = 0.8 * (1 - confidence(enhancer.spectrogram, plain.result, y))
    safe = y if plain.predictive is None else (plain.predictive + y) / 2
    torch.testing.assert_close(step.result, (1 - share) * plain.result + share * safe)
    # In the silent last frame nothing is kept or removed.
    assert float(share.min()) == pytest.approx(0.8 * (1 - 1 / 1.11), rel=1e-3)


def test_an_untouched_recording_is_left_alone() -> None:
    enhancer = ruled(Ruled(noisy, noisy, frame_multiple=16), MODES)
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000).astype(np.float32)
    np.testing.assert_allclose(
        enhancer(samples, 16_000, "fast", faithful=1.0),
        enhancer(samples, 16_000, "fast"),
        atol=1e-6,
    )


def test_an_export_lacks_it() -> None:
    enhancer = ruled(Ruled(noisy, noisy, frame_multiple=16), MODES)
    with pytest.raises(SettingError, match=r"a mode with faithful 0\.5; expected 0"):
        recorded(enhancer.system, Spectrogram(), Sampling(steps=0, faithful=0.5))
