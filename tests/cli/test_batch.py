"""Several recordings at the same time: the same results, and every failure reported."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import speechduet
from speechduet.audio import write
from speechduet.cli import app, enhance
from speechduet.enhancement.enhancer import Enhancer


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> Path:
    """A folder to be in, with recordings of many lengths."""
    monkeypatch.chdir(tmp_path)
    for number in range(12):
        samples = rng.uniform(-0.3, 0.3, (1 + number % 2, 2000 + 1500 * number)).astype("f")
        write(f"in/{number:02d}.wav", samples, 16_000)
    return tmp_path


def run(model: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["enhance", "-m", str(model), *arguments])


def results(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("workers", ["2", "5", "50"])
def test_workers_make_what_one_makes(tiny_model: Path, workers: str) -> None:
    assert run(tiny_model, "in", "-o", "one", "--threads", "1").exit_code == 0
    result = run(tiny_model, "in", "-o", "many", "--threads", "1", "--workers", workers)
    assert result.exit_code == 0, result.stderr
    assert len(results("one")) == 12 and results("many") == results("one")
    backend, summary = result.stderr.splitlines()
    assert backend.startswith("backend ") and summary.startswith("12 enhanced (")


@pytest.mark.usefixtures("place")
def test_workers_share_a_backend(tiny_model: Path) -> None:
    machine = ["--threads", "1", "--precision", "bfloat16"]
    assert run(tiny_model, "in", "-o", "one", *machine).exit_code == 0
    assert run(tiny_model, "in", "-o", "many", *machine, "--workers", "4").exit_code == 0
    assert run(tiny_model, "in", "-o", "exact", "--threads", "1").exit_code == 0
    assert results("many") == results("one") != results("exact")


@pytest.mark.usefixtures("place")
def test_as_many_are_enhanced_at_a_time_as_there_are_workers(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of three waits until all three are there: fewer at a time would wait for ever."""
    barrier = threading.Barrier(3, timeout=60)
    enhanced = Enhancer.enhanced

    def meeting(*given, **settings):
        barrier.wait()
        return enhanced(*given, **settings)

    monkeypatch.setattr(Enhancer, "enhanced", meeting)
    result = run(tiny_model, "in", "-o", "out", "--workers", "3")
    assert result.exit_code == 0, result.stderr


@pytest.mark.usefixtures("place")
def test_failures_are_told_and_the_rest_goes_on(tiny_model: Path) -> None:
    Path("in/03.wav").write_bytes(b"no sound")
    Path("in/07.wav").write_bytes(Path("in/07.wav").read_bytes()[:5000])
    Path("out").mkdir()
    Path("out/00.wav").write_text("earlier")
    result = run(tiny_model, "in", "gone.wav", "-o", "out", "--workers", "4")
    assert result.exit_code == 1
    *failed, summary = (line for line in result.stderr.splitlines() if "backend" not in line)
    for name in ("gone.wav", "in/03.wav", "in/07.wav is truncated"):
        assert sum(line.startswith("failed: ") and name in line for line in failed) == 1, name
    assert summary.startswith("9 enhanced") and "1 skipped" in summary
    assert summary.endswith("3 failed") and len(failed) == 3
    assert results("out")["00.wav"] == b"earlier" and len(results("out")) == 10


@pytest.mark.usefixtures("place")
def test_wrong_settings_are_told_once(tiny_model: Path) -> None:
    result = run(tiny_model, "in", "-o", "out", "--workers", "4", "--grid", "paper", "--predictor")
    assert result.exit_code == 2
    paper = ["--grid", "paper", "--predictor", "ancestral", "--steps", "3"]
    result = run(tiny_model, "in", "-o", "out", "--workers", "4", *paper)
    assert result.exit_code == 2
    assert result.stderr.count("speechduet: grid 'paper' with the ancestral predictor") == 1
    assert run(tiny_model, "in", "-o", "out", "--workers", "0").exit_code == 2


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    assert enhance.threads_each(1) is None
    assert [enhance.threads_each(workers) for workers in (2, 3, 8, 9)] == [4, 2, 1, 1]


def test_an_interruption_stops_all(tiny_model: Path, place: Path) -> None:
    for number in range(4):
        write(f"long/{number}.wav", np.tile(np.float32([0.1, -0.2, 0.3]), 400_000), 16_000)
    command = [sys.executable, "-m", "speechduet", "enhance", "long", "-o", "out", "--workers", "2"]
    process = subprocess.Popen(
        [*command, "-m", str(tiny_model), "--segment", "1", "--steps", "20"],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(speechduet.__file__).parents[1])},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while len(list(Path("out").glob(".*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert not list(Path("out").glob("*"))
