"""What a system costs, against what it does."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from speechduet.network.compact import Compact
from speechduet.network.cost import (
    FRAMES,
    calls,
    evaluations,
    operations,
    operations_per_second,
    parameters,
)
from speechduet.network.layout import Layout
from speechduet.network.system import System
from speechduet.process import OrnsteinUhlenbeck
from speechduet.recipe import RECIPES
from speechduet.sampler import Sampling, reverse
from speechduet.spectrogram import Spectrogram

BY_NAME = {recipe.name: recipe for recipe in RECIPES}
TINY = Compact(bins=8, channels=(4, 4), width=8, encoder_blocks=1, decoder_blocks=1)
LAYOUTS = {
    "predictive": Layout(False, "own"),
    "generative": Layout(True, "none", "clean"),
    "storm": Layout(True, "own", "clean"),
    "joint": Layout(True, "shared", "clean"),
}
SAMPLINGS = (
    Sampling(steps=0),
    Sampling(steps=1, alpha=0.2, beta=0.1),
    Sampling(steps=3),
    Sampling(steps=2, corrector_steps=0),
    Sampling(steps=3, corrector_steps=0, alpha=0.2, beta=0.1),
    Sampling(steps=2, corrector_steps=2, beta=0.5),
    Sampling(steps=2, start=0.5, start_from="predictive"),
    Sampling(steps=2, start=0.5, start_from="predictive", beta=0.5),
    Sampling(steps=2, start=0.5, start_from="predictive", beta=0.5, predict_once=True),
    Sampling(steps=3, alpha=0.2, beta=0.1, predict_once=True),
    Sampling(steps=3, predict_once=True),
)


def published(name: str) -> System:
    with torch.device("meta"):
        return BY_NAME[name].build()


def test_the_difference_of_the_published_sizes_is_one_more_decoder() -> None:
    """65.6 M + a second way up of 41.2 M = 106.8 M: encoder and bottleneck are shared."""
    single, joint = parameters(published("sgmse_plus")), parameters(published("gp_unified"))
    assert sum(single) == 65_590_694
    assert sum(joint) == 106_782_668
    assert joint._replace(predictive_decoder=0) == single
    assert joint.predictive_decoder == joint.generative_decoder == 41_191_974
    assert joint.encoder == 394_240 + 21_115_776 + 2_888_704  # embedding, way down, bottleneck


@pytest.mark.parametrize("name", BY_NAME)
def test_the_parts_are_the_whole(name: str) -> None:
    system = published(name)
    whole = sum(p.numel() for p in system.parameters() if p.requires_grad)
    assert sum(parameters(system)) == whole


def test_operations_of_the_published_network() -> None:
    """266.9 GMAC were counted on the original code; a cheaper order of operations saves some."""
    each = operations(published("sgmse_plus"), bins=256)
    assert 0.97 * 266.9 < (each.encoder + each.generative_decoder) / 1e9 < 1.005 * 266.9
    assert (each.predictive_decoder, each.predictive_network) == (0, 0)
    joint = operations(published("gp_unified"), bins=256)
    assert joint.predictive_decoder == joint.generative_decoder == each.generative_decoder


def test_operations_per_second_are_calls_times_operations() -> None:
    system = System(LAYOUTS["joint"], OrnsteinUhlenbeck(), TINY)
    transform = Spectrogram(16_000, n_fft=14, hop=8)
    each = operations(system, transform.bins)
    sampling = Sampling(steps=2, corrector_steps=0, beta=0.5)
    expected = 2 * each.encoder + 2 * each.generative_decoder + each.predictive_decoder
    rate = operations_per_second(each, system.layout, sampling, transform)
    assert rate * FRAMES * 8 / 16_000 == pytest.approx(expected)


def possible(layout: Layout, sampling: Sampling) -> bool:
    lacking = layout.predictive == "none" and sampling.needs_predictive
    return not lacking and (layout.generative or sampling.steps == 0)


@pytest.mark.parametrize("sampling", [Sampling(steps=0), Sampling(steps=2, beta=0.5)])
def test_every_framing_costs_the_same(sampling: Sampling) -> None:
    several = replace(sampling, framings=3)
    for layout in (LAYOUTS["joint"], LAYOUTS["storm"]):
        assert calls(layout, several) == tuple(3 * n for n in calls(layout, sampling))
        assert evaluations(layout, several) == 3 * evaluations(layout, sampling)


@pytest.mark.parametrize(
    ("kind", "sampling"),
    [
        pytest.param(kind, sampling, id=f"{kind}-{number}")
        for kind, layout in LAYOUTS.items()
        for number, sampling in enumerate(SAMPLINGS)
        if possible(layout, sampling)
    ],
)
def test_calls_are_those_that_happen(kind: str, sampling: Sampling) -> None:
    layout = LAYOUTS[kind]
    system = System(layout, OrnsteinUhlenbeck() if layout.generative else None, TINY).eval()
    expected = calls(layout, sampling)
    happened = dict.fromkeys(expected._fields, 0)

    def count(part: str) -> None:
        happened[part] += 1

    for part in happened:
        module = getattr(system, part)
        if isinstance(module, nn.Module):
            module.register_forward_hook(lambda *_, part=part: count(part))
    y = torch.randn(1, 1, 8, 4, dtype=torch.complex64)
    with torch.inference_mode():
        list(reverse(system, system.process, y, sampling, lambda shape: torch.randn(shape) + 0j))
    assert happened == expected._asdict()
    # StoRM's prediction is its anchor, which is not counted beside reverse steps.
    networks = happened["encoder"] or happened["predictive_network"]
    assert evaluations(layout, sampling) == networks
