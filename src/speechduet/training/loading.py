"""Examples in a fixed order, whatever the number of processes, workers and earlier stops."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from speechduet.data import Examples, Mixtures, Pair, PairExcerpts, Recordings, find_pairs
from speechduet.data.pairs import check, from_folders
from speechduet.errors import AudioError
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


Numbered = tuple[Tensor, Tensor, int]


class ByNumber(Dataset[Numbered]):
    """Examples as a data set that is asked for any number."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def __getitem__(self, index: int) -> Numbered:
        clean, noisy = self.examples.example(index)
        return torch.from_numpy(clean), torch.from_numpy(noisy), index


class Share:
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


def examples_of(recipe: TrainingRecipe) -> Examples:
    """The training examples that a recipe describes."""
    data, seed = recipe.data, recipe.run.seed
    rate = recipe.model.spectrogram.sample_rate
    if data.pairs:
        return PairExcerpts(find_pairs(Path(data.pairs)), recipe.mixing, rate, seed)
    return Mixtures(
        Recordings(data.speech, rate, data.speech_weights),
        Recordings(data.noise, rate, data.noise_weights),
        recipe.mixing,
        rate,
        seed,
        Recordings(data.rooms, rate) if data.rooms else None,
    )


def training_batches(
    examples: Examples, first: int, recipe: TrainingRecipe, rank: int, processes: int
) -> DataLoader[Numbered]:
    """Batches for one of several processes, from an example on."""
    settings = recipe.run
    return DataLoader(
        ByNumber(examples),
        batch_sampler=Share(first, settings.batch_size, rank, processes),
        num_workers=settings.workers,
        persistent_workers=settings.workers > 0,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
    )


def validation_pairs(recipe: TrainingRecipe) -> list[Pair]:
    """The checked pairs to validate on; none if the recipe names none."""
    data = recipe.data
    if not data.valid_clean:
        return []
    for folder in (data.valid_clean, data.valid_noisy):
        if not Path(folder).is_dir():
            raise AudioError(f"{folder} is no folder", "recordings to validate on")
    pairs = from_folders(Path(data.valid_clean), Path(data.valid_noisy))
    if data.valid_limit:
        pairs = pairs[:: -(-len(pairs) // data.valid_limit)]
    for pair in pairs:
        check(pair, recipe.model.spectrogram.sample_rate)
    return pairs


def read_pair(pair: Pair) -> ValidationPair:
    """A validation pair in memory; the first channel of each recording."""
    length = check(pair)
    clean, noisy = (torch.from_numpy(clip.read(0, length)) for clip in (pair.clean, pair.noisy))
    return ValidationPair(pair.name, clean, noisy)
