"""What is said of a run that ended early: it goes on from a checkpoint only if there is one."""

from errno import ENOSPC
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
        is_killed(KILLED, stopping=False, saved=saved),
        is_killed(KILLED, stopping=True, saved=saved),
    ):
        assert again in str(error)
