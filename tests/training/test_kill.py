"""``kill -9`` and a new start of the same run: the weights are those of a run never stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from speechduet.training.recipe_file import read_recipe
from speechduet.training.run import train

SETTINGS = ["run.max_steps=30", "run.workers=1", "run.checkpoint_every_steps=1"]


def start(recipe: Path, folder: Path, *more: str) -> "subprocess.Popen[bytes]":
    """The command, in a group of its own, so that its workers die with it."""
    command = [sys.executable, "-m", "speechduet", "train", "--config", str(recipe)]
    command += ["--folder", str(folder)]
    command += [word for setting in (*SETTINGS, *more) for word in ("--override", setting)]
    return subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # A shell's background jobs ignore Ctrl-C, and so would this one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def signalled(process: "subprocess.Popen[bytes]", folder: Path, number: int) -> str:
    """What a command said that is sent a signal, with its workers, after its second checkpoint."""
    deadline = time.monotonic() + 120
    while not (folder / "previous.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(process.pid, number)
    return process.communicate(timeout=60)[1].decode()


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor]
    state = torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]
    return state


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_killed_run_started_again_ends_with_the_same_weights(
    recipe: Path, tmp_path: Path
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(read_recipe(recipe, SETTINGS), whole)
    process = start(recipe, stopped)
    signalled(process, stopped, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "it ended before it could be killed"
    assert not (stopped / "model").exists()
    train(read_recipe(recipe, SETTINGS), stopped)
    expected, found = weights(whole), weights(stopped)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_processes_stops_the_run(recipe: Path, tmp_path: Path, number: int) -> None:
    process = start(recipe, tmp_path / "run", "run.max_steps=100000")
    said = signalled(process, tmp_path / "run", number)
    assert process.returncode == 1
    assert "Traceback" not in said and "was killed" not in said
    assert said.endswith("; the same command goes on from its last checkpoint\n")
