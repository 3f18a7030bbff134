from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.data.mixing import add_noise
from speechduet.data.mixture_set import MixtureSet, tasks
from speechduet.data.preparation import Task
from speechduet.errors import AudioError

RATE = 16_000


@pytest.fixture
def folders(tmp_path: Path, rng: np.random.Generator) -> tuple[Path, Path]:
    for kind, lengths in (("speech", (9000, 8000, 7000)), ("noise", (2000, 20_000))):
        (tmp_path / kind).mkdir()
        for number, length in enumerate(lengths):
            samples = 0.2 * rng.uniform(-1, 1, length)
            soundfile.write(tmp_path / kind / f"{number}.wav", samples, RATE)
    return tmp_path / "speech", tmp_path / "noise"


def ratio_db(task: Task) -> float:
    clean, noisy, *_ = task.make()
    return float(10 * np.log10(np.mean(clean**2) / np.mean((noisy - clean) ** 2)))


def test_mixtures_have_the_ratios_they_state(folders: tuple[Path, Path]) -> None:
    made = tasks(*folders, MixtureSet(snr_db=(-5.0, 0.0, 12.5), count=9))
    for task in made:
        assert ratio_db(task) == pytest.approx(float(task.details["snr_db"]), abs=0.1)
    uses = Counter((task.details["speech"], task.details["snr_db"]) for task in made)
    assert len(uses) == 9 and set(uses.values()) == {1}


def test_the_seed_decides(folders: tuple[Path, Path]) -> None:
    def made(seed: int) -> list[np.ndarray]:
        return [task.make()[1] for task in tasks(*folders, MixtureSet(count=4, seed=seed))]

    assert all(np.array_equal(one, same) for one, same in zip(made(1), made(1), strict=True))
    assert not all(np.array_equal(one, other) for one, other in zip(made(1), made(2), strict=True))


def test_a_larger_set_begins_like_a_smaller_one(folders: tuple[Path, Path]) -> None:
    small, large = (tasks(*folders, MixtureSet(count=count)) for count in (3, 8))
    assert [task.name for task in large[:3]] == [task.name for task in small]
    assert [task.details for task in large[:3]] == [task.details for task in small]


def test_loud_sums_are_turned_down_together(folders: tuple[Path, Path]) -> None:
    for path in folders[0].iterdir():
        soundfile.write(path, 4 * soundfile.read(path)[0], RATE)
    for task in tasks(*folders, MixtureSet(snr_db=(0.0,))):
        clean, noisy, *_ = task.make()
        assert np.abs(noisy).max() == pytest.approx(0.99, abs=1e-4)
        assert ratio_db(task) == pytest.approx(0, abs=0.1)
        assert len(clean) == len(noisy)


def test_rooms_and_other_rates(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "rooms").mkdir()
    impulse = np.zeros(9600)
    impulse[300], impulse[6300] = 1.0, 0.5
    soundfile.write(tmp_path / "rooms/hall.wav", impulse, 48_000)
    task = tasks(*folders, MixtureSet(snr_db=(80.0,)), tmp_path / "rooms")[0]
    assert task.details["room"] == "hall.wav"
    clean, noisy, *_ = task.make()
    echo = np.zeros_like(clean)
    echo[2000:] = 0.5 * clean[:-2000]
    # Around the first echo the resampled impulse, and not the echoed speech, rises smoothly.
    np.testing.assert_allclose((noisy - clean)[:1900], 0, atol=2e-3)
    np.testing.assert_allclose((noisy - clean)[2100:], echo[2100:], atol=2e-3)


def test_what_cannot_be_mixed_is_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioError, match="no recording in .*empty"):
        tasks(folders[0], tmp_path / "empty", MixtureSet())
    for path in folders[1].iterdir():
        soundfile.write(path, np.zeros(9000), RATE)
    with pytest.raises(AudioError, match=r"noise/\d\.wav is silent"):
        tasks(*folders, MixtureSet())[0].make()
    for path in folders[0].iterdir():
        soundfile.write(path, np.full(100, 0.5), RATE)
    with pytest.raises(AudioError, match=r"speech/\d\.wav is silent or shorter"):
        tasks(*folders, MixtureSet())[0].make()


@pytest.mark.parametrize("rate", [1000, 8000, 11_025, 16_000, 44_100])
@pytest.mark.parametrize("shortest_s", [0.02, 0.021, 0.039])
def test_short_speech_is_mixed_at_any_rate(
    folders: tuple[Path, Path], rate: int, shortest_s: float, rng: np.random.Generator
) -> None:
    for path in folders[0].iterdir():
        soundfile.write(path, rng.uniform(-0.5, 0.5, round(shortest_s * rate + 1)), rate)
    for task in tasks(*folders, MixtureSet((5.0,), sample_rate=rate)):
        assert ratio_db(task) == pytest.approx(5, abs=0.5)


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
def test_pauses_are_told_from_speech_alike_at_any_rate(rate: int, rng: np.random.Generator) -> None:
    """Clicks of 5 ms every 30 ms: one of three frames of 20 ms is a pause."""
    speech = np.tile(np.append(rng.normal(0, 0.1, rate // 200), np.zeros(rate // 40)), 50)
    noise = rng.normal(0, 0.1, len(speech)).astype(np.float32)
    added = add_noise(speech.astype(np.float32), noise, 0, rate) - speech
    ratio = np.mean(speech**2) / np.mean(added**2)
    assert ratio == pytest.approx(2 / 3, rel=0.02)
