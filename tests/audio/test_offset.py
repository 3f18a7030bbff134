"""Direct current: taken out whole, whatever the blocks, and nothing else with it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechduet.audio.offset import centred, without_offset

RATE = 1_000


def joined(blocks: list[np.ndarray], rate: int = RATE) -> np.ndarray:
    return np.concatenate([blocks[0][:0], *without_offset(blocks, rate)])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4_000), st.lists(st.integers(0, 4_000), max_size=6), st.integers(1, 3))
def test_block_sizes_change_nothing(samples: int, cuts: list[int], channels: int) -> None:
    whole = np.random.default_rng(samples).standard_normal((samples, channels)) + 0.3
    whole = whole.astype(np.float32)
    borders = [0, *sorted(min(cut, samples) for cut in cuts), samples]
    blocks = [whole[a:b] for a, b in pairwise(borders)]
    cut = joined(blocks)
    assert cut.shape == whole.shape and cut.dtype == np.float32
    np.testing.assert_allclose(cut, centred(whole, RATE), atol=1e-6)


@pytest.mark.parametrize("samples", [100, 101, 333, 499, 500, 501, 999, 1_000, 1_001, 12_345])
@pytest.mark.parametrize("offset", [0.0, 1e-3, -0.1, 0.9, 1e3])
def test_a_constant_becomes_silence(samples: int, offset: float) -> None:
    assert not centred(np.full((samples, 2), offset, np.float32), RATE).any()


@pytest.mark.parametrize("frequency_hz", [50, 61, 100, 333])
def test_tones_of_speech_stay(frequency_hz: int) -> None:
    tone = np.sin(2 * np.pi * frequency_hz * np.arange(8_000) / RATE).astype(np.float32)[:, None]
    inside = slice(500, -500)
    difference = centred(tone + 0.25, RATE) - tone
    assert np.abs(difference[inside]).max() < 3e-4
    assert np.abs(difference).max() < 0.03  # an unfinished period at an end has a mean of its own


def test_an_offset_that_drifts_or_differs_between_channels_goes_too(
    rng: np.random.Generator,
) -> None:
    noise = 0.1 * rng.standard_normal((20_000, 2))
    drift = np.stack([np.linspace(-0.2, 0.4, 20_000), np.full(20_000, 0.05)], 1)
    steady = centred((noise + drift).astype(np.float32), RATE)
    for start in range(0, 19_000, 1_000):
        assert np.abs(steady[start : start + 1_000].mean(axis=0)).max() < 0.012


@pytest.mark.parametrize("samples", [1, 2, 99])
def test_what_is_too_short_for_a_mean_stays(samples: int, rng: np.random.Generator) -> None:
    short = (rng.standard_normal((samples, 2)) + 1).astype(np.float32)
    np.testing.assert_array_equal(centred(short, RATE), short)


def test_nothing_is_nothing() -> None:
    assert list(without_offset([], RATE)) == []
    assert joined([np.zeros((0, 2), np.float32)]).shape == (0, 2)
