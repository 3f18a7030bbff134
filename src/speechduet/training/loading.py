"""Examples in a fixed order, whatever the number of processes, workers and earlier stops."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from speechduet.audio.folders import is_folder, is_there, looked_for
from speechduet.audio.notices import Notify, warn
from speechduet.data import (
    Examples,
    FittingPair,
    Mixtures,
    PairExcerpts,
    Recordings,
    find_pairs,
    fit,
)
from speechduet.data.findings import Findings
from speechduet.data.pairs import from_folders
from speechduet.errors import SettingError
from speechduet.training.recipe_file import TrainingRecipe


class Batch(NamedTuple):
    """Training examples with their numbers; waveforms are ``[batch, samples]``."""

    clean: Tensor
    noisy: Tensor
    examples: tuple[int, ...]


class ValidationPair(NamedTuple):
    """A whole recording, ``[samples]`` each."""

    name: str
    clean: Tensor
    noisy: Tensor


_TRAINED_ON = ("speech", "noise", "rooms", "pairs")
_VALIDATED_ON = ("valid_clean", "valid_noisy")
"""The settings in ``data`` that are places."""

Numbered = tuple[Tensor, Tensor, int]


class NumberedExamples(Dataset[Numbered]):
    """Examples as a data set that is asked for any number."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def __getitem__(self, index: int) -> Numbered:
        clean, noisy = self.examples.example(index)
        return torch.from_numpy(clean), torch.from_numpy(noisy), index


class ProcessBatches:
    """The numbers that one of several processes takes, in batches, without end.

    All together they take ``first``, ``first + 1``, ... each once; what they take at the same
    time is one process's larger batch.
    """

    def __init__(self, first: int, batch_size: int, rank: int = 0, processes: int = 1) -> None:
        self.first = first + rank * batch_size
        self.batch_size = batch_size
        self.stride = batch_size * processes

    def __iter__(self) -> Iterator[list[int]]:
        start = self.first
        while True:
            yield list(range(start, start + self.batch_size))
            start += self.stride


def collate(numbered: Sequence[Numbered]) -> Batch:
    """One batch of several examples."""
    clean, noisy, numbers = zip(*numbered, strict=True)
    return Batch(torch.stack(clean), torch.stack(noisy), tuple(numbers))


def batch_of(examples: Examples, size: int) -> Batch:
    """The first examples as one batch."""
    numbered = NumberedExamples(examples)
    return collate([numbered[index] for index in range(size)])


def examples_of(recipe: TrainingRecipe, notify: Notify = warn) -> Examples:
    """The training examples that a recipe describes; ``notify`` learns what is odd about them."""
    # Those of validation too, for reading these takes minutes.
    _check_places(recipe, *_TRAINED_ON, *_VALIDATED_ON)
    data, seed = recipe.data, recipe.run.seed
    rate = recipe.model.spectrogram.sample_rate
    if data.pairs:
        return PairExcerpts(find_pairs(Path(data.pairs)), recipe.mixing, rate, seed, notify)
    weights = {"speech": data.speech_weights, "noise": data.noise_weights}
    recordings = {}
    for name, of_patterns in weights.items():
        try:
            recordings[name] = Recordings(getattr(data, name), rate, of_patterns, notify)
        except SettingError as error:
            key = f"data.{name}_weights"
            raise SettingError(f"{recipe.place_of(key)}: {key}: {error}") from None
    return Mixtures(
        recordings["speech"],
        recordings["noise"],
        recipe.mixing,
        rate,
        seed,
        Recordings(data.rooms, rate, notify=notify) if data.rooms else None,
    )


def training_batches(
    examples: Examples, first: int, recipe: TrainingRecipe, rank: int, processes: int
) -> DataLoader[Numbered]:
    """Batches for one of several processes, from an example on."""
    settings = recipe.run
    return DataLoader(
        NumberedExamples(examples),
        batch_sampler=ProcessBatches(first, settings.batch_size, rank, processes),
        num_workers=settings.workers,
        persistent_workers=settings.workers > 0,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
    )


def validation_pairs(recipe: TrainingRecipe, notify: Notify = warn) -> list[FittingPair]:
    """The checked pairs to validate on; none if the recipe names none.

    Here every pair must fit: means over fewer would not compare with those of another run.
    """
    data = recipe.data
    if not data.valid_clean:
        return []
    _check_places(recipe, *_VALIDATED_ON)
    pairs = from_folders(Path(data.valid_clean), Path(data.valid_noisy))
    if data.valid_limit:
        pairs = pairs[:: -(-len(pairs) // data.valid_limit)]
    findings = Findings("validation pairs", len(pairs))
    fitting = [fit(pair, recipe.model.spectrogram.sample_rate, findings) for pair in pairs]
    findings.report(notify)
    return fitting


def read_pair(pair: FittingPair) -> ValidationPair:
    """A validation pair in memory; one channel of each recording."""
    clean, noisy = map(torch.from_numpy, pair.read(0, pair.samples))
    return ValidationPair(pair.name, clean, noisy)


def _check_places(recipe: TrainingRecipe, *names: str) -> None:
    """Raise SettingError if there is nothing where a recipe says that recordings are."""
    for name in names:
        value, key = getattr(recipe.data, name), f"data.{name}"
        is_right, expected = is_folder, "a folder of recordings"
        if name == "pairs":
            is_right, expected = is_there, "a folder, manifest or shard with pairs"
        path = Path(value)
        if value and not is_right(path):
            wrong = "no folder" if is_there(path) else "not there"
            raise SettingError(
                f"{recipe.place_of(key)}: {key} is {looked_for(path)}, which is {wrong}", expected
            )
