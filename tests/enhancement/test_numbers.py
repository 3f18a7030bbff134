"""Numbers of the bundled model: the same however the work is cut, and near in every precision."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from speechduet.audio.resampling import resampled
from speechduet.backend import BackendPrecision
from speechduet.enhancement.enhancer import Enhancer
from speechduet.metrics import si_sdr
from speechduet.model.find import load_any

RATE, LENGTH = 16_000, 40_000
MODES = ("fast", "balanced")
Waveform = np.ndarray[Any, Any]


def enhancer(**machine: Any) -> Enhancer:
    return Enhancer(load_any(), "cpu", **machine)


@pytest.fixture(scope="module")
def noisy(root: Path) -> Waveform:
    """Two and a half seconds in two channels of different sounds and levels."""
    names = ("cafe", "street")
    read = [soundfile.read(root / f"samples/noisy/{name}.flac", frames=LENGTH) for name in names]
    return np.stack([read[0][0], 0.1 * read[1][0]]).astype(np.float32)


@pytest.fixture(scope="module")
def usual(noisy: Waveform) -> dict[str, Waveform]:
    """What one segment at a time gives."""
    alone = enhancer(segment_s=1, batch_size=1, threads=1)
    return {mode: alone(noisy, RATE, mode) for mode in MODES}


def assert_near(found: Waveform, expected: Waveform) -> None:
    """Within 1e-4 of each channel's peak."""
    peaks = np.abs(expected).max(axis=-1, keepdims=True)
    np.testing.assert_array_less(np.abs(found - expected) / peaks, 1e-4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("machine", [{"batch_size": 3}, {"batch_size": 16, "threads": 2}], ids=str)
def test_neither_batches_nor_threads_matter(
    noisy: Waveform, usual: dict[str, Waveform], mode: str, machine: dict[str, int]
) -> None:
    assert_near(enhancer(segment_s=1, **machine)(noisy, RATE, mode), usual[mode])


@pytest.mark.parametrize("mode", MODES)
def test_company_does_not_matter(noisy: Waveform, usual: dict[str, Waveform], mode: str) -> None:
    alone = enhancer(segment_s=1)
    for channel in (0, 1):
        assert_near(alone(noisy[channel], RATE, mode), usual[mode][channel])


def test_the_same_seed_gives_the_same_samples(noisy: Waveform) -> None:
    one, other = (enhancer()(noisy[0, :RATE], RATE, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("precision", "mode", "least_db"),
    [("bfloat16", "fast", 25), ("bfloat16", "balanced", 20)],
)
def test_half_precision_is_near(
    noisy: Waveform, precision: BackendPrecision, mode: str, least_db: float
) -> None:
    exact, near = (
        enhancer(backend="pytorch", precision=numbers)(noisy[0], RATE, mode)
        for numbers in ("float32", precision)
    )
    assert si_sdr(near, exact) > least_db


@pytest.mark.parametrize("rate", [8000, 11_025, 12_345, 22_050, 44_100, 48_000, 96_000])
def test_no_rate_moves_the_sound(root: Path, noisy: Waveform, rate: int) -> None:
    """It lies where the clean one does, to the sample: a twelfth of a ms at 12,345 Hz."""
    clean = soundfile.read(root / "samples/clean/cafe.flac", frames=LENGTH, dtype="float32")[0]
    at_rate = [
        np.concatenate(list(resampled([one[:, None]], RATE, rate)))[:, 0]
        for one in (noisy[0], clean)
    ]
    enhanced = enhancer()(at_rate[0], rate, "fast")
    assert enhanced.shape == at_rate[0].shape
    likeness = {lag: float(np.dot(np.roll(enhanced, -lag), at_rate[1])) for lag in range(-5, 6)}
    assert max(likeness, key=likeness.__getitem__) == 0


@pytest.mark.parametrize("mode", MODES)
def test_clean_speech_keeps_its_level(root: Path, mode: str) -> None:
    """But for what the model takes for noise in it; the program itself changes nothing."""
    model = enhancer()
    for name in ("cafe", "rain"):
        clean = soundfile.read(root / f"samples/clean/{name}.flac", dtype="float32")[0]
        energies = [
            np.square(one[: len(one) // 320 * 320].reshape(-1, 320)).mean(axis=1)
            for one in (clean, model(clean, RATE, mode))
        ]
        speaks = energies[0] > 1e-3 * energies[0].max()
        change_db = 10 * np.log10(energies[1][speaks].sum() / energies[0][speaks].sum())
        assert -0.5 < change_db < 0.1


@pytest.mark.parametrize("mode", MODES)
def test_seams_are_not_heard(root: Path, mode: str) -> None:
    """What segments differ by from one piece, in any 50 ms: docs/performance.md."""
    names = ("cafe", "rain")
    sound = np.concatenate(
        [soundfile.read(root / f"samples/noisy/{name}.flac", dtype="float32")[0] for name in names]
    )
    whole = enhancer(segment_s=60)(sound, RATE, mode)
    differs = enhancer(segment_s=5)(sound, RATE, mode) - whole
    within = np.square(differs[: len(differs) // 800 * 800].reshape(-1, 800)).mean(axis=1)
    assert 10 * np.log10(within.max() / np.square(whole).mean()) < -35
