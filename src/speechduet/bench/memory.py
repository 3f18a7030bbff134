"""The most memory that one candidate needs, measured in a fresh process of its own."""

from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import torch

from speechduet.backend.allocator import keep_freed_memory
from speechduet.bench.request import Candidate, Request
from speechduet.bench.workloads import workload
from speechduet.errors import SpeechduetError


class Memory(NamedTuple):
    """Bytes of a process, or on a GPU those that PyTorch allocated there."""

    ready: int
    """With the model in place, before the first run (at most until then)."""
    peak: int


def memory(request: Request, candidate: Candidate) -> Memory | None:
    """Of one run, or two training steps; None on a system that does not count it."""
    try:
        with ProcessPoolExecutor(1, get_context("spawn")) as executor:
            return executor.submit(_measured, request, candidate).result()
    except BrokenProcessPool:
        raise SpeechduetError(
            f"the process of {candidate.name} died while its memory was measured",
            remedy="if memory ran out, give less audio",
        ) from None


def _measured(request: Request, candidate: Candidate) -> Memory | None:
    if request.as_shipped and candidate.code == "speechduet":
        keep_freed_memory()
    work = workload(request, candidate)
    ready = resident(work.device)
    # An optimiser's state is there only after the first step, CUDA graphs after the second run.
    for _ in range(2 if request.train or candidate.backend == "cuda-graphs" else 1):
        work.run()
    peak = resident(work.device)
    return None if ready is None or peak is None else Memory(ready, peak)


def resident(device: torch.device) -> int | None:
    """The most bytes that this process has had so far; None where nothing counts them."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    # Not getrusage, whose maximum includes that of the process that started this one.
    table = Path("/proc/self/status")
    lines = table.read_text(encoding="ascii").splitlines() if table.is_file() else []
    peaks = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return 1024 * int(peaks[0]) if peaks else None
