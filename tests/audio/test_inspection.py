"""What a recording is found to be."""

from pathlib import Path

import av
import numpy as np
import pytest

from speechduet.audio import write
from speechduet.audio.inspection import _clipped, inspect


def counted(full: np.ndarray, size: int) -> int:
    run, count = np.zeros(full.shape[1], np.int64), 0
    for first in range(0, len(full), size):
        some, run = _clipped(full[first : first + size], run)
        count += some
    return count


def naive(column: list[bool]) -> int:
    rows = "".join("x" if full else " " for full in column).split()
    return sum(len(row) for row in rows if len(row) >= 3)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64, 1000])
def test_clipped_rows_are_counted_however_blocks_are_cut(
    rng: np.random.Generator, size: int
) -> None:
    full = rng.random((1000, 2)) < 0.7
    assert counted(full, size) == naive(full[:, 0].tolist()) + naive(full[:, 1].tolist())


def test_levels_and_clipping(tmp_path: Path) -> None:
    samples = 0.5 * np.sin(np.arange(16_000)).astype(np.float32)
    samples[100:110] = 1
    samples[200] = -1  # a peak is no clipping
    write(tmp_path / "a.wav", samples, 16_000)
    facts = inspect(tmp_path / "a.wav")
    assert facts.peak_db == pytest.approx(0, abs=0.01) and facts.clipped == 10 / 16_000
    assert facts.level_db == pytest.approx(-9.0, abs=0.1)
    assert (facts.tracks, facts.notices, facts.samples) == (1, (), 16_000)


def test_tags_and_tracks(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "a.mka"
    with av.open(str(path), "w", "matroska") as container:
        container.metadata["title"] = "Two tongues"
        streams = [container.add_stream("flac", rate=16_000, layout="mono") for _ in range(2)]
        for stream in streams:
            samples = rng.integers(-9999, 9999, (1, 16_000)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            frame.sample_rate, frame.pts = 16_000, 0
            for part in av.AudioResampler(
                "s16", "mono", 16_000, stream.codec_context.frame_size or 4096
            ).resample(frame):
                container.mux(stream.encode(part))
            container.mux(stream.encode(None))
    facts = inspect(path, track=2)
    assert facts.tracks == 2 and facts.tags["title"] == "Two tongues"
    assert "matroska" in facts.container and facts.duration_s == pytest.approx(1, abs=0.1)
