"""The recipes of published systems, field by field against the one table of systems."""

from dataclasses import replace
from pathlib import Path

import pytest

from speechduet.model.config import Config
from speechduet.network.compact import Compact
from speechduet.network.layout import Layout
from speechduet.network.ncsnpp import NCSNpp
from speechduet.process import FlowMatching, OrnsteinUhlenbeck, SchroedingerBridge
from speechduet.recipe import RECIPES, Recipe, system_named
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram
from speechduet.training.losses import LossSettings
from speechduet.training.recipe_file import TrainingRecipe, read_recipe

FOLDER = Path(__file__).parents[2] / "recipes"
every_row = pytest.mark.parametrize("row", RECIPES, ids=lambda row: row.name)


def recipe(folder: str, name: str) -> TrainingRecipe:
    return read_recipe(FOLDER / folder / f"{name}.yaml")


@every_row
def test_voicebank_is_the_row(row: Recipe) -> None:
    model = recipe("voicebank", row.name).model
    assert model == Config(
        name=row.name,
        system=model.system,
        network=row.backbone,  # type: ignore[arg-type]
        process=row.process,  # type: ignore[arg-type]
        spectrogram=row.spectrogram,
        modes=row.modes,
    )
    assert model.layout == row.layout


@every_row
def test_voicebank_is_trained_as_published(row: Recipe) -> None:
    found = recipe("voicebank", row.name)
    assert found.losses == LossSettings(weighting="score", generative=0.5, predictive=0.5)
    assert found.mixing.excerpt_s == 2.04 and found.mixing.level_db == (0, 0)
    assert found.run.max_steps == 135_000 and found.run.batch_size == 8
    assert (found.run.ema_decay, found.optimisation.learning_rate) == (0.999, 1e-4)
    assert found.run.gradient_clip == found.optimisation.weight_decay == 0


@pytest.mark.parametrize("row", [row for row in RECIPES if row.name != "gp_sgmse_plus"], ids=str)
def test_the_study_has_the_rows_with_other_networks(row: Recipe) -> None:
    """GP-SGMSE+ is trained as GP-Unified."""
    model = recipe("study", row.name).model
    changed = {"parametrisation": "clean", "prior_std": 0.05} if row.process else {}
    assert model.layout == replace(row.layout, **changed)  # type: ignore[arg-type]
    assert model.process == row.process and isinstance(model.network, Compact)
    assert model.spectrogram == replace(row.spectrogram, hop=256)
    assert set(model.modes) == set(row.modes) - {"best"}
    for mode, sampling in model.modes.items():
        steps = 0 if mode == "fast" else 5
        assert sampling == replace(row.modes[mode], steps=steps, grid="exact")


def test_other_processes() -> None:
    for name, process in (
        ("schroedinger_bridge", SchroedingerBridge(k=2.6, c=0.4)),
        ("flow_matching", FlowMatching()),
    ):
        model = recipe("voicebank", name).model
        assert model.layout == Layout(True, "none", parametrisation="clean")
        assert (model.network, model.process) == (NCSNpp(), process)


def test_the_rows_are_those_of_the_papers() -> None:
    """Published numbers, for a mistake in the table would be one in all recipes."""
    small = NCSNpp(multipliers=(1, 2, 2, 2), residual_blocks=1, attention_bins=(), centred=False)
    large, process = NCSNpp(128, (1, 1, 2, 2, 2, 2, 2), 2, (16,), 256), OrnsteinUhlenbeck()
    assert (process.theta, process.sigma_min, process.sigma_max, process.t_min) == (
        *(1.5, 0.05, 0.5),
        0.03,
    )
    transform = Spectrogram(16_000, 510, 128, 0.5, 0.15)
    fast, published = Sampling(steps=0), Sampling(steps=30, alpha=0.2, beta=0.1)
    rows = {
        "predictive": (Layout(False, "own"), small, None, {"fast": fast}),
        "sgmse_plus": (Layout(True, "none"), large, process, {"balanced": Sampling(steps=30)}),
        "storm": (
            *(Layout(True, "own"), small, process),
            {"fast": fast, "balanced": Sampling(steps=50, grid="paper")},
        ),
        "gp_sgmse_plus": (Layout(True, "shared"), large, process, {"balanced": Sampling(steps=30)}),
        "gp_unified": (
            *(Layout(True, "shared"), large, process),
            {"fast": fast, "balanced": replace(published, steps=15), "best": published},
        ),
    }
    assert list(rows) == [row.name for row in RECIPES]
    for row in RECIPES:
        assert (row.layout, row.backbone, row.process, row.modes) == rows[row.name]
        assert row.spectrogram == transform
        assert row.sampling == list(row.modes.values())[-1]
    assert [row.scores for row in RECIPES] == [
        *(None, (2.93, 0.87, 17.3), (2.93, 0.88, 18.8), (2.95, 0.87, 17.9), (2.97, 0.87, 18.3))
    ]
    assert system_named("gp_unified").source.endswith("ESTOI 0.87, SI-SDR 18.3 at 30 steps")
