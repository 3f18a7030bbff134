import pytest
import torch
from torch import nn

from speechduet.training.balance import Balance, gradient_norms


def test_norms_are_those_of_the_gradients_at_the_shared_part() -> None:
    shared = nn.Linear(3, 4)
    heads = nn.Linear(4, 1), nn.Linear(4, 1)
    x = torch.randn(5, 3)
    losses = [10 * heads[0](shared(x)).square().mean(), heads[1](shared(x)).square().mean()]
    measured = gradient_norms(losses, shared)
    for loss, norm in zip(losses, measured, strict=True):
        shared.zero_grad()
        loss.backward(retain_graph=True)
        squares = [p.grad.square().sum() for p in shared.parameters() if p.grad is not None]
        torch.testing.assert_close(norm, torch.stack(squares).sum().sqrt())


def test_weights_make_the_pulls_equal_and_keep_their_sum() -> None:
    balance = Balance()
    assert [float(w) for w in balance.weights(0.5, 0.5)] == [0.5, 0.5]
    balance.observe(torch.tensor([30.0, 2.0]))
    generative, predictive = balance.weights(0.5, 0.5)
    assert float(generative + predictive) == pytest.approx(1.0)
    assert float(30 * generative) == pytest.approx(float(2 * predictive))
    generative, predictive = balance.weights(0.9, 0.3)
    assert float(generative + predictive) == pytest.approx(1.2)
    assert float(30 * generative) == pytest.approx(3 * float(2 * predictive))


def test_measurements_are_smoothed_and_kept_with_the_state() -> None:
    balance = Balance()
    balance.observe(torch.tensor([1.0, 1.0]))
    balance.observe(torch.tensor([2.0, 1.0]))
    assert balance.norms.tolist() == pytest.approx([1.1, 1.0])
    other = Balance()
    other.load_state_dict(balance.state_dict())
    assert torch.equal(other.norms, balance.norms)


def test_a_part_without_gradient_leaves_the_shares() -> None:
    balance = Balance()
    balance.observe(torch.tensor([1.0, 0.0]))
    assert [float(w) for w in balance.weights(0.5, 0.5)] == [0.5, 0.5]
