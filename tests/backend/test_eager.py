"""bfloat16 in PyTorch: near to float32, and float32 at its border."""

import pytest
import torch

from speechduet.backend.eager import Bfloat16
from speechduet.network.system import Program, System


def test_outputs_are_near_to_float32_in_float32(system: System) -> None:
    x, t = torch.randn(2, 4, 32, 24), torch.tensor([0.3, 0.8])
    backend = Bfloat16(system)
    with torch.inference_mode():
        for program in system.programs():
            exact, rough = system(program, x, t), backend(program, x, t)
            assert len(exact) == len(rough)
            for whole, half in zip(exact, rough, strict=True):
                assert half.dtype == torch.float32
                error = (half - whole).norm() / whole.norm()
                assert 1e-5 < error < 0.03  # 8 bits: 0.4 % each time something is rounded


@pytest.mark.parametrize("program", ["predictive", "both"])
def test_nothing_is_left_switched_on(system: System, program: Program) -> None:
    Bfloat16(system)(program, torch.randn(1, 4, 32, 8), torch.tensor([0.5]))
    assert not torch.is_autocast_enabled("cpu")
