"""A program as a checked ONNX file: precisions, metadata, and numbers to check others against."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from speechduet.backend.export import OUTPUTS, named_inputs, onnx_model
from speechduet.errors import ModelError, SettingError
from speechduet.network.system import Program, System

ExportPrecision = Literal["float32", "float16", "int8"]

TOLERANCES: Mapping[ExportPrecision, float] = {"float32": 1e-4, "float16": 1e-2, "int8": 0.1}
"""Largest difference from PyTorch that is let through, of the greatest magnitude; for float16 and
int8 from PyTorch in float32 and with the same rounding, respectively."""

SIZES = ((1, 1), (3, 1), (2, 3), (1, 5))
"""Examples, and frames in multiples of the least number that is worth a test."""
_LEAST_FRAMES = 16

Numbers = Mapping[str, NDArray[Any]]


class Checked(NamedTuple):
    """Inputs and outputs of a program in PyTorch, and how far the file's outputs are from them."""

    numbers: Numbers
    difference: float


def write_program(
    path: Path,
    system: System,
    program: Program,
    bins: int,
    precision: ExportPrecision,
    metadata: Mapping[str, str],
) -> Checked:
    """Write a program, and compare it with PyTorch in several lengths and numbers of examples.

    ``system`` is what it is compared with: for int8 one with rounded layers. Raises ModelError if
    it cannot be exported or differs too much.
    """
    import onnx

    try:
        model = onnx.load_from_string(onnx_model(system, program, bins))
    except SettingError:
        raise
    except (RuntimeError, torch.onnx.OnnxExporterError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"program {program!r} cannot be exported ({reason})") from error
    if precision == "float16":
        halve_weights(model)
    elif precision == "int8":
        store_rounded(model)
    known = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {**known, **metadata, "program": program})
    onnx.save_model(model, path)
    checked = compared(path, system, program, bins)
    if not checked.difference <= TOLERANCES[precision]:
        raise ModelError(
            f"program {program!r} differs from PyTorch by {checked.difference:.2g} of the greatest "
            f"magnitude as ONNX in {precision}",
            f"at most {TOLERANCES[precision]:g}",
            "" if precision == "float32" else "export it in float32",
        )
    return checked


def compared(path: Path, system: System, program: Program, bins: int) -> Checked:
    """A file beside the program in PyTorch; the numbers kept are those of the first size."""
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    least = -(-_LEAST_FRAMES // system.frame_multiple) * system.frame_multiple
    kept, worst = [], 0.0
    for examples, multiple in SIZES:
        shape = (examples, 2 * _spectrograms(system, program), bins, multiple * least)
        # About as large as compressed spectrograms are.
        spectrograms = 0.3 * torch.randn(shape, generator=generator, dtype=torch.float32)
        t = None
        if program != "predictive_network":
            t = torch.linspace(1, 0.1, examples, dtype=torch.float32)
        with torch.inference_mode():
            outputs = [output.numpy(force=True) for output in system(program, spectrograms, t)]
        given = named_inputs(spectrograms, t)
        for ours, theirs in zip(session.run(None, given), outputs, strict=True):
            worst = max(worst, float(np.abs(ours - theirs).max() / np.abs(theirs).max()))
        kept.append({**given, **dict(zip(OUTPUTS[program], outputs, strict=True))})
    return Checked(kept[0], worst)


def store_rounded(model: Any) -> None:
    """Store weights that an ONNX model rounds to 8-bit numbers (around 0) as those numbers."""
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in list(model.graph.node):
        if node.op_type != "QuantizeLinear" or node.input[0] not in stored:
            continue
        weights, steps = (numpy_helper.to_array(stored[name]) for name in node.input[:2])
        steps = steps.reshape(-1, *(1,) * (weights.ndim - 1))
        rounded = np.rint(weights / steps).clip(-128, 127).astype(np.int8)
        model.graph.initializer.append(numpy_helper.from_array(rounded, node.output[0]))
        model.graph.initializer.remove(stored.pop(node.input[0]))
        model.graph.node.remove(node)


def halve_weights(model: Any) -> None:
    """Store the weights of an ONNX model as float16; it computes with them as float32."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        name = tensor.name
        values = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(values, f"{name}.float16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _spectrograms(system: System, program: Program) -> int:
    if program == "predictive_network":
        return 1
    return 3 if system.anchored else 2
