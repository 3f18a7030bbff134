"""Pictures of recordings of any length, and of where the decoders disagree."""

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("gradio", reason="needs the extra app")
pytest.importorskip("matplotlib", reason="needs the extra app")

from matplotlib import image

from speechduet.app.page.pictures import COLUMNS, Levels, draw_levels, draw_unsure
from speechduet.picture import level_db

RATE = 16_000


@pytest.mark.parametrize("block", [701, 40_000])
def test_a_short_recording_has_a_column_for_each_frame(
    rng: np.random.Generator, block: int
) -> None:
    waveform = rng.normal(0, 0.1, 5 * RATE).astype(np.float32)
    levels = Levels(len(waveform), RATE, 1)
    for start in range(0, len(waveform), block):
        levels.push(waveform[start : start + block, None])
    (level,) = levels.finish()
    expected = level_db(torch.from_numpy(waveform), RATE).numpy()
    np.testing.assert_allclose(level, expected, atol=0.01)


def test_a_long_recording_has_means(rng: np.random.Generator) -> None:
    tone = 0.1 * np.sin(2 * np.pi * 1000 / RATE * np.arange(60 * RATE)).astype(np.float32)
    tone[30 * RATE :] = 0
    levels = Levels(len(tone), RATE, 2)
    for part in np.split(tone, 60):
        levels.push(np.stack([part, 2 * part], axis=1))
    single, double = levels.finish()
    assert single.shape == (257, COLUMNS)
    loud, silent = single[32, 10:590], single[32, 610:-1]
    assert np.ptp(loud) < 0.5
    assert (silent < -100).all()
    np.testing.assert_allclose(double[32, 10:590] - loud, 6.02, atol=0.01)


def test_a_picture_has_low_frequencies_below(tmp_path: Path) -> None:
    level = np.full((4, 3), -100, np.float32)
    level[0, 0] = 0
    draw_levels([level], [tmp_path / "a.png"], 0)
    pixels = image.imread(tmp_path / "a.png")
    assert pixels.shape[:2] == (4, 3)
    assert pixels[3, 0, :3].sum() > 2
    assert pixels[0, 0, :3].sum() < 0.1


@pytest.mark.parametrize(("rate", "rows"), [(16_000, 256), (48_000, 768), (8_000, 128)])
def test_where_they_disagree_lies_over_the_same_frequencies(
    tmp_path: Path, rate: int, rows: int
) -> None:
    disagreements = np.zeros((256, 3000), np.float32)
    disagreements[:64] = 0.5
    draw_unsure(disagreements, 8000.0, rate, tmp_path / "a.png")
    alpha = image.imread(tmp_path / "a.png")[::-1, :, 3]
    assert alpha.shape == (rows, COLUMNS)
    np.testing.assert_allclose(alpha[:64], 0.5, atol=0.01)
    assert not alpha[64:].any()
