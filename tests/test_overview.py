"""What a picture shows of a recording, however long it is and however its blocks are cut."""

import numpy as np
import pytest

from speechduet.overview import MOST_COLUMNS, overview


def sine(seconds: float, rate: int, hz: float = 1000) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_a_sine_of_full_scale_is_0_db(rate: int) -> None:
    shown = overview([sine(1, rate)], rate)
    middle = shown.spectrum_db[:, 10:-10]
    hz = np.linspace(0, rate / 2, len(middle))
    assert hz[middle.mean(axis=1).argmax()] == pytest.approx(1000, abs=hz[1])
    assert middle.max() == pytest.approx(0, abs=1.5)  # the window's loss between two bins
    assert shown.level_db[10:-10] == pytest.approx(-3.01, abs=0.05)
    assert shown.duration_s == pytest.approx(1) and shown.column_s == pytest.approx(0.008, rel=0.01)


@pytest.mark.parametrize("size", [1, 100, 127, 128, 5000])
def test_blocks_make_no_difference(rng: np.random.Generator, size: int) -> None:
    samples = rng.standard_normal(10_001).astype(np.float32)
    whole = overview([samples], 16_000)
    cut = overview([samples[i : i + size] for i in range(0, len(samples), size)], 16_000)
    assert np.array_equal(cut.spectrum_db, whole.spectrum_db)
    assert np.array_equal(cut.level_db, whole.level_db)
    assert len(whole.level_db) == -(-len(samples) // 128)


def test_a_click_is_where_it_was() -> None:
    samples = np.zeros(16_000, np.float32)
    samples[8000] = 1
    shown = overview([samples], 16_000)
    assert shown.level_db.argmax() == 8000 // 128
    assert shown.spectrum_db[50].argmax() == pytest.approx(8000 // 128, abs=1)


def test_long_recordings_keep_place_and_power_and_take_no_more_memory() -> None:
    rate = 8000
    blocks = [sine(10, rate) * (0.1 if i == 15 else 0.001) for i in range(20)]
    shown = overview(blocks, rate)
    assert MOST_COLUMNS / 2 < len(shown.level_db) <= MOST_COLUMNS
    assert shown.column_s == pytest.approx(0.128)
    times = np.arange(len(shown.level_db)) * shown.column_s
    loud = times[shown.level_db > -30]
    assert loud.min() == pytest.approx(150, abs=0.3) and loud.max() == pytest.approx(160, abs=0.3)
    assert np.median(shown.level_db[shown.level_db > -30]) == pytest.approx(-23, abs=0.1)
    assert shown.level_db[-1] == pytest.approx(-63, abs=0.1)


def test_nothing_and_next_to_nothing() -> None:
    assert overview([], 16_000).spectrum_db.shape[1] == 0
    for samples in (1, 128, 600):
        shown = overview([np.zeros(samples, np.float32)], 16_000)
        assert shown.level_db.shape == (-(-samples // 128),)
        assert (shown.level_db == -120).all()
