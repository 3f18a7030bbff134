from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from speechduet.training.averages import Averages
from speechduet.training.building import build
from speechduet.training.module import Training
from speechduet.training.recipe_file import read_recipe

TRAINER: Any = SimpleNamespace()


@pytest.fixture
def module(recipe: Path) -> Training:
    return build(read_recipe(recipe))


def fill(module: Training, value: float) -> None:
    for parameter in module.system.parameters():
        parameter.data.fill_(value)


def values(module: Training) -> set[float]:
    return {v for p in module.system.parameters() for v in p.detach().unique().tolist()}


def test_averages_follow_the_weights_each_at_its_pace(module: Training) -> None:
    fill(module, 0.0)
    averages = Averages((0.5, 0.9))
    averages.on_fit_start(TRAINER, module)
    fill(module, 1.0)
    expected = dict.fromkeys(averages.decays, 0.0)
    for step in range(1, 40):
        averages.after_step(TRAINER, module, step)
        for decay, kept in expected.items():
            now = min(decay, (1 + step) / (10 + step))
            expected[decay] = now * kept + (1 - now)
    for decay, kept in expected.items():
        with averages.in_place(module, decay):
            assert list(values(module)) == [pytest.approx(kept, abs=1e-6)]
        assert values(module) == {1.0}


def test_weights_come_back_after_a_failure(module: Training) -> None:
    averages = Averages((0.9,))
    fill(module, 0.0)
    averages.on_fit_start(TRAINER, module)
    fill(module, 1.0)
    with pytest.raises(KeyboardInterrupt), averages.in_place(module, 0.9):
        raise KeyboardInterrupt
    assert values(module) == {1.0}


def test_state_survives_a_checkpoint(module: Training, tmp_path: Path) -> None:
    averages = Averages((0.9, 0.99))
    averages.on_fit_start(TRAINER, module)
    fill(module, 3.0)
    averages.after_step(TRAINER, module, 100)
    torch.save(averages.state_dict(), tmp_path / "state")
    other = Averages((0.9, 0.99))
    other.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    other.on_fit_start(TRAINER, module)
    for decay in averages.decays:
        with averages.in_place(module, decay):
            expected = [p.detach().clone() for p in module.system.parameters()]
        with other.in_place(module, decay):
            found = [p.detach().clone() for p in module.system.parameters()]
        assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
