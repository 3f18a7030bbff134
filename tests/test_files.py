"""From file to file: what is kept, what fails cleanly, and the memory that it takes."""

import os
import resource
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from torch import Tensor, nn

from speechduet.audio import read, write
from speechduet.audio.tags import read_tags
from speechduet.checkpoint import Pretrained
from speechduet.enhancer import Enhancer
from speechduet.errors import AudioError, SettingError, SpeechduetError
from speechduet.files import enhance_file
from speechduet.network.joint import Layout
from speechduet.process import OrnsteinUhlenbeck
from speechduet.sampler import Estimate, Sampling
from speechduet.spectrogram import Spectrogram


class Unchanging(nn.Module):
    """A system that takes the noisy speech for clean."""

    layout = Layout(generative=True, predictive="shared", parametrisation="clean")
    process = OrnsteinUhlenbeck()
    frame_multiple = 1

    def anchor(self, y: Tensor) -> Tensor:
        return y

    def estimate(self, x_t: Tensor, y: Tensor, *rest: Tensor, **which: bool) -> Estimate:
        return Estimate(y if which["generative"] else None, y if which["predictive"] else None)


@pytest.fixture
def unchanging() -> Enhancer:
    system: Any = Unchanging()
    balanced = Sampling(steps=1, predictor="deterministic", corrector_steps=0, beta=0.5)
    modes = {"fast": Sampling(steps=0), "balanced": balanced}
    return Enhancer(Pretrained("unchanging", system, Spectrogram(), modes), segment_s=1)


def tones(samples: int, sample_rate: int, channels: int = 1) -> np.ndarray[Any, Any]:
    times = np.arange(samples) / sample_rate
    return (0.4 * np.sin(600 * np.pi * np.arange(1, channels + 1)[:, None] * times)).astype("f")


@pytest.mark.parametrize(
    ("suffix", "subtype", "sample_rate", "channels"),
    [
        (".wav", "PCM_16", 8000, 1),
        (".wav", "FLOAT", 96_000, 2),
        (".wav", "PCM_24", 44_100, 8),
        (".wav", "PCM_16", 16_000, 1),
        (".flac", "PCM_16", 48_000, 2),
        (".ogg", "VORBIS", 22_050, 1),
        (".mp3", "MPEG_LAYER_III", 32_000, 2),
        (".aiff", "PCM_16", 11_025, 1),
    ],
)
def test_format_rate_channels_length_and_level_are_kept(
    tmp_path: Path,
    unchanging: Enhancer,
    suffix: str,
    subtype: str,
    sample_rate: int,
    channels: int,
) -> None:
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    write(source, tones(3 * sample_rate + 7, sample_rate, channels), sample_rate, subtype)
    assert enhance_file(source, target, unchanging) == pytest.approx(3, abs=1e-3)
    before, after = soundfile.info(source), soundfile.info(target)
    for name in ("format", "subtype", "samplerate", "channels", "frames"):
        assert getattr(before, name) == getattr(after, name), name
    given, result = read(source)[0], read(target)[0]
    middle = slice(sample_rate // 4, -sample_rate // 4)
    assert np.abs(given - result)[:, middle].max() < (1e-3 if "PCM" in subtype else 0.05)


def test_a_file_gives_what_its_samples_give(tmp_path: Path, unchanging: Enhancer) -> None:
    samples = tones(120_000, 44_100, 2)
    write(tmp_path / "in.wav", samples, 44_100, "FLOAT")
    enhance_file(tmp_path / "in.wav", tmp_path / "out.wav", unchanging, strength=0.7, seed=3)
    expected = unchanging(samples, 44_100, strength=0.7, seed=3)
    np.testing.assert_allclose(read(tmp_path / "out.wav")[0], expected, atol=1e-6)


def test_no_strength_is_the_input(tmp_path: Path, unchanging: Enhancer) -> None:
    write(tmp_path / "in.wav", tones(100_000, 44_100), 44_100)
    enhance_file(tmp_path / "in.wav", tmp_path / "out.wav", unchanging, strength=0)
    assert (tmp_path / "in.wav").read_bytes() == (tmp_path / "out.wav").read_bytes()


def test_the_sound_of_a_video(tmp_path: Path, unchanging: Enhancer) -> None:
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=22_050, layout="mono")
        pcm = (tones(50_000, 22_050) * 32_767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm, "s16", "mono")
        frame.sample_rate = 22_050
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    enhance_file(tmp_path / "in.mkv", tmp_path / "out.wav", unchanging)
    info = soundfile.info(tmp_path / "out.wav")
    assert (info.samplerate, info.frames, info.subtype) == (22_050, 50_000, "PCM_16")


