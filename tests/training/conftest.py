"""A recipe whose run takes a second: a very small joint system on the bundled samples."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gpu_scripts import GPU, script
from tiny_recipe import SYSTEM_AND_DATA

RECIPE = (
    SYSTEM_AND_DATA
    + """
optimisation: {learning_rate: 3e-3}
run:
  max_steps: 9
  batch_size: 2
  workers: 0
  accelerator: cpu
  valid_every_steps: 4
  checkpoint_every_steps: 2
  log_every_steps: 3
"""
)


@pytest.fixture
def recipe(tmp_path: Path, root: Path) -> Path:
    """The recipe's file."""
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE.replace("ROOT", str(root)))
    return path


@pytest.fixture
def validated(recipe: Path, root: Path) -> Path:
    """The recipe with two pairs to validate on."""
    data = f"valid_clean: {root}/samples/clean, valid_noisy: {root}/samples/noisy, valid_limit: 2"
    recipe.write_text(recipe.read_text().replace("/samples}", f"/samples, {data}}}"))
    return recipe


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
