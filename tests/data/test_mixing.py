from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from speechduet.data import Mixing, Mixtures, Recordings
from speechduet.errors import AudioError
from torch.utils.data import DataLoader

RATE = 16_000
PLAIN = Mixing(
    excerpt_s=0.5, colour_db=0.0, level_db=(0.0, 0.0), second_noise=0, coloured_noise=0, babble=0
)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    random = np.random.default_rng(0)
    for folder, files in (("speech", ("long", "short")), ("noise", ("hum",))):
        (tmp_path / folder).mkdir()
        for name in files:
            samples = random.uniform(-0.5, 0.5, 1000 if name == "short" else 20_000)
            soundfile.write(tmp_path / folder / f"{name}.flac", samples, RATE)
    return tmp_path / "speech", tmp_path / "noise"


def mixtures(folders: tuple[Path, Path], settings: Mixing = PLAIN, seed: int = 3) -> Mixtures:
    speech, noise = (Recordings(folder, RATE) for folder in folders)
    return Mixtures(speech, noise, settings, RATE, seed)


def test_mixture_has_the_stated_ratio_and_level(folders: tuple[Path, Path]) -> None:
    for snr_db in (-5.0, 0.0, 12.0):
        settings = Mixing(**{**PLAIN.__dict__, "snr_db": (snr_db, snr_db), "pause_s": 0.0})
        for index in range(5):
            clean, noisy = mixtures(folders, settings).example(index)
            noise = noisy - clean
            measured = 10 * np.log10(np.mean(clean**2) / np.mean(noise**2))
            assert measured == pytest.approx(snr_db, abs=0.2)
            assert np.abs(noisy).max() == pytest.approx(1.0, abs=1e-4)


def test_example_depends_on_seed_and_number_alone(folders: tuple[Path, Path]) -> None:
    one, same = mixtures(folders, Mixing(excerpt_s=0.5)), mixtures(folders, Mixing(excerpt_s=0.5))
    one.example(7)
    assert np.array_equal(one.example(2)[1], same.example(2)[1])
    assert not np.array_equal(one.example(2)[1], one.example(3)[1])
    assert not np.array_equal(one.example(2)[1], mixtures(folders, seed=4).example(2)[1])


def test_workers_and_resuming_give_the_same_stream(folders: tuple[Path, Path]) -> None:
    whole = mixtures(folders)
    expected = [torch.from_numpy(whole.example(index)[1]) for index in range(4, 8)]
    whole.first = 4
    resumed = iter(DataLoader(whole, batch_size=1, num_workers=2))
    for clean in expected:
        assert torch.equal(next(resumed)[1][0], clean)


def test_every_kind_of_noise_is_finite(folders: tuple[Path, Path]) -> None:
    for kind in ({"coloured_noise": 1.0}, {"babble": 1.0, "coloured_noise": 0.0}, {"second_noise": 1.0}):
        clean, noisy = mixtures(folders, Mixing(excerpt_s=0.5, **kind)).example(0)
        assert np.isfinite(noisy).all() and len(noisy) == len(clean) == 8000
        assert np.abs(noisy - clean).max() > 0


def test_short_recordings_are_joined(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "word.wav", np.full(1000, 0.5), RATE)
    excerpt = Recordings(tmp_path, RATE).excerpt(np.random.default_rng(0), 5000, 0)
    assert np.allclose(excerpt, 0.5, atol=1e-4)


def test_weights_decide_what_is_drawn(folders: tuple[Path, Path]) -> None:
    recordings = Recordings(folders[0], RATE, {"long": 0.0})
    random = np.random.default_rng(0)
    assert {len(recordings.draw(random)) for _ in range(20)} == {1000}


def test_unusable_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no recording"):
        Recordings(tmp_path, RATE)
    soundfile.write(tmp_path / "fast.wav", np.zeros(10), 44_100)
    with pytest.raises(AudioError, match="44100 Hz.*16000"):
        Recordings(tmp_path, RATE)
