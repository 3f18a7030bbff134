"""What the reverse process asks the decoders: at which state, time and anchor."""

import pytest
import torch
from torch import Tensor

from oracles import OUVE, SHAPE, Noise, knowing, oracle, run, spectrogram
from speechduet.sampler import Estimate, Sampling, reverse, time_grid
from stand_ins import Ruled


class Anchored(Ruled):
    """With an anchor of its own, and a memory of what it was asked."""

    def __init__(self, anchor: Tensor) -> None:
        super().__init__(knowing(torch.zeros_like(anchor)), knowing(torch.ones_like(anchor)))
        self.target = anchor
        self.given: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def anchor(self, y: Tensor) -> Tensor:
        return self.target

    def estimate(
        self, x_t: Tensor, y: Tensor, anchor: Tensor, t: Tensor, **decoders: bool
    ) -> Estimate:
        self.given.append((x_t, y, anchor, t))
        return super().estimate(x_t, y, anchor, t, **decoders)


@pytest.mark.parametrize("corrector_steps", [0, 1])
@pytest.mark.parametrize("predictor", ["deterministic", "heun"])
def test_decoders_see_the_state_the_noisy_speech_and_the_anchor(
    predictor: str, corrector_steps: int
) -> None:
    y, anchor = torch.randn(2, 3, 1, 3, 2, dtype=torch.complex128)
    system = Anchored(anchor)
    settings = Sampling(
        steps=3,
        predictor=predictor,  # type: ignore[arg-type]
        corrector_steps=corrector_steps,
        start_from="predictive",
        beta=0.5,
    )
    steps = run(system, settings, y)
    assert len(system.given) == 1 + settings.generative_evaluations
    for x_t, noisy, target, t in system.given:
        assert noisy is y and target is anchor
        assert x_t.shape == y.shape and t.shape == (3,)
    assert [step.number for step in steps] == [0, 1, 2]
    assert [step.time for step in steps] == [time for time, _ in time_grid(OUVE, settings)]
    assert not any(step.generative is None or step.generative.any() for step in steps)
    if not corrector_steps:  # each step starts at the state that the one before led to
        states = [x_t for x_t, *_ in system.given]
        assert all(any(x_t is step.state for x_t in states) for step in steps[:-1])


def test_without_steps_the_prediction_is_made_of_the_anchor_and_noise() -> None:
    y, anchor = torch.randn(2, *SHAPE, dtype=torch.complex128)
    system, noise = Anchored(anchor), Noise()
    (only,) = reverse(system, OUVE, y, Sampling(steps=0), noise)
    t = torch.ones(1, dtype=torch.float64)
    torch.testing.assert_close(only.state, OUVE.perturb(anchor, anchor, t, noise.drawn[0]))
    assert (only.number, only.time) == (0, 1.0) and only.predictive is only.result
    ((x_t, noisy, target, _),) = system.given
    assert x_t is only.state and noisy is y and target is anchor


def test_deterministic_steps_draw_the_first_state_alone() -> None:
    settings, noise = Sampling(steps=4, predictor="deterministic", corrector_steps=0), Noise()
    list(reverse(oracle(spectrogram()), OUVE, spectrogram(), settings, noise))
    assert len(noise.drawn) == 1
