"""3x3 convolutions on processors with a quarter of the multiplications (Lavin and Gray 2016).

Winograd's F(4x4, 3x3): a tile of 4x4 output values reads 6x6 values x of the input. These and the
kernel w are mapped to 6x6 positions, at each of which convolving is a matrix product over the
channels, and the products are mapped back: ``A^T ((G w G^T) * (B^T x B)) A``.

Tiles are worked off in strips that stay in a core's cache, and each thread has strips of its own:
PyTorch's operations would share every one of them out anew, and what a core has just written
would be fetched by the other one.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from threading import Barrier, Lock
from typing import Any

import torch
from torch import Tensor, library
from torch.utils.flop_counter import conv_flop_count, register_flop_formula

TILE = 4
"""Bins and frames of an output tile."""

READ = TILE + 2
"""Of the input that a tile depends on; also the number of positions along an axis."""

STRIP_TILES, STRIP_VALUES = 64, 12288
"""Tiles in a strip: enough rows for a matrix product, or this many values at a position, which a
cache holds."""

FROM_INPUT = torch.tensor(
    [
        [4.0, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    device="cpu",
    dtype=torch.float32,
)
"""``B^T``."""

FROM_KERNEL = torch.tensor(
    [
        [6.0, 0, 0],
        [-4, -4, -4],
        [-4, 4, -4],
        [1, 2, 4],
        [1, -2, 4],
        [0, 0, 24],
    ],
    device="cpu",
    dtype=torch.float32,
)
"""``24 G``, in whole numbers."""

TO_OUTPUT = torch.tensor(
    [
        [1.0, 1, 1, 1, 1, 0],
        [0, 1, -1, 2, -2, 0],
        [0, 1, 1, 4, 4, 0],
        [0, 1, -1, 8, -8, 1],
    ],
    device="cpu",
    dtype=torch.float32,
)
"""``A^T``."""


NAME = "speechduet::winograd_convolution"
"""As an operation of its own, what looks on (profilers, counters) sees it whole, on any thread."""

# Not as a custom_op, whose first call takes a second for all that it imports.
library.define(NAME, "(Tensor x, Tensor weight, Tensor bias) -> Tensor")


def winograd_convolution(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """What ``conv2d(x, weight, bias, padding=1)`` gives, to about 1e-5 of the largest magnitude.

    x is float32 ``[batch, inputs, height, width]``, best in the memory format channels_last, in
    which the result is, with a width that is divisible by 4; weight ``[outputs, inputs, 3, 3]``.
    """
    convolved: Tensor = torch.ops.speechduet.winograd_convolution(x, weight, bias)
    return convolved


@library.impl(NAME, "CPU")
def _winograd_convolution(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    image = x.permute(0, 2, 3, 1).contiguous()
    # [column, row] of a position, as everywhere below, input, output
    kernels = torch.kron(FROM_KERNEL, FROM_KERNEL) @ weight.permute(3, 2, 1, 0).reshape(9, -1)
    kernels = kernels.div_(24 * 24).view(READ**2, *weight.shape[1::-1])
    convolved = torch.empty(
        (x.shape[0], weight.shape[0], *x.shape[2:]),
        device=x.device,
        dtype=x.dtype,
        memory_format=torch.channels_last,
    )
    rows = -(-image.shape[1] // TILE)
    threads = thread_count()
    edges = [rows * part // threads for part in range(threads + 1)]
    parts = [
        (one, kernels, bias, out, first, last)
        for one, out in zip(image, convolved.permute(0, 2, 3, 1), strict=True)
        for first, last in pairwise(edges)
        if first < last
    ]
    if threads == 1:
        for part in parts:
            _convolve(*part)
        return convolved
    inference = torch.is_inference_mode_enabled()

    def work(part: tuple[Tensor, Tensor, Tensor, Tensor, int, int]) -> None:
        with torch.inference_mode(inference), torch.no_grad():  # both are a thread's own
            _convolve(*part)

    list(_pool(threads).map(work, parts))
    return convolved


def _remember(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])


def _gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
    """Of the input: the gradient convolved with the kernel turned round, in the same way."""
    x, weight = ctx.saved_tensors
    of_x = None
    if ctx.needs_input_grad[0]:
        turned = weight.flip(2, 3).transpose(0, 1)
        of_x = winograd_convolution(gradient, turned, gradient.new_zeros(x.shape[1]))
    _, of_weight, of_bias = torch.ops.aten.convolution_backward(
        *(gradient, x, weight, [weight.shape[0]], [1, 1], [1, 1], [1, 1]),
        *(False, [0, 0], 1, [False, True, True]),
    )
    return of_x, of_weight, of_bias


library.register_autograd(NAME, _gradients, setup_context=_remember)


@register_flop_formula(torch.ops.speechduet.winograd_convolution)
def _operations(x: list[int], weight: list[int], bias: list[int], out_shape: list[int]) -> int:
    """Those that define the convolution, so that costs do not depend on how it is computed."""
    return conv_flop_count(x, weight, out_shape)


def _convolve(
    image: Tensor, kernels: Tensor, bias: Tensor, out: Tensor, first: int, last: int
) -> None:
    """Fill rows of tiles ``first`` to ``last`` of out ``[height, width, outputs]``."""
    height, width, inputs = image.shape
    outputs, columns = out.shape[2], width // TILE
    strip = max(STRIP_TILES, STRIP_VALUES // max(inputs, outputs))
    strips = -(-(last - first) * columns // strip)
    rows = -(-(last - first) // strips)
    tiles = rows * columns
    # The part of the image that a strip reads, zeros beyond the border.
    read = image.new_zeros(TILE * rows + 2, width + 2, inputs)
    row = read.stride(0)
    windows = read.as_strided((rows, READ, row), (TILE * row, row, 1))
    along_height = image.new_empty(rows, READ, row)
    both = along_height.view(rows, READ, width + 2, inputs).unfold(2, READ, TILE)
    both = both.permute(4, 1, 0, 2, 3)  # column and row in a window, window, channel
    # Two buffers in turn: what was read last is overwritten next.
    one, other = image.new_empty(2, READ**2 * tiles * max(inputs, outputs)).unbind()
    gathered = one[: READ**2 * tiles * inputs].view(READ, -1)
    gathered_windows = gathered.view(both.shape)
    positions = other[: READ**2 * tiles * inputs].view(READ, -1)
    position = positions.view(READ**2, tiles, inputs)
    products = one[: READ**2 * tiles * outputs].view(READ**2, tiles, outputs)
    product_columns = products.view(READ, -1)
    half = other[: TILE * READ * tiles * outputs].view(TILE, -1)
    half_rows = half.view(TILE, READ, -1)
    result = one[: TILE**2 * tiles * outputs].view(TILE, TILE, -1)
    values = result.view(TILE, TILE, rows, columns, outputs).permute(2, 1, 3, 0, 4)
    from_input = FROM_INPUT.expand(rows, READ, READ)
    to_output = TO_OUTPUT.expand(TILE, TILE, READ)
    for top in range(TILE * first, TILE * last, TILE * rows):
        above = top - 1
        begin, end = max(above, 0), min(above + len(read), height)
        read[: begin - above] = 0
        read[end - above :] = 0
        read[begin - above : end - above, 1:-1] = image[begin:end]
        torch.bmm(from_input, windows, out=along_height)
        gathered_windows.copy_(both)
        torch.mm(FROM_INPUT, gathered, out=positions)
        torch.bmm(position, kernels, out=products)
        torch.mm(TO_OUTPUT, product_columns, out=half)
        torch.bmm(to_output, half_rows, out=result)
        _place(values, bias, out[top : min(top + TILE * rows, TILE * last)])


def _place(values: Tensor, bias: Tensor, out: Tensor) -> None:
    """Tiles ``[rows, 4, columns, 4, channels]`` -> out, which may cut the last row or lack some."""
    whole, cut = divmod(len(out), TILE)
    torch.add(values[:whole], bias, out=out[: TILE * whole].view(-1, *values.shape[1:]))
    if cut:
        torch.add(values[whole, :cut], bias, out=out[TILE * whole :].view(cut, *values.shape[2:]))


_building = Lock()
"""Held while a pool is built, when the number of threads is for a moment 1 everywhere."""


def thread_count() -> int:
    """How many threads PyTorch uses in this thread."""
    with _building:
        return torch.get_num_threads()


def _pool(count: int) -> ThreadPoolExecutor:
    """The process's threads for strips, built once even if several threads ask at once."""
    with _building:
        return _built(count)


@cache
def _built(count: int) -> ThreadPoolExecutor:
    """A pool of threads, in each of which PyTorch's operations use no further ones."""
    pool = ThreadPoolExecutor(count, "winograd")
    started = Barrier(count)

    def start(_: int) -> None:
        # A thread that never asked would take the number set last when it first computes.
        torch.get_num_threads()
        torch.set_num_threads(1)
        started.wait()

    list(pool.map(start, range(count)))
    # Each of them has set the number for threads yet to come as well.
    torch.set_num_threads(count)
    return pool


def _forget_pools() -> None:
    """In a forked process, which has the pools, but not their threads."""
    _built.cache_clear()
    _building.release()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_building.acquire,
        after_in_parent=_building.release,
        after_in_child=_forget_pools,
    )
