import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from speechduet.process import OrnsteinUhlenbeck
from speechduet.spectrogram import Spectrogram
from speechduet.training.losses import (
    LossSettings,
    further_terms,
    generative_loss,
    magnitude_error,
    magnitude_excess,
    negative_si_sdr,
    predictive_loss,
    resolutions_error,
    squared_error,
)

TRANSFORM = Spectrogram()
SAMPLES = 3200


def waveforms() -> Tensor:
    return torch.randn(2, SAMPLES, generator=torch.Generator().manual_seed(0)) * 0.1


def test_score_weighting_is_the_score_matching_loss() -> None:
    process, t = OrnsteinUhlenbeck(), torch.tensor([0.2, 0.9])
    x_0, y, guess, z = (torch.randn(2, 1, 4, 5, dtype=torch.complex64) for _ in range(4))
    x_t = process.perturb(x_0, y, t, z)
    score = process.score_from_clean(guess, x_t, y, t)
    std = process.kernel(t).std.reshape(-1, 1, 1, 1)
    expected = 0.5 * (std * score + z).abs().square().sum(dim=(1, 2, 3)).mean()
    torch.testing.assert_close(
        generative_loss(process, guess, x_0, t, "score"), expected, rtol=1e-4, atol=1e-4
    )
    torch.testing.assert_close(
        generative_loss(process, guess, x_0, t, "clean"), 0.5 * squared_error(guess, x_0).mean()
    )


def test_paper_default_is_the_squared_error_alone() -> None:
    x_0 = TRANSFORM.encode(waveforms())
    guess = x_0 + 0.1
    loss = predictive_loss(guess, x_0, LossSettings(), TRANSFORM, SAMPLES)
    torch.testing.assert_close(loss, torch.tensor(0.01 * x_0[0].numel()), rtol=1e-4, atol=0)


def test_magnitude_error_ignores_phase() -> None:
    x_0 = TRANSFORM.encode(waveforms())
    assert magnitude_error(x_0 * 1j, x_0).max() < 1e-6
    assert magnitude_error(2 * x_0, x_0).min() > 0.1


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_si_sdr_of_known_noise(snr_db: float) -> None:
    clean = waveforms()
    noise = torch.randn(2, SAMPLES, generator=torch.Generator().manual_seed(1))
    noise -= (noise * clean).sum(-1, keepdim=True) / clean.square().sum(-1, keepdim=True) * clean
    noise *= clean.norm(dim=-1, keepdim=True) / noise.norm(dim=-1, keepdim=True)
    measured = negative_si_sdr(3 * (clean + noise * 10 ** (-snr_db / 20)), clean)
    torch.testing.assert_close(measured, torch.full((2,), -snr_db), atol=0.02, rtol=0)


@pytest.mark.parametrize("level", [1e-4, 1e-3, 1.0])
def test_si_sdr_by_its_formula_also_near_silence(level: float) -> None:
    clean = level * waveforms()
    estimate = clean + clean.roll(1, dims=-1)
    for e, c, found in zip(estimate, clean, negative_si_sdr(estimate, clean), strict=True):
        e_, c_ = e.double().numpy(), c.double().numpy()
        target = (e_ @ c_) / (c_ @ c_ + 1e-6) * c_
        ratio = (target @ target + 1e-6) / (((e_ - target) ** 2).sum() + 1e-6)
        assert float(found) == pytest.approx(-10 * np.log10(ratio), abs=1e-3)


def test_si_sdr_of_and_against_silence() -> None:
    sound, silence = waveforms(), torch.zeros(2, SAMPLES)
    expected = 10 * torch.log10(sound.square().sum(-1) / 1e-6 + 1)
    torch.testing.assert_close(negative_si_sdr(sound, silence), expected)
    assert negative_si_sdr(silence, sound).tolist() == [0, 0]


def test_loss_of_silence_is_finite() -> None:
    x_0 = TRANSFORM.encode(torch.zeros(1, SAMPLES))
    guess = (x_0 + 0.01).requires_grad_()
    settings = LossSettings(magnitude=1.0, si_sdr=1.0)
    predictive_loss(guess, x_0, settings, TRANSFORM, SAMPLES).backward()
    assert guess.grad is not None and torch.view_as_real(guess.grad).isfinite().all()


