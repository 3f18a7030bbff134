"""Recordings made in tests: encoded by FFmpeg, with time stamps, pictures and tracks as wanted."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from speechduet.audio import Samples

Encode = Callable[..., Path]


def _picture(container, frames: int = 5):
    stream = container.add_stream("mpeg4", rate=5)
    stream.width = stream.height = 32
    stream.pix_fmt = "yuv420p"
    for _ in range(frames):
        container.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
    container.mux(stream.encode(None))


@pytest.fixture
def encode() -> Encode:
    """Write ``[channels, samples]`` (or several, as tracks) with PyAV, piece by piece.

    ``stamp`` gives the time stamp of a sample's number, both in samples.
    """

    def write(
        path: Path,
        tracks: Samples | list[Samples],
        sample_rate: int,
        codec: str,
        video: bool = False,
        stamp: Callable[[int], int] = lambda number: number,
        options: dict[str, str] | None = None,
    ) -> Path:
        tracks = tracks if isinstance(tracks, list) else [tracks]
        with av.open(str(path), "w", options=options or {}) as container:
            streams = []
            for samples in tracks:
                layout = "mono" if len(samples) == 1 else "stereo"
                stream = container.add_stream(codec, rate=sample_rate, layout=layout)
                stream.bit_rate = 192_000
                stream.codec_context.open()
                streams.append(stream)
            if video:
                _picture(container)
            for samples, stream in zip(tracks, streams, strict=True):
                _feed(container, stream, samples, sample_rate, stamp)
        return path

    return write


def _feed(container, stream, samples: Samples, sample_rate: int, stamp) -> None:
    layout = "mono" if len(samples) == 1 else "stereo"
    size = stream.codec_context.frame_size or 1024
    resampler = av.AudioResampler(stream.codec_context.format.name, layout, sample_rate)
    for start in range(0, samples.shape[1], size):
        piece = np.ascontiguousarray(samples[:, start : start + size], np.float32)
        frame = av.AudioFrame.from_ndarray(piece, "fltp", layout)
        frame.sample_rate, frame.time_base = sample_rate, Fraction(1, sample_rate)
        frame.pts = stamp(start)
        for converted in resampler.resample(frame):
            converted.pts, converted.time_base = stamp(start), Fraction(1, sample_rate)
            container.mux(stream.encode(converted))
    container.mux(stream.encode(None))