def test_silence_gives_silence(tmp_path: Path, unchanging: Enhancer) -> None:
    write(tmp_path / "in.wav", np.zeros((2, 100_000), np.float32), 44_100)
    enhance_file(tmp_path / "in.wav", tmp_path / "out.wav", unchanging)
    result, _ = read(tmp_path / "out.wav")
    assert result.shape == (2, 100_000) and not result.any()


def test_one_sample(tmp_path: Path, unchanging: Enhancer) -> None:
    write(tmp_path / "in.wav", np.full((1, 1), 0.5, np.float32), 16_000)
    enhance_file(tmp_path / "in.wav", tmp_path / "out.wav", unchanging)
    np.testing.assert_allclose(read(tmp_path / "out.wav")[0], [[0.5]], atol=1e-4)


def test_progress_ends_at_the_duration(tmp_path: Path, unchanging: Enhancer) -> None:
    write(tmp_path / "in.wav", tones(200_000, 44_100), 44_100)
    told: list[tuple[float, float]] = []
    duration_s = enhance_file(
        *(tmp_path / "in.wav", tmp_path / "out.wav", unchanging),
        progress=lambda done_s, whole_s: told.append((done_s, whole_s)),
    )
    assert len(told) > 3
    assert told == sorted(told)
    assert told[-1] == (duration_s, duration_s) == (200_000 / 44_100,) * 2


def test_memory_does_not_grow_with_length(tmp_path: Path, unchanging: Enhancer) -> None:
    def peak(seconds: int) -> int:
        write(tmp_path / "in.wav", np.tile(tones(44_100, 44_100), seconds), 44_100)
        tracemalloc.start()
        enhance_file(tmp_path / "in.wav", tmp_path / "out.wav", unchanging, "fast")
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return taken

    peak(5)
    assert peak(60) < 1.1 * peak(15)


def test_tags_survive_and_what_does_not_is_said_on_request(
    tmp_path: Path, unchanging: Enhancer
) -> None:
    with soundfile.SoundFile(tmp_path / "in.flac", "w", 16_000, 1) as file:
        file.title = "Gespräch"
        file.write(tones(16_000, 16_000)[0])
    for name, expected in (("out.mp3", []), ("out.au", ["title"])):
        said: list[str] = []
        for verbose in (False, True):
            enhance_file(
                *(tmp_path / "in.flac", tmp_path / name, unchanging),
                notify=said.append,
                verbose=verbose,
            )
        assert [line.split()[-1] for line in said] == expected
    assert dict(read_tags(tmp_path / "out.mp3").texts)["title"] == "Gespräch"


def test_clipping_is_said_once(tmp_path: Path, unchanging: Enhancer) -> None:
    soundfile.write(tmp_path / "in.wav", 4 * tones(40_000, 16_000)[0], 16_000, "FLOAT")
    said: list[str] = []
    for name in ("out.flac", "out.wav", "out.mp3"):
        enhance_file(tmp_path / "in.wav", tmp_path / name, unchanging, notify=said.append)
    assert [Path(line.split(": ")[0]).name for line in said] == ["out.flac", "out.mp3"]
    assert "of 40,000 samples clipped (peak 1.6" in said[0]


@pytest.mark.parametrize("suffix", [".opus", ".mp3"])
def test_a_rate_that_the_target_has_not(tmp_path: Path, unchanging: Enhancer, suffix: str) -> None:
    write(tmp_path / "in.wav", tones(96_000, 96_000, 2), 96_000)
    said: list[str] = []
    target = tmp_path / f"out{suffix}"
    duration_s = enhance_file(tmp_path / "in.wav", target, unchanging, notify=said.append)
    info = soundfile.info(target)
    assert (duration_s, info.samplerate, info.frames) == (1.0, 48_000, 48_000)
    assert len(said) == 1 and "96000 Hz" in said[0] and "48000 Hz (48,000 samples)" in said[0]


