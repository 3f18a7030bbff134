"""The five systems: their published sizes, and that each runs on any backbone."""

import pytest
import torch
from torch import nn

from speechduet.network.backbone import Backbone
from speechduet.network.compact import Compact
from speechduet.network.ncsnpp import NCSNpp
from speechduet.recipe import RECIPES, Recipe
from speechduet.sampler import Sampling, reverse

BY_NAME = {recipe.name: recipe for recipe in RECIPES}
every_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)


def parameters(module: nn.Module | None) -> int:
    assert module is not None
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def published(name: str) -> nn.Module:
    with torch.device("meta"):
        return BY_NAME[name].build()


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("predictive", 27_342_222),
        ("sgmse_plus", 65_590_694),
        ("storm", 27_775_910 + 27_342_222),
        ("gp_sgmse_plus", 106_782_668),
        ("gp_unified", 106_782_668),
    ],
)
def test_published_sizes(name: str, total: int) -> None:
    assert parameters(published(name)) == total


def test_published_sizes_of_the_parts() -> None:
    """SGMSE+ has 0.394 M in the embedding, 21.116 down, 2.889 in the bottleneck, 41.192 up."""
    unified = published("gp_unified")
    encoder = unified.encoder
    embedding = parameters(encoder.embedding)
    bottleneck = sum(
        parameters(part)
        for part in (encoder.bottleneck_in, encoder.attention, encoder.bottleneck_out)
    )
    down = parameters(encoder) - embedding - bottleneck
    up = parameters(unified.generative_decoder)
    assert [round(n / 1e6, 3) for n in (embedding, down, bottleneck, up)] == [
        0.394,
        21.116,
        2.889,
        41.192,
    ]
    assert parameters(unified.predictive_decoder) == up
    storm = published("storm")
    assert parameters(storm.predictive_network) == 27_342_222
    # The fixed Fourier features come on top of what is trained.
    assert storm.encoder.embedding.frequencies.numel() == 128


def test_systems_of_the_paper() -> None:
    assert [recipe.name for recipe in RECIPES] == [
        "predictive",
        "sgmse_plus",
        "storm",
        "gp_sgmse_plus",
        "gp_unified",
    ]
    unified = BY_NAME["gp_unified"].sampling
    assert (unified.alpha, unified.beta) == (0.2, 0.1)
    assert BY_NAME["gp_unified"].layout == BY_NAME["gp_sgmse_plus"].layout
    assert not BY_NAME["gp_sgmse_plus"].sampling.needs_predictive


@every_recipe
@pytest.mark.parametrize(
    "backbone",
    [
        NCSNpp(base_channels=4, multipliers=(1, 2), residual_blocks=1, attention_bins=(), bins=32),
        Compact(bins=32, channels=(4, 6), width=8, encoder_blocks=1, decoder_blocks=1, embedding=8),
    ],
    ids=["ncsnpp", "compact"],
)
@torch.inference_mode()
def test_every_system_runs_on_every_backbone(recipe: Recipe, backbone: Backbone) -> None:
    system = recipe.build(backbone).eval()
    y = 0.1 * torch.randn(2, 1, 32, 64, dtype=torch.complex64)
    steps = min(recipe.sampling.steps, 3)
    sampling = Sampling(
        steps,
        recipe.sampling.grid,
        alpha=recipe.sampling.alpha,
        beta=recipe.sampling.beta,
    )
    path = list(reverse(system, system.process, y, sampling, draw))
    assert len(path) == max(steps, 1)
    assert path[-1].result.shape == y.shape and path[-1].result.isfinite().all()


def draw(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.complex64)
