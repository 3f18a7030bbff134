"""An enhancer on its machine: device, threads, and weights that are a model's, not its own."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from speechduet.enhancement import enhancer as module
from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.noise import Complexes, NoiseField
from speechduet.errors import SettingError
from speechduet.model.folder import load


def noisy(samples: int = 3_000) -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).uniform(-0.5, 0.5, samples).astype(np.float32)


@pytest.mark.parametrize(
    ("machine", "message"),
    [
        ({"device": "gpu"}, "device 'gpu' is not there; expected auto or one of cpu"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not there"),
        ({"threads": 0}, "threads is 0; expected 1 or more"),
        ({"batch_size": 0}, "batch_size is 0; expected 1 or more"),
        ({"segment_s": 0.5}, "segment_s is 0.5; expected 1 or more"),
    ],
)
def test_a_machine_that_is_not_there(machine: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Enhancer.from_pretrained(**machine)


def test_a_second_enhancer_leaves_the_first_where_it_is(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(tiny_model)
    model.system.train()
    first = Enhancer(model, "cpu")
    before = first(noisy(), 16_000)
    monkeypatch.setattr(module, "find_device", lambda name: torch.device(name))
    second = Enhancer(model, "meta", backend="pytorch", precision="float32")
    assert {p.device.type for p in second.system.parameters()} == {"meta"}
    for system in (model.system, first.system):
        tensors = (*system.parameters(), *system.buffers())
        assert {tensor.device.type for tensor in tensors} == {"cpu"}
    np.testing.assert_array_equal(first(noisy(), 16_000), before)
    assert model.system.training and not first.system.training
    third = Enhancer(model, "cpu")
    for one, other in zip(first.system.parameters(), third.system.parameters(), strict=True):
        assert one is other  # memory for one set of weights on each device


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """PyTorch's threads whenever noise is drawn, which is part of all enhancement."""
    found: list[int] = []
    frames = NoiseField.frames

    def counting(self: NoiseField, *arguments: Any) -> Complexes:
        found.append(torch.get_num_threads())
        return frames(self, *arguments)

    monkeypatch.setattr(NoiseField, "frames", counting)
    return found


def test_threads_are_set_for_the_work_and_no_longer(tiny_model: Path, counts: list[int]) -> None:
    before = torch.get_num_threads()
    enhancer = Enhancer.from_pretrained(tiny_model, "cpu", threads=3)
    assert torch.get_num_threads() == before
    enhancer(noisy(), 16_000)
    assert set(counts) == {3} and torch.get_num_threads() == before
    counts.clear()
    for _ in enhancer.stream(noisy(), 16_000):
        assert torch.get_num_threads() == before  # between the steps
    assert set(counts) == {3}
    counts.clear()
    live = enhancer.live(16_000)
    live.process(noisy(16_000))
    live.finish()
    assert set(counts) == {3} and torch.get_num_threads() == before
    counts.clear()
    Enhancer.from_pretrained(tiny_model, "cpu")(noisy(), 16_000)
    assert set(counts) == {before}


def test_several_workers_have_these_threads(tiny_model: Path, counts: list[int]) -> None:
    before = torch.get_num_threads()
    enhancer = Enhancer.from_pretrained(tiny_model, "cpu", threads=2)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: enhancer(noisy(), 16_000), range(8)))
    assert all(np.array_equal(one, made[0]) for one in made)
    assert set(counts) == {2}
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == before
