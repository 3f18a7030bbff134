"""The fast convolution against PyTorch's, in double precision."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event, Thread
from time import sleep
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from speechduet.backend import winograd
from speechduet.backend.winograd import (
    FROM_INPUT,
    FROM_KERNEL,
    STRIP_TILES,
    TO_OUTPUT,
    winograd_convolution,
)


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def layer(inputs: int, outputs: int) -> tuple[Tensor, Tensor]:
    return torch.randn(outputs, inputs, 3, 3) / (9 * inputs) ** 0.5, torch.randn(outputs)


def error(x: Tensor, weight: Tensor, bias: Tensor) -> float:
    """The largest difference, relative to the largest magnitude."""
    exact = functional.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    return float((winograd_convolution(x, weight, bias) - exact).abs().max() / exact.abs().max())


def test_the_mappings_convolve_in_one_dimension() -> None:
    x, w = torch.randn(6, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    mapped = (FROM_INPUT.double() @ x) * (FROM_KERNEL.double() @ w) / 24
    expected = functional.conv1d(x[None, None], w[None, None])[0, 0]
    torch.testing.assert_close(TO_OUTPUT.double() @ mapped, expected)


@pytest.mark.parametrize(
    ("batch", "height", "width"),
    [
        (1, 4, 4),
        (1, 1, 4),
        (2, 3, 8),
        (3, 17, 12),
        (1, 64, 64),  # strips of several rows of tiles
        (1, 30, 4 * STRIP_TILES),  # a strip is a row, the last of them cut
        (2, 4 * STRIP_TILES + 5, 4),
    ],
)
def test_it_is_a_convolution_at_any_size(batch: int, height: int, width: int, threads: int) -> None:
    assert error(torch.randn(batch, 5, height, width), *layer(5, 7)) < 2e-5


@pytest.mark.parametrize(("inputs", "outputs"), [(256, 128), (96, 256), (512, 80)])
def test_rounding_stays_small_with_many_channels(inputs: int, outputs: int) -> None:
    assert error(torch.randn(1, inputs, 32, 32), *layer(inputs, outputs)) < 2e-5


def test_either_memory_format_is_read_and_channels_last_made() -> None:
    x, (weight, bias) = torch.randn(2, 6, 9, 8), layer(6, 4)
    made = winograd_convolution(x, weight, bias)
    last = x.contiguous(memory_format=torch.channels_last)
    assert made.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(winograd_convolution(last, weight, bias), made, rtol=0, atol=0)


def test_nothing_outside_of_the_image_is_read(threads: int) -> None:
    """Buffers are reused from strip to strip: what one leaves must not reach the next."""
    x, (weight, bias) = torch.randn(1, 3, 40, 128), layer(3, 3)
    whole = winograd_convolution(x, weight, bias)
    below = winograd_convolution(x[:, :, 20:], weight, bias)
    torch.testing.assert_close(whole[:, :, 21:], below[:, :, 1:], rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_a_convolution(threads: int) -> None:
    x, (weight, bias) = torch.randn(2, 6, 10, 8, requires_grad=True), layer(6, 5)
    arguments = (x, weight.requires_grad_(), bias.requires_grad_())
    towards = torch.randn(2, 5, 10, 8)
    made = torch.autograd.grad((winograd_convolution(*arguments) * towards).sum(), arguments)
    exact = torch.autograd.grad(
        (functional.conv2d(*arguments, padding=1) * towards).sum(), arguments
    )
    for one, other in zip(made, exact, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_an_input_without_gradient_costs_none() -> None:
    x, (weight, bias) = torch.randn(1, 6, 8, 8), layer(6, 5)
    loss = winograd_convolution(x, weight.requires_grad_(), bias.requires_grad_()).sum()
    loss.backward()
    assert x.grad is None and weight.grad is not None and bias.grad is not None


def test_several_threads_at_once_and_theirs_stay_as_they_are() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    x, (weight, bias) = torch.randn(1, 4, 64, 64), layer(4, 4)
    expected = winograd_convolution(x, weight, bias)
    with torch.inference_mode(), ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: winograd_convolution(x, weight, bias), range(12)))
        numbers = list(pool.map(lambda _: torch.get_num_threads(), range(3)))
    assert all(torch.equal(one, expected) for one in made)
    assert torch.get_num_threads() == 2 and numbers == [2, 2, 2]
    torch.set_num_threads(before)


def test_two_workers_share_one_pool_and_never_see_its_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While one builds the pool, whose threads use one thread each, the other begins."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    winograd._built.cache_clear()
    built, building = [], Event()

    class Slow(ThreadPoolExecutor):
        def __init__(self, count: int, name: str) -> None:
            super().__init__(count, name)
            built.append(self)

        def map(self, *arguments: Any, **settings: Any) -> Any:  # the first: to build it
            results = list(super().map(*arguments, **settings))
            if not building.is_set():
                building.set()
                sleep(0.2)
            return iter(results)

    monkeypatch.setattr(winograd, "ThreadPoolExecutor", Slow)
    x, (weight, bias) = torch.randn(1, 4, 64, 64), layer(4, 4)
    counts: list[int] = []

    def second() -> None:
        building.wait()
        counts.append(winograd.thread_count())  # the first that this thread asks of PyTorch
        winograd_convolution(x, weight, bias)

    workers = [Thread(target=winograd_convolution, args=(x, weight, bias)), Thread(target=second)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(built) == 1 and counts == [2]
    alone = list(winograd._pool(2).map(lambda _: torch.get_num_threads(), range(8)))
    assert alone == [1] * 8
    winograd._built.cache_clear()
    torch.set_num_threads(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_has_threads_of_its_own() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    x, (weight, bias) = torch.randn(1, 4, 16, 16), layer(4, 4)
    winograd_convolution(x, weight, bias)
    torch.set_num_threads(before)
    if (child := os.fork()) == 0:
        status = 1
        with suppress(BaseException):  # or the child would go on with the other tests
            # Only the pool: PyTorch's own threads are not to be used after a fork.
            status = int(winograd._pool(2).submit(abs, -3).result(timeout=30) != 3)
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
