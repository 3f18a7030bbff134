"""The job for a bare GPU machine, very small and on the CPU."""

import importlib.util
import json
import shutil
import subprocess
import sys
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
def source(tmp_path: Path, root: Path) -> Path:
    """The bundled samples as a training set."""
    folder, random = tmp_path / "source", np.random.default_rng(0)
    shutil.copytree(root / "samples/clean", folder / "speech/some")
    shutil.copytree(root / "samples/noisy", folder / "noise")
    (folder / "rir").mkdir()
    impulse = 0.1 * random.standard_normal(400) * np.exp(-np.arange(400) / 60)
    soundfile.write(folder / "rir/room.flac", impulse, 16_000)
    return folder


@pytest.fixture
def data(source: Path, tmp_path: Path) -> Path:
    """The training set, packed and unpacked again."""
    most_mb = 0.3
    options = ["--output", str(tmp_path / "packed"), "--skip", "cafe", "--part-mb", str(most_mb)]
    script("pack").main([str(source), *options])
    parts = sorted((tmp_path / "packed").iterdir())
    assert len(parts) > 1
    assert all(part.stat().st_size <= most_mb * 1e6 for part in parts)
    unpack = [sys.executable, str(GPU / "unpack.py"), *map(str, parts), str(tmp_path / "data")]
    subprocess.run(unpack, check=True)
    return tmp_path / "data"


def test_a_training_set_arrives_as_it_was(data: Path, source: Path) -> None:
    names = sorted(path.relative_to(data).as_posix() for path in data.rglob("*.wav"))
    assert names == [
        *(f"noise/{name}.wav" for name in ("rain", "street", "workshop")),
        "rir/room.wav",
        *(f"speech/some/{name}.wav" for name in ("rain", "street", "workshop")),
    ]
    before, _ = soundfile.read(source / "speech/some/rain.flac", dtype="float32")
    after, rate = soundfile.read(data / "speech/some/rain.wav", dtype="float32")
    assert rate == 16_000
    np.testing.assert_array_equal(after, before)


def test_what_cannot_be_packed_is_named(source: Path, tmp_path: Path) -> None:
    def message(*options: str) -> str:
        with pytest.raises(SystemExit) as stop:
            script("pack").main([str(source), "--output", str(tmp_path / "packed"), *options])
        return str(stop.value)

    assert "rain.flac does not fit into a part" in message("--part-mb", "0.05", "--skip", "cafe")
    (source / "noise/rain.wav").symlink_to(source / "noise/rain.flac")
    assert "noise/rain is there with several suffixes" in message()
    assert "no recordings but those that are skipped in" in message("--skip", "*")
    shutil.rmtree(source / "speech")
    assert message() == f"no folder {source / 'speech'}"


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
def test_jobs_go_on_from_one_another(data: Path, tmp_path: Path) -> None:
    size = "kind: compact, channels: [4, 4], width: 8, encoder_blocks: 1, decoder_blocks: 1"
    settings = [
        "data.speech_weights={street: 3}",
        *(f"data.{name}={data / name}" for name in ("speech", "noise")),
        f"network={{{size}}}",
        *("run.workers=0", "run.batch_size=2", "run.accelerator=cpu", "mixing.excerpt_s=0.5"),
        *("run.log_every_steps=1", "run.start_from=''", "optimisation.warmup_steps=0"),
    ]

    def job(number: int, *further: str) -> Path:
        """A job on a fresh machine that was given what the one before left."""
        out = tmp_path / f"out{number}"
        command = [sys.executable, "-c", BARE, str(GPU / "job.py"), "--out", str(out)]
        command += ["--run", str(tmp_path / f"run{number}"), *further]
        command += ["--returned", str(tmp_path / f"out{number - 1}")]
        command += [word for setting in settings for word in ("--override", setting)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr[-2000:]
        return out

    first = job(1, "--minutes", "0.01")
    second = job(2, "--minutes", "0.1", "--falling", "0.5")
    steps = [load(out).metadata["training"]["steps"] for out in (first, second)]
    assert 0 < steps[0] < steps[1]
    log = (second / "log.jsonl").read_text()
    assert log.startswith((first / "log.jsonl").read_text())
    rates = [json.loads(line)["train/learning_rate"] for line in log.splitlines()]
    assert len(set(rates[: steps[0] + 1])) == 1
    # How far it falls depends on how evenly the steps take their time.
    assert rates == sorted(rates, reverse=True) and rates[-1] < 0.9 * rates[0]
    assert all(path.stat().st_size < 16e6 for path in second.iterdir())
