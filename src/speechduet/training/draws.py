"""The time and the noise of a training example: as a rule functions of the seed and its number.

So a resumed run, several processes and any size of batch see the same numbers as one process that
was never stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from speechduet.errors import SettingError
from speechduet.settings import Settings, Share


@dataclass(frozen=True)
class TrainingTime(Settings):
    """At which time, and around what, the state of an example is drawn.

    Published: t uniform from the process's t_min to 1 (paper eq. 8), the state around x_0. But in
    inference no state is around x_0. So two shares of the examples can have states of inference:
    ``at_start`` of all have the sampler's first state, at t = 1 around the anchor, the only one
    that a purely predictive mode ever sees; ``own_states`` of the others are drawn around what
    the predictive decoder, without gradient, estimates at such a first state. That is where the
    sampler is after the first fusion and after a truncated start.

    ``chained`` gives every example states of inference: the predictive decoder gets the first
    state, the generative one a state around the predictive estimate. Each decoder is then trained
    only where it is used, and there are no shares.
    """

    at_start: Share = 0.0
    """Share of examples with the sampler's first state."""
    own_states: Share = 0.0
    """Share of the others whose state is drawn around the model's own predictive estimate."""
    between: tuple[Share, Share] = (0.0, 1.0)
    """Times of all but first states are uniform between these two, and not below the t_min."""
    chained: bool = False
    """Train each decoder on every example, at its own state of inference and only there."""

    def check(self) -> None:
        """Times are in order, and in a chain there are no shares."""
        for name, share in (("at_start", self.at_start), ("own_states", self.own_states)):
            if share and self.chained:
                raise SettingError(f"{name} is {share} in a chain", "0, or times.chained false")
        if self.between[0] > self.between[1]:
            raise SettingError(f"between is {list(self.between)}", "the earliest time first")

    def of(self, uniform: Tensor, t_min: float) -> Tensor:
        """Times ``[batch]`` for numbers ``[batch, 3]``, uniform in [0, 1)."""
        lowest, highest = (max(t_min, time) for time in self.between)
        t = lowest + (highest - lowest) * uniform[:, 0]
        return torch.where(self.is_initial(uniform), torch.ones_like(t), t)

    def is_initial(self, uniform: Tensor) -> Tensor:
        """Which examples ``[batch]`` have the sampler's first state."""
        return uniform[:, 1] < self.at_start

    def is_self_predicted(self, uniform: Tensor) -> Tensor:
        """Which examples ``[batch]`` have a state around the model's own estimate."""
        return ~self.is_initial(uniform) & (uniform[:, 2] < self.own_states)


class Draws(NamedTuple):
    """The random numbers of a batch; those of an example do not depend on the others in it."""

    uniform: Tensor
    """In [0, 1), ``[batch, 3]``: they decide the times."""
    z: Tensor
    """Standard complex normal, ``[batch, *shape]``: of the state."""
    first_z: Tensor
    """Likewise, of the first state: a state of the model's own is drawn around what it predicts
    there."""


def drawn_anew(examples: int, shape: Sequence[int], device: torch.device) -> Draws:
    """Random numbers for this many examples from the device's own generator.

    They depend on what was drawn before: for runs that are never resumed. No number of an example
    has to reach a GPU, so that a CUDA graph can hold this.
    """
    z, first_z = torch.randn((2, examples, *shape), device=device, dtype=torch.complex64)
    return Draws(torch.rand(examples, 3, device=device), z, first_z)


def draw(seed: int, examples: Sequence[int], shape: Sequence[int], device: torch.device) -> Draws:
    """Random numbers for spectrograms of a shape, of the examples with these numbers."""
    uniform, noise = [], []
    for example in examples:
        mixed = np.random.SeedSequence([seed, example]).generate_state(1, np.uint64)[0]
        generator = torch.Generator(device).manual_seed(int(mixed >> np.uint64(1)))
        uniform.append(torch.rand(3, generator=generator, device=device))
        noise.append(
            torch.randn((2, *shape), generator=generator, device=device, dtype=torch.complex64)
        )
    z, first_z = torch.stack(noise, dim=1)
    return Draws(torch.stack(uniform), z, first_z)
