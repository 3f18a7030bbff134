"""A recipe whose run takes a second: a very small joint system on the bundled samples."""

from pathlib import Path

import pytest

RECIPE = """
name: tiny
system: {layout: {generative: true, predictive: shared, parametrisation: clean}}
network: {kind: compact, channels: [4, 4], width: 8, encoder_blocks: 1, decoder_blocks: 1, bins: 64}
process: {kind: ornstein_uhlenbeck}
spectrogram: {n_fft: 126, hop: 64}
modes:
  fast: {steps: 0}
  balanced: {steps: 2, predictor: ancestral, corrector_steps: 0, beta: 0.5}
data: {pairs: ROOT/samples}
mixing: {excerpt_s: 0.3}
losses: {weighting: clean}
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
