"""Which backend is taken, what is said about it, and what is refused."""

from typing import Any

import pytest
import torch

from speechduet.backend import choice
from speechduet.backend.choice import candidates, choose, find_device
from speechduet.backend.eager import Bfloat16
from speechduet.errors import SettingError
from speechduet.network.system import System

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_the_default_on_a_cpu_is_pytorch_in_float32(system: System) -> None:
    chosen = choose(system, CPU)
    assert chosen.backend is None
    assert chosen.description == "backend pytorch, float32, on cpu (the default)"


def test_what_is_asked_for_is_taken(system: System) -> None:
    chosen = choose(system, CPU, "pytorch", "bfloat16")
    assert isinstance(chosen.backend, Bfloat16)
    assert chosen.description == "backend pytorch, bfloat16, on cpu (as asked)"
    assert isinstance(choose(system, CPU, "auto", "bfloat16").backend, Bfloat16)


def test_the_order_of_preference(system: System) -> None:
    assert candidates(system, CPU, "auto", "auto") == [("pytorch", "float32")]
    assert candidates(system, torch.device("mps"), "auto", "auto") == [("pytorch", "float32")]
    assert candidates(system, CUDA, "auto", "auto") == [
        ("cuda-graphs", "bfloat16"),
        ("pytorch", "bfloat16"),
        ("cuda-graphs", "float32"),
        ("pytorch", "float32"),
    ]
    assert candidates(system, CUDA, "auto", "float32") == [
        ("cuda-graphs", "float32"),
        ("pytorch", "float32"),
    ]
    assert candidates(system, CUDA, "compile", "auto") == [
        ("compile", "bfloat16"),
        ("compile", "float32"),
    ]
    assert candidates(system, CPU, "openvino", "auto") == [("openvino", "float32")]
    assert candidates(system, CPU, "auto", "int8") == [("onnxruntime", "int8")]


@pytest.mark.parametrize("working", ["cuda-graphs", "pytorch"])
def test_the_first_that_works_is_taken_and_the_reason_told(
    system: System, monkeypatch: pytest.MonkeyPatch, working: str
) -> None:
    tried = []

    def build(system: System, device: Any, name: str, precision: str, *_: Any) -> None:
        tried.append((name, precision))
        if (name, precision) != (working, "float32"):
            raise SettingError(f"no {name} in {precision}")

    monkeypatch.setattr(choice, "build", build)
    chosen = choose(system, CUDA)
    assert tried == candidates(system, CUDA, "auto", "auto")[: len(tried)]
    assert chosen.description == (
        f"backend {working}, float32, on cuda (not better, for: no cuda-graphs in bfloat16)"
    )


def test_a_card_without_bfloat16_has_float32(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old card")
    monkeypatch.setattr(choice, "cuda_graphs", lambda evaluate, *_: evaluate)
    chosen = choose(system, CUDA)
    assert chosen.backend is system
    assert (
        "cuda-graphs, float32" in chosen.description
        and "Old card lacks bfloat16" in chosen.description
    )
    with pytest.raises(SettingError, match="Old card lacks bfloat16; expected float32"):
        choose(system, CUDA, "pytorch", "bfloat16")


@pytest.mark.parametrize(
    ("device", "wish", "message"),
    [
        (
            CPU,
            ("tensorrt", "auto"),
            "'tensorrt'; expected one of auto, pytorch, winograd, compile, cuda-graphs",
        ),
        (CPU, ("auto", "half"), "'half'; expected one of auto, float32, bfloat16, int8"),
        (CPU, ("cuda-graphs", "auto"), "CUDA graphs on cpu; expected device cuda"),
        (CPU, ("pytorch", "int8"), "int8 in PyTorch; expected float32 or bfloat16; take backend"),
        (CPU, ("compile", "int8"), "int8 in PyTorch"),
        (CUDA, ("openvino", "auto"), "backend openvino on cuda; expected device cpu"),
        (CUDA, ("onnxruntime", "float32"), "backend onnxruntime on cuda; expected device cpu"),
        (CUDA, ("auto", "int8"), "backend onnxruntime on cuda; expected device cpu"),
        (torch.device("mps"), ("auto", "bfloat16"), "bfloat16 on mps; expected float32"),
        (CPU, ("winograd", "bfloat16"), "winograd in bfloat16 on cpu; expected float32 on an x86"),
        (CUDA, ("winograd", "float32"), "winograd in float32 on cuda; expected float32 on an x86"),
    ],
)
def test_wishes_that_cannot_be_met(
    system: System, device: torch.device, wish: tuple[Any, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        choose(system, device, *wish)


@pytest.mark.parametrize(("name", "extra"), [("onnxruntime", "onnx"), ("openvino", "openvino")])
def test_a_missing_package_is_named(
    system: System, monkeypatch: pytest.MonkeyPatch, name: Any, extra: str
) -> None:
    monkeypatch.setattr("speechduet.backend.export.find_spec", lambda package: None)
    with pytest.raises(SettingError, match=rf"not installed; pip install 'speechduet\[{extra}\]'"):
        choose(system, CPU, name)


def test_devices() -> None:
    assert find_device("cpu") == CPU
    assert find_device("auto").type in ("cpu", "cuda")
    with pytest.raises(
        SettingError, match="device 'gpu' is not there; expected auto or one of cpu"
    ):
        find_device("gpu")
