import pickle
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from speechduet.data.mono import Samples
from speechduet.errors import SpeechduetError
from speechduet.training.loading import (
    ProcessBatches,
    examples_of,
    read_pair,
    training_batches,
    validation_pairs,
)
from speechduet.training.recipe_file import TrainingRecipe, read_recipe


class Counted:
    """Example n is the number n."""

    def example(self, index: int) -> tuple[Samples, Samples]:
        return np.full(3, index, np.float32), np.zeros(3, np.float32)


def numbers(recipe: TrainingRecipe, first: int, rank: int, processes: int) -> list[tuple[int, ...]]:
    batches = training_batches(Counted(), first, recipe, rank, processes)
    found = []
    for batch in islice(batches, 3):
        assert batch.clean[:, 0].tolist() == list(batch.examples)
        found.append(batch.examples)
    return found


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_order_does_not_depend_on_workers(recipe: Path, workers: int) -> None:
    settings = read_recipe(recipe, [f"run.workers={workers}"])
    assert numbers(settings, 5, 0, 1) == [(5, 6), (7, 8), (9, 10)]


def test_processes_share_examples_without_duplicates(recipe: Path) -> None:
    settings = read_recipe(recipe)
    shares = [numbers(settings, 4, rank, 3) for rank in range(3)]
    assert [batch for step in zip(*shares, strict=True) for batch in step] == [
        (first, first + 1) for first in range(4, 22, 2)
    ]
    assert list(islice(ProcessBatches(4, 6), 3)) == [
        [n for share in shares for n in share[step]] for step in range(3)
    ]


def test_recipes_mix_or_take_pairs(recipe: Path, root: Path) -> None:
    pairs = examples_of(read_recipe(recipe))
    mixtures = examples_of(
        read_recipe(recipe, [f"data={{speech: {root}/samples/clean, noise: {root}/samples/noisy}}"])
    )
    for examples in (pairs, mixtures):
        # As a worker has them where processes are spawned: on Windows and macOS.
        clean, noisy = pickle.loads(pickle.dumps(examples)).example(3)
        assert clean.shape == noisy.shape == (4800,)


def test_validation_pairs_are_whole_and_picked_evenly(validated: Path) -> None:
    pairs = validation_pairs(read_recipe(validated, ["data.valid_limit=0"]))
    assert [pair.name for pair in pairs] == ["cafe", "rain", "street", "workshop"]
    few = validation_pairs(read_recipe(validated))
    assert [pair.name for pair in few] == ["cafe", "street"]
    read = read_pair(few[0])
    assert read.clean.dtype == torch.float32 and read.clean.shape == read.noisy.shape


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data={}", "either speech and noise, or pairs"),
        ("data={speech: a}", "either speech and noise, or pairs"),
        ("data={speech: a, noise: b, pairs: c}", "either speech and noise, or pairs"),
        ("data={pairs: c, valid_clean: d}", "both or none"),
        ("run.batch_size=0", "batch_size is 0"),
        ("run.ema_decay=1.0", "run.ema_decay is 1.0; expected less than 1"),
    ],
)
def test_contradictory_settings_are_refused(recipe: Path, override: str, message: str) -> None:
    with pytest.raises(SpeechduetError, match=message):
        read_recipe(recipe, [override])


def test_an_absent_folder_is_named(recipe: Path) -> None:
    data = "data={pairs: x, valid_clean: absent, valid_noisy: absent}"
    with pytest.raises(SpeechduetError, match="absent is no folder"):
        validation_pairs(read_recipe(recipe, [data]))
