"""The plan of a mode, recorded while the sampler runs.

Whatever the sampler does with spectrograms is a weighted sum of them: process, predictor, corrector
and fusion only ever scale and add. So it is run once on stand-ins, vectors of weights over all that
a sum can be made of: the noisy speech, each random draw, and each output of a network. What it
computes with them are the weights that a plan needs, and no formula is stated a second time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from speechduet.backend.export import OUTPUTS
from speechduet.errors import SettingError
from speechduet.network.system import Program, System
from speechduet.onnx.description import NOISE, Plan, Run, Sum
from speechduet.process import ratio
from speechduet.sampler import Sampling, reverse
from speechduet.spectrogram import Spectrogram

_EXACT = 1e-9
"""Weights are computed in double precision; what is smaller is rounding."""


def recorded(system: System, spectrogram: Spectrogram, sampling: Sampling) -> Plan:
    """How these settings make the enhanced spectrogram out of the noisy one.

    SettingError for ``faithful``, which is no weighted sum.
    """
    if sampling.faithful:
        raise SettingError(
            f"a mode with faithful {sampling.faithful}", "0, for what is exported lacks it"
        )
    # An evaluation makes two estimates and takes one draw at most.
    evaluations = sampling.generative_evaluations + sampling.predictions
    recorder = _Recorder(width=8 + 3 * evaluations)
    with torch.inference_mode():
        y = recorder.new("y", lasting=True)
        steps = reverse(system.evaluated_by(recorder), system.process, y, sampling, recorder.draw)
        *_, last = steps
        result = recorder.name_of(last.result.real.flatten())
    offsets = tuple(spectrogram.framing_offsets(sampling.framings))
    return Plan(offsets, tuple(recorder.steps), result)


class _Term(NamedTuple):
    """What a sum can be made of; one that lasts may be needed at any later step."""

    name: str
    lasting: bool


class _Kept(NamedTuple):
    """A sum that has a name: its weights, and how many terms there were then."""

    name: str
    weights: Tensor
    terms: int


@dataclass
class _Recorder:
    """A backend, and a source of draws, that notes what it is asked for."""

    width: int
    terms: list[_Term] = field(default_factory=list)
    kept: list[_Kept] = field(default_factory=list)
    steps: list[Sum | Run] = field(default_factory=list)
    draws: int = 0
    runs: int = 0

    def new(self, name: str, lasting: bool) -> Tensor:
        """The stand-in of one more term: weight 1 of itself, ``[1, 1, 1, width]``."""
        weights = torch.zeros(self.width, dtype=torch.complex128)
        weights[len(self.terms)] = 1
        self.terms.append(_Term(name, lasting))
        return weights.reshape(1, 1, 1, -1)

    def draw(self, shape: tuple[int, ...]) -> Tensor:
        """The stand-in of a random draw."""
        self.draws += 1
        return self.new(f"{NOISE}{self.draws - 1}", lasting=False)

    def __call__(
        self, program: Program, spectrograms: Tensor, t: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Stand-ins of the outputs of `System.forward`."""
        inputs = tuple(self.name_of(weights) for weights in spectrograms[0, 0::2, 0])
        names = tuple(f"{output}{self.runs}" for output in OUTPUTS[program])
        self.runs += 1
        self.steps.append(Run(program, inputs, None if t is None else t.item(), names))
        made = [self.new(name, lasting=name.startswith("predictive")) for name in names]
        return tuple(torch.cat([value.real, value.imag], dim=1) for value in made)

    def name_of(self, weights: Tensor) -> str:
        """The name of a value with these weights; a step makes it if there is none yet."""
        for index, term in enumerate(self.terms):
            if weights[index] == 1 and weights.count_nonzero() == 1:
                return term.name
        for kept in self.kept:
            if torch.equal(kept.weights, weights):
                return kept.name
        made = _Kept(f"x{len(self.kept)}", weights, len(self.terms))
        self.steps.append(Sum(made.name, self._sum(weights)))
        self.kept.append(made)
        return made.name

    def _sum(self, weights: Tensor) -> Mapping[str, float]:
        """The weights of a sum, of as few and as recent values as there can be.

        A state is mostly a multiple of the one before and some of what was made since. Without
        that, everything ever made would be kept, and added up again at each step.
        """
        for kept in reversed(self.kept):
            lasting = torch.tensor([term.lasting for term in self.terms[: kept.terms]])
            earlier = torch.nonzero(~lasting).flatten()
            ours, theirs = weights[earlier], kept.weights[earlier]
            if not (ours.abs() > _EXACT).any():
                break
            share = ratio(ours.dot(theirs), theirs.dot(theirs))
            if ((ours - share * theirs).abs() <= _EXACT * ours.abs().max()).all():
                return {kept.name: share.item(), **self._each(weights - share * kept.weights)}
        return self._each(weights)

    def _each(self, weights: Tensor) -> Mapping[str, float]:
        return {
            term.name: weight.item()
            for term, weight in zip(self.terms, weights[: len(self.terms)], strict=True)
            if weight.abs() > _EXACT
        }
