"""From file to file: what is kept, what fails cleanly, and the memory that it takes."""

import resource
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from speechduet.audio import read, write
from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.files import enhance_file, mix_file
from speechduet.errors import AudioError, SettingError, SpeechduetError


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


@pytest.mark.parametrize(("suffix", "subtype"), [(".wav", "PCM_16"), (".mp3", "MPEG_LAYER_III")])
def test_another_strength_is_written_without_a_network(
    tmp_path: Path, tiny_model: Path, suffix: str, subtype: str
) -> None:
    enhancer = Enhancer.from_pretrained(tiny_model, threads=1)
    source = tmp_path / f"in{suffix}"
    write(source, tones(100_000, 44_100, 2), 44_100, subtype)
    with (tmp_path / "unmixed").open("w+b") as unmixed:
        enhance_file(source, tmp_path / f"full{suffix}", enhancer, "fast", unmixed=unmixed)
        mix_file(source, tmp_path / f"mixed{suffix}", unmixed, 0.3)
    enhance_file(source, tmp_path / f"direct{suffix}", enhancer, "fast", strength=0.3)
    full, mixed, direct = (
        (tmp_path / f"{name}{suffix}").read_bytes() for name in ("full", "mixed", "direct")
    )
    assert mixed == direct != full


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
    reports: list[tuple[float, float]] = []
    duration_s = enhance_file(
        *(tmp_path / "in.wav", tmp_path / "out.wav", unchanging),
        progress=lambda done_s, whole_s: reports.append((done_s, whole_s)),
    )
    assert len(reports) > 3
    assert reports == sorted(reports)
    assert reports[-1] == (duration_s, duration_s) == (200_000 / 44_100,) * 2


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


# Failures: one line, and nothing left behind


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
