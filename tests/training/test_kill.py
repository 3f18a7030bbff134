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


def start(recipe: Path, folder: Path) -> "subprocess.Popen[bytes]":
    """The command, in a group of its own, so that its workers die with it."""
    command = [sys.executable, "-m", "speechduet", "train", "--config", str(recipe)]
    command += ["--folder", str(folder)]
    command += [word for setting in SETTINGS for word in ("--override", setting)]
    return subprocess.Popen(
        command,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


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
    deadline = time.monotonic() + 120
    while not (stopped / "previous.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL, "it ended before it could be killed"
    assert not (stopped / "model").exists()
    train(read_recipe(recipe, SETTINGS), stopped)
    expected, found = weights(whole), weights(stopped)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
