"""Single reverse steps against what the forward kernel says, for a known clean spectrogram."""

from typing import get_args

import pytest
import torch
from torch import Tensor

from speechduet.process import FlowMatching, OrnsteinUhlenbeck, Process, SchroedingerBridge
from speechduet.sampler.transition import (
    PREDICTORS,
    Denoise,
    Predictor,
    ReverseStep,
    Transition,
    ancestral,
    deterministic,
    euler_maruyama,
    heun,
    langevin,
)

every_process = pytest.mark.parametrize(
    "process", [OrnsteinUhlenbeck(), SchroedingerBridge(), FlowMatching()], ids=str
)
SHAPE = (1, 1, 3, 2)


def at(t: float) -> Tensor:
    return torch.tensor([t], dtype=torch.float64)


def draw() -> Tensor:
    return torch.randn(SHAPE, dtype=torch.complex128)


def known(x_0: Tensor) -> Denoise:
    """What knows the answer."""
    return lambda x_t, t: x_0


@every_process
@pytest.mark.parametrize(("now", "then"), [(1.0, 0.6), (0.8, 0.1), (0.3, 0.0)])
def test_deterministic_steps_keep_the_noise(process: Process, now: float, then: float) -> None:
    x_0, y, z = draw(), draw(), draw()
    x_t = process.perturb(x_0, y, at(now), z)
    step = deterministic(process, known(x_0), x_t, y, at(now), at(now - then))
    if process.kernel(at(now)).std == 0:
        z = torch.zeros_like(z)  # a bridge's end has no noise that could be kept
    torch.testing.assert_close(step.mean, process.perturb(x_0, y, at(then), z))
    assert not step.noisy


@every_process
@pytest.mark.parametrize(("now", "then"), [(1.0, 0.6), (0.8, 0.1), (0.3, 0.0)])
def test_ancestral_steps_compose_to_the_kernel(process: Process, now: float, then: float) -> None:
    """A state drawn from the kernel at t is, after the step, one drawn from that at s."""
    x_0, y = draw(), draw()
    mean = process.mean(x_0, y, at(now))
    on_mean = ancestral(process, known(x_0), mean, y, at(now), at(now - then))
    torch.testing.assert_close(on_mean.mean, process.mean(x_0, y, at(then)))
    beside = ancestral(process, known(x_0), mean + 1, y, at(now), at(now - then))
    kept = (beside.mean - on_mean.mean).real.mean()
    variance = kept.square() * process.kernel(at(now)).variance + on_mean.std.square()
    torch.testing.assert_close(variance, process.kernel(at(then)).variance)


@every_process
def test_euler_maruyama_converges_at_its_order(process: Process) -> None:
    """Twice the steps, half the error: of the mean and of the variance."""
    x_0, y = draw(), draw()
    start, end = 0.9, 0.2

    def errors(steps: int) -> tuple[float, float]:
        size = (start - end) / steps
        mean, variance = process.mean(x_0, y, at(start)), process.kernel(at(start)).variance
        for index in range(steps):
            t, step = at(start - index * size), at(size)
            beside = euler_maruyama(process, known(x_0), mean + 1, y, t, step)
            on_mean = euler_maruyama(process, known(x_0), mean, y, t, step)
            kept = (beside.mean - on_mean.mean).real.mean()
            mean, variance = on_mean.mean, kept.square() * variance + on_mean.std.square()
        kernel = process.kernel(at(end))
        bias = (mean - process.mean(x_0, y, at(end))).abs().max()
        return bias.item(), (variance - kernel.variance).abs().item()

    coarse, fine = errors(400), errors(800)
    # Where drift and kernel are both linear in time (flow matching), the mean has no error.
    assert coarse[0] < 1e-10 or 1.9 < coarse[0] / fine[0] < 2.1
    assert 1.9 < coarse[1] / fine[1] < 2.1


@every_process
def test_langevin_steps_are_small_against_the_noise(process: Process) -> None:
    x_t, clean, y, t = draw(), draw(), draw(), at(0.4)
    size = 2 * (0.5 * process.kernel(t).std) ** 2
    step = langevin(process, known(clean), x_t, y, t, 0.5)
    score = process.score_from_clean(clean, x_t, y, t)
    torch.testing.assert_close(step.mean, x_t + size * score)
    torch.testing.assert_close(step.std, (2 * size).sqrt())


