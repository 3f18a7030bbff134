"""Containers as cameras, phones and editors write them: covers, edit lists, times below zero."""

import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from speechduet.audio import probe, read
from speechduet.errors import AudioError

RATE = 16_000
RNG = np.random.default_rng(0)


def sound(length: int, channels: int = 1) -> np.ndarray:
    return RNG.uniform(-0.3, 0.3, (channels, length)).astype(np.float32)


def encode(
    path: Path,
    codec: str,
    samples: np.ndarray,
    start: int = 0,
    options: dict[str, str] | None = None,
) -> None:
    """A track whose first time stamp is ``start`` samples."""
    layout = {1: "mono", 2: "stereo"}[len(samples)]
    with av.open(str(path), "w", container_options=options or {}) as container:
        stream = container.add_stream(codec, rate=RATE, layout=layout)
        frame = av.AudioFrame.from_ndarray(samples, "fltp", layout)
        frame.sample_rate, frame.pts = RATE, start
        for part in av.AudioResampler(stream.format.name, layout, RATE).resample(frame):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def encode_video(path: Path, tracks: int) -> None:
    """Ten black pictures, with so many tracks of a second of sound, each of other channels."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width = video.height = 16
        video.pix_fmt = "yuv420p"
        sounds = [
            container.add_stream("aac", rate=RATE, layout="stereo" if number % 2 else "mono")
            for number in range(tracks)
        ]
        for number in range(10):
            picture = av.VideoFrame.from_ndarray(np.zeros((24, 16), np.uint8), "yuv420p")
            picture.pts = number
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        for number, stream in enumerate(sounds):
            layout = stream.layout.name
            samples = sound(RATE, 1 + number % 2)
            frame = av.AudioFrame.from_ndarray(samples, "fltp", layout)
            frame.sample_rate, frame.pts = RATE, 0
            for part in av.AudioResampler(stream.format.name, layout, RATE).resample(frame):
                container.mux(stream.encode(part))
            container.mux(stream.encode(None))


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".m4a"])
def test_a_video_without_sound(tmp_path: Path, suffix: str) -> None:
    encode_video(tmp_path / "x.mp4", 0)
    path = (tmp_path / "x.mp4").rename(tmp_path / f"y{suffix}")
    with pytest.raises(AudioError, match=f"y{suffix} has no sound in it"):
        read(path)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_video_with_several_tracks(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    encode_video(path, 3)
    for track, channels in ((1, 1), (2, 2), (3, 1)):
        assert probe(path, track=track).channels == channels
        assert read(path, track=track, notify=lambda text: None)[0].shape[0] == channels
    with pytest.raises(AudioError, match="3 sound tracks, and 4 was asked for"):
        read(path, track=4)


@pytest.mark.parametrize(("suffix", "codec"), [(".m4a", "aac"), (".mov", "aac"), (".mka", "aac")])
def test_what_an_edit_list_leaves_out_is_left_out(tmp_path: Path, suffix: str, codec: str) -> None:
    # Encoders begin with samples of their own, which the list says to skip.
    encode(tmp_path / f"x{suffix}", codec, sound(RATE))
    samples, rate = read(tmp_path / f"x{suffix}", notify=lambda text: None)
    assert rate == RATE and RATE <= samples.shape[1] <= RATE + 1024


def with_edit(data: bytes, change: Callable[[bytearray, int], None]) -> bytes:
    """The file with another edit list: ``change`` gets its bytes, and where its entries begin."""
    changed = bytearray(data)
    change(changed, changed.index(b"elst") + 12)
    return bytes(changed)


EDITS: dict[str, Callable[[bytearray, int], None]] = {
    "an empty edit of days": lambda data, at: struct.pack_into(">Ii", data, at, 0x7FFFFFFF, -1),
    "a start beyond the end": lambda data, at: struct.pack_into(">i", data, at + 4, 0x7FFFFFFF),
    "a start before zero": lambda data, at: struct.pack_into(">i", data, at + 4, -5000),
    "no length": lambda data, at: struct.pack_into(">I", data, at, 0),
    "no speed": lambda data, at: struct.pack_into(">I", data, at + 8, 0),
    "millions of edits": lambda data, at: struct.pack_into(">I", data, at - 4, 0x7FFFFFFF),
}


@pytest.mark.parametrize("name", EDITS)
def test_edit_lists_that_lie(tmp_path: Path, name: str) -> None:
    encode(tmp_path / "x.m4a", "aac", sound(RATE))
    data = (tmp_path / "x.m4a").read_bytes()
    (tmp_path / "y.m4a").write_bytes(with_edit(data, EDITS[name]))
    notes: list[str] = []
    try:
        samples, _ = read(tmp_path / "y.m4a", notify=notes.append)
    except AudioError as error:
        assert "y.m4a" in str(error) and "\n" not in str(error)
    else:
        assert np.isfinite(samples).all() and samples.shape[1] <= 610 * RATE


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "pcm_s16le"), (".mka", "flac")])
@pytest.mark.parametrize("start_s", [-3.0, -0.5, 0.5])
def test_times_below_zero(tmp_path: Path, suffix: str, codec: str, start_s: float) -> None:
    path = tmp_path / f"x{suffix}"
    options = {"avoid_negative_ts": "disabled"}
    encode(path, codec, sound(RATE), round(start_s * RATE), options)
    samples, _ = read(path, notify=lambda text: None)
    # No sound is lost; what starts late starts late.
    late = max(0, round(start_s * RATE))
    assert samples.shape[1] == pytest.approx(RATE + late, abs=RATE // 100)
