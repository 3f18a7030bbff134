"""Files that end too early are named wherever that can be seen, with true numbers, and salvaged."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.audio import read
from speechduet.errors import AudioError

RATE = 16_000
SECONDS = 10
SIGNAL = np.random.default_rng(0).uniform(-0.5, 0.5, (1, SECONDS * RATE)).astype(np.float32)


def check(path: Path, share: float, promised: bool = True) -> None:
    """The file holds about this share of its 10 s."""
    with pytest.raises(AudioError) as caught:
        read(path)
    message = str(caught.value)
    assert f"{path} is truncated" in message and "--salvage" in message and "\n" not in message
    numbers = [float(text) for text in re.findall(r"(\d+\.\d\d) s", message)]
    assert numbers[0] == pytest.approx(share * SECONDS, abs=0.7)
    if promised:
        assert numbers[1] == pytest.approx(SECONDS, abs=0.2)
    notes: list[str] = []
    samples, rate = read(path, salvage=True, notify=notes.append)
    assert samples.shape[1] / rate == pytest.approx(numbers[0], abs=0.02)
    assert any("is truncated" in note for note in notes)


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64", "W64", "AIFF", "CAF", "AU", "FLAC"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_plain_samples(tmp_path: Path, container: str, subtype: str, share: float) -> None:
    file = io.BytesIO()
    soundfile.write(file, SIGNAL.T, RATE, subtype, format=container)
    data = file.getvalue()
    path = tmp_path / "x.bin"
    path.write_bytes(data[: int(len(data) * share)])
    check(path, share)


@pytest.mark.parametrize("container", ["MAT4", "MAT5", "HTK", "SDS", "AVR", "SVX", "NIST"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_rare_containers(tmp_path: Path, container: str, share: float) -> None:
    path = tmp_path / "x.bin"
    soundfile.write(path, SIGNAL.T, RATE, "PCM_16", format=container)
    assert read(path)[0].shape == SIGNAL.shape
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    check(path, share)


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "GSM610", "ULAW"])
def test_compressed_samples_in_wav(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, SIGNAL.T, RATE, subtype)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    check(path, 0.5)


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        (".mkv", "aac", {}),
        (".mka", "flac", {}),
        (".webm", "libopus", {}),
        (".mp4", "aac", {"movflags": "faststart"}),
        (".m4a", "alac", {"movflags": "faststart"}),
        (".mov", "pcm_s16le", {"movflags": "faststart"}),
    ],
)
@pytest.mark.parametrize("video", [False, True])
@pytest.mark.parametrize("share", [0.4, 0.8])
def test_containers(
    tmp_path: Path, encode, suffix: str, codec: str, options: dict, video: bool, share: float
) -> None:
    if video and suffix in (".m4a", ".mka", ".webm"):
        video = False
    path = encode(tmp_path / f"x{suffix}", SIGNAL, RATE, codec, video, options=options)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    check(path, share, promised=not (video and suffix == ".mkv"))


@pytest.mark.parametrize(
    ("suffix", "options"),
    [(".mp4", {"movflags": "frag_keyframe+empty_moov", "frag_duration": "900000"}), (".avi", {})],
)
def test_containers_that_tell_bytes_alone(tmp_path: Path, encode, suffix: str, options) -> None:
    codec = "aac" if suffix == ".mp4" else "pcm_s16le"
    path = encode(tmp_path / f"x{suffix}", SIGNAL, RATE, codec, options=options)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.6)])
    check(path, 0.6, promised=False)


def test_an_index_that_is_missing(tmp_path: Path, encode) -> None:
    path = encode(tmp_path / "x.mp4", SIGNAL, RATE, "aac", True)
    path.write_bytes(path.read_bytes()[:40_000])
    for salvage in (False, True):
        with pytest.raises(AudioError, match=r"x\.mp4 is truncated: its index \(moov\)"):
            read(path, salvage=salvage)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".webm", ".mka", ".mov"])
@pytest.mark.parametrize("end", [b"", bytes(3000), b"\x9d\x71" * 900])
def test_whole_files_are_not_truncated(tmp_path: Path, encode, suffix: str, end: bytes) -> None:
    codec = "libopus" if suffix == ".webm" else "aac"
    path = encode(tmp_path / f"x{suffix}", SIGNAL, RATE, codec, suffix in (".mkv", ".mp4"))
    path.write_bytes(path.read_bytes() + end)
    notes: list[str] = []
    samples, rate = read(path, notify=notes.append)
    assert samples.shape[1] / rate == pytest.approx(SECONDS, abs=0.1) and notes == []


@pytest.mark.parametrize("subtype", ["OPUS", "VORBIS"])
@pytest.mark.parametrize("size", [4, 20, 40, 100, 1000])
def test_ogg_that_ends_in_its_first_page(tmp_path: Path, subtype: str, size: int) -> None:
    path = tmp_path / "x.ogg"
    soundfile.write(path, SIGNAL.T, RATE, subtype, format="OGG")
    path.write_bytes(path.read_bytes()[:size])
    for salvage in (False, True):
        with pytest.raises(AudioError, match=r"x\.ogg is truncated before the end of its first"):
            read(path, salvage=salvage)


def test_what_only_begins_as_ogg_does(tmp_path: Path) -> None:
    path = tmp_path / "x.ogg"
    path.write_bytes(b"OggS" + np.random.default_rng(0).bytes(3000))
    with pytest.raises(AudioError, match="is not audio"):
        read(path)
