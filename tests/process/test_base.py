"""Identities that hold for every process, whatever its three weights are."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from math import log
from typing import Any

import pytest
import torch
from torch import Tensor

from speechduet.process import FlowMatching, Kernel, OrnsteinUhlenbeck, Process, SchroedingerBridge
from speechduet.process.base import over_state, ratio

PROCESSES = [
    OrnsteinUhlenbeck(),
    OrnsteinUhlenbeck(theta=0.7, sigma_min=0.01, sigma_max=1.0),
    SchroedingerBridge(),
    SchroedingerBridge(k=1.5, c=2.0),
    FlowMatching(),
    FlowMatching(sigma_end=0.1),
]
every_process = pytest.mark.parametrize("process", PROCESSES, ids=str)


def inner_times() -> Tensor:
    """Times strictly between the ends."""
    return torch.linspace(0.02, 0.98, 49, dtype=torch.float64)


def draws(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128)


def written_rates(process: Process, t: Tensor) -> Kernel:
    """The rates by formulas of their own, in double precision."""
    t = t.double()
    if isinstance(process, FlowMatching):
        one = torch.ones_like(t)
        return Kernel(-one, one, 2 * t * process.sigma_end**2)
    if isinstance(process, OrnsteinUhlenbeck):
        theta, growth = process.theta, log(process.sigma_max / process.sigma_min)
        a = torch.exp(-theta * t)
        scale = process.sigma_min**2 * growth / (theta + growth)
        grown = 2 * growth * torch.exp(2 * growth * t) + 2 * theta * a.square()
        return Kernel(-theta * a, theta * a, scale * grown)
    assert isinstance(process, SchroedingerBridge)
    log_k, square = log(process.k), process.k**2 - 1
    progress = torch.expm1(2 * log_k * t) / square
    rate = 2 * log_k * torch.exp(2 * log_k * t) / square
    return Kernel(-rate, rate, process.c * square / (2 * log_k) * rate * (1 - 2 * progress))


@every_process
@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_rates_are_the_derivatives_of_the_weights(
    process: Process, mode: Callable[[], Any]
) -> None:
    """In single precision, up to t = 1, where a bridge's weights are rounded to its end."""
    with mode():
        t = torch.linspace(process.t_min, 1, 1001)
        found, expected = process.rates(t), written_rates(process, t)
    for name, rate, formula in zip(Kernel._fields, found, expected, strict=True):
        # A bridge's variance has a rate that passes through 0.
        size = formula.abs().max() if name == "variance" else formula.abs()
        assert ((rate - formula).abs() <= 1e-6 * size).all(), name


def test_a_weight_that_stays_has_no_rate() -> None:
    class Staying(FlowMatching):
        def kernel(self, t: Tensor) -> Kernel:
            return super().kernel(t)._replace(anchor=torch.ones_like(t))

    assert Staying().rates(torch.tensor([0.3, 1.0])).anchor.tolist() == [0, 0]


@every_process
def test_rates_can_be_differentiated(process: Process) -> None:
    t = inner_times().requires_grad_()
    (found,) = torch.autograd.grad(sum(rate.sum() for rate in process.rates(t)), t)
    (expected,) = torch.autograd.grad(sum(r.sum() for r in written_rates(process, t)), t)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@every_process
def test_variance_equation(process: Process) -> None:
    """``d(s^2)/dt = 2 (a'/a) s^2 + g^2``, and so the drift moves the mean as it should."""
    t = inner_times()
    kernel, rates = process.kernel(t), process.rates(t)
    x_0, y = draws(len(t), 1, 3, 2), draws(len(t), 1, 3, 2)
    drift, diffusion = process.forward_equation(process.mean(x_0, y, t), y, t)
    grown = 2 * rates.clean / kernel.clean * kernel.variance + diffusion.square()
    torch.testing.assert_close(rates.variance, grown, rtol=1e-9, atol=1e-12)
    assert (diffusion > 0).all()

    mean_rate = over_state(rates.clean, x_0) * x_0 + over_state(rates.anchor, y) * y
    torch.testing.assert_close(drift, mean_rate, rtol=1e-9, atol=1e-12)


@every_process
def test_score_and_clean_estimate_are_two_words_for_one_thing(process: Process) -> None:
    t = inner_times()
    clean, x_t, y = (draws(len(t), 1, 3, 2) for _ in range(3))
    score = process.score_from_clean(clean, x_t, y, t)
    torch.testing.assert_close(process.clean_from_score(score, x_t, y, t), clean)


