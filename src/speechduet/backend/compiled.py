"""PyTorch's compiler: each program becomes generated code, on a CPU C++."""

from threading import Lock

import torch
from torch import Tensor

from speechduet.errors import SettingError
from speechduet.network.system import Backend, Program


class Compiled:
    """Compiles each program when it is first called; that takes from seconds to minutes.

    One compilation serves one example with any number of frames (except very few, for which PyTorch
    takes another convolution), one more serves several examples.
    """

    def __init__(self, evaluate: Backend, device: torch.device) -> None:
        """Raises SettingError where nothing can be compiled, for want of a compiler say."""
        try:
            torch.compile(_trial)(torch.zeros(1, device=device, dtype=torch.float32))
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise SettingError(
                f"torch.compile does not work here ({reason})",
                remedy="install g++ and Python's headers, or take backend pytorch",
            ) from None

        def run(
            program: Program, spectrograms: Tensor, t: Tensor | None
        ) -> tuple[Tensor, ...]:  # a function, for an object's call is not compiled
            return evaluate(program, spectrograms, t)

        self._evaluate = torch.compile(run)
        # While one thread compiles, no other may call anything that is compiled.
        self._lock = Lock()

    def __call__(
        self, program: Program, spectrograms: Tensor, t: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Outputs of `System.forward`."""
        torch._dynamo.maybe_mark_dynamic(spectrograms, 3)
        with self._lock:
            outputs: tuple[Tensor, ...] = self._evaluate(program, spectrograms, t)
        return outputs


def _trial(x: Tensor) -> Tensor:
    return x + 1
