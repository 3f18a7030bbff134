"""The runner without PyTorch: the waveforms of the one with it."""

import shutil
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import speechduet
from speechduet.enhancement.enhancer import Enhancer as WithPyTorch
from speechduet.errors import AudioError, ModelError, SettingError
from speechduet.onnx import Enhancer
from speechduet.onnx.description import Plan, Run, Sum
from speechduet.onnx.enhancer import carried_out
from speechduet.sampling import MODES

Array = np.ndarray[Any, Any]

WAVEFORMS: dict[str, tuple[Callable[[Array], Array], int]] = {
    "long": (lambda speech: speech, 16_000),
    "stereo with a silent channel": (lambda s: np.stack([s, 0 * s, 0.3 * s[::-1]]), 16_000),
    "44.1 kHz": (lambda speech: speech[:20_000], 44_100),
    "8 kHz, float64": (lambda speech: speech[:9_001].astype(np.float64), 8_000),
    "direct current": (lambda speech: speech[:9_000] + np.float32(0.2), 16_000),
    "short": (lambda speech: speech[4_000:4_100], 16_000),
    "one sample": (lambda speech: speech[4_000:4_001], 16_000),
    "silence": (lambda speech: 0 * speech[:5_000], 48_000),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", WAVEFORMS)
@pytest.mark.parametrize("segment_s", [16, 1])
def test_waveforms_are_those_of_pytorch(
    exported: Path, tiny_model: Path, speech: Array, mode: str, kind: str, segment_s: float
) -> None:
    make, sample_rate = WAVEFORMS[kind]
    waveform = make(speech)
    theirs = WithPyTorch.from_pretrained(tiny_model, "cpu", segment_s=segment_s)
    ours = Enhancer(exported, threads=1, segment_s=segment_s)
    expected = theirs(waveform, sample_rate, mode, seed=5, strength=0.9)
    enhanced = ours(waveform, sample_rate, mode, seed=5, strength=0.9)
    assert enhanced.shape == expected.shape and enhanced.dtype == expected.dtype
    np.testing.assert_allclose(enhanced, expected, rtol=0, atol=1e-4)


def test_seed_and_strength_matter(exported: Path, speech: Array) -> None:
    enhancer = Enhancer(exported, threads=1)
    once = enhancer(speech, 16_000)
    assert np.abs(once - enhancer(speech, 16_000, seed=1)).max() > 1e-4
    np.testing.assert_array_equal(once, enhancer(speech, 16_000, seed=0))
    np.testing.assert_array_equal(enhancer(speech, 16_000, strength=0), speech)


def test_integers_and_tensors(exported: Path, speech: Array) -> None:
    enhancer = Enhancer(exported, threads=1)
    expected = enhancer(speech, 16_000)
    tensor = enhancer(torch.from_numpy(speech), 16_000)
    np.testing.assert_array_equal(tensor.numpy(), expected)
    integers = enhancer((speech * 32767).astype(np.int16), 16_000)
    assert integers.dtype == np.int16
    np.testing.assert_allclose(integers / 32767, expected, atol=1e-3)


def test_several_threads_at_once(exported: Path, speech: Array) -> None:
    enhancer = Enhancer(exported, threads=1)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: enhancer(speech, 16_000), range(4)))
    assert all(np.array_equal(results[0], other) for other in results)


def test_threads_are_those_asked_for(exported: Path) -> None:
    for asked, expected in ((2, 2), (None, 0)):  # 0: as many as there are cores
        options = Enhancer(exported, asked)._session("both").get_session_options()
        assert options.intra_op_num_threads == expected


def test_it_is_reached_from_the_package(exported: Path) -> None:
    assert speechduet.onnx.Enhancer is Enhancer


def test_unusable_settings(exported: Path, speech: Array) -> None:
    enhancer = Enhancer(exported)
    with pytest.raises(SettingError, match="tiny has no mode 'quick'; expected one of fast, bal"):
        enhancer(speech, 16_000, "quick")
    with pytest.raises(SettingError, match="strength is 2"):
        enhancer(speech, 16_000, strength=2)
    with pytest.raises(SettingError, match="seed is -1"):
        enhancer(speech, 16_000, seed=-1)
    with pytest.raises(SettingError, match="0 threads; expected at least 1"):
        Enhancer(exported, threads=0)
    with pytest.raises(SettingError, match="segments of 0.5 s"):
        Enhancer(exported, segment_s=0.5)
    with pytest.raises(AudioError, match="sample 7 of the waveform is NaN"):
        enhancer(np.where(np.arange(100) == 7, np.nan, speech[:100]), 16_000)


def test_a_folder_that_is_none(exported: Path, tmp_path: Path, speech: Array) -> None:
    with pytest.raises(ModelError, match="holds no exported model.*`speechduet export --onnx`"):
        Enhancer(tmp_path)
    damaged = tmp_path / "damaged"
    shutil.copytree(exported, damaged)
    Enhancer(damaged)(speech, 16_000, "fast")  # needs another program than these
    for content in (b"no model", b"", (exported / "both.onnx").read_bytes()):
        (damaged / "generative.onnx").write_bytes(content)
        with pytest.raises(ModelError, match="generative.onnx is missing or damaged"):
            Enhancer(damaged)(speech, 16_000)
    enhancer = Enhancer(damaged)
    (damaged / "generative.onnx").unlink()
    with pytest.raises(ModelError, match="generative.onnx is missing or damaged"):
        enhancer(speech, 16_000)


def test_a_plan_keeps_only_what_is_read_later() -> None:
    steps = (
        Sum("x0", {"y": 2.0, "z0": 1.0}),
        Run("double", ("x0", "y"), None, ("a", "b")),
        Sum("x1", {"a": 1.0, "y": -1.0}),
        Run("double", ("x1",), None, ("c",)),
    )
    plan = Plan((0,), steps, "c")
    assert plan.forgotten == (("z0",), ("b", "x0"), ("a", "y"), ("x1",))
    y = np.full((1, 1, 2, 3), 1 + 1j, np.complex64)
    made: list[weakref.ref[Array]] = []

    def draw(number: int, frames: int) -> Array:
        assert (number, frames) == (0, 3)
        return np.full((1, 1, 2, 3), 0.5, np.complex64)

    def double(step: Run, inputs: Sequence[Array]) -> list[Array]:
        assert all(output() is None for output in made)
        outputs = [2 * value for value in inputs]
        made.extend(weakref.ref(output) for output in outputs)
        return outputs

    result = carried_out(plan, y, draw, double)
    np.testing.assert_allclose(result, 2 * (2 * (2 * y + 0.5) - y))
