"""What a run consists of: its operations by kind, and how long its products alone would take."""

from collections import Counter
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, NamedTuple, cast

import torch
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

KINDS: Mapping[str, tuple[str, ...]] = {
    "matrix product": ("mm", "addmm", "bmm", "baddbmm"),
    "attention": ("softmax", "_softmax", "scaled_dot_product_attention", "_scaled_dot_product"),
    "normalisation": ("native_group_norm", "native_layer_norm", "native_batch_norm"),
    "activation": ("silu", "sigmoid", "relu", "leaky_relu", "gelu", "tanh"),
    "copy": (
        *("cat", "copy", "clone", "_to_copy", "constant_pad_nd", "stack", "pixel_shuffle"),
        *("complex", "slice_backward", "select_backward"),
    ),
    "by element": (
        *("add", "sub", "rsub", "mul", "div", "sum", "neg"),
        *("pow", "sqrt", "abs", "exp", "sin", "cos"),
    ),
    "Fourier transform": ("_fft",),
    "optimiser": ("_foreach", "_fused", "lerp", "addcmul", "addcdiv"),
}
"""Names of PyTorch's operations; of those with a leading underscore, the first letters."""

RESAMPLING = (4, 4)
"""Size of the filters by which NCSN++ resamples; other depthwise convolutions have odd sizes."""

WINOGRAD = "speechduet::winograd_convolution"
PRODUCTS = {
    "convolution": 9,
    "convolution_backward": 11,
    "mm": 2,
    "addmm": 3,
    "bmm": 2,
    "baddbmm": 3,
}
"""Operations that multiply, and how many arguments each takes by position."""

DIRECT = ((1, 1), (1, 1), (1, 1), False, (0, 0), 1)
"""Stride, padding and so on of PyTorch's convolution that gives what Winograd's gives."""


class Product(NamedTuple):
    """A convolution or matrix product, but for its numbers."""

    name: str
    shapes: tuple[tuple[int, ...], ...]
    """Of its arguments; empty for one that is no tensor."""
    values: tuple[Any, ...]
    """Those arguments that are no tensors, None in place of each tensor."""

    def call(
        self, device: torch.device, dtype: torch.dtype, layout: torch.memory_format
    ) -> Callable[[], object]:
        """What computes it on random numbers, images in a memory layout."""
        arguments = []
        for shape, value in zip(self.shapes, self.values, strict=True):
            if shape:
                numbers = torch.randn(shape, device=device, dtype=dtype)
                value = numbers.to(memory_format=layout) if len(shape) == 4 else numbers
            arguments.append(list(value) if isinstance(value, tuple) else value)
        operation = getattr(torch.ops.aten, self.name)
        return lambda: operation(*arguments)


class Operations(NamedTuple):
    """What a run spent its time on."""

    seconds: Mapping[str, float]
    """Of its operations by kind; of the kernels on a GPU (only CUDA's are known)."""
    products: Counter[Product]
    """Dense convolutions and matrix products, each with how often it occurs."""

    def shares(self) -> dict[str, float]:
        """Of each kind in all operations, the greatest first; they add up to 1."""
        if not (whole := sum(self.seconds.values())):
            return {}
        ordered = sorted(self.seconds.items(), key=lambda item: -item[1])
        return {kind: seconds / whole for kind, seconds in ordered}

    def floor_s(
        self,
        device: torch.device,
        dtype: torch.dtype,
        finish: Callable[[], None],
        tries: int = 3,
        clock: Callable[[], float] = perf_counter,
    ) -> float:
        """Seconds of all products alone, each at the best of some tries in either layout."""
        total = 0.0
        for product, count in self.products.items():
            taken = []
            for layout in (torch.contiguous_format, torch.channels_last):
                call = product.call(device, dtype, layout)
                for _ in range(tries):
                    begun = clock()
                    call()
                    finish()
                    taken.append(clock() - begun)
            total += count * min(taken)
        return total


def profiled(run: Callable[[], object], device: torch.device) -> Operations:
    """Run once under PyTorch's profiler."""
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities, record_shapes=True) as profiler:
        run()
    seconds: dict[str, float] = {}
    products: Counter[Product] = Counter()
    for event in profiler.events() or ():
        if event.device_type.name != "CPU":
            continue  # a kernel, whose time its operation has too
        around = [event]  # from the inside out
        while parent := around[-1].cpu_parent:
            around.append(parent)
        kind = next(filter(None, map(_kind, reversed(around))), "other")
        on_cpu, on_gpu = event.self_cpu_time_total, event.self_device_time_total
        seconds[kind] = seconds.get(kind, 0.0) + (on_cpu if device.type == "cpu" else on_gpu) / 1e6
        if WINOGRAD not in [outer.name for outer in around[1:]] and (product := _product(event)):
            products[product] += 1
    return Operations(seconds, products)


def _kind(event: FunctionEvent) -> str | None:
    """The kind of an operation; None for one that has none, or consists of several."""
    if event.name == WINOGRAD:
        return "convolution"
    name, shapes = event.name.removeprefix("aten::"), _shapes(event)
    if name in ("convolution", "convolution_backward"):
        if _is_dense(name, shapes):
            return "convolution"
        filters = shapes[2 if name.endswith("backward") else 1][2:]
        return "resampling" if filters == RESAMPLING else "depthwise convolution"
    # In place (add_), and in a backward pass (add_backward), an operation is of the same kind.
    names = {name, name.removesuffix("_backward"), name.removesuffix("_")}
    for kind, known in KINDS.items():
        if any(word in names or (word[0] == "_" and name.startswith(word)) for word in known):
            return kind
    return None


def _product(event: FunctionEvent) -> Product | None:
    """What a dense convolution or matrix product multiplies; of Winograd's, what it stands for."""
    name, shapes = event.name.removeprefix("aten::"), _shapes(event)
    if event.name == WINOGRAD:
        return Product("convolution", (*shapes, *((),) * len(DIRECT)), (None, None, None, *DIRECT))
    if name not in PRODUCTS or ("convolution" in name and not _is_dense(name, shapes)):
        return None
    values = (tuple(v) if isinstance(v, list) else v for v in event.concrete_inputs)
    return Product(name, shapes[: PRODUCTS[name]], tuple(values)[: PRODUCTS[name]])


def _is_dense(name: str, shapes: tuple[tuple[int, ...], ...]) -> bool:
    """Whether a convolution mixes channels; resampling and other depthwise ones do not."""
    return shapes[2 if name.endswith("backward") else 1][1] > 1


def _shapes(event: FunctionEvent) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, cast("list[list[int]]", event.input_shapes)))
