"""Systems that are small enough to be compiled or exported, and questions to put to them."""

from collections.abc import Callable
from typing import TypeAlias

import pytest
import torch
from torch import Tensor

from speechduet.network.backbone import Backbone
from speechduet.network.compact import Compact
from speechduet.network.layout import Layout
from speechduet.network.ncsnpp import NCSNpp
from speechduet.network.system import Backend, Program, System
from speechduet.process import OrnsteinUhlenbeck

BINS = 32
LAYOUTS = {
    "unified": Layout(True, "shared", "clean"),
    "storm": Layout(True, "own"),
    "predictive": Layout(False, "own"),
}
BACKBONES: dict[str, Backbone] = {
    "compact": Compact(bins=BINS, channels=(4, 6), width=16, encoder_blocks=1, decoder_blocks=1),
    "ncsnpp": NCSNpp(8, (1, 2, 2), 1, attention_bins=(16,), bins=BINS, frame_multiple=4),
}

Ask: TypeAlias = Callable[[System, Program, int, int], tuple[Tensor, Tensor | None]]


def made(layout: Layout, backbone: Backbone) -> System:
    """With random weights none of which is silent."""
    system = System(layout, OrnsteinUhlenbeck() if layout.generative else None, backbone)
    for parameter in system.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return system.eval()


@pytest.fixture
def system() -> System:
    """Compact, with a decoder of each kind."""
    return made(LAYOUTS["unified"], BACKBONES["compact"])


@pytest.fixture(params=[(b, n) for b in BACKBONES for n in LAYOUTS], ids="-".join)
def any_system(request: pytest.FixtureRequest) -> System:
    """Of each backbone and layout."""
    backbone, layout = request.param
    return made(LAYOUTS[layout], BACKBONES[backbone])


@pytest.fixture
def ask() -> Ask:
    """Inputs of a program for numbers of examples and frames."""

    def inputs(
        system: System, program: Program, examples: int, frames: int
    ) -> tuple[Tensor, Tensor | None]:
        x_t, y, anchor = torch.randn(3, examples, 1, BINS, frames, dtype=torch.complex64)
        if program == "predictive_network":
            return torch.cat([y.real, y.imag], dim=1), None
        return system.inputs(x_t, y, anchor), torch.linspace(0.05, 0.9, examples)

    return inputs


@pytest.fixture
def greatest_difference(ask: Ask) -> Callable[[Backend, System], float]:
    """Between a backend and the system's forward, relative to the greatest magnitude."""

    def compare(backend: Backend, system: System) -> float:
        differences = []
        for program in system.programs():
            # One example after three: what one shape leaves behind must not show in the next.
            for examples, frames in ((3, 8), (1, 52), (1, 4)):
                spectrograms, t = ask(system, program, examples, frames)
                outputs = backend(program, spectrograms, t)
                with torch.inference_mode():
                    expected = system(program, spectrograms, t)
                assert [x.shape for x in outputs] == [x.shape for x in expected]
                assert all(x.dtype == torch.float32 for x in outputs)
                differences += [
                    ((ours - theirs).abs().max() / theirs.abs().max()).item()
                    for ours, theirs in zip(outputs, expected, strict=True)
                ]
        return max(differences)

    return compare
