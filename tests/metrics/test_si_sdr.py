import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speechduet.metrics import MetricError, energy_ratios, si_sdr


def signals(seed: int = 0, samples: int = 4000) -> tuple[np.ndarray, ...]:
    """Speech, noise and an estimate that holds some of each and something new."""
    rng = np.random.default_rng(seed)
    speech, noise, artefact = rng.standard_normal((3, samples))
    return speech, noise, 0.7 * speech + 0.2 * noise + 0.1 * artefact


def by_correlation(estimate: np.ndarray, reference: np.ndarray) -> float:
    """SI-SDR from the correlation coefficient rho alone: rho^2 / (1 - rho^2)."""
    rho = np.vdot(estimate, reference) / np.linalg.norm(estimate) / np.linalg.norm(reference)
    return 10 * math.log10(rho**2 / (1 - rho**2))


@pytest.mark.parametrize("snr_db", [-20.0, 0.0, 10.0, 60.0])
def test_si_sdr_of_orthogonal_noise_is_its_snr(snr_db: float) -> None:
    speech, noise, _ = signals()
    noise -= (noise @ speech) / (speech @ speech) * speech
    noise *= np.linalg.norm(speech) / np.linalg.norm(noise) * 10 ** (-snr_db / 20)
    assert si_sdr(speech + noise, speech) == pytest.approx(snr_db, abs=1e-8)


@given(st.integers(0, 1000))
def test_si_sdr_agrees_with_its_formula_in_correlations(seed: int) -> None:
    speech, _, estimate = signals(seed)
    assert si_sdr(estimate, speech) == pytest.approx(by_correlation(estimate, speech), abs=1e-9)


def test_si_sdr_agrees_with_torchmetrics() -> None:
    functional = pytest.importorskip("torchmetrics.functional.audio")
    speech, _, estimate = (torch.from_numpy(signal) for signal in signals())
    other = functional.scale_invariant_signal_distortion_ratio(estimate, speech)
    assert si_sdr(estimate, speech) == pytest.approx(float(other), abs=1e-6)


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.sampled_from([-1, 1]))
def test_ratios_ignore_scale_and_sign(first: float, second: float, sign: int) -> None:
    speech, noise, estimate = signals()
    scaled = energy_ratios(sign * first * estimate, second * speech, first * noise)
    assert scaled == pytest.approx(energy_ratios(estimate, speech, noise), abs=1e-8)


def test_a_mean_is_not_removed() -> None:
    speech, _, _ = signals()
    assert si_sdr(speech + 1, speech) < 1


def test_energy_ratios_agree_with_projections_by_least_squares() -> None:
    speech, noise, estimate = signals()
    target, interference = (
        basis * np.linalg.lstsq(basis[:, None], estimate, rcond=None)[0]
        for basis in (speech, noise)
    )
    energies = [
        np.square(part).sum()
        for part in (
            target,
            estimate - target,
            interference,
            estimate - target - interference,
        )
    ]
    expected = [10 * math.log10(energies[0] / energy) for energy in energies[1:]]
    assert energy_ratios(estimate, speech, noise) == pytest.approx(expected, abs=1e-9)


def test_si_sdr_of_energy_ratios_is_si_sdr() -> None:
    speech, noise, estimate = signals()
    assert energy_ratios(estimate, speech, noise).si_sdr == si_sdr(estimate, speech)


def test_the_unprocessed_mixture_has_no_artefacts_to_speak_of() -> None:
    speech, noise, _ = signals()
    ratios = energy_ratios(speech + noise, speech, noise)
    assert ratios.si_sdr == pytest.approx(ratios.si_sir, abs=0.5)
    assert ratios.si_sar > 20


def test_a_perfect_estimate_is_infinitely_good() -> None:
    speech, _, _ = signals()
    assert si_sdr(speech, speech) == math.inf


@pytest.mark.parametrize(
    ("estimate", "reference", "message"),
    [
        (np.ones(3), np.ones(4), "lengths differ (estimate 3, reference 4 samples)"),
        (np.ones(4), np.zeros(4), "reference is silent"),
        (np.zeros(4), np.ones(4), "estimate is silent"),
        (np.array([1, np.nan]), np.ones(2), "estimate with NaN"),
        (np.ones(2), np.array([1, np.inf]), "reference with NaN or infinite"),
        (np.ones((2, 4)), np.ones((2, 4)), "estimate of shape [2, 4]"),
        (np.ones(0), np.ones(0), "without samples"),
    ],
)
def test_signals_without_a_ratio_are_refused(estimate, reference, message: str) -> None:
    with pytest.raises(MetricError) as refusal:
        si_sdr(estimate, reference)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("silent", [0, 1, 2])
def test_silence_has_no_energy_ratios(silent: int) -> None:
    given = np.ones((3, 4))
    given[silent] = 0
    name = ("estimate", "reference", "noise")[silent]
    with pytest.raises(MetricError, match=f"^{name} is silent"):
        energy_ratios(*given)


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_ratios_are_computed_in_double_precision(kind: type) -> None:
    speech, _, estimate = (1000 * signal for signal in signals())
    speech, estimate = speech.astype(kind), estimate.astype(kind)
    expected = by_correlation(estimate.astype(float), speech.astype(float))
    assert si_sdr(estimate, speech) == pytest.approx(expected, abs=1e-9)


def test_torch_and_lists_are_taken_too() -> None:
    speech, _, estimate = signals(samples=50)
    expected = si_sdr(estimate, speech)
    assert si_sdr(torch.tensor(estimate, requires_grad=True), torch.tensor(speech)) == expected
    assert si_sdr(estimate.tolist(), speech.tolist()) == expected
