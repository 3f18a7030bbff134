"""What is said of a run that ended early: it goes on from a checkpoint only if there is one."""

import signal
from errno import EACCES, ECONNRESET, ENOSPC
from pathlib import Path

import pytest
from torch import Tensor

from speechduet.training.errors import TrainingError, is_full, is_killed
from speechduet.training.loading import Batch
from speechduet.training.module import Training
from speechduet.training.recipe_file import read_recipe
from speechduet.training.run import train

KILLED = RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("example", [0, 10])
def test_a_run_that_is_stopped_promises_no_checkpoint_that_is_not_there(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: int
) -> None:
    step = Training.training_step

    def ending(module: Training, batch: Batch, index: int) -> Tensor:
        if example in batch.examples:
            raise KeyboardInterrupt
        return step(module, batch, index)

    monkeypatch.setattr(Training, "training_step", ending)
    with pytest.raises(TrainingError) as stopped:
        train(read_recipe(recipe), tmp_path / "run")
    assert (tmp_path / "run/last.ckpt").exists() == bool(example)
    again = "goes on from its last checkpoint"
    if not example:
        again = "starts from its beginning, for it has no checkpoint yet"
    asked = "the run was asked to end before its last step"
    assert str(stopped.value) == f"{asked}; the same command {again}"


@pytest.mark.parametrize("saved", [False, True])
def test_neither_do_a_full_disk_and_a_killed_worker(saved: bool, tmp_path: Path) -> None:
    again = "goes on from its last" if saved else "starts from its beginning"
    for error in (
        is_full(OSError(ENOSPC, "No space left on device"), tmp_path, saved),
        *(
            is_killed(killed, stopping, saved)
            for killed in (KILLED, EOFError(), ConnectionResetError(ECONNRESET, "reset by peer"))
            for stopping in (False, True)
        ),
    ):
        assert again in str(error)
    assert is_killed(PermissionError(EACCES, "denied"), stopping=True, saved=saved) is None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("broken", [EOFError(), ConnectionResetError(ECONNRESET, "reset by peer")])
def test_a_worker_that_dies_while_it_hands_over_a_batch(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Exception, asked: bool
) -> None:
    def breaking(module: Training, batch: Batch, index: int) -> Tensor:
        if asked:
            signal.raise_signal(signal.SIGTERM)
        raise broken

    monkeypatch.setattr(Training, "training_step", breaking)
    said = "was asked to end" if asked else r"was killed; start again: .*lower run\.workers"
    with pytest.raises(TrainingError, match=said):
        train(read_recipe(recipe), tmp_path / "run")
