"""Sounds, and how tests store them."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile

from speechduet.audio import AudioFormat, Samples, target_format, write_blocks

RATE = 16_000
LENGTH = 24_000


def tone(peak: float = 0.5, length: int = LENGTH, rate: int = RATE) -> np.ndarray:
    """``[samples]``, which comes and goes."""
    time = np.arange(length) / rate
    slow = np.sin(2 * np.pi * 1.5 * time + 0.3)
    return (peak * np.sin(2 * np.pi * 300 * time) * slow).astype(np.float32)


def write(path: Path, samples: np.ndarray, subtype: str, rate: int = RATE) -> None:
    """Store ``[samples]`` or ``[samples, channels]``; no subtype is what FFmpeg alone writes."""
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


def loud(peak: float, sample_rate: int = 48_000, samples: int = 48_000) -> Samples:
    """A tone ``[samples, 1]`` of this peak."""
    tone = np.sin(2 * np.pi * 440 * np.arange(samples) / sample_rate)
    return (peak * tone / np.abs(tone).max()).astype(np.float32)[:, None]


def written(
    path: Path, blocks: list[Samples], source: AudioFormat, **settings: Any
) -> tuple[Samples, list[str]]:
    """What is read back ``[samples, channels]``, and what was said."""
    said: list[str] = []
    write_blocks(
        *(path, target_format(source, path), blocks),
        sum(map(len, blocks)),
        source=source,
        notify=said.append,
        **settings,
    )
    return soundfile.read(path, dtype="float32", always_2d=True)[0], said
