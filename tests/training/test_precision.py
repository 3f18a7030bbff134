"""``run.precision: auto``: a few steps decide, once for a run. Calls are counted, not seconds."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from speechduet.training import run
from speechduet.training.building import build
from speechduet.training.loading import Batch, batch_of, examples_of
from speechduet.training.module import Losses, Training
from speechduet.training.precision import STEPS, Choice, candidates, device_of, fastest, quickest
from speechduet.training.recipe_file import read_recipe
from speechduet.training.run import train
from speechduet.training.settings import Precision

pytestmark = pytest.mark.filterwarnings("ignore")

CPU = torch.device("cpu")


class Stopwatch:
    """Steps that take the seconds they are said to take."""

    def __init__(self, seconds: dict[Precision, Sequence[float]]) -> None:
        self.now = 0.0
        self.calls: list[Precision] = []
        self._left = {precision: list(taken) for precision, taken in seconds.items()}

    def step(self, precision: Precision) -> None:
        self.calls.append(precision)
        self.now += self._left[precision].pop(0)

    def clock(self) -> float:
        return self.now


def test_the_quickest_step_counts_and_not_the_first() -> None:
    watch = Stopwatch({"32-true": [9, 1, 1.5], "bf16-mixed": [2, 2, 2]})
    choice = quickest(("32-true", "bf16-mixed"), watch.step, watch.clock)
    assert choice == ("32-true", {"32-true": 1, "bf16-mixed": 2})
    assert watch.calls == ["32-true"] * STEPS + ["bf16-mixed"] * STEPS
    assert str(choice) == "32-true, the fastest here (a step in 32-true 1 s, bf16-mixed 2 s)"


def test_of_equally_quick_ones_the_exact_one_is_taken() -> None:
    watch = Stopwatch({"32-true": [1, 1, 1], "bf16-mixed": [1, 1, 1]})
    assert quickest(("32-true", "bf16-mixed"), watch.step, watch.clock).precision == "32-true"


def test_measuring_changes_nothing(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = build(read_recipe(recipe))
    batch = batch_of(examples_of(read_recipe(recipe)), 2)
    before = {name: weight.clone() for name, weight in module.state_dict().items()}
    seen: list[tuple[bool, int]] = []
    whole = Training.part_losses

    def watched(module: Training, *given: Any) -> Losses:
        seen.append((torch.is_autocast_enabled("cpu"), len(given[0])))
        return whole(module, *given)

    monkeypatch.setattr(Training, "part_losses", watched)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    choice = fastest(module, batch, CPU)
    assert torch.equal(torch.rand(3), expected)
    assert seen == [(False, 2)] * STEPS + [(True, 2)] * STEPS
    assert set(choice.seconds) == {"32-true", "bf16-mixed"}
    assert all(torch.equal(weight, before[name]) for name, weight in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((9, 0), "bf16-mixed"), ((8, 0), "bf16-mixed"), ((7, 5), "16-mixed")],
)
def test_cards_are_tried_in_what_they_have(
    capability: tuple[int, int], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert candidates(torch.device("cuda")) == ("32-true", expected)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [device_of(name).type for name in ("auto", "gpu", "cpu")] == ["cuda", "cuda", "cpu"]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """The batches that were measured with, of which bf16-mixed comes out as the fastest."""
    batches: list[Batch] = []

    def fake(module: Training, batch: Batch, device: torch.device) -> Choice:
        batches.append(batch)
        return Choice("bf16-mixed", {"32-true": 2.0, "bf16-mixed": 1.0})

    monkeypatch.setattr(run, "fastest", fake)
    return batches


def test_a_run_measures_once_says_so_and_keeps_its_choice(
    recipe: Path, tmp_path: Path, measured: list[Batch]
) -> None:
    folder, auto = tmp_path / "run", ["run.precision=auto"]
    said: list[str] = []

    def go_on(*settings: str) -> str:
        said.clear()
        train(read_recipe(recipe, settings), folder, said.append)
        state = torch.load(folder / "last.ckpt", weights_only=True)
        return str(state["precision"])

    assert go_on(*auto, "run.max_steps=2") == "bf16-mixed"
    assert [batch.examples for batch in measured] == [(0, 1)]
    assert said == [
        "run.precision auto: bf16-mixed, the fastest here (a step in 32-true 2 s, bf16-mixed 1 s)"
    ]
    logged = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert logged[0]["step"] == 0 and logged[0]["precision"] == "bf16-mixed"
    assert logged[0]["seconds_per_step"] == {"32-true": 2.0, "bf16-mixed": 1.0}
    assert go_on(*auto, "run.max_steps=4") == "bf16-mixed"
    assert "run.precision auto: bf16-mixed, as before" in said
    assert go_on("run.precision=32-true", "run.max_steps=6") == "32-true"
    assert go_on(*auto, "run.max_steps=8") == "32-true"
    assert len(measured) == 1


def test_a_checkpoint_of_an_earlier_version_keeps_its_setting(
    recipe: Path, tmp_path: Path, measured: list[Batch]
) -> None:
    folder = tmp_path / "run"
    train(read_recipe(recipe, ["run.precision=bf16-mixed", "run.max_steps=2"]), folder)
    state = torch.load(folder / "last.ckpt", weights_only=True)
    del state["precision"]
    torch.save(state, folder / "last.ckpt")
    train(read_recipe(recipe, ["run.precision=auto", "run.max_steps=4"]), folder)
    state = torch.load(folder / "last.ckpt", weights_only=True)
    assert state["precision"] == "bf16-mixed" and not measured


def test_several_processes_do_not_measure(
    recipe: Path, tmp_path: Path, measured: list[Batch]
) -> None:
    settings = read_recipe(recipe, ["run.precision=auto", "run.devices=2"])
    said: list[str] = []
    log = run.JsonLog(tmp_path / "log.jsonl", 0)
    module = build(settings)
    assert run._chosen(settings, module, examples_of(settings), log, said.append) == "32-true"
    assert said == ["run.precision auto: 32-true, without measuring"] and not measured