def test_langevin_steps_stand_still_where_there_is_no_noise() -> None:
    x_t, y = draw(), draw()
    step = langevin(SchroedingerBridge(), known(draw()), x_t, y, at(1.0), 0.5)
    assert not step.noisy
    torch.testing.assert_close(step.mean, x_t)


def test_a_draw_is_mean_and_scaled_noise_for_each_example() -> None:
    mean, z = torch.randn(2, 2, 1, 3, 2, dtype=torch.complex64)
    drawn = Transition(mean, torch.tensor([0.0, 2.0])).sample(z)
    torch.testing.assert_close(drawn[0], mean[0])
    torch.testing.assert_close(drawn[1], mean[1] + 2 * z[1])


def gaussian(process: Process, centre: Tensor, y: Tensor, std: float) -> Denoise:
    """The exact estimate where x_0 is Gaussian around a centre."""

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        a, _, variance = process.kernel(t)
        gain = a * std**2 / (a.square() * std**2 + variance)
        return centre + gain * (x_t - process.mean(centre, y, t))

    return denoise


@every_process
@pytest.mark.parametrize(("step_of", "order"), [(deterministic, 1), (heun, 2)])
def test_deterministic_steps_converge_at_their_order(
    process: Process, step_of: ReverseStep, order: int
) -> None:
    """To the exact path of a Gaussian x_0, on which a state keeps its number of deviations."""
    centre, y, deviation = draw(), draw(), draw()
    std, start, end = 0.3, 0.9, 0.2
    denoise = gaussian(process, centre, y, std)

    def on_path(t: float) -> Tensor:
        a, _, variance = process.kernel(at(t))
        spread = (a.square() * std**2 + variance).sqrt()
        return process.mean(centre, y, at(t)) + spread * deviation

    def error(steps: int) -> float:
        state, size = on_path(start), (start - end) / steps
        for index in range(steps):
            t = at(start - index * size)
            state = step_of(process, denoise, state, y, t, at(size)).mean
        return (state - on_path(end)).abs().max().item()

    assert 0.9 * 2**order < error(64) / error(128) < 1.1 * 2**order


@every_process
def test_a_second_order_step_asks_twice_but_not_below_t_min(process: Process) -> None:
    times: list[float] = []

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        times.append(t.item())
        return torch.zeros_like(x_t)

    heun(process, denoise, draw(), draw(), at(0.5), at(0.2))
    assert times == pytest.approx([0.5, 0.3])
    times.clear()
    heun(process, denoise, draw(), draw(), at(process.t_min), at(process.t_min))
    assert times == [process.t_min]


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_predictors_ask_what_denoises_at_the_state_and_its_time(predictor: Predictor) -> None:
    asked: list[tuple[Tensor, Tensor]] = []

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        asked.append((x_t, t))
        return torch.zeros_like(x_t)

    x_t, t = draw(), at(0.5)
    PREDICTORS[predictor](OrnsteinUhlenbeck(), denoise, x_t, draw(), t, at(0.2))
    assert asked[0][0] is x_t and asked[0][1] is t
    langevin(OrnsteinUhlenbeck(), denoise, x_t, draw(), t, 0.5)
    assert asked[-1][0] is x_t and asked[-1][1] is t


def test_predictors_go_by_their_names() -> None:
    assert set(PREDICTORS) == set(get_args(Predictor))
    for name, step_of in PREDICTORS.items():
        assert step_of.__name__ == name  # type: ignore[attr-defined]


@every_process
@pytest.mark.parametrize("predictor", PREDICTORS)
def test_a_step_of_no_length_leads_nowhere(process: Process, predictor: Predictor) -> None:
    x_t, y, t = draw(), draw(), at(0.5)
    step = PREDICTORS[predictor](process, known(draw()), x_t, y, t, torch.zeros_like(t))
    torch.testing.assert_close(step.mean, x_t)
    torch.testing.assert_close(step.std, torch.zeros_like(t))


@every_process
def test_rounding_of_short_ancestral_steps_leaves_their_noise_a_number(process: Process) -> None:
    t = torch.linspace(0.1, 0.9, 2001)
    state = torch.zeros(len(t), 1, 1, 1, dtype=torch.complex64)
    for size in (1e-7, 1e-6):
        step = ancestral(process, known(state), state, state, t, torch.full_like(t, size))
        assert step.std.isfinite().all()
