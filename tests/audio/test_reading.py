"""Reading audio files: every container, good and bad."""

import os
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from speechduet.audio import Samples, probe, read, read_blocks, read_mono, write
from speechduet.audio.notices import AudioWarning
from speechduet.errors import AudioError


def tone(samples: int = 16_000, sample_rate: int = 16_000, channels: int = 1) -> Samples:
    """``[channels, samples]``, another pitch in each channel."""
    times = np.arange(samples) / sample_rate
    pitches = 200.0 * np.arange(1, channels + 1)[:, None]
    return (0.4 * np.sin(2 * np.pi * pitches * times)).astype(np.float32)


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
    tmp_path: Path, encode, name: str, codec: str, channels: int, video: bool
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
    """Encoder delay in samples, by the tone's phase: it is known within one period."""
    scores = [float(late[4000 + d : 8000 + d] @ early[4000:8000]) for d in range(240)]
    return int(np.argmax(scores))


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


def test_a_truncated_m4a(tmp_path: Path, encode) -> None:
    path = tmp_path / "x.m4a"
    encode(path, tone(200_000), 16_000, "aac")
    # The index comes last, and with it all knowledge of what is in the file.
    with pytest.raises(AudioError, match=r"is truncated: its index \(moov\).*is missing"):
        read(truncate(path))


def test_a_truncated_m4a_with_its_index_first(tmp_path: Path, encode) -> None:
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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.wav")
    with pytest.raises(AudioError, match=r"x\.wav is not a regular file; write"):
        probe(tmp_path / "x.wav")


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
    with pytest.raises(AudioError, match="holds no (sound|samples)"):
        read(tmp_path / "x.wav")


def test_one_channel_is_read_in_the_precision_of_metrics(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", np.full((100, 1), 0.5), 8000)
    samples, rate = read_mono(tmp_path / "x.wav")
    assert (samples.dtype, samples.shape, rate) == (np.float64, (100,), 8000)
    soundfile.write(tmp_path / "x.wav", np.full((100, 2), 0.5), 8000)
    with pytest.raises(AudioError, match=r"x\.wav has 2 channels; expected one; score each"):
        read_mono(tmp_path / "x.wav")


@pytest.mark.parametrize("container", ["WAV", "RF64", "W64", "AIFF", "CAF", "AU"])
def test_a_rate_that_no_recorder_has(tmp_path: Path, container: str) -> None:
    path = tmp_path / "x.bin"
    for rate, is_one in ((10_000_000, True), (10_000_001, False)):
        soundfile.write(path, np.zeros(800), rate, "PCM_16", format=container)
        if is_one:
            assert probe(path).sample_rate == rate
            continue
        with pytest.raises(AudioError, match="states a rate of 10,000,001 Hz; expected 10,000,000"):
            read(path)
