import torch
from torch import Tensor

from speechduet.network.recurrence import Recurrence, neighbours, recurrent_unit, recursion


def gates(frames: int = 6, channels: int = 8) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(2, frames, 3, 2 * channels, dtype=torch.float64)


def spelled_out(keep: Tensor, candidate: Tensor) -> Tensor:
    """The recursion forwards over ``[batch, frames, ...]``, one frame after the other."""
    state, states = torch.zeros_like(candidate[:, 0]), []
    for k, c in zip(keep.unbind(1), candidate.unbind(1), strict=True):
        state = k * state + (1 - k) * c
        states.append(state)
    return torch.stack(states, dim=1)


def test_recursion_looks_back_with_one_half_and_ahead_with_the_other() -> None:
    given = gates()
    keep, candidate = given[..., :8].sigmoid(), (given[..., 8:] / 2).tanh()
    back = spelled_out(keep[..., :4], candidate[..., :4])
    ahead = spelled_out(keep[..., 4:].flip(1), candidate[..., 4:].flip(1)).flip(1)
    torch.testing.assert_close(recursion(given), torch.cat([back, ahead], dim=-1))


def test_gradient_is_that_of_the_recursion() -> None:
    for frames in (1, 5):
        given = gates(frames, 4).requires_grad_()
        assert torch.autograd.gradcheck(recursion, (given,))


def test_recurrent_unit_is_the_same_function() -> None:
    given = gates()
    torch.testing.assert_close(recurrent_unit(given, 8), recursion(given))


def test_a_memory_begins_between_two_and_64_frames() -> None:
    layer = Recurrence(channels=8, hidden=16)
    assert layer.project.bias is not None
    memory = 1 / (1 - layer.project.bias[:16].sigmoid())
    expected = torch.tensor([2.0, 64, 2, 64])
    torch.testing.assert_close(memory[[0, 7, 8, 15]], expected, rtol=1e-4, atol=0)


def test_neighbours_are_the_frames_before_and_after() -> None:
    x = torch.arange(1.0, 4)[None, :, None, None].expand(1, 3, 2, 8)
    shifted = neighbours(x)
    assert shifted.shape == x.shape
    assert shifted[0, :, 0, 0].tolist() == [0, 1, 2]
    assert shifted[0, :, 0, 2].tolist() == [2, 3, 0]
    assert shifted[0, :, 0, 4].tolist() == [1, 2, 3]
