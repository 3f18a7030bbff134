"""ONNX Runtime on a CPU: a system's programs in float32, or with products of 8-bit numbers."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from speechduet.backend import BackendPrecision
from speechduet.backend.export import check_installed, named_inputs, onnx_model
from speechduet.backend.per_program import PerProgram
from speechduet.backend.quantisation import quantised
from speechduet.errors import SettingError
from speechduet.network.system import Program, System

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class OnnxRuntime:
    """Exports each program and starts a session for it when it is first called."""

    def __init__(
        self, system: System, bins: int, threads: int | None, precision: BackendPrecision
    ) -> None:
        """``threads`` None takes as many as PyTorch does.

        Raises SettingError for another precision than float32 or int8, for int8 with a system that
        was not calibrated, and where a package is missing.
        """
        if precision not in ("float32", "int8"):
            raise SettingError(f"{precision} in ONNX Runtime", "float32 or int8")
        check_installed("onnx", "onnx", "onnxruntime")
        self._system = quantised(system) if precision == "int8" else system
        self._bins = bins
        self._threads = threads or torch.get_num_threads()
        self.session = PerProgram(self._start)
        """The session that runs a program."""

    def __call__(
        self, program: Program, spectrograms: Tensor, t: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Outputs of `System.forward`."""
        outputs = self.session(program).run(None, named_inputs(spectrograms, t))
        return tuple(torch.from_numpy(output) for output in outputs)

    def _start(self, program: Program) -> "InferenceSession":
        from onnxruntime import InferenceSession, SessionOptions

        options = SessionOptions()
        options.intra_op_num_threads = self._threads
        # Its threads wait asleep: the cores are PyTorch's as well, and other programs'.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model = onnx_model(self._system, program, self._bins)
        return InferenceSession(model, options, providers=["CPUExecutionProvider"])
