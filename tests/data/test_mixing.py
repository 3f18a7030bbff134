from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from speechduet.data import Mixing, Mixtures, Recordings
from speechduet.data.mixing import _murmur, _rumble, add_noise, distorted
from speechduet.errors import AudioError, SettingError

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


@pytest.mark.parametrize(
    ("speech_level", "noise_level"), [(1e-25, 1), (1, 1e25), (1e15, 1e-3), (1, 1)]
)
def test_ratio_is_kept_however_loud_the_recordings_are(
    speech_level: float, noise_level: float
) -> None:
    random = np.random.default_rng(0)
    speech, noise = random.standard_normal((2, 8000)).astype(np.float32)
    speech, noise = speech * np.float32(speech_level), noise * np.float32(noise_level)
    added = add_noise(speech, noise, 6.0, RATE).astype(np.float64) - speech
    ratio = np.mean(np.float64(speech) ** 2) / np.mean(added**2)
    assert 10 * np.log10(ratio) == pytest.approx(6, abs=1e-3)


def test_pauses_do_not_count_for_the_ratio_and_silence_has_no_noise() -> None:
    random = np.random.default_rng(0)
    speech, noise = random.standard_normal((2, 8000)).astype(np.float32)
    # What is 40 dB and more below the loudest 20 ms is a pause.
    with_pause = np.concatenate([speech, 0.005 * speech])
    added = add_noise(with_pause, np.concatenate([noise, noise]), 6.0, RATE) - with_pause
    assert 10 * np.log10(np.mean(speech**2) / np.mean(added**2)) == pytest.approx(6, abs=0.01)
    assert not add_noise(np.zeros_like(speech), noise, 6.0, RATE).any()


def test_example_depends_on_seed_and_number_alone(folders: tuple[Path, Path]) -> None:
    one, same = mixtures(folders, Mixing(excerpt_s=0.5)), mixtures(folders, Mixing(excerpt_s=0.5))
    one.example(7)
    assert np.array_equal(one.example(2)[1], same.example(2)[1])
    assert not np.array_equal(one.example(2)[1], one.example(3)[1])
    assert not np.array_equal(one.example(2)[1], mixtures(folders, seed=4).example(2)[1])


def test_every_kind_of_noise_is_finite(folders: tuple[Path, Path]) -> None:
    for kind in (
        {"coloured_noise": 1.0, "babble": 0.0},
        {"babble": 1.0, "coloured_noise": 0.0},
        {"murmur": 1.0, "babble": 0.0, "coloured_noise": 0.0},
        {"second_noise": 1.0},
        {"rumble": 1.0},
    ):
        # An odd number of samples, which a spectrum alone does not tell from one less.
        made = mixtures(folders, Mixing(excerpt_s=8001 / RATE, **kind))
        clean, noisy = made.example(0)
        assert np.isfinite(noisy).all() and len(noisy) == len(clean) == 8001
        assert np.abs(noisy - clean).max() > 0


def test_murmur_has_the_spectrum_of_speech_and_stays_level(folders: tuple[Path, Path]) -> None:
    time = np.arange(8000) / RATE
    speech = np.sin(2 * np.pi * 300 * time) * (time < 0.1)
    murmur = _murmur(np.random.default_rng(0), speech)
    magnitudes = (np.abs(np.fft.rfft(samples)) for samples in (murmur, speech))
    np.testing.assert_allclose(*magnitudes, atol=0.01 * 800)
    levels = np.square(murmur).reshape(10, -1).mean(1)
    assert levels.max() < 30 * levels.min()


def test_rumble_lies_below_the_noise_and_leaves_the_ratio(folders: tuple[Path, Path]) -> None:
    settings = Mixing(excerpt_s=0.5, coloured_noise=1.0, babble=0.0, snr_db=(0, 0))
    plain = mixtures(folders, settings)
    rumbling = mixtures(folders, replace(settings, rumble=1))
    shares = []
    for source in (plain, rumbling):
        clean, noisy = source.example(0)
        power = np.abs(np.fft.rfft(noisy - clean)) ** 2
        shares.append(power[:100].sum() / power.sum())  # below 200 Hz
    assert shares[1] > shares[0] + 0.05
    energy = np.abs(np.fft.rfft(_rumble(np.random.default_rng(0), 8000, RATE))) ** 2
    assert energy[:500].sum() > 0.99 * energy.sum()  # below 1 kHz


