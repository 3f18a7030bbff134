"""Every reader of training data gives what a player would play, whatever the file stores."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sounds import LENGTH, RATE, tone, write
from speechduet.data import Mixing, PairExcerpts, Recordings, find_pairs
from speechduet.data.clip import Clip
from speechduet.data.sources import read, read_pair

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
