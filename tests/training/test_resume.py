import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from speechduet.model.folder import load
from speechduet.training.errors import TrainingError
from speechduet.training.loading import Batch
from speechduet.training.module import Training
from speechduet.training.recipe_file import read_recipe
from speechduet.training.run import train

pytestmark = pytest.mark.filterwarnings("ignore")

Step = Callable[[Training, Batch, int], Tensor]


class CrashError(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture
def crash_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let training end in the batch that holds an example; -1 for never."""
    step: Step = Training.training_step
    fatal = -1

    def failing(module: Training, batch: Batch, index: int) -> Tensor:
        if fatal in batch.examples:
            raise CrashError
        return step(module, batch, index)

    def at(example: int) -> None:
        nonlocal fatal
        fatal = example

    monkeypatch.setattr(Training, "training_step", failing)
    return at


def same(one: object, other: object) -> bool:
    """Whether two nested structures are equal bit for bit."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(same(one[key], other[key]) for key in one)
        )
    if isinstance(one, list | tuple):
        return (
            isinstance(other, list | tuple)
            and len(one) == len(other)
            and all(same(a, b) for a, b in zip(one, other, strict=True))
        )
    return one == other


def state(folder: Path, name: str = "last.ckpt") -> dict[str, object]:
    """All of a checkpoint that decides how training goes on."""
    whole = torch.load(folder / name, weights_only=True)
    kept = ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "global_step")
    return {key: whole[key] for key in (*kept, "examples_seen", "adversary") if key in whole}


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    "settings",
    [
        ["run.other_ema_decays=[0.9]", "run.workers=2"],
        ["run.accumulate=2", "run.gradient_clip=1", "run.precision=bf16-mixed"],
        ["losses.balance=gradient_norm", "run.gradient_norms_every_steps=2"],
        ["losses.adversarial=10", "losses.matching=10"],
    ],
    ids=["averages", "accumulated", "balanced", "adversarial"],
)
def test_a_resumed_run_equals_one_never_stopped(
    settings: list[str], validated: Path, tmp_path: Path, crash_at: Callable[[int], None]
) -> None:
    settings = [*settings, "optimisation.warmup_steps=3", "optimisation.decay_steps=4"]
    settings += ["run.log_every_steps=1"]
    whole = read_recipe(validated, settings)
    train(whole, tmp_path / "whole")
    batch = whole.run.batch_size * whole.run.accumulate
    for stop in (5 * batch, 8 * batch - 1):
        crash_at(stop)
        with pytest.raises(CrashError):
            train(whole, tmp_path / "stopped")
    crash_at(-1)
    train(whole, tmp_path / "stopped")
    assert same(state(tmp_path / "whole"), state(tmp_path / "stopped"))
    untimed = [
        [{k: v for k, v in line.items() if "_per_s" not in k and k != "seconds"} for line in lines]
        for lines in (log(tmp_path / "whole"), log(tmp_path / "stopped"))
    ]
    assert [line["step"] for line in untimed[0]] == [line["step"] for line in untimed[1]]
    assert [x for x in untimed[0] if "valid/pesq_fast" in x] == [
        x for x in untimed[1] if "valid/pesq_fast" in x
    ]


def test_a_finished_run_started_again_stays_as_it_is(recipe: Path, tmp_path: Path) -> None:
    settings = read_recipe(recipe)
    train(settings, tmp_path / "run")
    before = state(tmp_path / "run")
    weights = load(tmp_path / "run/model").system.state_dict()
    train(settings, tmp_path / "run")
    assert same(before, state(tmp_path / "run"))
    assert same(dict(weights), dict(load(tmp_path / "run/model").system.state_dict()))


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing"])
def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(
    damage: str, recipe: Path, tmp_path: Path, crash_at: Callable[[int], None]
) -> None:
    folder, settings = tmp_path / "run", read_recipe(recipe)
    train(settings, tmp_path / "whole")
    crash_at(13)
    with pytest.raises(CrashError):
        train(settings, folder)
    crash_at(-1)
    last = folder / "last.ckpt"
    if damage == "missing":
        last.unlink()
    else:
        content = bytearray(last.read_bytes())
        content[len(content) // 2] ^= 1
        last.write_bytes(content[: len(content) // 2] if damage == "cut" else content)
    train(settings, folder)
    assert same(state(tmp_path / "whole"), state(folder))
    assert same(state(tmp_path / "whole", "previous.ckpt"), state(folder, "previous.ckpt"))


def test_a_damaged_checkpoint_never_replaces_the_good_one_before(
    recipe: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        train(read_recipe(recipe, ["run.max_minutes=1e-9"]), tmp_path)
    for _ in range(2):
        (tmp_path / "last.ckpt").write_bytes(b"PK")
        train(read_recipe(recipe, ["run.max_minutes=1e-9"]), tmp_path)
        assert state(tmp_path)["global_step"] == 2
    assert state(tmp_path, "previous.ckpt")["global_step"] == 1


@pytest.mark.parametrize(
    "odd",
    [
        {"global_step": "2"},
        {"examples_seen": None},
        {"optimizer_states": {}},
        {"lr_schedulers": [3]},
        {"state_dict": {"system": 1}},
        {"adversary": {"discriminators": 1}},
        {"settings": []},
        {"precision": "64"},
        None,
    ],
    ids=str,
)
def test_a_last_checkpoint_with_odd_contents_gives_way_to_the_one_before(
    odd: dict[str, Any] | None, recipe: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        train(read_recipe(recipe, ["run.max_minutes=1e-9"]), tmp_path)
    torch.save([1] if odd is None else {**state(tmp_path), **odd}, tmp_path / "last.ckpt")
    notes: list[str] = []
    train(read_recipe(recipe), tmp_path, notes.append)
    assert f"{tmp_path}/last.ckpt is damaged: the run goes on from {tmp_path}/previous" in notes[0]
    train(read_recipe(recipe), tmp_path / "whole")
    assert same(state(tmp_path / "whole"), state(tmp_path))


def test_when_both_are_damaged_it_says_so(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"")
    (tmp_path / "previous.ckpt").write_bytes(b"PK")
    with pytest.raises(TrainingError, match=r"damaged.*delete them"):
        train(read_recipe(recipe), tmp_path)


def test_time_that_is_over_is_no_failure(recipe: Path, tmp_path: Path) -> None:
    settings = ["run.max_minutes=1e-9"]
    train(read_recipe(recipe, settings), tmp_path / "short")
    assert state(tmp_path / "short")["global_step"] == 1
    for _ in range(3):
        train(read_recipe(recipe, settings), tmp_path / "short")
    assert state(tmp_path / "short")["global_step"] == 4
    train(read_recipe(recipe), tmp_path / "short")
    train(read_recipe(recipe), tmp_path / "whole")
    assert same(state(tmp_path / "whole"), state(tmp_path / "short"))
