"""The job for a bare GPU machine, very small and on the CPU."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from gpu_scripts import GPU, script
from speechduet.errors import FileError, ModelError
from speechduet.model.folder import load

# What such a machine lacks: the job may import none of it.
BARE = """
import runpy, sys
for name in ("av", "soxr", "pesq", "pystoi", "jsonargparse", "huggingface_hub"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


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

    whole = (tmp_path / "state.01").read_bytes()
    (tmp_path / "state.01").write_bytes(bytes(value ^ 1 for value in whole))
    with pytest.raises(ModelError, match=r"state.00 to state.\d\d: damaged, or the last are miss"):
        state.join(tmp_path, tmp_path / "none")
    (tmp_path / "state.01").unlink()
    with pytest.raises(ModelError, match="state.01 is not there, but state.02 is"):
        state.join(tmp_path, tmp_path / "none")
    for later in tmp_path.glob("state.0[2-9]"):
        later.unlink()
    with pytest.raises(ModelError, match="state.00: damaged, or the last are missing"):
        state.join(tmp_path, tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The job's script; what it changes in its process is restored."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(sys.modules, "state", script("state"))
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    monkeypatch.setattr(torch, "set_float32_matmul_precision", lambda _: None)
    return script("job")


@pytest.mark.parametrize(
    "option",
    [
        *(f"--minutes={bad}" for bad in ("0", "-1", "nan", "inf", "long")),
        *(f"--falling={bad}" for bad in ("1", "1.5", "-0.1", "nan", "all")),
    ],
)
def test_a_time_without_limit_is_refused(
    job: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        job.main([f"--out={tmp_path / 'out'}", f"--run={tmp_path / 'run'}", option])
    assert stop.value.code == 2 and f"argument {option[:9]}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, r"returned/state\.00 is not there; expected state"),
        ({"returned/state.00": b"PK"}, r"returned/log\.jsonl is not there"),
        ({"returned/log.jsonl": b""}, r"returned/state\.00 is not there"),
        (
            {"returned/log.jsonl": b"", "returned/state.00": b"PK"},
            r"returned/state\.00: damaged",
        ),
        ({"run/last.ckpt": b"PK"}, r"run/last\.ckpt are damaged"),
        ({"run": b""}, r"run: File exists"),
        ({"out": b""}, r"out: File exists"),
    ],
    ids=str,
)
def test_a_job_says_in_a_line_what_is_wrong(
    job: ModuleType, recipe: Path, tmp_path: Path, found: dict[str, bytes], said: str
) -> None:
    for name, content in found.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    options = ["--recipe", str(recipe), "--minutes", "0.001"]
    for name in ("out", "run", "returned"):
        options += [f"--{name}", str(tmp_path / name)]
    with pytest.raises(SystemExit, match=rf"^job: .*{said}.*$"):
        job.main(options)


def test_a_damaged_wheel_is_named(
    job: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "some.whl").write_bytes(b"PK")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(FileError, match=r"some\.whl is damaged"):
        job.unpack_wheels(tmp_path)


def test_a_job_without_its_recipe_names_it(job: ModuleType, tmp_path: Path) -> None:
    options = [f"--{name}={tmp_path / name}" for name in ("out", "run", "recipe")]
    with pytest.raises(SystemExit, match=rf"^job: cannot read {tmp_path}/recipe"):
        job.main(options)


@pytest.mark.slow
def test_jobs_go_on_from_one_another(data: Path, tmp_path: Path) -> None:
    size = "kind: compact, channels: [4, 4], width: 8, encoder_blocks: 1, decoder_blocks: 1"
    settings = [
        "data.speech_weights={street: 3}",
        *(f"data.{name}={data / name}" for name in ("speech", "noise")),
        f"network={{{size}}}",
        *("run.workers=0", "run.batch_size=2", "run.accelerator=cpu", "mixing.excerpt_s=0.5"),
        "run.compile=false",
        *("run.log_every_steps=1", "run.start_from=''", "optimisation.warmup_steps=0"),
    ]

    def job(number: int, *further: str) -> Path:
        """A job on a fresh machine that was given what the one before left."""
        out = tmp_path / f"out{number}"
        command = [sys.executable, "-c", BARE, str(GPU / "job.py"), "--out", str(out)]
        command += ["--run", str(tmp_path / f"run{number}"), *further]
        if number > 1:
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
