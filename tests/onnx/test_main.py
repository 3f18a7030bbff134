"""``python -m speechduet.onnx``, and that no package but its own four is imported."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from speechduet.enhancement.enhancer import Enhancer as WithPyTorch
from speechduet.enhancement.files import enhance_file

ALONE = """
import runpy, sys
for name in ("torch", "pydantic", "av", "typer", "rich", "annotated_types", "safetensors", "onnx"):
    sys.modules[name] = None  # not to be imported, and not to be found
try:
    runpy.run_module("speechduet.onnx", run_name="__main__")
finally:
    from speechduet.onnx import Enhancer  # also as a module
    allowed = {"numpy", "onnxruntime", "soundfile", "soxr", "speechduet", "cffi", "flatbuffers"}
    allowed |= {"google", "packaging", "typing_extensions"}  # what those need
    found = {name.partition(".")[0] for name, module in sys.modules.items() if module}
    foreign = found - set(sys.stdlib_module_names) - allowed
    foreign = {name for name in foreign if not name.startswith(("_", "cython"))}
    assert not foreign, foreign
"""


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ALONE, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("name", "rate", "channels", "subtype"),
    [
        ("a.wav", 44_100, 2, "PCM_24"),
        ("a.flac", 16_000, 1, "PCM_16"),
        ("a.aiff", 8_000, 3, "PCM_16"),
        ("a.ogg", 48_000, 1, "VORBIS"),
        ("a.mp3", 48_000, 2, "MPEG_LAYER_III"),
    ],
)
def test_a_file(
    exported: Path,
    tiny_model: Path,
    tmp_path: Path,
    rng: np.random.Generator,
    name: str,
    rate: int,
    channels: int,
    subtype: str,
) -> None:
    source, target = tmp_path / name, tmp_path / f"out{Path(name).suffix}"
    soundfile.write(source, rng.uniform(-0.3, 0.3, (2 * rate, channels)), rate, subtype)
    options = ("--mode", "fast", "--seed", 3, "--threads", 1, "--segment", 1)
    done = run(exported, source, "-o", target, *options)
    assert done.returncode == 0, done.stderr
    found, before = soundfile.info(target), soundfile.info(source)
    assert (found.samplerate, found.channels, found.subtype) == (rate, channels, subtype)
    assert found.frames == before.frames
    if subtype.startswith("PCM"):
        expected = tmp_path / f"expected{Path(name).suffix}"
        theirs = WithPyTorch.from_pretrained(tiny_model, "cpu", segment_s=1)
        enhance_file(source, expected, theirs, "fast", seed=3)
        ours, wanted = (soundfile.read(path)[0] for path in (target, expected))
        np.testing.assert_allclose(ours, wanted, atol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory")
def test_memory_does_not_grow_with_the_length(exported: Path, tmp_path: Path) -> None:
    """A recording is read, kept and written in pieces."""
    code = """
import sys
from pathlib import Path
from speechduet.onnx import Enhancer, enhance_file
enhance_file(sys.argv[2], sys.argv[3], Enhancer(sys.argv[1], 1, 2), "fast")
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
sys.stdout.write(status["VmHWM"].split()[0])
"""
    peaks = []
    for seconds in (20, 220):
        source = tmp_path / f"{seconds}.wav"
        noise = np.random.default_rng(0).normal(0, 0.1, (16_000 * seconds, 1))
        soundfile.write(source, noise, 16_000)
        command = [sys.executable, "-c", code, *map(str, (exported, source, tmp_path / "o.wav"))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    # In memory 200 s more are 13 MB as they are read, as they are kept, and as they are written.
    assert peaks[1] - peaks[0] < 25_000, peaks


def test_what_fails(exported: Path, tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("no sound")
    out = tmp_path / "out.wav"
    cases: list[tuple[tuple[Any, ...], int, str]] = [
        ((exported, text, "-o", out), 1, "PyAV is not installed"),
        ((exported, tmp_path / "none.wav", "-o", out), 1, "cannot read"),
        ((tmp_path, text, "-o", out), 2, "holds no exported model"),
        ((exported, text, "-o", out, "--mode", "quick"), 2, "no mode 'quick'"),
        ((exported, text), 2, "-o/--output"),
    ]
    for arguments, status, message in cases:
        done = run(*arguments)
        assert done.returncode == status and message in done.stderr, done.stderr
        assert not out.exists()
    assert "recording of any length" in run("--help").stdout
