"""The loss after PESQ: against the pesq package, and by what it must and must not hear."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from pesq import pesq
from torch import Tensor

from speechduet.training.perceptual import SAMPLE_RATE, bark, hearing, perceptual_distance

SAMPLES = Path(__file__).parents[2] / "samples"
NAMES = ("cafe", "rain", "street", "workshop")
NEAR = {"rain": 0.27}
"""How near to the standard; elsewhere 0.08. Rain is highest where the bands differ most."""


def recording(name: str) -> tuple[Tensor, Tensor]:
    """Clean and noisy, ``[1, samples]``."""
    clean, noisy = (
        soundfile.read(SAMPLES / part / f"{name}.flac", dtype="float32")[0]
        for part in ("clean", "noisy")
    )
    return torch.tensor(clean)[None], torch.tensor(noisy)[None]


def score(distance: Tensor) -> float:
    """The standard's last mapping (P.862.2)."""
    return float(0.999 + 4 / (1 + torch.exp(-1.3669 * (4.5 - distance) + 3.8224)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("share", [0.03, 0.1, 0.3, 1.0])
def test_it_is_near_the_score_of_the_standard(name: str, share: float) -> None:
    clean, noisy = recording(name)
    mixed = clean + share * (noisy - clean)
    expected = pesq(SAMPLE_RATE, clean[0].numpy(), mixed[0].numpy(), "wb")
    assert score(perceptual_distance(mixed, clean)) == pytest.approx(
        expected, abs=NEAR.get(name, 0.08)
    )


def test_its_gradient_raises_the_score_of_the_standard() -> None:
    clean, noisy = (each[:, : 2 * SAMPLE_RATE] for each in recording("cafe"))
    before = pesq(SAMPLE_RATE, clean[0].numpy(), noisy[0].numpy(), "wb")
    estimate = noisy.clone().requires_grad_()
    optimiser = torch.optim.Adam([estimate], lr=2e-3)
    for _ in range(20):
        optimiser.zero_grad()
        perceptual_distance(estimate, clean).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    after = pesq(SAMPLE_RATE, clean[0].numpy(), estimate.detach()[0].numpy(), "wb")
    assert after > before + 0.3


def test_clean_speech_is_at_no_distance_at_any_level() -> None:
    clean, noisy = recording("rain")
    assert float(perceptual_distance(clean, clean)) < 0.01
    torch.testing.assert_close(
        perceptual_distance(0.1 * noisy, 3 * clean),
        perceptual_distance(noisy, clean),
        rtol=1e-3,
        atol=1e-3,
    )


def test_added_sound_is_heard_more_than_missing_sound() -> None:
    clean, _ = recording("street")
    spectrum = torch.fft.rfft(clean)
    band = torch.zeros_like(spectrum)
    band[:, 6000 * len(clean[0]) // SAMPLE_RATE :] = 1
    more, less = (torch.fft.irfft(spectrum * (1 + by * band), len(clean[0])) for by in (9, -0.9))
    assert float(perceptual_distance(more, clean)) > 2 * float(perceptual_distance(less, clean))


def test_examples_are_judged_alone() -> None:
    pairs = [tuple(each[:, :SAMPLE_RATE] for each in recording(name)) for name in NAMES]
    clean, noisy = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    alone = torch.cat([perceptual_distance(noisy, clean) for clean, noisy in pairs])
    torch.testing.assert_close(perceptual_distance(noisy, clean), alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("samples", [100, 512, 513, 2000, 5632])
@pytest.mark.parametrize("estimate", ["silence", "clean", "noise"])
@pytest.mark.parametrize("clean", ["silence", "noise"])
def test_short_and_silent_examples_have_finite_gradients(
    samples: int, estimate: str, clean: str
) -> None:
    noise = 0.1 * torch.randn(2, samples, generator=torch.Generator().manual_seed(0))
    target = noise if clean == "noise" else torch.zeros_like(noise)
    guesses = {"silence": torch.zeros_like(noise), "clean": target.clone(), "noise": -noise.flip(1)}
    guess = guesses[estimate].requires_grad_()
    distance = perceptual_distance(guess, target)
    distance.sum().backward()  # type: ignore[no-untyped-call]
    assert distance.isfinite().all() and (distance >= 0).all()
    assert guess.grad is not None and guess.grad.isfinite().all()


def test_bands_are_those_of_hearing() -> None:
    model = hearing(torch.device("cpu"), torch.float32)
    assert (model.bands.sum(1)[2:] == 1).all() and (model.bands.sum(0) >= 1).all()
    # Hearing is best at 3 to 4 kHz and hears nothing below a few dB elsewhere.
    centres = (np.arange(len(model.threshold)) + 0.5) * float(model.width)
    best = centres[int(model.threshold.argmin())]
    low, high = (float(bark(torch.tensor(hertz))) for hertz in (3000.0, 4000.0))
    assert low <= best <= high
    assert float(model.threshold.min()) < 1 < float(model.threshold[0])
    assert 0.23 <= float(model.exponent.min()) < float(model.exponent.max()) < 0.26
