"""The time and the noise of a training example, as functions of the seed and its number alone.

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

    Published: t uniform from the process's t_min to 1 (paper eq. 8), the state around x_0. But no
    state that a sampler meets knows x_0. So two shares of the examples can be as in inference:
    ``at_start`` of all have the sampler's first state, at t = 1 around the anchor, which is all
    that a purely predictive answer ever sees; ``own_states`` of the others are drawn around what
    the predictive decoder, without gradient, makes of such a first state. There the first fusion
    and a truncated start lead.

    ``chained`` goes all the way: each example passes through both decoders as in inference, the
    predictive one at the first state, the generative one at a state around what that told. Then
    neither decoder learns anything that it is not asked, and there are no shares.
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

    def of(self, chance: Tensor, t_min: float) -> Tensor:
        """Times ``[batch]`` of numbers ``[batch, 3]``, uniform in [0, 1)."""
        lowest, highest = (max(t_min, time) for time in self.between)
        t = lowest + (highest - lowest) * chance[:, 0]
        return torch.where(self.begins(chance), torch.ones_like(t), t)

    def begins(self, chance: Tensor) -> Tensor:
        """Which examples ``[batch]`` have the sampler's first state."""
        return chance[:, 1] < self.at_start

    def own(self, chance: Tensor) -> Tensor:
        """Which examples ``[batch]`` have a state around the model's own estimate."""
        return ~self.begins(chance) & (chance[:, 2] < self.own_states)


class Draws(NamedTuple):
    """The random numbers of a batch: the same for an example in whatever company."""

    chance: Tensor
    """Uniform in [0, 1), ``[batch, 3]``."""
    z: Tensor
    """Standard complex normal, ``[batch, *shape]``: of the state."""
    first_z: Tensor
    """Likewise: of the first state behind a state of the model's own."""


def draw(seed: int, examples: Sequence[int], shape: Sequence[int], device: torch.device) -> Draws:
    """Random numbers for spectrograms of a shape, of the examples with these numbers."""
    chance, noise = [], []
    for example in examples:
        mixed = np.random.SeedSequence([seed, example]).generate_state(1, np.uint64)[0]
        generator = torch.Generator(device).manual_seed(int(mixed >> np.uint64(1)))
        chance.append(torch.rand(3, generator=generator, device=device))
        noise.append(
            torch.randn((2, *shape), generator=generator, device=device, dtype=torch.complex64)
        )
    z, first_z = torch.stack(noise, dim=1)
    return Draws(torch.stack(chance), z, first_z)
