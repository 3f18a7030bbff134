"""What a file can hold: sample formats, rates, channels, size, and what is said of it."""

import os
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from sounds import loud, written
from speechduet.audio import AudioFormat, read, target_format, write, write_blocks
from speechduet.audio.loudspeakers import as_heard
from speechduet.audio.notices import AudioWarning
from speechduet.audio.tags import Tags
from speechduet.errors import AudioError

# Sample formats

BLOCK_CODED = ["IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32", "NMS_ADPCM_32", "MPEG_LAYER_III"]


@pytest.mark.parametrize("subtype", [*BLOCK_CODED, "something new"])
@pytest.mark.parametrize("suffix", [".wav", ".w64", ".aiff", ".au", ".flac", ".caf"])
def test_compressed_samples_become_pcm_of_the_same_length(
    tmp_path: Path, subtype: str, suffix: str
) -> None:
    samples = loud(0.5, 8000, 5003)
    for container in ("WAV", "AU", "AIFF", "W64"):
        source = AudioFormat(8000, 1, container, subtype)
        again, said = written(tmp_path / f"x{suffix}", [samples], source)
        assert soundfile.info(tmp_path / f"x{suffix}").subtype == "PCM_16"
        assert np.abs(again - samples).max() < 1e-4 and said == []


@pytest.mark.parametrize("subtype", BLOCK_CODED)
def test_that_samples_are_stored_otherwise_is_said_on_request(tmp_path: Path, subtype: str) -> None:
    source = AudioFormat(8000, 1, "WAV", subtype)
    _, said = written(tmp_path / "x.wav", [loud(0.5, 8000)], source, verbose=True)
    assert said == [f"{tmp_path / 'x.wav'}: samples are stored as PCM_16, not as {subtype}"]


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW"])
@pytest.mark.parametrize(
    ("container", "suffix", "kept"),
    [
        ("WAV", ".wav", True),
        ("WAVEX", ".wav", True),
        ("WAV", ".rf64", True),
        ("AU", ".au", True),
        ("W64", ".w64", True),
        ("WAV", ".flac", False),
        ("WAV", ".aiff", False),
    ],
)
def test_telephone_samples_stay_in_their_container(
    tmp_path: Path, subtype: str, container: str, suffix: str, kept: bool
) -> None:
    source = AudioFormat(8000, 1, container, subtype)
    written(tmp_path / f"x{suffix}", [loud(0.5, 8000)], source)
    assert soundfile.info(tmp_path / f"x{suffix}").subtype == (subtype if kept else "PCM_16")


@pytest.mark.parametrize(
    ("subtype", "suffix", "expected"),
    [
        ("ALAC_16", ".caf", "ALAC_16"),
        ("ALAC_16", ".wav", "PCM_16"),
        ("ALAC_20", ".wav", "PCM_24"),
        ("ALAC_24", ".flac", "PCM_24"),
        ("ALAC_32", ".wav", "PCM_32"),
        ("ALAC_32", ".flac", "PCM_24"),
        ("DWVW_24", ".aiff", "PCM_24"),
        ("DWVW_12", ".aiff", "PCM_16"),
        ("PCM_32", ".flac", "PCM_24"),
        ("DOUBLE", ".flac", "PCM_24"),
        ("DOUBLE", ".wav", "DOUBLE"),
        ("PCM_S8", ".wav", "PCM_16"),
        ("PCM_U8", ".aiff", "PCM_U8"),
        ("MPEG_LAYER_II", ".mp3", "MPEG_LAYER_III"),
        ("MPEG_LAYER_III", ".ogg", "VORBIS"),
    ],
)
def test_no_bit_depth_is_lost_that_can_be_kept(
    tmp_path: Path, subtype: str, suffix: str, expected: str
) -> None:
    container = {"A": "CAF", "D": "AIFF", "M": "MP3"}.get(subtype[0], "WAV")
    samples = loud(0.5)
    source = AudioFormat(48_000, 1, container, subtype)
    again, _ = written(tmp_path / f"x{suffix}", [samples], source)
    assert soundfile.info(tmp_path / f"x{suffix}").subtype == expected
    assert len(again) == len(samples)
    if expected in ("ALAC_16", "PCM_16"):
        assert np.abs(again - samples).max() < 1.01 / 65_536, "rounded to the nearest step"