@every_process
def test_score_is_the_gradient_of_the_log_density(process: Process) -> None:
    t = inner_times()
    x_0, y = draws(len(t), 1, 1, 1), draws(len(t), 1, 1, 1)
    x_t = process.perturb(x_0, y, t, draws(*y.shape)).requires_grad_()
    distance = (x_t - process.mean(x_0, y, t)).abs().square()
    log_density = -(distance / over_state(process.kernel(t).variance, x_t)).sum()
    (slope,) = torch.autograd.grad(log_density, x_t)
    # Autograd counts the real and the imaginary part, hence the half: |d|^2 / s^2 of variance s^2.
    score = process.score_from_clean(x_0, x_t.detach(), y, t)
    torch.testing.assert_close(score, slope / 2, rtol=1e-8, atol=1e-8)


@every_process
def test_score_matching_is_a_weighted_error_of_the_clean_estimate(process: Process) -> None:
    """``|s score + z|^2 = (a/s)^2 |D - x_0|^2`` (paper eq. 9)."""
    t = inner_times()
    x_0, y, z, clean = (draws(len(t), 1, 3, 2) for _ in range(4))
    x_t = process.perturb(x_0, y, t, z)
    score = process.score_from_clean(clean, x_t, y, t)
    matching = (over_state(process.kernel(t).std, score) * score + z).abs().square()
    weighted = over_state(process.score_weight(t), x_0) * (clean - x_0).abs().square()
    torch.testing.assert_close(matching, weighted, rtol=1e-7, atol=1e-9)


@every_process
def test_at_0_the_state_is_clean(process: Process) -> None:
    x_0, y, z = (draws(1, 1, 3, 2) for _ in range(3))
    start = torch.zeros(1, dtype=torch.float64)
    torch.testing.assert_close(process.perturb(x_0, y, start, z), x_0)


@every_process
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_ends_are_finite(process: Process, dtype: torch.dtype) -> None:
    t = torch.tensor([0.0, 1.0], dtype=dtype)
    shape = (2, 1, 3, 2)
    x, y, clean = (torch.randn(shape, dtype=dtype.to_complex()) for _ in range(3))
    for value in (
        process.mean(x, y, t),
        *process.forward_equation(x, y, t),
        process.score_from_clean(clean, x, y, t),
        process.score_weight(t),
        *process.kernel(t),
        *process.rates(t),
    ):
        assert value.isfinite().all()
    assert (process.kernel(t).variance >= 0).all()


@every_process
def test_the_kernel_composes_over_time(process: Process) -> None:
    """Euler steps of the forward equation, without noise, follow the kernel's mean."""
    steps, until = 2000, 0.9
    x_0, y = draws(1, 1, 2, 2), draws(1, 1, 2, 2)
    x = x_0.clone()
    for index in range(steps):
        t = torch.tensor([(index + 0.5) * until / steps], dtype=torch.float64)
        x = x + process.forward_equation(x, y, t)[0] * until / steps
    end = torch.tensor([until], dtype=torch.float64)
    torch.testing.assert_close(x, process.mean(x_0, y, end), rtol=0, atol=5e-3)


def test_processes_are_records() -> None:
    assert OrnsteinUhlenbeck() == OrnsteinUhlenbeck(theta=1.5)
    assert replace(FlowMatching(), sigma_end=0.1) == FlowMatching(sigma_end=0.1)


def test_kernel_std_of_rounded_variance() -> None:
    kernel = Kernel(torch.ones(2), torch.zeros(2), torch.tensor([-1e-9, 4.0]))
    assert kernel.std.tolist() == [0.0, 2.0]


def test_ratio_is_0_where_the_denominator_is() -> None:
    numerator = torch.tensor([1.0, 6.0], requires_grad=True)
    quotient = ratio(numerator, torch.tensor([0.0, 3.0]))
    assert quotient.tolist() == [0.0, 2.0]
    quotient.sum().backward()
    assert numerator.grad is not None and numerator.grad.isfinite().all()


@pytest.mark.parametrize(
    ("kind", "ends"),
    [
        (OrnsteinUhlenbeck, [(1e-3, 20), (1e-6, 0.05), (0.5, 1e6), (1e-5, 0.9)]),
        (SchroedingerBridge, [(1.001, 1000), (1e-6, 1e6), (1e-5, 0.9)]),
        (FlowMatching, [(0, 1e-6, 1e6), (1e-5, 0.9)]),
    ],
)
def test_at_the_ends_of_all_ranges_32_bits_suffice(
    kind: Callable[..., Process], ends: list[tuple[float, ...]]
) -> None:
    x_0, y, z = torch.randn(3, 2, 1, 4, 4, dtype=torch.complex64)
    for constants in product(*ends):
        process = kind(*constants)
        t = torch.tensor([process.t_min, (1 + process.t_min) / 2])
        x_t = process.perturb(x_0, y, t, z)
        score = process.score_from_clean(x_0, x_t, y, t)
        made = [*process.kernel(t), *process.rates(t), process.score_weight(t) * 1e5]
        made += [score.real, process.clean_from_score(score, x_t, y, t).real]
        assert all(tensor.isfinite().all() for tensor in made), process
