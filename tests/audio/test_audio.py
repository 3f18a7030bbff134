"""Reading and writing audio files, good and bad."""

import resource
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from speechduet.audio import (
    AudioFormat,
    Samples,
    probe,
    read,
    read_blocks,
    replacing,
    target_format,
    writable_suffix,
    write,
    write_blocks,
)
from speechduet.audio.notices import AudioWarning
from speechduet.errors import AudioError


def tone(samples: int = 16_000, sample_rate: int = 16_000, channels: int = 1) -> Samples:
    """``[channels, samples]``, another pitch in each channel."""
    times = np.arange(samples) / sample_rate
    pitches = 200.0 * np.arange(1, channels + 1)[:, None]
    return (0.4 * np.sin(2 * np.pi * pitches * times)).astype(np.float32)


def encode(
    path: Path,
    samples: Samples,
    sample_rate: int,
    codec: str,
    video: bool = False,
    options: dict[str, str] | None = None,
) -> None:
    """Write ``[channels, samples]`` with PyAV, beside a little video if wanted."""
    with av.open(str(path), "w", options=options or {}) as container:
        layout = "mono" if len(samples) == 1 else "stereo"
        stream = container.add_stream(codec, rate=sample_rate, layout=layout)
        picture = container.add_stream("mpeg4", rate=5) if video else None
        if picture is not None:
            picture.width = picture.height = 32
            picture.pix_fmt = "yuv420p"
            for _ in range(5):
                image = av.VideoFrame(32, 32, "yuv420p")
                container.mux(picture.encode(image))
            container.mux(picture.encode(None))
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", layout)
        frame.sample_rate = sample_rate
        frame.pts = 0
        wanted = stream.format.name
        stream.bit_rate = 192_000
        for converted in av.AudioResampler(wanted, layout, sample_rate).resample(frame):
            container.mux(stream.encode(converted))
        container.mux(stream.encode(None))


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


@pytest.mark.parametrize(
    ("name", "codec", "channels", "video"),
    [
        ("x.m4a", "aac", 2, False),
        ("x.mp4", "aac", 1, True),
        ("x.m4a", "alac", 1, False),
        ("x.mkv", "flac", 2, True),
        ("x.mka", "libopus", 1, False),
        ("x.avi", "pcm_s16le", 2, True),
        ("x.mov", "pcm_s24le", 1, False),
        ("x.mkv", "pcm_u8", 1, False),
        ("x.wma", "wmav2", 1, False),
    ],
)
def test_what_only_pyav_reads(
    tmp_path: Path, name: str, codec: str, channels: int, video: bool
) -> None:
    samples = tone(48_000, 48_000, channels)
    encode(tmp_path / name, samples, 48_000, codec, video)
    again, sample_rate = read(tmp_path / name)
    assert sample_rate == 48_000
    audio_format = probe(tmp_path / name)
    assert (audio_format.channels, audio_format.container) == (channels, "")
    assert audio_format.subtype == ("PCM_24" if codec in ("alac", "pcm_s24le") else "PCM_16")
    middle = slice(8_000, 40_000)
    shift = _delay(again[0], samples[0])
    error = np.roll(again, -shift, axis=1)[:, middle] - samples[:, middle]
    assert np.abs(error).mean() < 0.01


def _delay(late: Samples, early: Samples) -> int:
    """Encoder delay in samples, by the tone's phase: at most one period is told apart."""
    scores = [float(late[4000 + d : 8000 + d] @ early[4000:8000]) for d in range(240)]
    return int(np.argmax(scores))


@pytest.mark.parametrize("suffix", [".mp3", ".ogg"])
def test_lossy_containers_keep_length_and_level(tmp_path: Path, suffix: str) -> None:
    # Long enough for several blocks, whose borders must not be heard.
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


def test_a_rate_that_a_container_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="OPUS cannot hold 1 channels at 44100 Hz"):
        write(tmp_path / "x.opus", tone(), 44_100)
    assert not list(tmp_path.iterdir())


# Bad files


