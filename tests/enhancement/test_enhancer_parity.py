"""The enhancer with published systems: the waveforms of the original code."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from speechduet.enhancement.enhancer import Enhancer


@pytest.mark.parametrize("name", ["sgmse_plus", "storm"])
def test_waveforms_of_the_original_code(shared: Path, name: str) -> None:
    vectors = load_file(shared / "reference" / f"{name}_vectors.safetensors")
    original = Enhancer.from_pretrained(shared / "reference" / f"{name}.ckpt")
    noise = iter(torch.view_as_complex(vectors["waveform_noise.complex"]).unsqueeze(1))
    enhanced = original(
        vectors["waveform_noisy"],
        16_000,
        steps=int(vectors["waveform_N"]),
        noise=lambda shape: next(noise),
    )
    expected = vectors["waveform_enhanced"]
    assert (enhanced - expected).abs().max() < 1e-4 * expected.abs().max()


def test_storm_in_fast_mode_is_its_predictive_network(shared: Path) -> None:
    vectors = load_file(shared / "reference" / "storm_vectors.safetensors")
    storm = Enhancer.from_pretrained(shared / "reference" / "storm.ckpt")
    enhanced = storm(vectors["waveform_noisy"], 16_000, "fast")
    expected = vectors["waveform_denoiser_only"]
    assert (enhanced - expected).abs().max() < 1e-4 * expected.abs().max()
