from collections.abc import Callable, Iterator
from itertools import count

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from speechduet.backend.fast_convolutions import FastConvolution
from speechduet.bench.operations import Clocked, Products
from speechduet.network.layers import Attention, downsample, upsample


def counted(run: Callable[[], object]) -> dict[str, float]:
    """Operations by kind: with a clock that ticks when it is looked at, each takes 1."""
    ticks: Iterator[int] = count()
    with Clocked(lambda: None, clock=lambda: float(next(ticks))) as clocked:
        run()
    assert sum(clocked.shares().values()) == pytest.approx(1)
    return clocked.seconds


IMAGE = torch.randn(2, 4, 8, 8)


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize(
    ("run", "kind"),
    [
        (nn.Conv2d(4, 6, 3), "convolution"),
        (nn.Conv2d(4, 4, 3, groups=4), "depthwise convolution"),
        (nn.GroupNorm(2, 4), "normalisation"),
        (nn.LayerNorm(8), "normalisation"),
        (functional.silu, "activation"),
        (lambda x: functional.silu(x.new_zeros(2), inplace=True), "activation"),
        (lambda x: functional.pad(x, (1, 1)), "copy"),
        (lambda x: torch.cat([x, x]), "copy"),
        (lambda x: x + x, "by element"),
        (lambda x: x.bfloat16(), "copy"),
        (torch.fft.rfft, "Fourier transform"),
    ],
)
def test_kinds_are_the_same_with_and_without_gradients(
    run: Callable[[Tensor], Tensor], kind: str, gradients: bool
) -> None:
    with torch.inference_mode(not gradients):
        kinds = counted(lambda: run(IMAGE))
    assert kinds.pop(kind) == 1
    assert set(kinds) <= {"other"}  # views


def test_matrix_products() -> None:
    layer, vectors = nn.Linear(8, 3), torch.randn(5, 8)
    assert counted(lambda: layer(vectors))["matrix product"] == 1
    with torch.inference_mode():
        assert counted(lambda: layer(vectors))["matrix product"] == 1


def test_what_resampling_and_attention_ask_for_is_theirs() -> None:
    assert set(counted(lambda: upsample(IMAGE))) == {"resampling"}
    assert set(counted(lambda: downsample(IMAGE))) == {"resampling"}
    attention = Attention(4)
    assert set(counted(lambda: attention(IMAGE))) == {"attention"}


def test_a_backward_pass_is_of_the_kinds_of_the_forward_one() -> None:
    layer = nn.Conv2d(4, 4, 3)
    loss = functional.silu(layer(IMAGE)).sum()
    kinds = counted(loss.backward)
    assert kinds["convolution"] == 1 and kinds["activation"] == 1


def test_what_a_device_has_left_to_do_is_waited_for() -> None:
    """The clock is looked at before an operation, and after the device has finished."""
    events: list[str] = []

    def clock() -> float:
        events.append("clock")
        return 0.0

    with Clocked(lambda: events.append("finish"), clock):
        torch.ones(2)
    assert events == ["clock", "finish", "clock"]


def test_products_are_counted_by_shape_and_run_again_alone() -> None:
    dense, depthwise = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=4)
    with torch.inference_mode(), Products() as products:
        x = depthwise(dense(dense(IMAGE)))
        x.mT @ x
    assert sorted(products.calls.values()) == [1, 2]  # bmm, and the convolution twice
    ticks = count()
    # Every look at the clock is a tick, so a product takes 1, however often it is tried.
    assert products.floor_s(lambda: None, clock=lambda: float(next(ticks))) == 3


def test_a_fast_convolution_is_one_and_its_limit_the_plain_one() -> None:
    """Run again alone, it would be compared with itself."""
    plain_layer = nn.Conv2d(96, 96, 3, padding=1)
    layer, x = FastConvolution(plain_layer), torch.randn(1, 96, 64, 64)
    with torch.inference_mode(), Products() as products:
        fast = layer(x)
        assert counted(lambda: layer(x)).pop("convolution") == 1
    (func, shapes), *others = products.calls
    assert func is torch.ops.aten.convolution.default and not others
    plain = func(x, plain_layer.weight, plain_layer.bias, *shapes[3:])
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-4)
    assert products.floor_s(lambda: None, tries=1) > 0


def test_products_of_a_backward_pass_can_run_alone() -> None:
    layer = nn.Conv2d(4, 6, 3)
    with Products() as products:
        layer(IMAGE).sum().backward()
    names = {func.overloadpacket.__name__ for func, _ in products.calls}
    assert names == {"convolution", "convolution_backward"}
    assert products.floor_s(lambda: None, tries=1) > 0