# Rates

RATES = [4000, 8000, 11_025, 16_000, 22_050, 32_000, 37_800, 44_100, 48_000, 88_200, 96_000]
HIGH = [176_400, 192_000, 200_001, 384_000, 705_600, 768_000, 2_822_400]
HELD: dict[str, set[int]] = {
    ".opus": {8000, 12_000, 16_000, 24_000, 48_000},
    ".mp3": {8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000},
    ".ogg": {*RATES, 176_400, 192_000},
    ".flac": {*RATES, 176_400, 192_000, 384_000},
}


@pytest.mark.parametrize("suffix", [".opus", ".mp3", ".ogg", ".flac", ".wav", ".w64", ".caf"])
@pytest.mark.parametrize("sample_rate", [*RATES, *HIGH])
def test_a_rate_that_cannot_be_held_is_changed_and_it_is_said(
    tmp_path: Path, suffix: str, sample_rate: int
) -> None:
    samples = loud(0.5, sample_rate, sample_rate // 4 + 3)
    path = tmp_path / f"x{suffix}"
    again, said = written(path, np.array_split(samples, 5), AudioFormat(sample_rate, 1))
    rate = soundfile.info(path).samplerate
    if sample_rate in HELD.get(suffix, {sample_rate}):
        assert rate == sample_rate and said == [] and len(again) == len(samples)
        return
    assert rate in HELD[suffix]
    assert rate == 48_000 or suffix != ".opus"
    length = round(len(samples) * rate / sample_rate)
    assert len(again) == length
    (line,) = said
    assert f"{sample_rate} Hz" in line and f"{rate} Hz" in line and f"{length:,} samples" in line
    middle = slice(rate // 20, -rate // 20)
    expected = loud(0.5, rate, length)
    if suffix != ".opus" or sample_rate > 8000:
        assert np.abs(again - expected)[middle].max() < 0.08


@pytest.mark.parametrize("samples", [1, 2, 100])
def test_a_very_short_recording_at_another_rate(tmp_path: Path, samples: int) -> None:
    for suffix, sample_rate in ((".opus", 44_100), (".mp3", 96_000), (".flac", 768_000)):
        again, _ = written(
            tmp_path / f"x{suffix}",
            [loud(0.5, sample_rate, 500)[:samples]],
            AudioFormat(sample_rate, 1),
        )
        rate = soundfile.info(tmp_path / f"x{suffix}").samplerate
        assert len(again) == max(1, round(samples * rate / sample_rate))


# Channels and size


@pytest.mark.parametrize(
    ("suffix", "most"), [(".mp3", 2), (".flac", 8), (".ogg", 255), (".opus", 255), (".wav", 1024)]
)
def test_more_channels_than_a_container_holds(tmp_path: Path, suffix: str, most: int) -> None:
    path = tmp_path / f"x{suffix}"
    with pytest.raises(AudioError) as caught:
        target_format(AudioFormat(16_000, most + 1), path)
    assert str(caught.value).startswith(f"{most + 1} channels in {path}; expected at most {most}")
    assert ("such as wav" in str(caught.value)) == (suffix != ".wav")
    if most <= 8:
        source = AudioFormat(16_000, most)
        again, _ = written(path, [np.zeros((100, most), np.float32)], source)
        assert again.shape[1] == most


@pytest.mark.parametrize("suffix", [".aiff", ".au"])
def test_what_has_no_long_lengths_refuses_four_gigabytes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    audio_format = target_format(AudioFormat(48_000, 2), path)
    with pytest.raises(AudioError, match="4 GB.*such as wav"):
        write_blocks(path, audio_format, [np.zeros((10, 2), np.float32)], 1 << 30)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("samples", "container"), [(1 << 29, "WAV"), (1 << 31, "RF64")])
def test_wav_gets_long_lengths_only_when_it_needs_them(
    tmp_path: Path, samples: int, container: str
) -> None:
    blocks = [np.zeros((10, 1), np.float32)]
    write_blocks(tmp_path / "x.wav", AudioFormat(48_000, 1), blocks, samples)
    assert soundfile.info(tmp_path / "x.wav").format == container


@pytest.mark.parametrize("suffix", [".opus", ".ogg", ".flac", ".wav"])
@pytest.mark.parametrize("channels", [3, 5, 6, 7, 8])
def test_each_channel_comes_from_its_loudspeaker(
    tmp_path: Path, suffix: str, channels: int
) -> None:
    """Vorbis and Opus order channels in their own way: players must find the centre there."""
    times = np.arange(48_000) / 48_000
    pitches = 40.0 + 13 * np.arange(channels)
    samples = (0.3 * np.sin(2 * np.pi * pitches * times[:, None])).astype(np.float32)
    written(tmp_path / f"x{suffix}", [samples], AudioFormat(48_000, channels))
    # Packed, for PyAV crashes on the planes of eight channels.
    packed = av.AudioResampler("flt")
    with av.open(str(tmp_path / f"x{suffix}")) as container:
        frames = [packed.resample(frame)[0].to_ndarray() for frame in container.decode(audio=0)]
    again = np.concatenate(frames, axis=1).reshape(-1, channels)
    stored = soundfile.read(tmp_path / f"x{suffix}")[0]
    by_sndfile = as_heard(stored, soundfile.info(tmp_path / f"x{suffix}").format)
    for decoded in (again, by_sndfile):
        spectrum = np.abs(np.fft.rfft(decoded[:48_000].astype(np.float64), axis=0))
        found = np.argmax(spectrum[20:200], axis=0) + 20
        assert list(found) == list(pitches.astype(int))


def test_a_whole_recording_from_python_at_a_rate_that_opus_has_not(tmp_path: Path) -> None:
    with pytest.warns(AudioWarning, match="44100 Hz.*48000 Hz"):
        write(tmp_path / "x.opus", loud(0.5, 44_100, 44_100).T, 44_100)
    again, rate = read(tmp_path / "x.opus")
    assert (rate, again.shape) == (48_000, (1, 48_000))


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3"])
def test_a_recording_without_samples_is_not_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    audio_format = target_format(AudioFormat(48_000, 1), path)
    for blocks in ([], [np.zeros((0, 1), np.float32)]):
        with pytest.raises(AudioError, match=r"there are no samples for .*; expected one at least"):
            write_blocks(path, audio_format, blocks, tags=Tags((("title", "x"),)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (IsADirectoryError(21, "Is a directory"), "cannot be opened (Is a directory)"),
        (PermissionError(13, "Permission denied"), "cannot be opened (Permission denied); look at"),
    ],
)
def test_a_new_file_that_cannot_be_opened_is_no_fault_of_its_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: OSError, message: str
) -> None:
    def refuse(*_: object) -> None:
        raise refusal

    path, partial = tmp_path / "x.wav", tmp_path / "partial"
    partial.mkdir()  # Root may open any file whatever its permissions are, but no folder.
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AudioError) as caught:
        write(path, loud(0.5, 8000).T, 8000, partial=partial)
    assert str(caught.value).startswith(f"cannot write {path}: the new file for it {message}")


def test_a_umask_that_forbids_writing_is_named(tmp_path: Path) -> None:
    before = os.umask(0o277)
    try:
        (tmp_path / "other").touch()
        if os.access(tmp_path / "other", os.W_OK):
            pytest.skip("root may open any file")
        with pytest.raises(AudioError, match="Permission denied.*umask"):
            write(tmp_path / "x.wav", loud(0.5, 8000).T, 8000)
    finally:
        os.umask(before)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_U8", "ULAW", "ALAW"])
@pytest.mark.parametrize("samples", [799, 800])
def test_aiff_has_no_sample_more_than_was_written(
    tmp_path: Path, subtype: str, samples: int
) -> None:
    signal = loud(0.5, 8000, samples)
    path, source = tmp_path / "x.aiff", AudioFormat(8000, 1, "WAV", subtype)
    again, _ = written(path, [signal], source)
    assert again.shape == signal.shape
    assert soundfile.info(path).frames == samples
    with av.open(str(path)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == samples
