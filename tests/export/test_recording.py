"""Plans: what the sampler does, for every process, predictor and way of fusion."""

from itertools import count, product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from speechduet.export.recording import recorded
from speechduet.network.compact import Compact
from speechduet.network.layout import Layout
from speechduet.network.system import Program, System
from speechduet.onnx.description import Run, Sum
from speechduet.onnx.enhancer import carried_out
from speechduet.process import FlowMatching, OrnsteinUhlenbeck, Process, SchroedingerBridge
from speechduet.recipe import RECIPES
from speechduet.sampler import Sampling, reverse
from speechduet.spectrogram import Spectrogram

BINS, FRAMES = 8, 6
Array = np.ndarray[Any, Any]
SIZE = Compact(bins=BINS, channels=(4,), width=8, encoder_blocks=1, decoder_blocks=1)

SETTINGS = {
    "fast": Sampling(steps=0),
    "published": Sampling(steps=4, alpha=0.2, beta=0.1),
    "paper": Sampling(steps=4, grid="paper", corrector_steps=0),
    "two corrections": Sampling(steps=3, corrector_steps=2, predictor="ancestral"),
    "second order": Sampling(steps=3, corrector_steps=0, predictor="heun", start=0.9),
    "deterministic": Sampling(steps=3, corrector_steps=0, predictor="deterministic", beta=0.4),
    "truncated": Sampling(
        *(2, "exact", "ancestral", 0, 0.5, 0.7, 0.5, 0.3, "predictive", True), framings=2
    ),
}
SYSTEMS: dict[str, tuple[Layout, Process | None]] = {
    "unified": (Layout(True, "shared", "score"), OrnsteinUhlenbeck()),
    "clean": (Layout(True, "shared", "clean", prior_std=0.05), OrnsteinUhlenbeck()),
    "storm": (Layout(True, "own", "score"), OrnsteinUhlenbeck()),
    "sgmse": (Layout(True, "none", "score"), OrnsteinUhlenbeck()),
    "bridge": (Layout(True, "shared", "clean"), SchroedingerBridge()),
    "flow": (Layout(True, "own", "clean"), FlowMatching()),
    "predictive": (Layout(False, "own"), None),
}


def possible() -> list[tuple[str, str]]:
    pairs = []
    for name, kind in product(SYSTEMS, SETTINGS):
        (layout, _), sampling = SYSTEMS[name], SETTINGS[kind]
        lacks = sampling.needs_predictive and layout.predictive == "none"
        lacks |= sampling.steps > 0 and not layout.generative
        endless = sampling.predictor == "euler_maruyama" and name in ("bridge", "flow")
        if not lacks and not (endless and sampling.steps):
            pairs.append((name, kind))
    return pairs


def network(program: Program, spectrograms: Tensor, t: Tensor | None) -> tuple[Tensor, ...]:
    """Not linear, and other numbers for each program, output, input and time."""
    offset = len(program) + (0 if t is None else t.reshape(-1, 1, 1, 1))
    weights = torch.arange(1, spectrograms.shape[1] + 1).reshape(1, -1, 1, 1)
    mixed = (spectrograms * torch.sin(weights + offset)).sum(1, keepdim=True)
    outputs = 2 if program == "both" else 1
    both = torch.cat([torch.tanh(mixed), torch.cos(mixed)], dim=1)
    return tuple(0.5 * (1 + number) * both for number in range(outputs))


def evaluate(step: Run, inputs: Any) -> list[Array]:
    values = torch.from_numpy(np.concatenate(inputs, axis=1))
    parts = torch.view_as_real(values).permute(0, 1, 4, 2, 3).flatten(1, 2)
    t = None if step.t is None else torch.full((len(parts),), step.t)
    outputs = network(step.run, parts, t)  # type: ignore[arg-type]
    return [torch.complex(o[:, :1], o[:, 1:]).numpy() for o in outputs]


@pytest.mark.parametrize(("name", "kind"), possible())
def test_a_plan_gives_what_the_sampler_gives(name: str, kind: str) -> None:
    layout, process = SYSTEMS[name]
    system = System(layout, process, SIZE)
    transform = Spectrogram(n_fft=2 * BINS - 2, hop=4)
    plan = recorded(system, transform, SETTINGS[kind])
    assert plan.offsets == tuple(transform.framing_offsets(SETTINGS[kind].framings))
    y, *noise = 0.3 * torch.randn(40, 2, 1, BINS, FRAMES, dtype=torch.complex64)
    numbers = count()

    def draw(shape: tuple[int, ...]) -> Tensor:
        return noise[next(numbers)]

    with torch.inference_mode():
        *_, last = reverse(system.evaluated_by(network), process, y, SETTINGS[kind], draw)
        expected = last.result.numpy()
        result = carried_out(plan, y.numpy(), lambda n, frames: noise[n].numpy(), evaluate)
    greatest = np.abs(expected).max()
    np.testing.assert_allclose(result, expected, atol=2e-4 * greatest, rtol=0)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_sums_are_of_few_values(recipe: Any) -> None:
    """Else each of 30 steps would add up all that was ever made."""
    plan = recorded(recipe.build(SIZE), Spectrogram(), recipe.sampling)
    assert all(len(step.of) <= 5 for step in plan.steps if isinstance(step, Sum))
    held = {"y"}
    for step, forgotten in zip(plan.steps, plan.forgotten, strict=True):
        held |= set(step.make if isinstance(step, Run) else (step.make,))
        held -= set(forgotten)
        assert len(held) <= 5
    runs = [step for step in plan.steps if isinstance(step, Run)]
    anchors = recipe.layout.anchored
    predicted = recipe.sampling.steps == 0
    assert len(runs) == recipe.sampling.generative_evaluations + anchors + predicted
