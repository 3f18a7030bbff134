"""Decoders and metrics in C write to stderr as they like; here they stay silent, or name a file."""

import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.data import Mixing, PairExcerpts, Recordings, find_pairs
from speechduet.data.sources import read_pair
from speechduet.errors import SpeechduetError
from speechduet.evaluation import pair_up
from speechduet.evaluation.scoring import evaluate_pairs
from speechduet.metrics import estoi, pesq, stoi

RATE = 16_000
FORMATS = ("wav", "flac", "ogg", "opus", "mp3", "aiff", "caf", "m4a")


def encoded(folder: Path, suffix: str) -> bytes:
    """Two seconds of a tone."""
    path = folder / f"whole.{suffix}"
    samples = 0.3 * np.sin(np.arange(2 * RATE) * 0.3)
    if suffix == "m4a":
        av = pytest.importorskip("av")
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=RATE, layout="mono")
            for start in range(0, len(samples), 1024):
                block = samples[None, start : start + 1024].astype(np.float32)
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), "fltp", "mono")
                frame.sample_rate, frame.pts = RATE, start
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    else:
        container_name = {"opus": "OGG"}.get(suffix, suffix.upper())
        subtype = {"opus": "OPUS"}.get(suffix)
        soundfile.write(path, samples, RATE, subtype, format=container_name)
    content = path.read_bytes()
    path.unlink()
    return content


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[: len(content) * 2 // 3],
    "cut_early": lambda content: content[:300],
    "zeros_inside": lambda content: content[:1500] + bytes(900) + content[2400:],
    "noise_inside": lambda content: content[:1500] + bytes(range(256)) * 4 + content[2524:],
    "zeros_at_end": lambda content: content + bytes(5000),
    "text_at_end": lambda content: content + b"TAG something else" * 100,
    "id3_that_lies": lambda content: b"ID3\4\0\0\0\0\1\1" + b"TIT2\0\0\7\7\0\0\3x" + content,
    "only_header": lambda content: content[:44],
    "shuffled": lambda content: content[:60] + content[60:][::-1],
}


def recordings(folder: Path) -> None:
    Recordings(folder / "clean", RATE, notify=lambda _: None)


def excerpts(folder: Path) -> None:
    pairs = PairExcerpts(find_pairs(folder), Mixing(excerpt_s=0.5), RATE, 0, notify=lambda _: None)
    for index in range(3):
        pairs.example(index)


def preparing(folder: Path) -> None:
    clean, noisy = (next((folder / role).iterdir()) for role in ("clean", "noisy"))
    read_pair(clean, noisy, RATE)


def evaluating(folder: Path) -> None:
    list(evaluate_pairs(pair_up(folder / "clean", folder / "noisy")[0]))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", [recordings, excerpts, preparing, evaluating])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("suffix", FORMATS)
def test_damaged_recordings(
    suffix: str,
    damage: str,
    reader: Callable[[Path], None],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    content = DAMAGES[damage](encoded(tmp_path, suffix))
    for role in ("clean", "noisy"):
        (tmp_path / role).mkdir()
        (tmp_path / role / f"x.{suffix}").write_bytes(content)
    capfd.readouterr()
    with suppress(SpeechduetError):
        reader(tmp_path)
    out, err = capfd.readouterr()
    lines = [*out.splitlines(), *err.splitlines()]
    assert [line for line in lines if f"x.{suffix}" not in line] == []


@pytest.mark.parametrize("metric", [pesq, stoi, estoi])
@pytest.mark.parametrize(
    ("estimate", "reference"),
    [
        (np.ones(10), np.ones(10)),
        (np.ones(3999), np.ones(3999)),
        (np.ones(RATE), np.ones(RATE)),
        (np.full(RATE, 1e-12), np.full(RATE, 1e-12)),
        (np.eye(1, RATE)[0], np.eye(1, RATE)[0]),
        (np.zeros(RATE), np.ones(RATE)),
        (1e6 * np.sin(np.arange(RATE)), np.sin(np.arange(RATE))),
    ],
)
def test_metrics_of_odd_signals(
    metric: Callable[..., float],
    estimate: np.ndarray,
    reference: np.ndarray,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with suppress(SpeechduetError):
        metric(estimate, reference, RATE)
    assert capfd.readouterr() == ("", "")


def test_the_c_library_is_flushed_too(tmp_path: Path) -> None:
    """What C code prints may wait in a buffer until its process ends."""
    code = (
        "import numpy as np; from speechduet.metrics import pesq, MetricError\n"
        "for n in (10, 3999):\n"
        "    try: pesq(np.ones(n), np.ones(n), 16000)\n"
        "    except MetricError: pass\n"
    )
    import sys

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert ended.stdout == ended.stderr == b""
