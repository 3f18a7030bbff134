"""Products of 8-bit numbers: calibration, and a system whose layers round as they do.

A quantised layer's input (and a convolution's output) takes 256 values, between the least and the
greatest number that a calibration saw there; its weights take 127 around 0, per output channel.
Written to ONNX, the rounding tells a runtime to compute in 8 bits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.hooks import RemovableHandle

from speechduet.errors import SettingError
from speechduet.network.system import ActivationRange, System

LEAST_CHANNELS = 16
"""Of what a layer reads and of what it makes. Those that read or make spectrograms have fewer:
without them a twentieth of the gain in time goes, and half of the error."""


@contextmanager
def calibration(system: System) -> Iterator[dict[str, ActivationRange]]:
    """The activation ranges, for `System.calibrated`, of all that a system evaluates meanwhile.

    Only its own `System.forward` is seen, and no other backend.
    """
    ranges: dict[str, ActivationRange] = {}

    def observe(name: str, x: Tensor, y: Tensor) -> None:
        if x.ndim == 2:  # the time's layers, of which there is one example per spectrogram
            return
        # Zero is a number of its own in 8 bits: convolutions pad with it.
        least, greatest, least_out, greatest_out = ranges.get(name, (0.0, 0.0, 0.0, 0.0))
        ranges[name] = (
            min(least, x.min().item()),
            max(greatest, x.max().item()),
            min(least_out, y.min().item()),
            max(greatest_out, y.max().item()),
        )

    def watch(name: str, layer: nn.Module) -> RemovableHandle:
        return layer.register_forward_hook(lambda _, inputs, y: observe(name, inputs[0], y))

    handles = [watch(name, layer) for name, layer in system.named_modules() if _worth(layer)]
    try:
        yield ranges
    finally:
        for handle in handles:
            handle.remove()


def quantised(system: System) -> System:
    """A copy whose calibrated layers compute with rounded numbers.

    Raises SettingError for a system that has not been calibrated.
    """
    if not system.activation_ranges:
        raise SettingError(
            "int8 for a model without activation ranges", "a calibrated model", "docs/backends.md"
        )
    copied = deepcopy(system, {id(system.backend): None})
    for name, (least, greatest, least_out, greatest_out) in system.activation_ranges.items():
        layer = copied.get_submodule(name)
        round_input, round_output = Rounding(least, greatest), Rounding(least_out, greatest_out)
        layer.register_forward_pre_hook(lambda _, x, rounded=round_input: rounded(x[0]))
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda _, x, y, rounded=round_output: rounded(y))
        assert isinstance(layer.weight, Tensor)
        parametrize.register_parametrization(layer, "weight", WeightRounding(layer.weight))
    return copied


class Rounding:
    """Rounds to 256 values between a least and a greatest number, of which 0 is one."""

    def __init__(self, least: float, greatest: float) -> None:
        self._step = max(greatest - least, 1e-6) / 255
        self._zero = round(-least / self._step)

    def __call__(self, x: Tensor) -> Tensor:
        """Of any shape; what lies outside is brought to the nearest end."""
        rounded: Tensor = torch.fake_quantize_per_tensor_affine(x, self._step, self._zero, 0, 255)
        return rounded


class WeightRounding(nn.Module):
    """Rounds weights to 127 values around 0, per output channel, up to the greatest there.

    Not to 255: processors without VNNI add two products in 16 bits, which then could overflow.
    """

    step: Tensor
    zero: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        greatest = weight.detach().flatten(1).abs().amax(dim=1)
        self.register_buffer("step", greatest.clamp_min(1e-6) / 63)
        self.register_buffer("zero", torch.zeros(len(weight), dtype=torch.int32))

    def forward(self, weight: Tensor) -> Tensor:
        """``[outputs, ...]``, shape kept."""
        rounded: Tensor = torch.fake_quantize_per_channel_affine(
            weight, self.step, self.zero, 0, -128, 127
        )
        return rounded


def _worth(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        channels = min(layer.in_channels, layer.out_channels) if layer.groups == 1 else 0
    elif isinstance(layer, nn.Linear):
        channels = min(layer.in_features, layer.out_features)
    else:
        return False
    return channels >= LEAST_CHANNELS
