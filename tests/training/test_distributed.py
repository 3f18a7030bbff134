"""Two processes with gloo do what one with the doubled batch does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from speechduet.training.recipe_file import read_recipe
from speechduet.training.run import train

SETTINGS = [
    *("run.max_steps=4", "run.valid_every_steps=2", "run.log_every_steps=1", "run.accumulate=2"),
    *("losses.adversarial=10", "losses.matching=10"),
]


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_processes_equal_one_with_the_doubled_batch(validated: Path, tmp_path: Path) -> None:
    single = ["run.batch_size=4", *SETTINGS]
    whole = tmp_path / "whole"
    train(read_recipe(validated, single), whole)
    two = tmp_path / "two"
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("-m", "speechduet", "train", "--config", str(validated), "--folder", str(two)),
        *(word for setting in SETTINGS for word in ("--override", setting)),
    ]
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr[-2000:]
    one_state, two_state = (
        torch.load(folder / "last.ckpt", weights_only=True) for folder in (whole, two)
    )
    assert one_state["examples_seen"] == two_state["examples_seen"] == 32
    # Adam divides by the gradient's size, so that rounding in the sums grows where it is tiny.
    for name, expected in one_state["state_dict"].items():
        torch.testing.assert_close(two_state["state_dict"][name], expected, rtol=1e-3, atol=3e-5)
    ones, twos = log(whole), log(two)
    assert [line["step"] for line in ones] == [line["step"] for line in twos]
    for one, other in zip(ones, twos, strict=True):
        for name in ("train/loss", "valid/si_sdr_fast", "valid/pesq_balanced"):
            if name in one:
                assert other[name] == pytest.approx(one[name], rel=1e-3, abs=2e-3), name
