"""The precision of a run whose recipe says ``auto``: the fastest here, by a few steps in each."""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import NamedTuple

import torch

from speechduet.training.loading import Batch
from speechduet.training.module import Training
from speechduet.training.settings import Precision

STEPS = 3
"""Of each precision; the quickest counts, for the first one prepares kernels."""

_HALF: Mapping[Precision, torch.dtype] = {
    "bf16-mixed": torch.bfloat16,
    "16-mixed": torch.float16,
}


class Choice(NamedTuple):
    """A precision, and the seconds that a step takes in it and in the others."""

    precision: Precision
    seconds: Mapping[Precision, float]

    def __str__(self) -> str:
        taken = ", ".join(f"{one} {seconds:.3g} s" for one, seconds in self.seconds.items())
        return f"{self.precision}, the fastest here (a step in {taken})"


def device_of(accelerator: str) -> torch.device:
    """Where Lightning trains by the name of an accelerator."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return torch.device("cuda")
    if accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def candidates(device: torch.device) -> tuple[Precision, ...]:
    """Precisions that may be the fastest on a device, float32 first."""
    if device.type == "cuda":
        # Older cards emulate bfloat16.
        ampere = torch.cuda.get_device_capability(device) >= (8, 0)
        return "32-true", "bf16-mixed" if ampere else "16-mixed"
    return ("32-true", "bf16-mixed") if device.type == "cpu" else ("32-true",)


def fastest(module: Training, batch: Batch, device: torch.device) -> Choice:
    """The fastest precision for passes of a batch forward and backward; weights stay as they are.

    The module is moved to the device.
    """
    module.to(device)
    clean, noisy = batch.clean.to(device), batch.noisy.to(device)

    def step(precision: Precision) -> None:
        half = _HALF.get(precision)
        with torch.autocast(device.type, half, enabled=half is not None):
            x_0, y = module.spectrogram.encode(clean), module.spectrogram.encode(noisy)
            losses = module.part_losses(x_0, y, clean.shape[-1], batch.examples)
            loss = module.weighted(losses)
        loss.backward()  # type: ignore[no-untyped-call]
        module.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        return quickest(candidates(device), step)


def quickest(
    precisions: Sequence[Precision],
    step: Callable[[Precision], None],
    clock: Callable[[], float] = perf_counter,
) -> Choice:
    """Time `STEPS` steps in each precision; of equally quick ones the first is chosen."""
    seconds: dict[Precision, float] = {}
    for precision in precisions:
        taken = []
        for _ in range(STEPS):
            start = clock()
            step(precision)
            taken.append(clock() - start)
        seconds[precision] = min(taken)
    return Choice(min(precisions, key=seconds.__getitem__), seconds)
