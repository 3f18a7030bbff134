"""OpenVINO: the same numbers as PyTorch, models compiled once, and products of bfloat16."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from speechduet.backend import open_vino
from speechduet.backend.open_vino import OpenVino
from speechduet.errors import SettingError
from speechduet.network.system import Backend, Program, System

pytest.importorskip("onnx")
pytest.importorskip("openvino")

BINS = 32
Difference = Callable[[Backend, System], float]


def test_every_program_gives_the_same_numbers(
    any_system: System, greatest_difference: Difference
) -> None:
    runtime = OpenVino(any_system, BINS, 1, "float32")
    assert greatest_difference(runtime, any_system) < 1e-4


def test_a_program_is_compiled_once_when_it_is_first_called(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported: list[Program] = []
    export = open_vino.onnx_model

    def counted(system: System, program: Program, bins: int) -> bytes:
        exported.append(program)
        return export(system, program, bins)

    monkeypatch.setattr(open_vino, "onnx_model", counted)
    runtime = OpenVino(system, BINS, 1, "float32")
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
        compiled = OpenVino(system, BINS, asked, "float32").compiled("both")
        assert compiled.get_property("INFERENCE_NUM_THREADS") == expected


def test_bfloat16_keeps_the_time(any_system: System, greatest_difference: Difference) -> None:
    """Phases of hundreds of radians, rounded to bfloat16, would say another time."""
    runtime = OpenVino(any_system, BINS, 1, "bfloat16")
    assert greatest_difference(runtime, any_system) < 0.05


def test_what_it_cannot_do(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingError, match="int8 in OpenVINO; expected float32 or bfloat16"):
        OpenVino(system, BINS, 1, "int8")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(SettingError, match=r"openvino is not .*'speechduet\[openvino\]'"):
        OpenVino(system, BINS, 1, "float32")
