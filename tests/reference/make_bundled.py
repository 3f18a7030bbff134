#!/usr/bin/env python3
"""Write bundled.safetensors: what the bundled model makes of half a second, for its golden test.

    python tests/reference/make_bundled.py

To be run when the bundled model is replaced, and after no other change.
"""

from pathlib import Path

import soundfile
import torch
from safetensors.torch import save_file
from torch import Tensor

from speechduet import Enhancer
from speechduet.enhancement.noise import NoiseField

HERE = Path(__file__).parent
SAMPLES = 8_000
"""Half a second; no multiple of the hop."""
TIME = 0.4
"""Of the state at which both decoders are asked."""
MODES = ("fast", "balanced", "best")


def bundled_values() -> dict[str, Tensor]:
    """Estimates of both decoders, real ``[2, bins, frames]``, and a waveform of each mode."""
    enhancer = Enhancer.from_pretrained(device="cpu", backend="pytorch", precision="float32")
    noisy, rate = soundfile.read(
        HERE.parents[1] / "samples/noisy/cafe.flac", start=16_000, frames=SAMPLES, dtype="float32"
    )
    system, process = enhancer.system, enhancer.system.process
    assert process is not None
    with torch.inference_mode():
        y = enhancer.spectrogram.encode(torch.from_numpy(noisy / abs(noisy).max())[None])
        t = torch.tensor([TIME])
        z = torch.from_numpy(NoiseField(0, y.shape[2]).batch(0, [0], y.shape[3]))
        estimate = system.estimate(
            process.perturb(y, y, t, z), y, y, t, generative=True, predictive=True
        )
    assert estimate.generative is not None and estimate.predictive is not None
    values = {
        "generative": torch.view_as_real(estimate.generative[0, 0]),
        "predictive": torch.view_as_real(estimate.predictive[0, 0]),
    }
    for mode in MODES:
        values[mode] = torch.from_numpy(enhancer(noisy, rate, mode=mode, seed=0))
    return values


if __name__ == "__main__":
    made = {name: value.contiguous().clone() for name, value in bundled_values().items()}
    save_file(made, HERE / "bundled.safetensors")