def test_short_recordings_are_joined(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "word.wav", np.resize([0.5, -0.5], 1000), RATE)
    excerpt = Recordings(tmp_path, RATE).excerpt(np.random.default_rng(0), 5000, 0)
    assert np.allclose(np.abs(excerpt), 0.5, atol=1e-4)


def test_weights_decide_what_is_drawn(folders: tuple[Path, Path]) -> None:
    recordings = Recordings(folders[0], RATE, {"long": 0.0})
    random = np.random.default_rng(0)
    assert {len(recordings.draw(random)) for _ in range(20)} == {1000}
    # What is never drawn is not even read.
    assert recordings.names == ["short"]


def test_weights_that_match_nothing_or_leave_nothing(folders: tuple[Path, Path]) -> None:
    with pytest.raises(SettingError, match=r"weights of 'lnog', 'x\*' match no recording in .*"):
        Recordings(folders[0], RATE, {"lnog": 1.0, "x*": 2.0})
    with pytest.raises(SettingError, match="the weights of all recordings in .* are 0; expected"):
        Recordings(folders[0], RATE, {"*": 0.0})
    notes: list[str] = []
    Recordings(folders[0], RATE, {"x*": 2.0, "long": 0.0}, notes.append)
    assert f"weights of 'x*' match no recording in {folders[0]}" in notes


