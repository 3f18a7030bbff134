"""Every reader of training data gives what a player would play, whatever the file stores."""

import io
import json
import tarfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from speechduet.data import Mixing, PairExcerpts, Recordings, find_pairs
from speechduet.data.clip import Clip
from speechduet.data.mixture_set import MixtureSet, tasks
from speechduet.data.sources import read, read_pair
from speechduet.errors import AudioError

RATE = 16_000
LENGTH = 24_000
PLAIN = Mixing(excerpt_s=1.0, level_db=(0.0, 0.0))

EXACT = 2e-4
COARSE = 0.02
KINDS: dict[str, tuple[str, str, float]] = {
    "u8": ("wav", "PCM_U8", COARSE),
    "16": ("wav", "PCM_16", EXACT),
    "24": ("wav", "PCM_24", EXACT),
    "32": ("wav", "PCM_32", EXACT),
    "float": ("wav", "FLOAT", EXACT),
    "double": ("wav", "DOUBLE", EXACT),
    "ulaw": ("wav", "ULAW", COARSE),
    "alaw": ("wav", "ALAW", COARSE),
    "adpcm": ("wav", "IMA_ADPCM", 0.1),
    "flac16": ("flac", "PCM_16", EXACT),
    "flac24": ("flac", "PCM_24", EXACT),
    "aiff_float": ("aiff", "FLOAT", EXACT),
    "au_double": ("au", "DOUBLE", EXACT),
    "caf_float": ("caf", "FLOAT", EXACT),
    "w64_float": ("w64", "FLOAT", EXACT),
    "rf64_float": ("rf64", "FLOAT", EXACT),
    "ogg": ("ogg", "VORBIS", 0.1),
    "opus": ("opus", "OPUS", 0.2),
    "mp3": ("mp3", "MPEG_LAYER_III", 0.1),
    "m4a": ("m4a", "", 0.1),
    "mka_float": ("mka", "", EXACT),
}
PEAKS = (0.5, 3.7, 0.001)
HOLDS_FLOATS = ("float", "double", "aiff_float", "au_double", "caf_float", "w64_float", "mka_float")


def tone(peak: float = 0.5, length: int = LENGTH, rate: int = RATE) -> np.ndarray:
    time = np.arange(length) / rate
    slow = np.sin(2 * np.pi * 1.5 * time + 0.3)
    return (peak * np.sin(2 * np.pi * 300 * time) * slow).astype(np.float32)


