"""Writes the whole inputs that fuzzing begins with to ``tests/fuzz/corpus``.

Each is the smallest of its kind: a click of a few milliseconds, a network of a few numbers. What
fuzzing has found lies beside them under names that begin with ``found-``, and is left alone.
"""

import io
import json
import pickle
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import soundfile
import torch

from speechduet.model.folder import CONFIG, WEIGHTS, Pretrained, save
from speechduet.network.compact import Compact
from speechduet.network.layout import Layout
from speechduet.network.system import System
from speechduet.process import OrnsteinUhlenbeck
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram

CORPUS = Path(__file__).parents[1] / "tests/fuzz/corpus"
SPLIT = b"\n--- weights ---\n"
"""Between the two files of a model folder in one input, as in `fuzz_targets`."""
RATE = 8000
SOUNDFILE = (
    *(("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAVEX", "FLOAT"), ("WAV", "IMA_ADPCM")),
    *(("RF64", "PCM_16"), ("W64", "PCM_16"), ("AIFF", "PCM_16"), ("AIFF", "ULAW")),
    *(("CAF", "ALAC_16"), ("AU", "PCM_16"), ("NIST", "PCM_16")),
    *(("FLAC", "PCM_16"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("VOC", "PCM_16")),
    *(("SDS", "PCM_16"), ("MAT5", "PCM_16"), ("HTK", "PCM_16"), ("SVX", "PCM_16")),
)
FFMPEG = (
    *(("mp4", "aac"), ("matroska", "pcm_s16le"), ("webm", "libopus"), ("mpegts", "mp2")),
    *(("avi", "pcm_s16le"), ("wv", "wavpack"), ("tta", "tta"), ("flv", "adpcm_swf")),
    *(("asf", "pcm_s16le"), ("adts", "aac"), ("caf", "pcm_s16be")),
)


def audio() -> Iterator[tuple[str, bytes]]:
    """A click in each container."""
    sound = np.zeros((200, 1), np.float32)
    sound[50] = 0.5
    for container, subtype in SOUNDFILE:
        file = io.BytesIO()
        soundfile.write(file, sound, RATE, subtype, format=container)
        yield f"{container}-{subtype}".lower(), file.getvalue()
    for name, codec in FFMPEG:
        rate = 48_000 if codec == "libopus" else 11_025 if name == "flv" else 16_000
        stream_file = io.BytesIO()
        with av.open(stream_file, "w", format=name) as video:
            video.metadata["title"] = "a click"
            stream = video.add_stream(codec, rate=rate, layout="mono")
            assert isinstance(stream, av.AudioStream)
            frame = av.AudioFrame.from_ndarray(sound.T.copy(), "flt", "mono")
            frame.sample_rate, frame.pts = rate, 0
            for part in av.AudioResampler(stream.format.name, "mono", rate).resample(frame):
                video.mux(stream.encode(part))
            video.mux(stream.encode(None))
        yield f"{name}-{codec}", stream_file.getvalue()
    tagged = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16))
    tagged += chunk(b"bext", b"somebody".ljust(602, b"\0")) + chunk(b"LIST", b"INFOINAM\2\0\0\0a\0")
    tagged += chunk(b"data", bytes(20)) + chunk(b"id3 ", b"ID3\4\0\0\0\0\0\0")
    yield "wav-tagged", b"RIFF" + struct.pack("<I", len(tagged) + 4) + b"WAVE" + tagged


def pipe() -> Iterator[tuple[str, bytes]]:
    """WAV as programs pipe it."""
    for bits, kind, channels in ((8, 1, 1), (16, 1, 2), (24, 1, 1), (32, 3, 1), (64, 3, 3)):
        width = channels * bits // 8
        layout = struct.pack("<HHIIHH", kind, channels, RATE, RATE * width, width, bits)
        for name, size in (("whole", 24 * width), ("unknown", 0xFFFFFFFF)):
            body = chunk(b"fmt ", layout) + chunk(b"LIST", b"INFO") + b"data"
            body += struct.pack("<I", size) + bytes(24 * width)
            behind = chunk(b"LIST", b"INFOINAM\2\0\0\0a\0") if bits == 16 else b""
            head = b"RIFF" + struct.pack("<I", min(len(body + behind) + 4, size)) + b"WAVE"
            yield f"{name}-{bits}-{channels}", head + body + behind


