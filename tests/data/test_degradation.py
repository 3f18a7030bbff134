import numpy as np
import pytest

from speechduet.data.degradation import clipped, in_room, low_passed

RATE = 16_000


@pytest.fixture
def noise(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(RATE).astype(np.float32)


def test_a_room_without_walls_changes_nothing(noise: np.ndarray) -> None:
    impulse = np.zeros(500, np.float32)
    impulse[200] = 0.3
    target, whole = in_room(noise, impulse, 80)
    assert target.dtype == whole.dtype == np.float32
    np.testing.assert_allclose(target, noise, atol=1e-5)
    np.testing.assert_allclose(whole, noise, atol=1e-5)


def test_the_target_holds_the_early_sound_alone(noise: np.ndarray) -> None:
    impulse = np.zeros(3000, np.float32)
    impulse[100], impulse[150], impulse[2100] = 1.0, 0.5, 0.25
    target, whole = in_room(noise, impulse, 800)
    expected = noise.copy()
    expected[50:] += 0.5 * noise[:-50]
    expected /= np.sqrt(1.25)
    np.testing.assert_allclose(target, expected, atol=1e-5)
    late = np.zeros_like(noise)
    late[2000:] = 0.25 / np.sqrt(1.25) * noise[:-2000]
    np.testing.assert_allclose(whole - target, late, atol=1e-5)


def test_clipping_is_against_the_peak(noise: np.ndarray) -> None:
    peak = np.abs(noise).max()
    cut = clipped(noise, -6.0)
    assert np.abs(cut).max() == pytest.approx(peak * 10**-0.3, rel=1e-5)
    inside = np.abs(noise) < 0.5 * peak
    assert np.array_equal(cut[inside], noise[inside])
    np.testing.assert_allclose(clipped(3 * noise, -6.0), 3 * cut, rtol=1e-5)


def test_low_pass_keeps_what_is_below_in_its_place() -> None:
    time = np.arange(RATE) / RATE
    low, high = (np.sin(2 * np.pi * hz * time).astype(np.float32) for hz in (500, 6000))
    limited = low_passed(low + high, 3000.0, RATE)
    inner = slice(200, -200)
    np.testing.assert_allclose(limited[inner], low[inner], atol=0.01)
    assert np.array_equal(low_passed(high, RATE / 2, RATE), high)


def test_silence_stays_silence() -> None:
    silence = np.zeros(1000, np.float32)
    assert not clipped(silence, -3.0).any()
    assert not low_passed(silence, 1000.0, RATE).any()
