"""OpenVINO on a CPU: a system's programs in float32, or with products of bfloat16."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from speechduet.backend import BackendPrecision
from speechduet.backend.export import OUTPUTS, check_installed, named_inputs, onnx_model
from speechduet.backend.per_program import PerProgram
from speechduet.errors import SettingError
from speechduet.network.system import Program, System

if TYPE_CHECKING:
    from openvino import CompiledModel

HINTS = {"float32": "f32", "bfloat16": "bf16"}
"""OpenVINO's names of the precisions; it keeps to float32 where a processor lacks bfloat16."""


class OpenVino:
    """Exports and compiles each program when it is first called."""

    def __init__(
        self, system: System, bins: int, threads: int | None, precision: BackendPrecision
    ) -> None:
        """``threads`` None takes as many as PyTorch does.

        Raises SettingError for another precision than float32 or bfloat16, and where a package is
        missing.
        """
        if precision not in HINTS:
            raise SettingError(f"{precision} in OpenVINO", "float32 or bfloat16")
        check_installed("openvino", "onnx", "openvino")
        from openvino import Core

        self._core = Core()
        self._system = system
        self._bins = bins
        self._settings = {
            "INFERENCE_NUM_THREADS": threads or torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
        }
        self.compiled = PerProgram(self._compile)
        """The compiled model that runs a program."""

    def __call__(
        self, program: Program, spectrograms: Tensor, t: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Outputs of `System.forward`."""
        # A request belongs to one thread at a time, and costs next to nothing.
        request = self.compiled(program).create_infer_request()
        outputs = request.infer(named_inputs(spectrograms, t))
        return tuple(torch.from_numpy(outputs[name]) for name in OUTPUTS[program])

    def _compile(self, program: Program) -> "CompiledModel":
        model = self._core.read_model(onnx_model(self._system, program, self._bins))
        # What leads to an output without a convolution or a product on its way stays in float32.
        # The phases of the time embedding must: in bfloat16 they are off by whole radians.
        waves = [op.output(0) for op in model.get_ops() if op.get_type_name() in ("Sin", "Cos")]
        model.add_outputs(waves)
        return self._core.compile_model(model, "CPU", self._settings)
