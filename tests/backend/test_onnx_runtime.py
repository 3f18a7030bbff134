"""ONNX Runtime: the same numbers as PyTorch, sessions made once, and 8-bit products."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from speechduet.backend import onnx_runtime
from speechduet.backend.export import onnx_model
from speechduet.backend.onnx_runtime import OnnxRuntime
from speechduet.backend.quantisation import calibration, quantised
from speechduet.enhancement.enhancer import Enhancer
from speechduet.errors import SettingError
from speechduet.network.compact import Compact
from speechduet.network.layout import Layout
from speechduet.network.system import Backend, Program, System
from speechduet.process import OrnsteinUhlenbeck

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

BINS = 32
Difference = Callable[[Backend, System], float]


def test_every_program_gives_the_same_numbers(
    any_system: System, greatest_difference: Difference
) -> None:
    runtime = OnnxRuntime(any_system, BINS, 1, "float32")
    assert greatest_difference(runtime, any_system) < 1e-4


def test_a_program_is_exported_once_when_it_is_first_called(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported: list[Program] = []
    export = onnx_runtime.onnx_model

    def counted(system: System, program: Program, bins: int) -> bytes:
        exported.append(program)
        return export(system, program, bins)

    monkeypatch.setattr(onnx_runtime, "onnx_model", counted)
    runtime = OnnxRuntime(system, BINS, 1, "float32")
    assert exported == []
    inputs = torch.randn(8, 1, 4, BINS, 12)
    t = torch.full((1,), 0.5)
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda x: runtime("generative", x, t)[0], inputs))
    assert exported == ["generative"]
    with torch.inference_mode():
        for x, ours in zip(inputs, outputs, strict=True):
            torch.testing.assert_close(ours, system("generative", x, t)[0], rtol=0, atol=1e-3)


def test_threads_are_those_asked_for(system: System) -> None:
    for asked, expected in ((2, 2), (None, torch.get_num_threads())):
        options = OnnxRuntime(system, BINS, asked, "float32").session("both").get_session_options()
        assert options.intra_op_num_threads == expected


@pytest.fixture
def calibrated() -> System:
    """Wide enough for 8-bit products, and calibrated on noise."""
    size = Compact(bins=BINS, channels=(16, 24), width=32, encoder_blocks=2, decoder_blocks=1)
    made = System(Layout(True, "shared", "clean"), OrnsteinUhlenbeck(), size).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    with calibration(made) as ranges, torch.inference_mode():
        made("both", torch.randn(2, 4, BINS, 100), torch.tensor([0.3, 1.0]))
    return made.calibrated(ranges)


def test_int8_computes_what_the_rounded_system_computes(calibrated: System) -> None:
    rounded = quantised(calibrated)
    runtime = OnnxRuntime(calibrated, BINS, 1, "int8")
    inputs, t = torch.randn(1, 4, BINS, 60), torch.tensor([0.4])
    for program in calibrated.programs():
        with torch.inference_mode():
            exact, expected = calibrated(program, inputs, t), rounded(program, inputs, t)
        for ours, theirs, true in zip(runtime(program, inputs, t), expected, exact, strict=True):
            # A number halfway between two may be rounded either way.
            assert (ours - theirs).norm() < 0.3 * (true - theirs).norm()


def test_int8_multiplies_8_bit_numbers(calibrated: System, tmp_path: Path) -> None:
    """Each calibrated layer's product is one of 8-bit numbers in the graph that is run."""
    onnx = pytest.importorskip("onnx")
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    InferenceSession(
        onnx_model(quantised(calibrated), "both", BINS), options, providers=["CPUExecutionProvider"]
    )
    kinds = [node.op_type for node in onnx.load(str(tmp_path / "optimised.onnx")).graph.node]
    products = ("QLinearConv", "MatMulIntegerToFloat", "QGemm", "QLinearMatMul")
    assert sum(kind in products for kind in kinds) == len(calibrated.activation_ranges)


def test_the_bundled_model_in_8_bits_sounds_the_same(speech: np.ndarray) -> None:
    """Its ranges belong to its weights: others would be far off."""
    noisy = speech + 0.02 * np.random.default_rng(0).standard_normal(len(speech), np.float32)
    exact = Enhancer.from_pretrained(device="cpu", threads=1)(noisy, 16_000)
    enhancer = Enhancer.from_pretrained(
        device="cpu", threads=1, backend="onnxruntime", precision="int8"
    )
    rounded = enhancer(noisy, 16_000)
    distance_db = 10 * np.log10(np.square(exact).sum() / np.square(rounded - exact).sum())
    assert 30 < distance_db < 60


def test_what_it_cannot_do(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingError, match="bfloat16 in ONNX Runtime; expected float32 or int8"):
        OnnxRuntime(system, BINS, 1, "bfloat16")
    with pytest.raises(SettingError, match="int8 for a model without activation ranges"):
        OnnxRuntime(system, BINS, 1, "int8")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(SettingError, match=r"onnxruntime is not .*'speechduet\[onnx\]'"):
        OnnxRuntime(system, BINS, 1, "float32")
