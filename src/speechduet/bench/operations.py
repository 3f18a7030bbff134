"""What a run consists of: its operations by kind, and how long the products alone would take."""

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from time import perf_counter
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

KINDS: Mapping[str, tuple[str, ...]] = {
    "convolution": ("convolution", "winograd_convolution"),
    "matrix product": ("mm", "addmm", "bmm", "baddbmm"),
    "attention": ("_softmax", "_scaled_dot_product"),
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
"""Names of PyTorch's operations; of those with a leading underscore, how they begin."""

REQUESTERS: Mapping[str, tuple[str, ...]] = {
    "resampling": ("upsample", "downsample", "upfirdn2d"),
    "attention": ("Attention", "AttnBlockpp"),
}
"""Functions, or classes of layers, all of whose operations are of a kind: ours and the SGMSE+
code's. In a backward pass nobody tells who asked."""

PRODUCTS = ("convolution", "convolution_backward", "mm", "addmm", "bmm", "baddbmm")

DIRECT = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
"""Stride, padding and so on of PyTorch's convolution that gives what Winograd's gives."""


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation while it is active, each taken apart as far as PyTorch does that."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation, watched."""
        kwargs = kwargs or {}
        with self:
            # Without gradients a whole linear layer, say, arrives here as one.
            result = func.decompose(*args, **kwargs)
        return self.watch(func, args, kwargs) if result is NotImplemented else result

    def watch(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run one that has no parts."""
        raise NotImplementedError


class Clocked(_Watch):
    """Adds up the seconds of operations by kind while it is active.

    ``finish`` is called after each, to wait for a device that works by itself.
    """

    def __init__(
        self, finish: Callable[[], None], clock: Callable[[], float] = perf_counter
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seconds: dict[str, float] = {}
        self._finish, self._clock = finish, clock

    def watch(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operation and note how long it took."""
        begun = self._clock()
        result = func(*args, **kwargs)
        self._finish()
        taken = self._clock() - begun
        told = _requested() or kind(func, args)
        self.seconds[told] = self.seconds.get(told, 0.0) + taken
        return result

    def shares(self) -> dict[str, float]:
        """Of each kind in all operations, the greatest first; they add up to 1."""
        whole = sum(self.seconds.values())
        return {
            name: seconds / whole
            for name, seconds in sorted(self.seconds.items(), key=lambda item: -item[1])
        }


def kind(func: Any, args: tuple[Any, ...]) -> str:
    """The kind of one of PyTorch's operations, called with these arguments."""
    name = func.overloadpacket.__name__
    forward = name.removesuffix("_backward")
    if forward == "convolution":
        return "convolution" if _is_dense(name, args) else "depthwise convolution"
    names = {name, forward, name.removesuffix("_")}  # one that works in place ends with _
    for told, known in KINDS.items():
        if any(word in names or (word[0] == "_" and name.startswith(word)) for word in known):
            return told
    return "other"


def _requested() -> str | None:
    """The kind that the function or layer which asked for an operation decides, if it does."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        name = frame.f_code.co_name
        if name == "forward":
            name = type(frame.f_locals.get("self")).__name__
        for told, names in REQUESTERS.items():
            if name in names:
                return told
        frame = frame.f_back
    return None


def _is_dense(name: str, args: tuple[Any, ...]) -> bool:
    """Whether a convolution mixes channels; resampling and other depthwise ones do not."""
    weight: Tensor = args[2 if name == "convolution_backward" else 1]
    return weight.shape[1] > 1


class _Shape(NamedTuple):
    """A tensor argument, but for its numbers."""

    size: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    def filled(self, layout: torch.memory_format) -> Tensor:
        """Random numbers, and if they are images, in a memory layout."""
        numbers = torch.randn(self.size, dtype=self.dtype, device=self.device)
        return numbers.to(memory_format=layout) if len(self.size) == 4 else numbers


class Products(_Watch):
    """Counts the convolutions and matrix products of a run, by their shapes, while active."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: Counter[tuple[Any, tuple[Any, ...]]] = Counter()

    def watch(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note a product, and run it; one of Winograd's as what it stands for."""
        name = func.overloadpacket.__name__
        if name == "winograd_convolution":
            direct = torch.ops.aten.convolution.default
            self.calls[direct, tuple(map(_frozen, (*args, *DIRECT)))] += 1
        elif name in PRODUCTS and ("convolution" not in name or _is_dense(name, args)):
            self.calls[func, tuple(map(_frozen, args))] += 1
        return func(*args, **kwargs)

    def floor_s(
        self, finish: Callable[[], None], tries: int = 3, clock: Callable[[], float] = perf_counter
    ) -> float:
        """Seconds of all products alone, each at the best of some tries in either layout."""
        total = 0.0
        for (func, frozen), count in self.calls.items():
            best = float("inf")
            for layout in (torch.contiguous_format, torch.channels_last):
                args = [_thawed(value, layout) for value in frozen]
                for _ in range(tries):
                    begun = clock()
                    func(*args)
                    finish()
                    best = min(best, clock() - begun)
            total += count * best
        return total


def _frozen(value: Any) -> Any:
    if isinstance(value, Tensor):
        return _Shape(tuple(value.shape), value.dtype, value.device)
    return tuple(value) if isinstance(value, list) else value


def _thawed(value: Any, layout: torch.memory_format) -> Any:
    if isinstance(value, _Shape):
        return value.filled(layout)
    return list(value) if isinstance(value, tuple) else value
