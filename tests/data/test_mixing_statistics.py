"""What mixtures are made of, over many of them: slopes, levels, how often each file is drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.data import Mixtures, Recordings
from speechduet.data.mixing import Mixing
from speechduet.errors import SettingError

RATE = 16_000
PLAIN = Mixing(
    excerpt_s=2.0,
    snr_db=(0.0, 0.0),
    colour_db=0.0,
    second_noise=0.0,
    coloured_noise=0.0,
    babble=0.0,
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Speech and noise of tones: each file is known by its frequency."""
    folder = tmp_path_factory.mktemp("tones")
    for name, frequency_hz, seconds in (
        ("speech/short", 500, 3),
        ("speech/long", 1_000, 27),
        ("noise/hum", 3_000, 20),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        times = np.arange(seconds * RATE) / RATE
        tone = 0.3 * np.sin(2 * np.pi * frequency_hz * times)
        soundfile.write(folder / f"{name}.wav", tone, RATE)
    return folder


def mixtures(folders: Path, settings: Mixing) -> Mixtures:
    speech = Recordings(folders / "speech", RATE)
    return Mixtures(speech, Recordings(folders / "noise", RATE), settings, RATE, seed=0)


def strength(samples: np.ndarray, frequency_hz: int) -> float:
    """Share of the energy within 50 Hz of a frequency."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    near = np.abs(np.fft.rfftfreq(len(samples), 1 / RATE) - frequency_hz) < 50
    return float(power[near].sum() / power.sum())


def noise_of(made: Mixtures, index: int) -> np.ndarray:
    clean, noisy = made.example(index)
    return noisy - clean


def test_recordings_are_drawn_by_the_second(folders: Path) -> None:
    """Nine seconds in ten are of the long file, though it is one file in two."""
    recordings = Recordings(folders / "speech", RATE)
    random = np.random.default_rng(0)
    share = np.mean([len(recordings.draw(random)) > 5 * RATE for _ in range(600)])
    assert 0.86 < share < 0.94


def test_the_ratio_is_that_of_speech_to_noise(folders: Path) -> None:
    for snr_db in (-5.0, 0.0, 10.0):
        made = mixtures(folders, replace(PLAIN, snr_db=(snr_db, snr_db), pause_s=0.0))
        clean, noisy = made.example(3)
        ratio = 10 * np.log10(np.mean(clean**2) / np.mean((noisy - clean) ** 2))
        assert ratio == pytest.approx(snr_db, abs=0.3)


def test_coloured_noise_falls_by_up_to_six_decibels_an_octave(folders: Path) -> None:
    made = mixtures(folders, replace(PLAIN, coloured_noise=1.0))
    octaves = [(250 * 2**k, 500 * 2**k) for k in range(5)]
    frequencies_hz = np.fft.rfftfreq(2 * RATE, 1 / RATE)
    slopes = []
    for index in range(40):
        power = np.abs(np.fft.rfft(noise_of(made, index))) ** 2
        levels_db = [
            10 * np.log10(power[(frequencies_hz >= low) & (frequencies_hz < high)].mean())
            for low, high in octaves
        ]
        slopes.append(np.polyfit(range(5), levels_db, 1)[0])
    assert min(slopes) > -6.6 and max(slopes) < 0.6
    assert min(slopes) < -4.5 and max(slopes) > -1.5
    assert np.mean(slopes) == pytest.approx(-3, abs=1)


@pytest.mark.parametrize(("kind", "chance"), [("coloured_noise", 0.4), ("babble", 0.3)])
def test_kinds_of_noise_are_as_frequent_as_asked_for(
    folders: Path, kind: str, chance: float
) -> None:
    made = mixtures(folders, replace(PLAIN, excerpt_s=0.5, **{kind: chance}))
    others = [strength(noise_of(made, index), 3_000) < 0.5 for index in range(300)]
    assert np.mean(others) == pytest.approx(chance, abs=0.08)


def test_kinds_that_add_up_to_1_leave_no_recorded_noise(folders: Path) -> None:
    made = mixtures(folders, replace(PLAIN, excerpt_s=0.5, babble=0.5, murmur=0.5))
    assert max(strength(noise_of(made, index), 3_000) for index in range(20)) < 0.1


def test_babble_is_speech_of_the_speakers(folders: Path) -> None:
    made = mixtures(folders, replace(PLAIN, babble=1.0))
    for index in range(10):
        noise = noise_of(made, index)
        assert strength(noise, 500) + strength(noise, 1_000) > 0.9


def test_murmur_has_the_spectrum_of_speech_and_none_of_its_shape(folders: Path) -> None:
    made = mixtures(folders, replace(PLAIN, murmur=1.0))
    for index in range(10):
        noise = noise_of(made, index)
        assert strength(noise, 500) + strength(noise, 1_000) > 0.9


def test_rumble_is_low_and_as_loud_as_asked(folders: Path) -> None:
    def shares(rumble_db: tuple[float, float]) -> list[float]:
        rumbling = mixtures(folders, replace(PLAIN, rumble=1.0, rumble_db=rumble_db))
        powers = [np.abs(np.fft.rfft(noise_of(rumbling, index))) ** 2 for index in range(20)]
        below = 400  # Bins of two seconds below 200 Hz.
        return [power[:below].sum() / power.sum() for power in powers]

    even = shares((-10.0, 10.0))
    assert 0.08 < min(even) < 0.5 < max(even) < 0.93
    assert min(shares((20.0, 20.0))) > 0.95
    with pytest.raises(SettingError, match="rumble_db"):
        Mixing(rumble_db=(10.0, -10.0))


def test_levels_are_peaks_of_what_is_noisy(folders: Path) -> None:
    made = mixtures(folders, replace(PLAIN, level_db=(-12.0, -3.0)))
    peaks_db = [20 * np.log10(np.abs(made.example(i)[1]).max()) for i in range(60)]
    assert -12.1 < min(peaks_db) < -10.5 and -4.5 < max(peaks_db) < -2.9
