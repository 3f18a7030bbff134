"""Which device and which backend: what was asked for, or the best that works here."""

from typing import NamedTuple, get_args

import torch

from speechduet.backend import BackendName, BackendPrecision
from speechduet.backend.compiled import Compiled
from speechduet.backend.cuda_graphs import cuda_graphs
from speechduet.backend.eager import Bfloat16
from speechduet.backend.fast_convolutions import fast_convolutions, is_available
from speechduet.errors import SettingError
from speechduet.network.system import Backend, System


class Chosen(NamedTuple):
    """A backend, None for the system's own forward, and a line that says which and why."""

    backend: Backend | None
    description: str


def find_device(name: str) -> torch.device:
    """The device of this name: auto, cpu, cuda, cuda:1, mps; SettingError if it is not there."""
    if name == "auto":
        # Not mps: it lacks some of the complex arithmetic, so it is taken only when asked for.
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    available = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.cuda.is_available():
        available.append("cuda")
    if torch.backends.mps.is_available():
        available.append("mps")
    if name not in available:
        raise SettingError(
            f"device {name!r} is not there", "auto or one of " + ", ".join(available)
        )
    return torch.device(name)


def choose(
    system: System,
    device: torch.device,
    backend: BackendName = "auto",
    precision: BackendPrecision = "auto",
    bins: int = 256,
    threads: int | None = None,
) -> Chosen:
    """The backend for a system that is on this device.

    *auto* takes the first of `candidates` that works here. ``bins`` are those of the spectrograms;
    ``threads`` is for runtimes that have threads of their own. Raises SettingError if nothing that
    was asked for can be had; with *auto* for both that cannot be.
    """
    for found, choices in ((backend, BackendName), (precision, BackendPrecision)):
        if found not in get_args(choices):
            raise SettingError(f"{found!r}", "one of " + ", ".join(get_args(choices)))
    refusals: list[SettingError] = []
    for name, numbers in candidates(system, device, backend, precision):
        try:
            made = build(system, device, name, numbers, bins, threads)
        except SettingError as error:
            refusals.append(error)
            continue
        why = "as asked" if (backend, precision) != ("auto", "auto") else "the default"
        if refusals:
            why = f"not better, for: {refusals[0]}"
        return Chosen(made, f"backend {name}, {numbers}, on {device} ({why})")
    raise refusals[0]


def candidates(
    system: System, device: torch.device, backend: BackendName, precision: BackendPrecision
) -> list[tuple[BackendName, BackendPrecision]]:
    """Backends with their precisions, the best first.

    On a CPU float32 in PyTorch: nothing to prepare, and bfloat16 is slow on most processors. There
    fast convolutions are taken where the system has layers that gain from them.
    """
    names: list[BackendName] = ["pytorch"]
    precisions: list[BackendPrecision] = ["float32"]
    if device.type == "cuda":
        names, precisions = ["cuda-graphs", "pytorch"], ["bfloat16", "float32"]
    elif device.type == "cpu" and precision in ("auto", "float32") and fast_convolutions(system):
        names = ["winograd"]
    if precision == "int8":
        names = ["onnxruntime"]
    if backend != "auto":
        names = [backend]
    if precision != "auto":
        precisions = [precision]
    return [(name, numbers) for numbers in precisions for name in names]


def build(
    system: System,
    device: torch.device,
    name: BackendName,
    precision: BackendPrecision,
    bins: int,
    threads: int | None,
) -> Backend | None:
    """One backend, None for the system's own forward; SettingError if it cannot be."""
    if name in ("onnxruntime", "openvino"):
        if device.type != "cpu":
            raise SettingError(f"backend {name} on {device}", "device cpu")
        if name == "openvino":
            from speechduet.backend.open_vino import OpenVino  # an optional package

            return OpenVino(system, bins, threads, precision)
        from speechduet.backend.onnx_runtime import OnnxRuntime

        return OnnxRuntime(system, bins, threads, precision)
    if name == "winograd":
        if device.type != "cpu" or precision != "float32" or not is_available():
            raise SettingError(
                f"backend winograd in {precision} on {device}", "float32 on an x86 processor"
            )
        return fast_convolutions(system)
    evaluate = _in_pytorch(system, device, precision)
    if name == "compile":
        return Compiled(evaluate or system, device)
    if name == "cuda-graphs":
        return cuda_graphs(evaluate or system, system, bins, device)
    return evaluate


def _in_pytorch(
    system: System, device: torch.device, precision: BackendPrecision
) -> Backend | None:
    if precision == "float32":
        return None
    if precision == "int8":
        raise SettingError("int8 in PyTorch", "float32 or bfloat16", "take backend onnxruntime")
    if device.type == "mps":
        raise SettingError("bfloat16 on mps", "float32")
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
        raise SettingError(f"{torch.cuda.get_device_name(device)} lacks bfloat16", "float32")
    return Bfloat16(system)
