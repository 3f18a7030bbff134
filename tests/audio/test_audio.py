"""Writing audio files, and reading them again."""

import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.audio import (
    AudioFormat,
    Samples,
    read,
    target_format,
    writable_suffix,
    write,
    write_blocks,
)
from speechduet.errors import AudioError


def tone(samples: int = 16_000, sample_rate: int = 16_000, channels: int = 1) -> Samples:
    """``[channels, samples]``, another pitch in each channel."""
    times = np.arange(samples) / sample_rate
    pitches = 200.0 * np.arange(1, channels + 1)[:, None]
    return (0.4 * np.sin(2 * np.pi * pitches * times)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff", ".au", ".caf", ".w64"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_lossless_containers_return_what_was_written(
    tmp_path: Path, suffix: str, subtype: str
) -> None:
    bits = int(subtype[-2:])
    samples = np.rint(tone(channels=2) * 2 ** (bits - 1)) / 2 ** (bits - 1)
    write(tmp_path / f"x{suffix}", samples, 44_100, subtype)
    again, sample_rate = read(tmp_path / f"x{suffix}")
    assert sample_rate == 44_100
    assert soundfile.info(tmp_path / f"x{suffix}").subtype == subtype
    np.testing.assert_array_equal(again, samples)


def test_float_stays_float_also_above_full_scale(tmp_path: Path) -> None:
    samples = 3 * tone()
    write(tmp_path / "x.wav", samples, 16_000, "FLOAT")
    np.testing.assert_array_equal(read(tmp_path / "x.wav")[0], samples)


@pytest.mark.filterwarnings("ignore:.*clipped")
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24"])
def test_pcm_is_clipped_and_not_wrapped(tmp_path: Path, subtype: str) -> None:
    samples = np.array([[-2.0, -1.0, 0.0, 1.0, 2.0]], np.float32)
    write(tmp_path / "x.wav", samples, 16_000, subtype)
    again, _ = read(tmp_path / "x.wav")
    step = 2.0 ** (1 - {"PCM_U8": 8, "PCM_16": 16, "PCM_24": 24}[subtype])
    np.testing.assert_array_equal(again, [[-1, -1, 0, 1 - step, 1 - step]])


def test_rounding_keeps_the_mean(tmp_path: Path) -> None:
    samples = np.full((1, 1000), 0.7 / 32768, np.float32)
    write(tmp_path / "x.wav", samples, 16_000)
    assert read(tmp_path / "x.wav")[0].mean() == 1 / 32768


@pytest.mark.parametrize("suffix", [".mp3", ".ogg"])
def test_lossy_containers_keep_length_and_level(tmp_path: Path, suffix: str) -> None:
    # Long enough for several blocks, whose borders must not be audible.
    samples = tone(200_001, 44_100, 2)
    write(tmp_path / f"x{suffix}", samples, 44_100)
    again, _ = read(tmp_path / f"x{suffix}")
    assert again.shape == samples.shape
    assert np.abs(again - samples)[:, 3000:-3000].max() < 0.05


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        (AudioFormat(8000, 1, "WAV", "PCM_16"), "x.wav", ("WAV", "PCM_16")),
        (AudioFormat(8000, 1, "WAV", "FLOAT"), "x.wav", ("WAV", "FLOAT")),
        (AudioFormat(8000, 1, "WAV", "FLOAT"), "x.flac", ("FLAC", "PCM_24")),
        (AudioFormat(8000, 1, "WAV", "ULAW"), "x.WAV", ("WAV", "ULAW")),
        (AudioFormat(8000, 1, "WAV", "ULAW"), "x.flac", ("FLAC", "PCM_16")),
        (AudioFormat(8000, 1, "FLAC", "PCM_24"), "x.aiff", ("AIFF", "PCM_24")),
        (AudioFormat(8000, 1, "MP3", "MPEG_LAYER_III"), "x.mp3", ("MP3", "MPEG_LAYER_III")),
        (AudioFormat(8000, 1, "MP3", "MPEG_LAYER_III"), "x.wav", ("WAV", "PCM_16")),
        (AudioFormat(8000, 1, "OGG", "VORBIS"), "x.opus", ("OGG", "OPUS")),
        (AudioFormat(48_000, 1, "OGG", "OPUS"), "x.opus", ("OGG", "OPUS")),
        (AudioFormat(48_000, 1, "WAV", "PCM_16"), "x.ogg", ("OGG", "VORBIS")),
        (AudioFormat(48_000, 1, "", "PCM_24"), "x.wav", ("WAV", "PCM_24")),
    ],
)
def test_the_format_of_a_result(source: AudioFormat, name: str, expected: tuple[str, str]) -> None:
    chosen = target_format(source, Path(name))
    assert (chosen.container, chosen.subtype) == expected
    assert soundfile.check_format(*expected)


def test_a_result_falls_back_to_wav() -> None:
    assert writable_suffix(Path("a.M4A")) == ".wav"
    assert writable_suffix(Path("a.FLAC")) == ".flac"


def test_a_suffix_that_cannot_be_written() -> None:
    with pytest.raises(AudioError, match=r"cannot write \.m4a.*one of \.wav"):
        target_format(AudioFormat(8000, 1), Path("x.m4a"))


# Bad places


def test_a_place_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AudioError, match=r"cannot write .*: (Not a directory|File exists)"):
        write(tmp_path / "file" / "x.wav", tone(), 16_000)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file can grow beyond 20 kB, which fails writes just as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_full_disk(tmp_path: Path, suffix: str, rng: np.random.Generator) -> None:
    (tmp_path / f"x{suffix}").write_text("earlier result")
    with pytest.raises(AudioError, match="the disk is full or has failed"):
        write(tmp_path / f"x{suffix}", rng.uniform(-1, 1, (1, 60_000)), 16_000)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["earlier result"]


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    def interrupted() -> Iterator[Samples]:
        yield tone().T
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_blocks(tmp_path / "x.wav", AudioFormat(16_000, 1), interrupted())
    assert not list(tmp_path.iterdir())


def test_a_wav_beyond_four_gigabytes_gets_long_lengths(tmp_path: Path) -> None:
    write_blocks(tmp_path / "x.wav", AudioFormat(16_000, 1), [tone().T], samples=1 << 32)
    assert soundfile.info(tmp_path / "x.wav").format == "RF64"
    assert read(tmp_path / "x.wav")[0].shape == (1, 16_000)
