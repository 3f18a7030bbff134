from collections import Counter
from collections.abc import Callable
from itertools import count

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from speechduet.bench.operations import Operations, profiled
from speechduet.network.convolution import Convolution
from speechduet.network.layers import Attention, downsample, upsample

CPU = torch.device("cpu")
IMAGE = torch.randn(2, 4, 8, 8)


def operations(run: Callable[[], object], gradients: bool = False) -> Operations:
    with torch.inference_mode(not gradients):
        seen = profiled(run, CPU)
    assert not seen.shares() or sum(seen.shares().values()) == pytest.approx(1)
    return seen


def floor_in_ticks(seen: Operations) -> float:
    """With a clock that ticks when it is looked at: a product takes 1, however often it is run."""
    ticks = count()
    return seen.floor_s(CPU, torch.float32, lambda: None, clock=lambda: float(next(ticks)))


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize(
    ("run", "kind"),
    [
        (nn.Conv2d(4, 6, 3), "convolution"),
        (nn.Conv2d(4, 4, 3, groups=4), "depthwise convolution"),
        (nn.Linear(8, 3), "matrix product"),
        (nn.GroupNorm(2, 4), "normalisation"),
        (nn.LayerNorm(8), "normalisation"),
        (functional.silu, "activation"),
        (lambda x: functional.silu(x.new_zeros(2), inplace=True), "activation"),
        (lambda x: functional.pad(x, (1, 1)), "copy"),
        (lambda x: torch.cat([x, x]), "copy"),
        (lambda x: x + x, "by element"),
        (lambda x: x.bfloat16(), "copy"),
        (torch.fft.rfft, "Fourier transform"),
        (upsample, "resampling"),
        (downsample, "resampling"),
        (lambda x: functional.scaled_dot_product_attention(x, x, x), "attention"),
        (Attention(4), "attention"),
    ],
)
def test_kinds_are_the_same_with_and_without_gradients(
    run: Callable[[Tensor], Tensor], kind: str, gradients: bool
) -> None:
    alone = operations(lambda: run(IMAGE), gradients).seconds
    assert alone[kind] > 0
    # Around it there are views, and in some layers more than its kind.
    surrounding = {
        "matrix product": {"copy"},
        "resampling": {"by element"},
        "attention": {"normalisation", "matrix product", "copy", "by element"},
    }
    assert set(alone) <= {kind, "other", *surrounding.get(kind, ())}


def test_a_backward_pass_is_of_the_kinds_of_the_forward_one() -> None:
    layer = nn.Conv2d(4, 4, 3)
    loss = functional.silu(upsample(layer(IMAGE))).sum()
    kinds = operations(loss.backward, gradients=True).seconds
    assert {"convolution", "resampling", "activation"} <= set(kinds)


def test_products_are_counted_by_shape_and_run_again_alone() -> None:
    dense, depthwise = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=4)
    linear = nn.Linear(8, 8)

    def run() -> None:
        x = depthwise(dense(dense(IMAGE)))
        torch.bmm(x[0].mT, x[0])
        linear(x)
        torch.baddbmm(x[0], x[0], x[0])

    seen = operations(run)
    names = Counter({product.name: count for product, count in seen.products.items()})
    assert names == {"convolution": 2, "bmm": 1, "addmm": 1, "baddbmm": 1}
    assert floor_in_ticks(seen) == 5


def test_a_fast_convolution_is_one_and_its_limit_the_plain_one() -> None:
    """Run again alone, it would be compared with itself."""
    layer, x = Convolution(96, 96), torch.randn(1, 96, 64, 64)
    with torch.inference_mode():
        fast = layer(x)
    seen = operations(lambda: layer(x))
    assert set(seen.seconds) == {"convolution"}
    (product, *others) = seen.products
    assert product.name == "convolution" and not others
    plain = torch.ops.aten.convolution(x, layer.weight, layer.bias, *product.values[3:])
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-4)
    assert floor_in_ticks(seen) == 1


def test_products_of_a_backward_pass_can_run_alone() -> None:
    layer = nn.Conv2d(4, 6, 3)
    seen = operations(lambda: layer(IMAGE).sum().backward(), gradients=True)
    assert {product.name for product in seen.products} == {"convolution", "convolution_backward"}
    assert floor_in_ticks(seen) == 2


def test_a_run_without_operations_has_no_shares() -> None:
    assert operations(lambda: None).shares() == {}
