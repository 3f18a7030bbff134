"""An enhancer on each backend: its own, the same sound, from several threads at once."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from speechduet.enhancement.enhancer import Enhancer
from speechduet.errors import SettingError
from speechduet.model.folder import load

RATE = 16_000


def noisy(seconds: float, seed: int = 0) -> np.ndarray[Any, Any]:
    generator = np.random.default_rng(seed)
    return generator.uniform(-0.5, 0.5, round(seconds * RATE)).astype(np.float32)


def test_two_enhancers_of_a_model_have_each_a_backend_of_its_own(tiny_model: Path) -> None:
    model = load(tiny_model)
    exact = Enhancer(model, "cpu")
    before = exact(noisy(0.5), RATE)
    rough = Enhancer(model, "cpu", precision="bfloat16")
    assert exact.backend == "backend pytorch, float32, on cpu (the default)"
    assert rough.backend == "backend pytorch, bfloat16, on cpu (as asked)"
    np.testing.assert_array_equal(exact(noisy(0.5), RATE), before)
    assert 0 < np.abs(rough(noisy(0.5), RATE) - before).max() < 0.1 * np.abs(before).max()
    assert model.system.backend is None


def test_a_backend_that_there_is_not_is_an_error(tiny_model: Path) -> None:
    with pytest.raises(SettingError, match="CUDA graphs on cpu; expected device cuda"):
        Enhancer.from_pretrained(tiny_model, "cpu", backend="cuda-graphs")


@pytest.fixture
def without_generated_code(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What torch.compile traces is run as it is: C++ takes a minute."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.usefixtures("without_generated_code")
@pytest.mark.parametrize(
    ("mode", "backend", "precision", "tolerance"),
    [
        ("fast", "compile", "float32", 1e-5),  # Compiling the other decoder takes as long again.
        *itertools.chain.from_iterable(
            (
                (mode, "pytorch", "float32", 0),
                (mode, "pytorch", "bfloat16", 0),
                (mode, "onnxruntime", "float32", 1e-4),
                (mode, "openvino", "float32", 1e-4),
                (mode, "openvino", "bfloat16", 0.1),
            )
            for mode in ("fast", "balanced")
        ),
    ],
)
def test_several_threads_share_an_enhancer(
    tiny_model: Path, mode: str, backend: Any, precision: Any, tolerance: float
) -> None:
    if backend in ("onnxruntime", "openvino"):
        pytest.importorskip("onnx")
        pytest.importorskip(backend)
    shared = Enhancer.from_pretrained(
        tiny_model, "cpu", threads=1, backend=backend, precision=precision
    )
    alone = Enhancer.from_pretrained(tiny_model, "cpu", threads=1, precision=precision)
    # Each thread lets the backend prepare itself for a length of its own.
    recordings = [noisy(0.3 + 0.1 * (seed % 4), seed) for seed in range(12)]
    expected = [alone(recording, RATE, mode) for recording in recordings]
    with ThreadPoolExecutor(4) as pool:
        enhanced = list(pool.map(lambda recording: shared(recording, RATE, mode), recordings))
    for ours, theirs in zip(enhanced, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())