def test_reading_many_recordings_is_announced(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    monkeypatch.setattr("speechduet.data.recordings._MANY", 2)
    Recordings(folders[0], RATE, notify=notes.append)
    assert f"reading 2 recordings in {folders[0]}" in notes


def test_unusable_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no recording"):
        Recordings(tmp_path, RATE)


GOLDEN_CLEAN = [-0.0144, 0.0199, 0.0293, -0.0946, -0.1325]
GOLDEN_NOISY = [0.0202, 0.0472, 0.1415, 0.0322, -0.0927]


def test_the_order_of_draws_is_kept(folders: tuple[Path, Path]) -> None:
    """Runs of earlier versions resume with the same mixtures: these numbers must not change."""
    clean, noisy = mixtures(folders, Mixing(excerpt_s=0.5)).example(1)
    np.testing.assert_allclose(clean[::1600], GOLDEN_CLEAN, atol=2e-4)
    np.testing.assert_allclose(noisy[::1600], GOLDEN_NOISY, atol=2e-4)


DEGRADED = {
    "reverberation": {"reverberation": 1.0},
    "clipping": {"clipping": 1.0},
    "band_limit": {"band_limit": 1.0},
}


@pytest.fixture
def rooms(tmp_path: Path) -> Recordings:
    (tmp_path / "rooms").mkdir()
    for number in range(3):
        impulse = np.zeros(2000)
        impulse[10], impulse[1500] = 0.9, 0.5 / (number + 1)
        soundfile.write(tmp_path / "rooms" / f"{number}.wav", impulse, RATE)
    return Recordings(tmp_path / "rooms", RATE)


def degraded(
    folders: tuple[Path, Path], rooms: Recordings, index: int = 0, **settings: Any
) -> tuple[np.ndarray, np.ndarray]:
    speech, noise = (Recordings(folder, RATE) for folder in folders)
    plain = Mixing(**{**PLAIN.__dict__, **settings})
    return Mixtures(speech, noise, plain, RATE, 3, rooms).example(index)


@pytest.mark.parametrize("kind", DEGRADED)
def test_degradations_repeat_and_change_no_other_draw(
    folders: tuple[Path, Path], rooms: Recordings, kind: str
) -> None:
    plain = degraded(folders, rooms, snr_db=(60.0, 60.0))
    one = degraded(folders, rooms, snr_db=(60.0, 60.0), **DEGRADED[kind])
    same = degraded(folders, rooms, snr_db=(60.0, 60.0), **DEGRADED[kind])
    assert np.array_equal(one[1], same[1]) and np.array_equal(one[0], same[0])
    assert np.abs(one[1] - plain[1]).max() > 0.01
    # The speech beneath is the same: clean waveforms are alike but for the change of level.
    assert np.corrcoef(one[0], plain[0])[0, 1] > 0.6


def test_reverberation_leaves_the_early_sound_as_target(
    folders: tuple[Path, Path], rooms: Recordings
) -> None:
    plain, _ = degraded(folders, rooms, snr_db=(90.0, 90.0))
    clean, noisy = degraded(folders, rooms, snr_db=(90.0, 90.0), reverberation=1.0)
    scale = np.dot(clean, plain) / np.dot(plain, plain)
    np.testing.assert_allclose(clean, scale * plain, atol=1e-3)
    assert np.linalg.norm(noisy - clean) > 0.1 * np.linalg.norm(clean)


def test_ratio_is_that_of_the_reverberant_speech(
    folders: tuple[Path, Path], rooms: Recordings
) -> None:
    quiet = degraded(folders, rooms, snr_db=(90.0, 90.0), reverberation=1.0, pause_s=0.0)
    loud = degraded(folders, rooms, snr_db=(0.0, 0.0), reverberation=1.0, pause_s=0.0)
    scale = np.dot(quiet[0], loud[0]) / np.dot(quiet[0], quiet[0])
    reverberant = scale * quiet[1]
    noise = loud[1] - reverberant
    assert 10 * np.log10(np.mean(reverberant**2) / np.mean(noise**2)) == pytest.approx(0, abs=0.3)


@pytest.mark.parametrize(("share", "limited"), [(0.0, False), (1.0, True)])
def test_band_limit_may_spare_the_target(
    folders: tuple[Path, Path], rooms: Recordings, share: float, limited: bool
) -> None:
    clean, noisy = degraded(
        folders, rooms, band_limit=1.0, band_limit_hz=(3000.0, 3000.0), band_limit_target=share
    )

    def above(samples: np.ndarray) -> float:
        spectrum = np.abs(np.fft.rfft(samples)) ** 2
        return float(spectrum[len(spectrum) // 2 :].sum() / spectrum.sum())

    assert above(noisy) < 0.01
    assert (above(clean) < 0.01) is limited


def test_clipping_band_limit_and_that_of_the_target_are_drawn_apart() -> None:
    settings = Mixing(
        clipping=0.5,
        clipping_db=(-40, -40),
        band_limit=0.5,
        band_limit_hz=(1000, 1000),
        band_limit_target=0.5,
    )
    random = np.random.default_rng(0)
    speech = random.standard_normal(2000).astype(np.float32)
    loudness, found = np.abs(speech).max(), []
    for _ in range(400):
        clean, noisy = distorted(random, speech, speech, settings, RATE)
        spectrum = np.abs(np.fft.rfft(noisy)) ** 2
        limited = spectrum[500:].sum() < 0.1 * spectrum.sum()  # above 4 kHz
        found.append((np.abs(noisy).max() < 0.1 * loudness, limited, clean is not speech))
    for clip in (False, True):
        for limit, target, chance in ((0, 0, 1 / 4), (1, 0, 1 / 8), (1, 1, 1 / 8)):
            share = found.count((clip, bool(limit), bool(target))) / len(found)
            assert share == pytest.approx(chance, abs=0.06)


@pytest.mark.parametrize(
    "settings", [{"clipping": 1.5}, {"babble": -0.1}, {"snr_db": (5.0, 0.0)}, {"level_db": (0.0,)}]
)
def test_settings_are_checked(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=f"{next(iter(settings))} is"):
        Mixing(**settings)


@pytest.mark.parametrize(
    "chances", [(0.6, 0.6, 0.0), (0.6, 0.0, 0.6), (0.0, 0.6, 0.6), (0.4, 0.4, 0.4)]
)
def test_kinds_of_noise_exclude_each_other(chances: tuple[float, ...]) -> None:
    names = ("coloured_noise", "babble", "murmur")
    with pytest.raises(SettingError, match=r"babble and murmur together are 1\.2; expected 1 or"):
        Mixing(**dict(zip(names, chances, strict=True)))


def test_reverberation_needs_rooms(folders: tuple[Path, Path]) -> None:
    with pytest.raises(SettingError, match="reverberation is 0.5; expected a folder of room"):
        mixtures(folders, Mixing(reverberation=0.5))


def test_recordings_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not audio")
    with pytest.raises(AudioError, match=r"none of the 1 recordings.*text\.wav is not audio"):
        Recordings(tmp_path, RATE)
    soundfile.write(tmp_path / "text.wav", np.zeros(0), RATE)
    with pytest.raises(AudioError, match="no samples"):
        Recordings(tmp_path, RATE)