def write(path: Path, samples: np.ndarray, subtype: str, rate: int = RATE) -> None:
    """``[samples]`` or ``[samples, channels]``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if subtype:
        container = "OGG" if path.suffix == ".opus" else path.suffix[1:].upper()
        soundfile.write(path, samples, rate, subtype, format=container)
        return
    with av.open(str(path), "w") as container:
        codec = "aac" if path.suffix == ".m4a" else "pcm_f32le"
        stream = container.add_stream(codec, rate=rate, layout="mono")
        packed = "fltp" if codec == "aac" else "flt"
        for start in range(0, len(samples), 1024):
            block = np.ascontiguousarray(samples[None, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(block, packed, "mono")
            frame.sample_rate, frame.pts = rate, start
            frame.time_base = Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def folder(path: Path, samples: np.ndarray) -> np.ndarray:
    return Recordings(path.parent, RATE).at(0)


def clip(path: Path, samples: np.ndarray) -> np.ndarray:
    return Clip(path).read(0, LENGTH, RATE)


def member(path: Path, samples: np.ndarray) -> np.ndarray:
    shard = path.parent / "shards" / "a.tar"
    shard.parent.mkdir()
    with tarfile.open(shard, "w") as archive:
        for role in ("clean", "noisy"):
            archive.add(path, f"x.{role}{path.suffix}")
        archive.addfile(tarfile.TarInfo("x.json"), io.BytesIO())
    return find_pairs(shard.parent)[0].noisy.read(0, LENGTH, RATE)


def manifest(path: Path, samples: np.ndarray) -> np.ndarray:
    listed = path.parent / "list.jsonl"
    listed.write_text(json.dumps({"clean": path.name, "noisy": path.name}))
    return find_pairs(listed)[0].clean.read(0, LENGTH, RATE)


def prepared(path: Path, samples: np.ndarray) -> np.ndarray:
    return read(path, RATE).samples


def prepared_pair(path: Path, samples: np.ndarray) -> np.ndarray:
    return read_pair(path, path, RATE).noisy


READERS = (folder, clip, member, manifest, prepared, prepared_pair)


def loudness(error: np.ndarray, sound: np.ndarray) -> float:
    return float(np.sqrt(np.mean(error**2) / np.mean(sound**2)))


def aligned(decoded: np.ndarray, sound: np.ndarray) -> np.ndarray:
    """A decoded recording, shifted by the delay that a lossy coder may leave."""
    decoded = np.append(decoded, np.zeros(4096))
    whole = np.fft.irfft(np.fft.rfft(decoded, 65_536) * np.fft.rfft(sound, 65_536).conj(), 65_536)
    delay = int(whole[:4096].argmax())
    return decoded[delay : delay + len(sound)]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_in_every_reader(
    kind: str, reader: Callable[[Path, np.ndarray], np.ndarray], tmp_path: Path
) -> None:
    suffix, subtype, tolerance = KINDS[kind]
    path = tmp_path / "set" / f"x.{suffix}"
    write(path, tone(), subtype)
    decoded = aligned(reader(path, tone()), tone())
    assert loudness(decoded - tone(), tone()) < tolerance


@pytest.mark.parametrize("reader", [r for r in READERS if r is not prepared_pair])
@pytest.mark.parametrize("peak", PEAKS)
@pytest.mark.parametrize("kind", HOLDS_FLOATS)
@pytest.mark.filterwarnings("ignore:.*full scale")
def test_floats_of_any_level(
    kind: str, peak: float, reader: Callable[[Path, np.ndarray], np.ndarray], tmp_path: Path
) -> None:
    suffix, subtype, _ = KINDS[kind]
    path = tmp_path / "set" / f"x.{suffix}"
    write(path, tone(peak), subtype)
    assert loudness(reader(path, tone(peak))[:LENGTH] - tone(peak), tone(peak)) < EXACT


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("m4a", "mka_float")])
def test_any_stretch_is_that_of_the_whole(kind: str, tmp_path: Path) -> None:
    suffix, subtype, _ = KINDS[kind]
    path = tmp_path / f"x.{suffix}"
    write(path, tone(), subtype)
    whole = Clip(path).read(0, LENGTH)
    for start, length in ((0, 100), (12_345, 5000), (23_900, 300)):
        expected = np.append(whole[start : start + length], np.zeros(length))[:length]
        np.testing.assert_allclose(Clip(path).read(start, length), expected, atol=0.01)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000])
def test_other_rates_are_resampled_alike_by_all(rate: int, tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    write(path, tone(0.5, round(1.5 * rate), rate), "FLOAT", rate)
    with pytest.warns(UserWarning, match=rf"1 of 1 recordings have a.* sample rate.*x.wav: {rate}"):
        whole = Recordings(tmp_path, RATE).at(0)
    assert abs(len(whole) - LENGTH) <= 1
    inner = slice(200, -200)
    np.testing.assert_allclose(whole[inner], tone(length=len(whole))[inner], atol=1e-3)
    for start in (0, 77, 9001, 20_000):
        stretch = Clip(path).read(start, 3000, RATE)
        np.testing.assert_allclose(stretch, whole[start : start + 3000], atol=1e-4)
    at_the_end = Clip(path).read(LENGTH - 100, 300, RATE)
    np.testing.assert_allclose(at_the_end[:100], whole[LENGTH - 100 : LENGTH], atol=1e-3)
    assert not at_the_end[150:].any()


@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_pairs_at_another_rate(rate: int, tmp_path: Path) -> None:
    for role in ("clean", "noisy"):
        write(tmp_path / role / "x.wav", tone(0.5, 2 * rate, rate), "PCM_16", rate)
    notes: list[str] = []
    excerpts = PairExcerpts(find_pairs(tmp_path), PLAIN, RATE, 0, notes.append)
    clean, noisy = excerpts.example(1)
    assert np.array_equal(clean, noisy) and len(clean) == RATE
    assert np.abs(np.fft.rfft(clean)).argmax() == pytest.approx(300, abs=3)
    assert bool(notes) == (rate != RATE)


def test_the_first_channel_with_sound_is_taken_and_told(tmp_path: Path) -> None:
    one_sided = np.stack([np.zeros(LENGTH), tone(), 0.1 * tone()], 1)
    for role in ("clean", "noisy"):
        write(tmp_path / role / "x.wav", one_sided, "PCM_16")
    notes: list[str] = []
    held = Recordings(tmp_path / "clean", RATE, notify=notes.append).at(0)
    np.testing.assert_allclose(held, tone(), atol=1e-4)
    clean, _ = PairExcerpts(find_pairs(tmp_path), PLAIN, RATE, 0, notes.append).example(0)
    assert np.abs(clean).max() == pytest.approx(1.0, abs=1e-3)
    assert len(notes) == 2
    assert all("silent in the first channel" in line and "channel 2" in line for line in notes)
    np.testing.assert_allclose(read(tmp_path / "clean/x.wav", RATE).samples, tone(), atol=1e-4)
    made = read_pair(tmp_path / "clean/x.wav", tmp_path / "noisy/x.wav", RATE)
    np.testing.assert_allclose(made.noisy, tone(), atol=1e-4)
    assert "channel 2" in made.note


def test_both_of_a_pair_are_read_from_the_channel_of_the_clean_sound(tmp_path: Path) -> None:
    write(tmp_path / "clean/x.wav", np.stack([np.zeros(LENGTH), tone()], 1), "PCM_16")
    write(tmp_path / "noisy/x.wav", np.stack([-tone(), tone()], 1), "PCM_16")
    excerpts = PairExcerpts(find_pairs(tmp_path), PLAIN, RATE, 0, lambda _: None)
    np.testing.assert_allclose(*excerpts.example(0), atol=1e-3)
    clean, noisy, *_ = read_pair(tmp_path / "clean/x.wav", tmp_path / "noisy/x.wav", RATE)
    np.testing.assert_allclose(clean, noisy, atol=1e-3)


def test_noise_in_another_channel_than_the_speech_is_found(tmp_path: Path) -> None:
    write(tmp_path / "clean/x.wav", tone(), "PCM_16")
    write(tmp_path / "noisy/x.wav", np.stack([np.zeros(LENGTH), tone()], 1), "PCM_16")
    notes: list[str] = []
    excerpts = PairExcerpts(find_pairs(tmp_path), PLAIN, RATE, 0, notes.append)
    np.testing.assert_allclose(*excerpts.example(0), atol=1e-3)
    assert len(notes) == 1 and "x: channel 2 of noisy" in notes[0]
    made = read_pair(tmp_path / "clean/x.wav", tmp_path / "noisy/x.wav", RATE)
    np.testing.assert_allclose(made.noisy, tone(), atol=1e-3)
    assert "channel 2 of noisy is taken" in made.note


SILENT = {
    "zeros": np.zeros(LENGTH),
    "dither": np.resize([1 / 32768, 0, -1 / 32768], LENGTH),
    "far too quiet": tone(1e-6),
}


@pytest.mark.parametrize("silence", SILENT)
def test_single_silent_recordings_are_told_and_all_of_them_refused(
    silence: str, tmp_path: Path
) -> None:
    for name in ("a", "b", "c", "d", "e"):
        for role in ("clean", "noisy"):
            write(tmp_path / role / f"{name}.wav", SILENT[silence], "FLOAT")
    with pytest.raises(AudioError, match="all 5 recordings in .* are silent"):
        Recordings(tmp_path / "clean", RATE)
    with pytest.raises(AudioError, match="all 5 clean recordings are silent"):
        PairExcerpts(find_pairs(tmp_path), PLAIN, RATE, 0)
    for role in ("clean", "noisy"):
        write(tmp_path / role / "c.wav", tone(), "FLOAT")
    notes: list[str] = []
    Recordings(tmp_path / "clean", RATE, notify=notes.append)
    assert len(notes) == 1
    assert "4 of 5 recordings are silent (a.wav, b.wav, d.wav, and 1 more)" in notes[0]
    notes.clear()
    PairExcerpts(find_pairs(tmp_path), PLAIN, RATE, 0, notes.append)
    assert [line.partition(" (")[0] for line in notes] == [
        "training pairs: 4 of 5 recordings are silent in clean",
        "training pairs: 4 of 5 recordings are silent in noisy",
    ]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_what_is_not_finite_is_left_out_and_told(bad: float, subtype: str, tmp_path: Path) -> None:
    samples = tone()
    samples[-7] = bad
    for role in ("clean", "noisy"):
        write(tmp_path / role / "bad.wav", samples, subtype)
    with pytest.raises(AudioError, match=r"none of.*bad\.wav holds NaN or infinite"):
        Recordings(tmp_path / "clean", RATE)
    with pytest.raises(AudioError, match=r"none of.*bad\.wav holds NaN or infinite"):
        PairExcerpts(find_pairs(tmp_path), PLAIN, RATE, 0)
    for role in ("clean", "noisy"):
        write(tmp_path / role / "good.wav", tone(), subtype)
    notes: list[str] = []
    assert Recordings(tmp_path / "clean", RATE, notify=notes.append).names == ["good"]
    excerpts = PairExcerpts(find_pairs(tmp_path), PLAIN, RATE, 0, notes.append)
    assert [pair.name for pair in excerpts.pairs] == ["good"]
    assert len(notes) == 2 and all("1 of 2 recordings are left out" in line for line in notes)


def test_what_is_above_full_scale_or_cut_off_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a" / "loud.wav", tone(2.5), "FLOAT")
    write(tmp_path / "b" / "cut.wav", tone(2.5).clip(-1, 1), "PCM_16")
    notes: list[str] = []
    for name in ("a", "b"):
        Recordings(tmp_path / name, RATE, notify=notes.append)
    assert "above full scale" in notes[0] and "loud.wav: 2.5" in notes[0]
    assert "cut off" in notes[1] and "cut.wav" in notes[1]


def test_one_unusable_recording_does_not_end_training(tmp_path: Path) -> None:
    for role in ("clean", "noisy"):
        write(tmp_path / role / "good.wav", tone(), "PCM_16")
        (tmp_path / role / "text.wav").write_text("not audio")
        (tmp_path / role / "empty.wav").touch()
        write(tmp_path / role / "short.wav", np.zeros(0), "PCM_16")
    notes: list[str] = []
    assert Recordings(tmp_path / "clean", RATE, notify=notes.append).names == ["good"]
    excerpts = PairExcerpts(find_pairs(tmp_path), PLAIN, RATE, 0, notes.append)
    assert len(excerpts.pairs) == 1
    assert len(notes) == 2 and all("3 of 4 recordings are left out" in line for line in notes)


NAMES = {
    "not_utf8": b"x\xff\xfe.wav",
    "upper": b"X.WAV",
    "mixed": b"x.Flac",
    "spaces": b" x y .wav",
    "newline": b"x\ny.wav",
    "separator": "x\u2028y\x85.wav".encode(),
    "brackets": b"x[1]*?.wav",
    "long": "語".encode() * 83 + b"ab.wav",
    "comma": b'x,"y;.wav',
}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_works_in_training_sets(name: str, tmp_path: Path) -> None:
    import os

    for role in ("clean", "noisy"):
        write(tmp_path / role / "x.wav", tone(), "PCM_16")
        (tmp_path / role / "x.wav").rename(tmp_path / role / os.fsdecode(NAMES[name]))
        (tmp_path / role / "._x.wav").write_bytes(b"\0\5\x16\7Mac OS X")
    notes: list[str] = []
    assert len(Recordings(tmp_path / "clean", RATE, notify=notes.append).names) == 1
    excerpts = PairExcerpts(find_pairs(tmp_path), PLAIN, RATE, 0, notes.append)
    assert len(excerpts.pairs) == 1
    assert len(tasks(tmp_path / "clean", tmp_path / "noisy", MixtureSet())) == 1
    assert not notes
