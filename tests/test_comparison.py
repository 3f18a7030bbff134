"""Pictures of a recording before and after."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from speechduet import comparison
from speechduet.audio import write
from speechduet.cli import app
from speechduet.comparison import draw_comparison
from speechduet.errors import AudioError, SettingError

pytest.importorskip("matplotlib", reason="needs matplotlib")


@pytest.fixture
def noisy(tmp_path: Path, rng: np.random.Generator) -> Path:
    path = tmp_path / "noisy.wav"
    write(path, rng.uniform(-0.1, 0.1, (2, 20_000)).astype(np.float32), 16_000)
    return path


def test_what_was_removed_is_the_difference(rng: np.random.Generator) -> None:
    one, other = rng.standard_normal((2, 1000)).astype(np.float32)
    blocks = comparison._difference(
        iter([one[:10], one[10:900], one[900:]]), iter([other[:300], other[300:700]])
    )
    assert np.array_equal(np.concatenate(list(blocks)), one[:700] - other[:700])


@pytest.mark.parametrize("suffix", comparison.SUFFIXES)
def test_any_formats_rates_lengths_and_channels(
    noisy: Path, tmp_path: Path, rng: np.random.Generator, suffix: str
) -> None:
    enhanced, clean = tmp_path / "$語_1$.flac", tmp_path / "clean.ogg"
    write(enhanced, rng.uniform(-0.01, 0.01, 30_000).astype(np.float32), 44_100)
    write(clean, np.zeros(9000, np.float32), 8000)
    picture = tmp_path / f"made/picture{suffix}"
    draw_comparison(noisy, enhanced, picture, clean)
    assert picture.stat().st_size > 10_000


def test_all_share_one_scale(noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = tmp_path / "quiet.wav"
    write(quiet, np.full(20_000, 0.001, np.float32), 16_000)
    drawn = []

    kept = comparison.draw_level

    def watched(axes, level, loudest, *rest):  # type: ignore[no-untyped-def]
        drawn.append((level.max(), loudest, *rest))
        return kept(axes, level, loudest, *rest)

    monkeypatch.setattr(comparison, "draw_level", watched)
    draw_comparison(noisy, quiet, tmp_path / "a.png")
    assert {one[1:] for one in drawn} == {(drawn[0][0], 16_000, 1.25)}
    assert len(drawn) == 3 and drawn[1][0] < drawn[0][0] - 10


def test_the_command(noisy: Path, tmp_path: Path) -> None:
    picture = tmp_path / "p.png"
    arguments = ["plot", str(noisy), str(noisy), "-o", str(picture)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert picture.is_file()
    for given, status, said in (
        (["plot", str(noisy), "absent.wav", "-o", str(picture)], 1, "absent.wav"),
        (["plot", str(noisy), str(noisy), "-o", "p.gif"], 2, "one of .png .svg .pdf"),
        (["plot", str(noisy)], 2, "enhanced"),
    ):
        result = CliRunner().invoke(app, given)
        assert result.exit_code == status and said in result.stderr


def test_pictures_beside_the_results(noisy: Path, tmp_path: Path, tiny_model: Path) -> None:
    out = tmp_path / "out"
    base = ["enhance", str(noisy), "-m", str(tiny_model), "--mode", "fast", "--plot"]
    result = CliRunner().invoke(app, [*base, "-o", str(out)])
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in out.iterdir()) == ["noisy.wav", "noisy.wav.png"]
    written = (out / "noisy.wav").stat().st_mtime_ns
    (out / "noisy.wav.png").unlink()
    assert CliRunner().invoke(app, [*base, "-o", str(out)]).exit_code == 0
    # The output was there and stays as it is; only its picture was missing.
    assert (out / "noisy.wav").stat().st_mtime_ns == written
    assert sorted(path.name for path in out.iterdir()) == ["noisy.wav", "noisy.wav.png"]
    result = CliRunner().invoke(app, [*base, "-o", "-"])
    assert result.exit_code == 2 and "a picture of a stream" in result.stderr


def test_without_matplotlib_nothing_is_begun(
    noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "installed", lambda _: False)
    with pytest.raises(SettingError, match=r"pip install 'speechduet\[evaluation\]'"):
        draw_comparison(noisy, noisy, tmp_path / "p.png")
    arguments = ["enhance", str(noisy), "-o", str(tmp_path / "out"), "--plot"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2 and not (tmp_path / "out").exists()


def test_recordings_that_cannot_be_read(noisy: Path, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan), 16_000, "FLOAT")
    for name in ("text.wav", "nan.wav"):
        with pytest.raises(AudioError, match=name):
            draw_comparison(noisy, tmp_path / name, tmp_path / "p.png")
    assert not (tmp_path / "p.png").exists()
