"""The transform in NumPy: that of PyTorch."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from speechduet.enhancement.piece import extended
from speechduet.onnx.transform import Transform
from speechduet.spectrogram import Spectrogram

TRANSFORMS = {
    "default": Spectrogram(),
    "wide hop": Spectrogram(hop=256),
    "published": Spectrogram(published=True),
    "uneven": Spectrogram(n_fft=62, hop=13, exponent=0.7, factor=0.3),
}


@pytest.mark.parametrize("samples", [1, 2, 100, 255, 256, 257, 5_001])
@pytest.mark.parametrize("kind", TRANSFORMS)
def test_both_ways(kind: str, samples: int, rng: np.random.Generator) -> None:
    theirs = TRANSFORMS[kind]
    ours = Transform(**asdict(theirs))
    assert ours.bins == theirs.bins
    waveform = rng.uniform(-1, 1, (2, samples)).astype(np.float32)
    waveform[1] *= 1e-3
    tensor = torch.from_numpy(waveform)
    expected = theirs.encode(extended(tensor, theirs.covering(samples)))
    spectrogram = ours.encode(waveform)
    assert spectrogram.dtype == np.complex64
    # Before compression, which makes much of what is little, rounding included.
    plain, wanted = (
        values * (np.abs(values) / ours.factor) ** (1 / ours.exponent - 1)
        for values in (spectrogram, expected.numpy())
    )
    np.testing.assert_allclose(plain, wanted, atol=2e-6)
    beyond = torch.nn.functional.pad(expected * 1.1, (0, 3))
    decoded = ours.decode(beyond.numpy(), samples)
    assert decoded.dtype == np.float32
    np.testing.assert_allclose(decoded, theirs.decode(beyond, samples).numpy(), atol=1e-5)


def test_what_lies_beyond_the_frames_is_silent(rng: np.random.Generator) -> None:
    theirs = Spectrogram()
    ours = Transform(**asdict(theirs))
    spectrogram = ours.encode(rng.uniform(-1, 1, (1, 1_000)).astype(np.float32))
    decoded = ours.decode(spectrogram, 3_000)
    assert decoded.shape == (1, 3_000) and not decoded[:, 2_000:].any()
