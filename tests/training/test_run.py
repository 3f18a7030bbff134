from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from speechduet.checkpoint import load
from speechduet.network.compact import Compact
from speechduet.network.joint import Layout, System
from speechduet.process import OrnsteinUhlenbeck
from speechduet.spectrogram import Spectrogram
from speechduet.training.losses import LossSettings
from speechduet.training.module import Optimisation, Training, TrainingTime
from speechduet.training.recipe_file import read_recipe
from speechduet.training.run import train

RATE = 16_000
RECIPE = """
name: tiny
system: {layout: {generative: true, predictive: shared, parametrisation: clean}}
network: {kind: compact, channels: [4, 4], width: 8, encoder_blocks: 1, decoder_blocks: 1}
process: {kind: ornstein_uhlenbeck}
spectrogram: {hop: 256}
modes: {fast: {steps: 0}}
data:
  speech: FOLDER/speech
  noise: FOLDER/noise
  valid_clean: FOLDER/clean
  valid_noisy: FOLDER/noisy
mixing: {excerpt_s: 0.3}
losses: {weighting: clean}
run: {max_steps: 4, batch_size: 2, workers: 0, valid_every_steps: 2, checkpoint_every_steps: 2}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for folder in ("speech", "noise", "clean", "noisy"):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "a.wav", 0.3 * random.standard_normal(9000), RATE)
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE.replace("FOLDER", str(tmp_path)))
    return path


@pytest.mark.filterwarnings("ignore")
def test_training_leaves_a_model_folder_and_resumes(recipe: Path, tmp_path: Path) -> None:
    model = load(train(read_recipe(recipe), tmp_path / "run"))
    assert model.metadata["training"]["steps"] == 4
    longer = load(train(read_recipe(recipe, ["run.max_steps=6"]), tmp_path / "run"))
    assert longer.metadata["training"]["steps"] == 6
    log = (tmp_path / "run" / "log" / "metrics.csv").read_text()
    assert "valid/si_sdr_fast" in log.splitlines()[0]


def training(parametrisation: str = "clean") -> Training:
    size = Compact(bins=256, channels=(4, 4), width=8, encoder_blocks=1, decoder_blocks=1)
    layout = Layout(True, "shared", parametrisation)  # type: ignore[arg-type]
    module = Training(
        System(layout, OrnsteinUhlenbeck(), size),
        Spectrogram(hop=256),
        LossSettings(weighting="clean"),
        TrainingTime(at_start=0.5),
        Optimisation(),
    )
    module.log = lambda *values, **settings: None  # type: ignore[method-assign,assignment]
    return module


def test_steps_on_one_batch_lower_the_loss() -> None:
    torch.manual_seed(0)
    module = training()
    clean = 0.1 * torch.randn(2, 5000)
    x_0 = module.spectrogram.forward(clean)
    y = module.spectrogram.forward(clean + 0.1 * torch.randn_like(clean))
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = module.joint_loss(x_0, y, 5000)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:3])


def test_times_keep_to_their_range_and_share() -> None:
    torch.manual_seed(0)
    t = TrainingTime(at_start=0.25).draw(20_000, 0.03, torch.device("cpu"))
    assert 0.03 <= float(t.min()) and float(t.max()) == 1.0
    assert float((t == 1).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert float(t[t < 1].mean()) == pytest.approx(0.515, abs=0.02)