def model() -> Iterator[tuple[str, bytes]]:
    """A model folder of each process."""
    torch.manual_seed(0)
    network = Compact(
        bins=16, channels=(1, 1), width=1, embedding=2, encoder_blocks=0, decoder_blocks=0
    )
    spectrogram = Spectrogram(n_fft=30, hop=8)
    system = System(Layout(True, "shared", "clean"), OrnsteinUhlenbeck(), network)
    with tempfile.TemporaryDirectory() as folder:
        save(Pretrained("a", system, spectrogram, {"balanced": Sampling(steps=1)}), folder)
        config = json.loads(Path(folder, CONFIG).read_text())
        text = json.dumps(config, separators=(",", ":")).encode()
        yield "compact", text + SPLIT + Path(folder, WEIGHTS).read_bytes()
        yield "compact-config", text + SPLIT


def checkpoint() -> Iterator[tuple[str, bytes]]:
    """Pickles as torch writes them, in their archive and alone."""
    state = {"dnn.output_layer.weight": torch.zeros(2, 2, 1, 1)}
    content = {"state_dict": state, "hyper_parameters": {"theta": 1.5}, "ema": {"decay": 0.9}}
    file = io.BytesIO()
    torch.save(content, file)
    yield "torch", file.getvalue()
    with zipfile.ZipFile(file) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        yield "torch-pickle", archive.read(name)
    for protocol in (0, 2, 4):
        plain = {"state_dict": {"a": (1, 2.5, None, {3})}, "hyper_parameters": [b"x", "y", 1 + 2j]}
        yield f"plain-{protocol}", pickle.dumps(plain, protocol)
    yield "call", b"cposix\nsystem\n(S'true'\ntR."


def manifest() -> Iterator[tuple[str, bytes]]:
    """Lists in each form."""
    yield "csv", b"clean,noisy,path,output\na.wav,b.wav,c.wav,d/e.flac\n"
    yield "csv-quoted", b'clean,noisy\n"a ""b"".wav","c\nd.wav"\n'
    yield "jsonl", b'{"clean": "a.wav", "noisy": "b.wav", "path": "c", "output": "d.wav"}\n'
    yield "jsonl-escapes", b'{"clean": "\\u0000a", "noisy": "\\ud800", "path": "\\u0000"}\n'
    yield "scp", b"one a.wav\ntwo /b/c d.flac\n"
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as shard:
        for role in ("clean", "noisy"):
            member = tarfile.TarInfo(f"x/a.{role}.wav")
            member.size = 4
            shard.addfile(member, io.BytesIO(b"RIFF"))
    yield "tar", file.getvalue()[:3072]


def recipe() -> Iterator[tuple[str, bytes]]:
    """Recipes, whole and by the name of a system."""
    yield "row", b"system: sgmse_plus\ndata: {speech: a, noise: b}\nrun: {max_steps: 10}\n"
    whole = """\
name: a
system: {layout: {generative: true, predictive: shared}}
network: {kind: compact, bins: 16, channels: [1, 1], width: 1}
process: {kind: ornstein_uhlenbeck}
spectrogram: {n_fft: 30, hop: 8}
modes:
  balanced: &mode {steps: 1}
  best: *mode
data: {pairs: p}
losses: {generative: 1e-1}
"""
    yield "whole", whole.encode()
    yield "yaml", b"a: &a [1, 0x1f, 1:30, 1e3, .inf, 2001-01-01, ~, !!str 1]\nb: {<<: {c: d}}\n"
    yield "tags", b"a: !!python/name:os.system\nb: !!binary aGk=\nc: !!set {x}\n"


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of RIFF."""
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def main() -> None:
    """Write all of them."""
    for target in (audio, pipe, model, checkpoint, manifest, recipe):
        folder = CORPUS / target.__name__
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in target():
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
