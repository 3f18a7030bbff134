from pathlib import Path

import pytest
import torch

from speechduet.picture import draw_spectrograms, level_db, name_in_picture


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100])
def test_a_tone_is_where_it_should_be(sample_rate: int) -> None:
    times = torch.arange(sample_rate) / sample_rate
    level = level_db(torch.sin(2 * torch.pi * 1000 * times), sample_rate)
    bin_width_hz = sample_rate / 2 / (level.shape[0] - 1)
    assert level.mean(dim=1).argmax() * bin_width_hz == pytest.approx(1000, abs=bin_width_hz)
    assert level.shape[1] == 1 + sample_rate // (sample_rate * 8 // 1000)


def test_ten_times_the_amplitude_is_20_db_more() -> None:
    noise = torch.randn(8_000)
    difference = level_db(10 * noise, 16_000) - level_db(noise, 16_000)
    assert torch.allclose(difference, torch.full_like(difference, 20), atol=0.05)


def test_recordings_share_one_colour_scale(tmp_path: Path) -> None:
    """The quieter of two equal recordings comes out darker."""
    from matplotlib.image import imread

    noise = torch.randn(16_000)
    path = tmp_path / "picture.png"
    draw_spectrograms({"Loud": noise, "Quiet": 0.01 * noise}, 16_000, path)
    image = imread(path)[..., :3].mean(axis=2)
    height, width = image.shape
    middle = slice(width // 4, width // 2)
    upper = image[height // 4 : height // 3, middle].mean()
    lower = image[2 * height // 3 : 3 * height // 4, middle].mean()
    assert upper > lower + 0.1


def test_letters_that_the_font_lacks_are_boxes(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert name_in_picture("a語b") == "a□b" and name_in_picture("é Ω") == "é Ω"
    draw_spectrograms({"語": torch.zeros(1000)}, 16_000, tmp_path / "picture.png")


def test_silence_can_be_drawn(tmp_path: Path) -> None:
    draw_spectrograms({"Silence": torch.zeros(1000)}, 16_000, tmp_path / "picture.svg")
    assert (tmp_path / "picture.svg").stat().st_size > 0
