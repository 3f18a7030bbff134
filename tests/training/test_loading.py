import pickle
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from speechduet.data.mono import Samples
from speechduet.errors import SettingError, SpeechduetError
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


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ("{pairs: absent}", "pairs"),
        ("{speech: absent, noise: here}", "speech"),
        ("{speech: here, noise: absent}", "noise"),
        ("{speech: here, noise: here, rooms: absent}", "rooms"),
        ("{pairs: here, valid_clean: absent, valid_noisy: here}", "valid_clean"),
        ("{pairs: here, valid_clean: here, valid_noisy: absent}", "valid_noisy"),
    ],
)
def test_an_absent_folder_is_named_with_where_it_was_looked_for(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, key: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    override = f"data={data}"
    of_validation = key.startswith("valid")
    for reading in (examples_of, validation_pairs) if of_validation else (examples_of,):
        with pytest.raises(SettingError) as error:
            reading(read_recipe(recipe, [override]))
        assert str(error.value).startswith(
            f"override {override!r}: data.{key} is absent (looked for in {tmp_path}), "
            "which is not there; expected a folder"
        )


def test_a_file_in_place_of_a_folder_is_named(recipe: Path, tmp_path: Path) -> None:
    settings = read_recipe(recipe, [f"data={{speech: {recipe}, noise: {tmp_path}}}"])
    with pytest.raises(SettingError, match=f"data.speech is {recipe}, which is no folder; expec"):
        examples_of(settings)
