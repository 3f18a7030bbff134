"""The machine: what it is, and how fast its convolutions and matrix products get."""

import os
import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from speechduet.bench.request import Precision

TUNING = ("MALLOC_", "GLIBC_", "OMP_", "KMP_", "MKL_", "ONEDNN_")


class Peak(NamedTuple):
    """The most operations per second that were measured, in GFLOP/s (2 per multiplication)."""

    convolution: float
    matrix_product: float


def peak(
    device: torch.device, precision: Precision, finish: Callable[[], None], tries: int = 5
) -> Peak:
    """Of 3x3 convolutions as NCSN++ has them, and of square matrices; int8 is not known here."""
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    numbers: dict[str, Any] = {"device": device, "dtype": dtype}
    convolutions = []
    for channels, side in ((128, 128), (256, 64)):
        x = torch.randn(1, channels, side, side, **numbers).to(memory_format=torch.channels_last)
        w = torch.randn(channels, channels, 3, 3, **numbers).to(memory_format=torch.channels_last)
        seconds = _best(partial(functional.conv2d, x, w, padding=1), finish, tries)
        convolutions.append(2 * 9 * channels**2 * side**2 / seconds)
    a = torch.randn(2048, 2048, **numbers)
    seconds = _best(partial(torch.mm, a, a), finish, tries)
    return Peak(max(convolutions) / 1e9, 2 * 2048**3 / seconds / 1e9)


def _best(run: Callable[[], object], finish: Callable[[], None], tries: int) -> float:
    taken = []
    with torch.inference_mode():
        for _ in range(tries + 1):
            begun = perf_counter()
            run()
            finish()
            taken.append(perf_counter() - begun)
    return min(taken[1:])


def finisher(device: torch.device) -> Callable[[], None]:
    """What waits until a device has done all that it was given."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    if device.type == "mps":
        return torch.mps.synchronize
    return lambda: None


def description(device: torch.device) -> dict[str, Any]:
    """What the times belong to: processor or GPU, threads, versions."""
    known: dict[str, Any] = {
        "device": str(device),
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        # Settings of the memory allocator and of the threads, which change times a lot.
        "environment": {name: os.environ[name] for name in os.environ if name.startswith(TUNING)},
    }
    if device.type == "cuda":
        known["gpu"] = torch.cuda.get_device_name(device)
    return known


def _processor() -> str:
    table = Path("/proc/cpuinfo")
    lines = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
    parts = [line.partition(":") for line in lines]
    found = {key.strip(): value.strip() for key, _, value in parts}
    name = found.get("model name", platform.processor() or platform.machine())
    # Linux names the matrix unit, which decides about bfloat16 and which PyTorch does not name.
    return f"{name}, AMX" if "amx_bf16" in found.get("flags", "") else name