def test_mp3_inside_wav_becomes_pcm(tmp_path: Path, unchanging: Enhancer) -> None:
    with av.open(str(tmp_path / "in.wav"), "w") as container:
        stream = container.add_stream("libmp3lame", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tones(32_000, 16_000), "fltp", "mono")
        frame.sample_rate, frame.pts = 16_000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert soundfile.info(tmp_path / "in.wav").subtype == "MPEG_LAYER_III"
    for name in ("out.wav", "out.flac", "out.aiff"):
        enhance_file(tmp_path / "in.wav", tmp_path / name, unchanging)
        assert soundfile.info(tmp_path / name).subtype == "PCM_16"
        assert abs(soundfile.info(tmp_path / name).frames - 32_000) < 3000


# A recording and its confidence file


def test_both_files_of_a_recording_appear(tmp_path: Path, unchanging: Enhancer) -> None:
    write(tmp_path / "in.wav", tones(20_000, 16_000), 16_000)
    files = (tmp_path / "deep" / "out.wav", tmp_path / "maps" / "map.npz")
    enhance_file(tmp_path / "in.wav", files[0], unchanging, confidence=files[1])
    assert all(path.is_file() for path in files)
    assert len(list(tmp_path.rglob("*"))) == 5


@pytest.mark.parametrize("place", ["file/map.npz", "folder.npz"])
def test_no_audio_without_its_confidence_file(
    tmp_path: Path, unchanging: Enhancer, place: str
) -> None:
    write(tmp_path / "in.wav", tones(20_000, 16_000), 16_000)
    (tmp_path / "file").touch()
    (tmp_path / "folder.npz").mkdir()
    before = (tmp_path / "in.wav").stat()
    error = refused(tmp_path, unchanging, "deep/out.wav", confidence=tmp_path / place)
    assert Path(place).name in str(error)
    assert (tmp_path / "in.wav").stat().st_mtime == before.st_mtime


@pytest.mark.parametrize("failing", ["out.wav", "map.npz"])
def test_none_appears_if_one_cannot_take_its_name(
    tmp_path: Path, unchanging: Enhancer, failing: str
) -> None:
    write(tmp_path / "in.wav", tones(20_000, 16_000), 16_000)

    def block(done_s: float, whole_s: float) -> None:
        (tmp_path / failing).mkdir(exist_ok=True)

    with pytest.raises(AudioError, match=f"cannot write .*{failing}"):
        enhance_file(
            *(tmp_path / "in.wav", tmp_path / "out.wav", unchanging),
            confidence=tmp_path / "map.npz",
            progress=block,
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.wav", failing])


@pytest.mark.usefixtures("small_files")
def test_no_audio_if_the_disk_is_full_of_its_map(tmp_path: Path, unchanging: Enhancer) -> None:
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 4000)
    soundfile.write(tmp_path / "in.wav", noise, 16_000)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (17_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    )
    error = refused(tmp_path, unchanging, confidence=tmp_path / "map.png")
    assert str(error).startswith("cannot write ") and "map.png" in str(error)


# Failures: one line, and nothing left behind


@pytest.mark.parametrize("kind", ["device", "pipe", "folder"])
def test_a_target_that_is_no_file(tmp_path: Path, unchanging: Enhancer, kind: str) -> None:
    write(tmp_path / "in.wav", tones(1000, 16_000), 16_000)
    target = tmp_path / "out.wav"
    if kind == "device":
        target.symlink_to("/dev/null")
    elif kind == "pipe":
        os.mkfifo(target)
    else:
        target.mkdir()
    assert "out.wav is not a file but a" in str(refused(tmp_path, unchanging))
    with pytest.raises(AudioError, match="/dev/null is not a file but a device"):
        enhance_file(tmp_path / "in.wav", "/dev/null", unchanging)


def test_no_folder_is_left_by_a_failure(tmp_path: Path, unchanging: Enhancer) -> None:
    (tmp_path / "in.wav").write_bytes(b"no sound at all")
    refused(tmp_path, unchanging, "a/b/out.wav")
    soundfile.write(tmp_path / "in.wav", np.full(9000, np.nan), 16_000, "FLOAT")
    refused(tmp_path, unchanging, "a/b/out.wav")


