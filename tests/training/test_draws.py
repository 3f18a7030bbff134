import pytest
import torch

from speechduet.errors import SettingError
from speechduet.training.draws import Draws, TrainingTime, draw, drawn_anew

CPU = torch.device("cpu")


def test_an_example_has_its_own_numbers_in_any_company() -> None:
    torch.manual_seed(5)
    together = draw(7, (3, 4, 5), (1, 4, 6), CPU)
    torch.manual_seed(6)
    alone = [draw(7, (example,), (1, 4, 6), CPU) for example in (3, 4, 5)]
    for numbers, *ones in zip(together, *alone, strict=True):
        assert torch.equal(numbers, torch.cat(ones))
    assert not torch.equal(together.z[0], together.z[1])
    assert not torch.equal(together.z, together.first_z)
    assert not torch.equal(together.z, draw(8, (3, 4, 5), (1, 4, 6), CPU).z)


def test_numbers_drawn_anew_follow_the_state_of_the_generator() -> None:
    torch.manual_seed(5)
    first, second = (drawn_anew(3, (1, 4, 6), CPU) for _ in range(2))
    torch.manual_seed(5)
    again = drawn_anew(3, (1, 4, 6), CPU)
    for one, other, next_one in zip(first, again, second, strict=True):
        assert torch.equal(one, other) and not torch.equal(one, next_one)
    assert first.uniform.shape == (3, 3) and first.z.shape == first.first_z.shape == (3, 1, 4, 6)
    assert not torch.equal(first.z, first.first_z)


@pytest.mark.parametrize(
    "drawn", [draw(0, range(40), (1, 20, 30), CPU), drawn_anew(40, (1, 20, 30), CPU)]
)
def test_the_noise_is_standard_complex_normal(drawn: Draws) -> None:
    uniform, noise, _ = drawn
    assert float(noise.abs().square().mean()) == pytest.approx(1, abs=0.02)
    assert float((noise.real * noise.imag).mean()) == pytest.approx(0, abs=0.01)
    assert float(uniform.mean()) == pytest.approx(0.5, abs=0.1)


def test_times_keep_to_their_range_and_share() -> None:
    uniform = torch.rand(20_000, 3)
    times = TrainingTime(at_start=0.25, own_states=0.6)
    t = times.of(uniform, 0.03)
    assert torch.equal(t == 1, times.is_initial(uniform))
    self_predicted = times.is_self_predicted(uniform)
    assert float(self_predicted.float().mean()) == pytest.approx(0.75 * 0.6, abs=0.02)
    assert not (self_predicted & times.is_initial(uniform)).any()
    assert float(t.min()) >= 0.03 and float(t.max()) == 1.0
    assert float((t == 1).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert float(t[t < 1].mean()) == pytest.approx(0.515, abs=0.02)


def test_shares_are_checked() -> None:
    with pytest.raises(SettingError, match="own_states is 2"):
        TrainingTime(own_states=2.0)
    with pytest.raises(SettingError, match="at_start is 0.5 in a chain"):
        TrainingTime(at_start=0.5, chained=True)


@pytest.mark.parametrize("between", [(0.5,), (0.5, 0.2), (-0.1, 0.2), (0.5, 1.5)])
def test_two_times_in_order_are_needed(between: tuple[float, ...]) -> None:
    with pytest.raises(SettingError, match="between is"):
        TrainingTime(between=between)


def test_times_lie_between_those_given() -> None:
    uniform = torch.rand(2000, 3)
    t = TrainingTime(between=(0.25, 0.35)).of(uniform, 0.03)
    assert float(t.min()) >= 0.25 and float(t.max()) <= 0.35
    assert float(t.mean()) == pytest.approx(0.3, abs=0.01)
    assert float(TrainingTime(between=(0.0, 0.2)).of(uniform, 0.03).min()) >= 0.03
