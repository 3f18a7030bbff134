"""Programs as ONNX models: their form. What they compute is asked of the runtimes."""

import sys

import pytest

from speechduet.backend.export import OPSET, OUTPUTS, check_installed, onnx_model
from speechduet.errors import SettingError
from speechduet.network.system import System

BINS = 32


def test_inputs_and_outputs_have_names_and_sizes(any_system: System) -> None:
    onnx = pytest.importorskip("onnx")
    spectrograms = 3 if any_system.anchored else 2
    for program in any_system.programs():
        model = onnx.load_from_string(onnx_model(any_system, program, BINS))
        onnx.checker.check_model(model, full_check=True)
        sizes = {
            value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
            for value in (*model.graph.input, *model.graph.output)
        }
        alone = program == "predictive_network"
        expected: dict[str, list[str | int]] = {
            "spectrograms": ["batch", 2 if alone else 2 * spectrograms, BINS, "frames"]
        }
        if not alone:
            expected["t"] = ["batch"]
        for name in OUTPUTS[program]:
            expected[name] = ["batch", 2, BINS, "frames"]
        assert sizes == expected
        assert [value.name for value in model.graph.output] == list(OUTPUTS[program])
        assert [entry.version for entry in model.opset_import] == [OPSET]
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        assert metadata == {"frame_multiple": str(any_system.frame_multiple)}


def test_a_model_holds_its_program_and_nothing_else(system: System) -> None:
    onnx = pytest.importorskip("onnx")
    generative, both = (
        onnx.load_from_string(onnx_model(system, program, BINS)).graph
        for program in ("generative", "both")
    )
    names = [tensor.name for tensor in both.initializer]
    for part in ("encoder", "generative_decoder", "predictive_decoder"):
        assert any(part in name for name in names)
    assert not any("predictive_decoder" in tensor.name for tensor in generative.initializer)


def test_a_system_is_left_as_it_was(system: System) -> None:
    pytest.importorskip("onnx")
    weights = {name: tensor.clone() for name, tensor in system.state_dict().items()}
    onnx_model(system, "both", BINS)
    assert not system.training
    assert all((tensor == weights[name]).all() for name, tensor in system.state_dict().items())


def test_a_program_that_the_system_lacks(system: System) -> None:
    with pytest.raises(SettingError, match="'predictive_network'; expected one of generative, "):
        onnx_model(system, "predictive_network", BINS)


def test_a_missing_package_names_its_extra(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    check_installed("onnx", "torch")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(SettingError, match=r"package onnx is not .*'speechduet\[onnx\]'"):
        onnx_model(system, "both", BINS)
