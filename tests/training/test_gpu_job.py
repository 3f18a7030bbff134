"""The job for a bare GPU machine, very small and on the CPU."""

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch

from speechduet.model.folder import load

GPU = Path(__file__).parents[2] / "recipes/gpu"

# What such a machine lacks: the job may import none of it.
BARE = """
import runpy, sys
for name in ("av", "soxr", "pesq", "pystoi", "jsonargparse", "huggingface_hub"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, GPU / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def packed(tmp_path: Path, root: Path) -> Path:
    """The bundled samples as a packed training set."""
    source, random = tmp_path / "source", np.random.default_rng(0)
    shutil.copytree(root / "samples/clean", source / "train/speech/some")
    shutil.copytree(root / "samples/noisy", source / "train/noise")
    for kind in ("clean", "noisy"):
        shutil.copytree(root / "samples" / kind, source / "valid" / kind)
    (source / "train/rir").mkdir()
    impulse = 0.1 * random.standard_normal(400) * np.exp(-np.arange(400) / 60)
    soundfile.write(source / "train/rir/room.flac", impulse, 16_000)
    options = ["--output", str(tmp_path / "packed"), "--skip", "cafe", "--valid", "1"]
    script("pack").main([str(source), *options])
    return tmp_path / "packed"


def test_a_training_set_is_packed(packed: Path, root: Path) -> None:
    speech = sorted((packed / "speech").rglob("*.opus"))
    assert [path.stem for path in speech] == ["rain", "street", "workshop"]
    before = soundfile.read(root / "samples/clean/rain.flac", dtype="float32")[0]
    after, rate = soundfile.read(speech[0], dtype="float32")
    assert rate == 16_000 and len(after) == len(before)
    error_db = 10 * np.log10(np.sum((after - before) ** 2) / np.sum(before**2))
    assert error_db < -15
    assert len(list((packed / "valid/noisy").iterdir())) == 1
    with pytest.raises(SystemExit, match="at most 0.01 MB"):
        source = str(packed.parent / "source")
        script("pack").main([source, "--output", str(packed), "--limit-mb", "0.01"])


def test_a_state_in_pieces_is_nearly_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = script("state")
    monkeypatch.setattr(state, "PIECE", 1000)
    before = {
        "weights": [torch.randn(30, 30), torch.randn(3)],
        "exp_avg_sq": torch.logspace(-12, -2, 100),
        "step": torch.tensor(7.0),
        0: ("text", 5),
    }
    torch.save(before, tmp_path / "before")
    state.split(tmp_path / "before", tmp_path)
    assert len(list(tmp_path.glob("state.*"))) > 2
    assert max(path.stat().st_size for path in tmp_path.glob("state.*")) == 1000
    assert state.join(tmp_path, tmp_path / "after")
    after = torch.load(tmp_path / "after", weights_only=True)
    torch.testing.assert_close(after["weights"][0], before["weights"][0], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(after["exp_avg_sq"], before["exp_avg_sq"], rtol=2e-2, atol=0)
    assert torch.equal(after["weights"][1], before["weights"][1])
    assert (after["step"], after[0]) == (7, ("text", 5))
    assert not state.join(tmp_path / "nowhere", tmp_path / "none")


@pytest.mark.slow
def test_jobs_go_on_from_one_another(packed: Path, tmp_path: Path) -> None:
    size = "kind: compact, channels: [4, 4], width: 8, encoder_blocks: 1, decoder_blocks: 1"
    folders = {name: packed / name for name in ("speech", "noise", "rooms")}
    settings = [
        "data.speech_weights={street: 3}",
        *(f"data.{name}={folder}" for name, folder in folders.items()),
        *(f"data.valid_{kind}={packed}/valid/{kind}" for kind in ("clean", "noisy")),
        f"network={{{size}}}",
        *("run.workers=0", "run.batch_size=2", "run.accelerator=cpu", "mixing.excerpt_s=0.5"),
        "run.log_every_steps=1",
    ]

    def job(number: int) -> Path:
        """A job on a fresh machine that was given what the one before left."""
        out = tmp_path / f"out{number}"
        command = [sys.executable, "-c", BARE, str(GPU / "job.py"), "--out", str(out)]
        command += ["--run", str(tmp_path / f"run{number}")]
        command += ["--returned", str(tmp_path / f"out{number - 1}"), "--minutes", "0.01"]
        command += [word for setting in settings for word in ("--override", setting)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr[-2000:]
        return out

    first, second = job(1), job(2)
    steps = [load(out).metadata["training"]["steps"] for out in (first, second)]
    assert 0 < steps[0] < steps[1]
    assert (second / "log.jsonl").read_text().startswith((first / "log.jsonl").read_text())
    with zipfile.ZipFile(second / "heard.zip") as heard:
        names = ["cafe_balanced.flac", "cafe_fast.flac", "cafe_noisy.flac"]
        assert sorted(heard.namelist()) == names
        heard.extract(names[0], tmp_path)
    enhanced, rate = soundfile.read(tmp_path / names[0])
    assert rate == 16_000 and enhanced.any()
    assert all(path.stat().st_size < 16e6 for path in second.iterdir())
