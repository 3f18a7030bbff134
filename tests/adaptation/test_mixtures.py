"""Training and judgement never hear the same stretch of a recording."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.adaptation.mixtures import sets
from speechduet.data import Recordings

RATE = 8_000


@pytest.fixture
def halves(tmp_path: Path) -> Recordings:
    """A high tone for the first seven tenths of each recording, a low one from there on."""
    time = np.arange(10 * RATE) / RATE
    for name in "ab":
        tone = np.sin(2 * np.pi * np.where(time < 7, 2000, 500) * time)
        soundfile.write(tmp_path / f"{name}.wav", 0.3 * tone, RATE)
    return Recordings(tmp_path, RATE)


def low_share(samples: np.ndarray) -> float:
    """Of the energy, what lies below 1 kHz."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float(power[np.fft.rfftfreq(len(samples), 1 / RATE) < 1000].sum() / power.sum())


def ratio_db(clean: np.ndarray, noisy: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(clean**2) / np.mean((noisy - clean) ** 2)))


def test_held_out_stretches_are_not_trained_on(halves: Recordings) -> None:
    made = sets(halves, halves, RATE, excerpt_s=0.5, seed=0)
    for index in range(20):
        clean, _ = made.training.example(index)
        assert low_share(clean) < 0.05
        for held in (made.own, made.other, made.quiet):
            clean, _ = held.example(index)
            assert low_share(clean) > 0.95
            assert len(clean) == 4 * RATE
    noise = np.subtract(*made.own.example(0)[::-1])
    assert low_share(noise) > 0.95


def test_the_sets_have_their_ratios_and_kinds(halves: Recordings) -> None:
    made = sets(halves, halves, RATE, excerpt_s=0.5, seed=0)
    # The ratio is of the speech without its pauses.
    assert all(38 < ratio_db(*made.quiet.example(index)) < 41 for index in range(10))
    trained = [ratio_db(*made.training.example(index)) for index in range(40)]
    assert min(trained) < 0 and 25 < max(trained) < 31
    kinds = {
        round(low_share(np.subtract(*made.other.example(index)[::-1])), 1) for index in range(10)
    }
    assert len(kinds) > 2


def test_judgements_do_not_depend_on_the_seed_of_training(halves: Recordings) -> None:
    first, second = (sets(halves, halves, RATE, 0.5, seed) for seed in (0, 1))
    np.testing.assert_array_equal(first.own.example(3)[1], second.own.example(3)[1])
    assert not np.array_equal(first.training.example(3)[1], second.training.example(3)[1])


def test_every_part_has_a_sample(tmp_path: Path) -> None:
    for name, samples in (("one", 1), ("two", 2), ("ten", 10)):
        soundfile.write(tmp_path / f"{name}.wav", np.full(samples, 0.5), RATE)
    seen, rest = Recordings(tmp_path, RATE, notify=lambda _: None).split(0.7)
    assert [len(seen.at(place)) for place in (0, 0.4, 0.9)] == [1, 7, 1]
    assert [len(rest.at(place)) for place in (0, 0.4, 0.9)] == [1, 3, 1]
    assert (seen.samples, rest.samples) == (9, 5)
