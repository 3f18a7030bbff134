"""A program of a system as an ONNX model, for runtimes other than PyTorch.

Any number of examples and, in multiples of the network's, of frames; the bins are fixed.
"""

import warnings
from importlib.util import find_spec
from io import BytesIO
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from speechduet.errors import SettingError
from speechduet.network.system import Program, System

OPSET = 17
"""Version of the ONNX operators; the first that has layer normalisation."""

OUTPUTS: dict[Program, tuple[str, ...]] = {
    "generative": ("generative",),
    "predictive": ("predictive",),
    "both": ("generative", "predictive"),
    "predictive_network": ("predictive",),
}
"""Names of the outputs of each program, in the order of `System.forward`."""

_LOCK = Lock()
"""The exporter keeps state in its module, and so do filters of warnings."""


def onnx_model(system: System, program: Program, bins: int) -> bytes:
    """The program with its weights as a serialised ONNX model, in float32.

    Inputs are ``spectrograms``, ``[batch, 2 n, bins, frames]``, and but for *predictive_network*
    ``t``, ``[batch]``; outputs are those of `OUTPUTS`, ``[batch, 2, bins, frames]``. The metadata
    ``frame_multiple`` tells what frames must be divisible by. Raises SettingError where the system
    has no such program or the package onnx is missing.
    """
    if program not in system.programs():
        raise SettingError(f"program {program!r}", "one of " + ", ".join(system.programs()))
    check_installed("onnx", "onnx")
    import onnx

    file = BytesIO()
    inputs = _example(system, program, bins)
    axes = {name: {0: "batch", 3: "frames"} for name in ("spectrograms", *OUTPUTS[program])}
    if len(inputs) > 1:
        axes["t"] = {0: "batch"}
    with _LOCK, warnings.catch_warnings(), torch.no_grad():
        # Not by the exporter that PyTorch prefers (dynamo=True), see docs/onnx.md: it converts
        # neither NCSN++'s attention nor 8-bit numbers, and takes many times as long.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        # The states that a recurrence begins with are made for whatever batch there is.
        warnings.filterwarnings(
            "ignore", "Exporting a model to ONNX with a batch_size other than 1"
        )
        torch.onnx.export(
            # In the system's own mode, in which the exporter leaves it.
            _Alone(system, program).train(system.training),
            inputs,
            file,  # type: ignore[arg-type]  # not only a path
            dynamo=False,
            opset_version=OPSET,
            input_names=["spectrograms", "t"][: len(inputs)],
            output_names=list(OUTPUTS[program]),
            dynamic_axes=axes,
        )
    model = onnx.load_from_string(file.getvalue())
    for output in model.graph.output:
        _, channels, height, _ = output.type.tensor_type.shape.dim
        channels.dim_value, height.dim_value = 2, bins
    onnx.helper.set_model_props(model, {"frame_multiple": str(system.frame_multiple)})
    serialised: bytes = model.SerializeToString()
    return serialised


def named_inputs(spectrograms: Tensor, t: Tensor | None) -> dict[str, NDArray[np.float32]]:
    """Inputs of a program by their names in `onnx_model`."""
    given = {"spectrograms": spectrograms} | ({} if t is None else {"t": t})
    return {name: tensor.numpy(force=True) for name, tensor in given.items()}


def check_installed(extra: str, *packages: str) -> None:
    """Raise a SettingError that names the extra of this package where one of those is missing."""
    for package in packages:
        if find_spec(package) is None:
            raise SettingError(
                f"the package {package} is not installed",
                remedy=f"pip install 'speechduet[{extra}]'",
            )


def _example(system: System, program: Program, bins: int) -> tuple[Tensor, ...]:
    """Inputs of a program: spectrograms of two examples, few frames, and their times."""
    spectrogram = torch.zeros(2, 1, bins, max(16, system.frame_multiple), dtype=torch.complex64)
    if program == "predictive_network":
        return (torch.cat([spectrogram.real, spectrogram.imag], dim=1),)
    return system.inputs(spectrogram, spectrogram, spectrogram), torch.ones(2, dtype=torch.float32)


class _Alone(nn.Module):
    """One program as a module."""

    def __init__(self, system: System, program: Program) -> None:
        super().__init__()
        self.system = system
        self.program = program

    def forward(self, spectrograms: Tensor, t: Tensor | None = None) -> tuple[Tensor, ...]:
        return self.system.forward(self.program, spectrograms, t)
