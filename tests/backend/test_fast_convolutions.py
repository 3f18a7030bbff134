"""Which way a convolution takes: counted, not timed."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from speechduet.network import ncsnpp
from speechduet.network.convolution import (
    FEWEST_CHANNELS,
    FEWEST_PER_THREAD,
    MOST_THREADS,
    Convolution,
)
from speechduet.network.cost import counted
from speechduet.network.system import Layout, System
from speechduet.process import OrnsteinUhlenbeck

pytestmark = pytest.mark.skipif(
    not torch.backends.mkl.is_available(), reason="the fast path is for x86 processors"
)


class Called(TorchDispatchMode):
    """Names of the operations that happen while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def is_fast(x: Tensor, outputs: int = FEWEST_CHANNELS) -> bool:
    layer = Convolution(x.shape[1], outputs).to(x.device, x.dtype)
    with Called() as called:
        layer(x)
    assert ("winograd_convolution" in called.names) != ("convolution" in called.names)
    return "winograd_convolution" in called.names


def image(channels: int = FEWEST_CHANNELS, height: int = 32, width: int = 32) -> Tensor:
    return torch.randn(1, channels, height, width)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_large_float32_convolutions_are_fast() -> None:
    assert is_fast(image())
    with torch.inference_mode():
        assert is_fast(image())


def test_few_channels_or_tiles_or_a_width_without_tiles_are_not() -> None:
    assert not is_fast(image(FEWEST_CHANNELS - 1))
    assert not is_fast(image(), FEWEST_CHANNELS - 1)
    assert not is_fast(image(height=31))
    assert not is_fast(image(width=34))


def test_several_threads_need_enough_each() -> None:
    height = -(-FEWEST_PER_THREAD // (9 * FEWEST_CHANNELS**2 * 64))
    assert is_fast(image(height=height, width=64))
    torch.set_num_threads(2)
    assert not is_fast(image(height=height, width=64))
    assert is_fast(image(height=2 * height, width=64))
    torch.set_num_threads(MOST_THREADS + 1)
    assert not is_fast(image(height=2 * MOST_THREADS * height, width=64))


def test_other_devices_and_precisions_are_not() -> None:
    assert not is_fast(image().to("meta"))
    assert not is_fast(image().double())
    with torch.autocast("cpu", torch.bfloat16):
        assert not is_fast(image())


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace")  # as the exporter to ONNX uses it
def test_a_program_that_is_recorded_has_plain_convolutions() -> None:
    layer = Convolution(FEWEST_CHANNELS, FEWEST_CHANNELS)
    traced = torch.jit.trace(layer, image(), check_trace=False)
    assert "winograd" not in str(traced.inlined_graph)


def test_both_ways_give_the_same() -> None:
    layer, x = Convolution(FEWEST_CHANNELS, FEWEST_CHANNELS), image()
    plain = torch.nn.functional.conv2d(x, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), plain, rtol=1e-4, atol=1e-4)


def test_a_convolution_counts_as_what_it_is_by_definition() -> None:
    layer, x = Convolution(FEWEST_CHANNELS, FEWEST_CHANNELS), image()
    with torch.inference_mode():
        _, fast = counted(lambda: layer(x))
        _, plain = counted(lambda: layer.double()(x.double()))
    assert fast == plain == 9 * FEWEST_CHANNELS**2 * 32**2


@pytest.mark.slow
def test_the_published_network_spends_its_multiplications_there() -> None:
    """A guard: nine tenths of what SGMSE+ multiplies are convolutions on the fast path."""
    system = System(Layout(True, "none"), OrnsteinUhlenbeck(), ncsnpp.SGMSE_PLUS)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        system("generative", torch.zeros(1, 4, 256, 64), torch.ones(1))
    spent = counter.get_flop_counts()["Global"]
    fast = spent[torch.ops.speechduet.winograd_convolution]
    assert fast > 0.9 * counter.get_total_flops()
