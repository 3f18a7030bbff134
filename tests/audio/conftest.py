"""What the tests of reading and writing share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from speechduet.audio import probe, read_blocks, target_format, write_blocks
from speechduet.audio.tags import read_tags


@pytest.fixture
def copied() -> Callable[..., list[str]]:
    """Write a recording anew under another name, as it is; returns what is said."""

    def copied(source: Path, target: Path, **settings: Any) -> list[str]:
        """What is said when a recording is written anew under another name."""
        said: list[str] = []
        audio_format = probe(source)
        write_blocks(
            *(target, target_format(audio_format, target), read_blocks(source)),
            source=audio_format,
            tags=read_tags(source),
            notify=said.append,
            **settings,
        )
        return said

    return copied


@pytest.fixture
def encode(rng: np.random.Generator) -> Callable[..., None]:
    """Write a recording of 1 s at 48 kHz with FFmpeg, with texts."""

    def encode(path: Path, codec: str, texts: dict[str, str], layout: str = "mono") -> None:
        """A recording of 1 s at 48 kHz, written by FFmpeg with texts."""
        with av.open(str(path), "w") as container:
            container.metadata.update(texts)
            stream = container.add_stream(codec, rate=48_000, layout=layout)
            channels = av.AudioLayout(layout).nb_channels
            samples = rng.uniform(-0.3, 0.3, (1, 48_000 * channels)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(samples, "flt", layout)
            frame.sample_rate, frame.pts = 48_000, 0
            for part in av.AudioResampler(stream.format.name, layout, 48_000).resample(frame):
                container.mux(stream.encode(part))
            container.mux(stream.encode(None))

    return encode
