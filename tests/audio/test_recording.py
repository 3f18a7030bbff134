"""Recordings of any rate at the model's rate, and back."""

import io
from collections.abc import Iterator

import numpy as np
import pytest

from speechduet.audio import Samples
from speechduet.audio.recording import Recording, check_strength, mixed
from speechduet.audio.resampling import resampled
from speechduet.errors import AudioError, SettingError


def smooth(samples: int, sample_rate: int, channels: int = 1) -> Samples:
    """Tones well below any Nyquist frequency used here, ``[samples, channels]``."""
    times = np.arange(samples)[:, None] / sample_rate
    return (0.5 * np.sin(2 * np.pi * 300 * times * np.arange(1, channels + 1))).astype(np.float32)


def cut(columns: Samples, size: int) -> Iterator[Samples]:
    for start in range(0, len(columns), size):
        yield columns[start : start + size]


def recorded(columns: Samples, sample_rate: int, size: int = 1000) -> Recording:
    return Recording(
        cut(columns, size), sample_rate, 16_000, io.BytesIO(), "x.wav", keep_offset=True
    )


@pytest.mark.parametrize("samples", [1, 2, 7, 999, 1000, 1001, 12_345])
@pytest.mark.parametrize("sample_rate", [8000, 11_025, 16_000, 44_100, 96_000])
def test_the_way_there_and_back_keeps_the_length(samples: int, sample_rate: int) -> None:
    recording = recorded(smooth(samples, sample_rate, 2), sample_rate)
    there = recording.read(0, recording.length)
    assert recording.length == -(-samples * 16_000 // sample_rate)
    back = np.concatenate(list(recording.restored(cut(there.T, 777))))
    assert back.shape == (samples, 2)


@pytest.mark.parametrize("sample_rate", [8000, 11_025, 44_100, 96_000])
def test_the_way_there_and_back_keeps_the_sound(sample_rate: int) -> None:
    columns = smooth(2 * sample_rate, sample_rate)
    recording = recorded(columns, sample_rate)
    back = np.concatenate(list(recording.restored([recording.read(0, recording.length).T])))
    middle = slice(sample_rate // 4, -sample_rate // 4)
    assert np.abs(back - columns)[middle].max() < 1e-4


@pytest.mark.parametrize("size", [1, 10, 4096])
def test_the_size_of_blocks_does_not_matter(size: int) -> None:
    columns = smooth(5000, 44_100)
    whole = np.concatenate(list(resampled([columns], 44_100, 16_000)))
    parts = np.concatenate(list(resampled(cut(columns, size), 44_100, 16_000)))
    np.testing.assert_allclose(parts, whole, atol=1e-6)


def test_any_stretch_can_be_read() -> None:
    columns = smooth(5000, 16_000, 3)
    recording = recorded(columns, 16_000)
    np.testing.assert_array_equal(recording.read(1234, 2345), columns[1234:2345].T)
    np.testing.assert_array_equal(recording.read(4990, 5010)[:, :10], columns[4990:].T)
    assert not recording.read(4990, 5010)[:, 10:].any()
    np.testing.assert_array_equal(recording.peaks, np.abs(columns).max(axis=0))
    assert recording.duration_s == 5000 / 16_000


def test_direct_current_is_taken_out_before_resampling() -> None:
    columns = smooth(44_100, 44_100, 2)
    blocks = cut(columns + np.float32(0.25), 1000)
    recording = Recording(blocks, 44_100, 16_000, io.BytesIO())
    plain = recorded(columns, 44_100)
    difference = recording.read(0, recording.length) - plain.read(0, plain.length)
    assert np.abs(difference).max() < 0.01
    np.testing.assert_allclose(recording.peaks, plain.peaks, atol=0.01)


@pytest.mark.parametrize("blocks", [[], [np.zeros((0, 2), np.float32)]])
def test_no_samples(blocks: list[Samples]) -> None:
    with pytest.raises(AudioError, match="x holds no samples; expected at least one"):
        Recording(blocks, 16_000, 16_000, io.BytesIO(), "x")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_not_a_number(value: float) -> None:
    columns = smooth(5000, 16_000, 2)
    columns[1234, 1] = value
    with pytest.raises(AudioError, match=r"sample 1234 of x\.wav is NaN or infinite"):
        recorded(columns, 16_000)


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_mixing_does_not_depend_on_blocks(strength: float, rng: np.random.Generator) -> None:
    one, two = rng.standard_normal((2, 1000, 2)).astype(np.float32)
    result = np.concatenate(list(mixed(cut(one, 37), cut(two, 101), strength)))
    np.testing.assert_allclose(result, strength * one + (1 - strength) * two, atol=1e-6)


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_a_strength_out_of_range(strength: float) -> None:
    with pytest.raises(SettingError, match=r"strength is .* expected 0 \(input\) to 1"):
        check_strength(strength)
