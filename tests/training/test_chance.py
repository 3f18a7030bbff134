import pytest
import torch

from speechduet.training.chance import TrainingTime, draw

CPU = torch.device("cpu")


def test_an_example_has_its_own_numbers_in_any_company() -> None:
    torch.manual_seed(5)
    chance, noise = draw(7, (3, 4, 5), (1, 4, 6), CPU)
    torch.manual_seed(6)
    alone = [draw(7, (example,), (1, 4, 6), CPU) for example in (3, 4, 5)]
    assert torch.equal(chance, torch.cat([one for one, _ in alone]))
    assert torch.equal(noise, torch.cat([one for _, one in alone]))
    assert not torch.equal(noise[0], noise[1])
    assert not torch.equal(noise, draw(8, (3, 4, 5), (1, 4, 6), CPU)[1])


def test_the_noise_is_standard_complex_normal() -> None:
    chance, noise = draw(0, range(40), (1, 20, 30), CPU)
    assert float(noise.abs().square().mean()) == pytest.approx(1, abs=0.02)
    assert float((noise.real * noise.imag).mean()) == pytest.approx(0, abs=0.01)
    assert float(chance.mean()) == pytest.approx(0.5, abs=0.1)


def test_times_keep_to_their_range_and_share() -> None:
    t = TrainingTime(at_start=0.25).of(torch.rand(20_000, 2), 0.03)
    assert float(t.min()) >= 0.03 and float(t.max()) == 1.0
    assert float((t == 1).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert float(t[t < 1].mean()) == pytest.approx(0.515, abs=0.02)