@pytest.mark.parametrize("name", ["x" * 251, "語" * 83])
def test_the_longest_names(tmp_path: Path, unchanging: Enhancer, name: str) -> None:
    write(tmp_path / f"{name}.wav", tones(1000, 16_000), 16_000)
    enhance_file(tmp_path / f"{name}.wav", tmp_path / "out" / f"{name}.wav", unchanging)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{name}.wav"]
    with pytest.raises(AudioError, match="File name too long"):
        enhance_file(tmp_path / f"{name}.wav", tmp_path / f"{name}xyz.wav", unchanging)


def refused(
    tmp_path: Path, enhancer: Enhancer, target: str = "out.wav", **settings: Any
) -> SpeechduetError:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SpeechduetError) as caught:
        enhance_file(tmp_path / "in.wav", tmp_path / target, enhancer, **settings)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before
    return caught.value


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_numbers(tmp_path: Path, unchanging: Enhancer, value: float) -> None:
    samples = tones(100_000, 44_100)
    samples[0, 70_000] = value
    write(tmp_path / "in.wav", samples, 44_100, "FLOAT")
    error = refused(tmp_path, unchanging)
    assert "sample 70000 of" in str(error) and "in.wav is NaN or infinite" in str(error)


def test_no_samples(tmp_path: Path, unchanging: Enhancer) -> None:
    soundfile.write(tmp_path / "in.wav", np.zeros(0), 16_000)
    assert "in.wav holds no samples; expected at least one" in str(refused(tmp_path, unchanging))


def test_a_missing_source(tmp_path: Path, unchanging: Enhancer) -> None:
    assert isinstance(refused(tmp_path, unchanging), AudioError)


def test_a_truncated_source(tmp_path: Path, unchanging: Enhancer) -> None:
    write(tmp_path / "in.wav", tones(100_000, 44_100), 44_100)
    data = (tmp_path / "in.wav").read_bytes()
    (tmp_path / "in.wav").write_bytes(data[: len(data) // 2])
    assert "is truncated" in str(refused(tmp_path, unchanging))


def test_a_place_that_cannot_be_written(tmp_path: Path, unchanging: Enhancer) -> None:
    write(tmp_path / "in.wav", tones(1000, 16_000), 16_000)
    (tmp_path / "file").touch()
    error = refused(tmp_path, unchanging, "file/out.wav")
    assert str(error).startswith("cannot write ")


@pytest.mark.parametrize(
    ("target", "settings", "message"),
    [
        ("out.m4a", {}, "cannot write .m4a"),
        ("out.wav", {"mode": "slow"}, "has no mode 'slow'"),
        ("out.wav", {"steps": -3}, "steps is -3"),
        ("out.wav", {"strength": 3}, "strength is 3"),
        ("out.wav", {"confidence": "map.txt"}, "a confidence map in map.txt"),
        ("out.wav", {"confidence": "map.npz", "mode": "fast"}, "no step evaluates both"),
    ],
)
def test_unusable_settings(
    tmp_path: Path, unchanging: Enhancer, target: str, settings: dict[str, Any], message: str
) -> None:
    write(tmp_path / "in.wav", tones(1000, 16_000), 16_000)
    error = refused(tmp_path, unchanging, target, **settings)
    assert isinstance(error, SettingError | AudioError) and message in str(error)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file can grow beyond 50 kB, which fails writes just as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("sample_rate", [8000, 96_000])
def test_a_full_disk(tmp_path: Path, unchanging: Enhancer, sample_rate: int) -> None:
    # A low rate fills it with samples at the model's rate, a high one with the result.
    faint = np.random.default_rng(0).uniform(-1e-4, 1e-4, 60_000)
    soundfile.write(tmp_path / "in.wav", faint, sample_rate, subtype="PCM_16", format="FLAC")
    assert "cannot write" in str(refused(tmp_path, unchanging))


def test_an_interruption(tmp_path: Path, unchanging: Enhancer) -> None:
    write(tmp_path / "in.wav", tones(200_000, 16_000), 16_000)
    (tmp_path / "out.wav").write_text("earlier result")

    def interrupt(done_s: float, whole_s: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        enhance_file(tmp_path / "in.wav", tmp_path / "out.wav", unchanging, progress=interrupt)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.wav", "out.wav"]
    assert (tmp_path / "out.wav").read_text() == "earlier result"
