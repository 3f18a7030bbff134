"""A recipe whose run takes a second: a very small joint system on the bundled samples."""

from pathlib import Path

import pytest

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