@pytest.mark.parametrize("hop", [128, 256])
def test_waveform_terms_end_where_frames_still_overlap(hop: int) -> None:
    """What lies behind the last frame's centre does not count, for it cannot be decoded."""
    transform = Spectrogram(hop=hop)
    waveform = 0.1 * torch.randn(1, 20 * hop + hop - 1)
    x_0 = transform.encode(waveform)
    estimate = x_0 + 0.01 * torch.randn_like(x_0)
    settings = LossSettings(si_sdr=1.0, resolutions=1.0)
    cut, whole = (
        further_terms(estimate, x_0, settings, transform, samples)
        for samples in (20 * hop, 21 * hop - 1)
    )
    torch.testing.assert_close(whole, cut)


def test_error_at_several_resolutions_is_relative_and_hears_no_sign() -> None:
    clean = waveforms()
    for scale in (1.0, 10.0):
        measured = resolutions_error(-4 * scale * clean, scale * clean, exponent=0.5)
        # Magnitudes to the power of 1/2 are twice as large: the error is as large as they are.
        torch.testing.assert_close(measured, torch.ones(2), atol=0.01, rtol=0)
    assert float(resolutions_error(clean, clean, exponent=0.5).max()) == 0


def magnitudes(waveform: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Of frames that overlap by three quarters, the first one's centre on the first sample."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    padded = np.pad(waveform, length // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[:: length // 4]
    return np.abs(np.fft.rfft(frames * window))


@pytest.mark.parametrize("level", [1e-3, 1.0])
def test_error_at_several_resolutions_by_its_formula(level: float) -> None:
    estimate, clean = level * waveforms(), level * waveforms().flip(0)
    for e, c, found in zip(estimate, clean, resolutions_error(estimate, clean, 0.7), strict=True):
        errors = []
        for length in (256, 512, 1024, 2048):
            guess, target = (magnitudes(x.double().numpy(), length) ** 0.7 for x in (e, c))
            errors.append(((guess - target) ** 2).sum() / (target**2).sum())
        assert float(found) == pytest.approx(np.mean(errors), rel=1e-3)


@pytest.mark.parametrize("exponent", [0.5, 1.0])
def test_error_at_several_resolutions_against_silence_is_above_0(exponent: float) -> None:
    error = resolutions_error(waveforms(), torch.zeros(2, SAMPLES), exponent)
    assert error.isfinite().all() and float(error.min()) > 0


def test_error_at_several_resolutions_learns_from_silence() -> None:
    silent = torch.zeros(2, SAMPLES, requires_grad=True)
    x_0 = TRANSFORM.encode(waveforms())
    settings = LossSettings(resolutions=1.0)
    predictive_loss(TRANSFORM.encode(silent), x_0, settings, TRANSFORM, SAMPLES).backward()
    assert silent.grad is not None and silent.grad.isfinite().all()


def test_excess_is_what_the_estimate_has_more() -> None:
    clean = TRANSFORM.encode(waveforms())
    louder, softer = magnitude_excess(1.5 * clean, clean), magnitude_excess(0.5 * clean, clean)
    torch.testing.assert_close(louder, magnitude_error(1.5 * clean, clean))
    torch.testing.assert_close(louder, squared_error(1.5 * clean, clean), rtol=1e-3, atol=0)
    assert float(softer.max()) == 0 == float(magnitude_excess(-clean, clean).max())
    # The two sides of the error make up the whole.
    other = clean.flip(0)
    both = magnitude_excess(other, clean) + magnitude_excess(clean, other)
    torch.testing.assert_close(both, magnitude_error(other, clean))


@pytest.mark.parametrize("samples", [SAMPLES, SAMPLES // 256 * 128])
def test_the_loss_is_the_weighted_sum_of_its_terms(samples: int) -> None:
    x_0, guess = TRANSFORM.encode(waveforms()), TRANSFORM.encode(waveforms().flip(0))
    settings = LossSettings(magnitude=0.3, excess=0.6, si_sdr=0.7, resolutions=5.0)
    waveform, clean = (TRANSFORM.decode(each, SAMPLES)[:, :samples] for each in (guess, x_0))
    expected = (
        squared_error(guess, x_0)
        + 0.3 * magnitude_error(guess, x_0)
        + 0.6 * magnitude_excess(guess, x_0)
        + 0.7 * negative_si_sdr(waveform, clean)
        + 5.0 * resolutions_error(waveform, clean, 0.5)
    ).mean()
    found = predictive_loss(guess, x_0, settings, TRANSFORM, samples)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)
