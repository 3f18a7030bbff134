"""Every listing of recordings takes suffixes in letters of either case."""

import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.data import Recordings, find_pairs
from speechduet.data.mixture_set import MixtureSet, tasks
from speechduet.data.voicebank import _members
from speechduet.evaluation import pair_up

NAMES = ["a.wav", "b.WAV", "c.Flac"]


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """``clean`` and ``noisy`` with three recordings each."""
    for role in ("clean", "noisy"):
        (tmp_path / role).mkdir()
        for name in NAMES:
            kind = name.rpartition(".")[2].upper()
            soundfile.write(
                tmp_path / role / name, rng.uniform(-0.5, 0.5, 800), 16_000, format=kind
            )
    return tmp_path


def pool(folder: Path) -> Iterable[str]:
    return Recordings(folder / "clean", 16_000).names


def pairs(folder: Path) -> Iterable[str]:
    return [pair.name for pair in find_pairs(folder)]


def shards(folder: Path) -> Iterable[str]:
    with tarfile.open(folder / "SET.TAR", "w") as shard:
        for role in ("clean", "noisy"):
            for name in NAMES:
                stem, _, suffix = name.partition(".")
                shard.add(folder / role / name, f"{stem}.{role}.{suffix}")
    return [pair.name.partition(":")[2] for pair in find_pairs(folder / "SET.TAR")]


def mixed(folder: Path) -> Iterable[str]:
    made = tasks(folder / "clean", folder / "noisy", MixtureSet())
    return [Path(task.details["speech"]).stem for task in made]


def scored(folder: Path) -> Iterable[str]:
    return [pair.name for pair in pair_up(folder / "clean", folder / "noisy")[0]]


def packed(folder: Path) -> Iterable[str]:
    import runpy

    pack = Path(__file__).parents[2] / "recipes/gpu/pack.py"
    source = folder / "set"
    source.mkdir()
    (source / "speech").symlink_to(folder / "clean")
    (source / "noise").symlink_to(folder / "noisy")
    found = runpy.run_path(str(pack))["recordings"](source, [])
    return [path.stem for path in found if path.is_relative_to(source / "speech")]


@pytest.mark.parametrize("listed", [pool, pairs, shards, mixed, scored, packed])
def test_no_recording_is_missed(folder: Path, listed: Callable[[Path], Iterable[str]]) -> None:
    assert sorted(listed(folder)) == ["a", "b", "c"]


def test_a_published_archive_may_be_unpacked_in_upper_case(folder: Path) -> None:
    (folder / "clean/c.Flac").rename(folder / "clean/c.WAV")
    assert sorted(_members(folder, "clean", ".wav")) == ["a", "b", "c"]