def truncate(path: Path) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    return path


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".au", ".flac", ".w64"])
def test_a_truncated_file(tmp_path: Path, suffix: str, rng: np.random.Generator) -> None:
    path = tmp_path / f"x{suffix}"
    write(path, rng.uniform(-0.5, 0.5, (1, 200_000)).astype(np.float32), 16_000)
    with pytest.raises(AudioError, match=r"is truncated: \d\.\d\d s .*expected the 12\.50 s"):
        list(read_blocks(truncate(path)))


def test_a_truncated_m4a(tmp_path: Path) -> None:
    path = tmp_path / "x.m4a"
    encode(path, tone(200_000), 16_000, "aac")
    # The index comes last, and with it all knowledge of what is in the file.
    with pytest.raises(AudioError, match=r"is truncated: its index \(moov\).*is missing"):
        read(truncate(path))


def test_a_truncated_m4a_with_its_index_first(tmp_path: Path) -> None:
    path = tmp_path / "x.m4a"
    encode(path, tone(200_000), 16_000, "aac", options={"movflags": "faststart"})
    with pytest.raises(AudioError, match=r"truncated|damaged"):
        read(truncate(path))


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_stream_whose_length_was_never_filled_in(tmp_path: Path, length: int) -> None:
    path = tmp_path / "x.wav"
    write(path, tone(), 16_000)
    data = bytearray(path.read_bytes())
    data[40:44] = length.to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.warns(AudioWarning, match=r"x\.wav states no length in its header"):
        assert read(path)[0].shape == (1, 16_000)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"cannot read .*none\.wav: No such file"):
        read(tmp_path / "none.wav")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="Is a directory"):
        read(tmp_path)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "x.wav").touch()
    with pytest.raises(AudioError, match=r"x\.wav is empty \(0 bytes\); expected an audio file"):
        read(tmp_path / "x.wav")


@pytest.mark.parametrize("name", ["x.wav", "x.mp3", "x.m4a", "x.txt", "x"])
def test_not_audio(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"These are the words of a letter, and no sound. " * 50)
    with pytest.raises(AudioError, match="not audio|no sound in it") as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_samples_without_a_header(tmp_path: Path) -> None:
    (tmp_path / "x.raw").write_bytes(bytes(1000))
    with pytest.raises(AudioError, match="has no header"):
        read(tmp_path / "x.raw")


def test_a_video_without_sound(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "x.mp4"), "w") as container:
        picture = container.add_stream("mpeg4", rate=5)
        picture.width = picture.height = 32
        picture.pix_fmt = "yuv420p"
        container.mux(picture.encode(av.VideoFrame(32, 32, "yuv420p")))
        container.mux(picture.encode(None))
    with pytest.raises(AudioError, match="has no sound in it"):
        read(tmp_path / "x.mp4")


def test_no_samples(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", np.zeros(0), 16_000)
    with pytest.raises(AudioError, match="holds no sound"):
        read(tmp_path / "x.wav")


# Bad places


def test_a_place_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AudioError, match=r"cannot write .*: (Not a directory|File exists)"):
        write(tmp_path / "file" / "x.wav", tone(), 16_000)


def test_a_device_is_never_replaced() -> None:
    with pytest.raises(AudioError, match="/dev/null is not a file"), replacing(Path("/dev/null")):
        pass
    assert Path("/dev/null").exists() and not Path("/dev/null").is_file()


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


def test_a_result_has_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    with replacing(tmp_path / "deep" / "x") as partial:
        partial.write_text("whole")
        assert not (tmp_path / "deep" / "x").exists()
    assert [(p.name, p.read_text()) for p in (tmp_path / "deep").iterdir()] == [("x", "whole")]


def test_a_wav_beyond_four_gigabytes_gets_long_lengths(tmp_path: Path) -> None:
    write_blocks(tmp_path / "x.wav", AudioFormat(16_000, 1), [tone().T], samples=1 << 32)
    assert soundfile.info(tmp_path / "x.wav").format == "RF64"
    assert read(tmp_path / "x.wav")[0].shape == (1, 16_000)
