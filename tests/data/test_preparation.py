import csv
import errno
import os
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from speechduet.data import find_pairs
from speechduet.data.preparation import FailedTask, Prepared, Task, finish, prepare
from speechduet.data.sources import Made, read_pair
from speechduet.errors import AudioError, FileError, SettingError
from speechduet.files.partial import _partial_name

RATE = 16_000
SETTINGS = {"set": "test"}


def constant(level: float, samples: int = 1600) -> Task:
    clean = np.full(samples, level, np.float32)
    return Task(f"level{level}", lambda: Made(clean, -clean), "train", {"level": str(level)})


def made(tasks: list[Task], folder: Path) -> list[Prepared]:
    outcomes = list(prepare(tasks, folder, RATE, SETTINGS, workers=2))
    assert all(isinstance(outcome, Prepared) for outcome in outcomes)
    return [outcome for outcome in outcomes if isinstance(outcome, Prepared)]


def test_a_set_has_pairs_manifest_and_checksums(tmp_path: Path) -> None:
    finish(tmp_path, made([constant(0.25), constant(0.5)], tmp_path))
    held, rate = soundfile.read(tmp_path / "train/noisy/level0.5.wav")
    assert rate == RATE and np.array_equal(held, np.full(1600, -0.5))
    assert soundfile.info(tmp_path / "train/clean/level0.5.wav").subtype == "PCM_16"
    rows = list(csv.DictReader((tmp_path / "train/manifest.csv").read_text().splitlines()))
    assert rows[1] == {
        "clean": "clean/level0.5.wav",
        "noisy": "noisy/level0.5.wav",
        "samples": "1600",
        "level": "0.5",
    }
    listed = find_pairs(tmp_path / "train/manifest.csv")
    in_folders = find_pairs(tmp_path / "train")
    assert [pair[1:] for pair in listed] == [pair[1:] for pair in in_folders]
    assert (tmp_path / "SHA256SUMS").read_text().count("\n") == 5
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)


def test_what_is_whole_is_kept_and_what_is_not_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    tasks = [constant(0.1), constant(0.2), constant(0.3), constant(0.4)]
    finish(folder, made(tasks, folder))
    content = {path: path.read_bytes() for path in folder.rglob("*.*")}
    for path in content:
        os.utime(path, (0, 0))
    gone, short, changed = (folder / f"train/clean/level0.{n}.wav" for n in (1, 2, 3))
    gone.unlink()
    short.write_bytes(short.read_bytes()[:-100])
    changed.write_bytes(changed.read_bytes()[:-2] + b"\0\0")
    half = _partial_name().replace(f"-{os.getpid()}-", "-999999999-")
    (folder / "train/noisy" / half).write_bytes(b"half")
    finish(folder, made(tasks, folder))
    assert not list(folder.rglob(".*"))
    assert {path: path.read_bytes() for path in content} == content
    assert (folder / "train/clean/level0.4.wav").stat().st_mtime == 0


def test_a_failure_is_told_and_the_others_are_made(tmp_path: Path) -> None:
    def broken() -> Made:
        raise AudioError("no such luck")

    outcomes = list(prepare([Task("x", broken), constant(0.1)], tmp_path, RATE, SETTINGS))
    assert outcomes[0] == FailedTask("x", "no such luck")
    assert isinstance(outcomes[1], Prepared) and outcomes[1].samples == 1600
    assert not (tmp_path / "SHA256SUMS").exists()


def test_a_folder_of_another_set_is_left_alone(tmp_path: Path) -> None:
    made([constant(0.1)], tmp_path)
    with pytest.raises(SettingError, match="made with other settings"):
        list(prepare([constant(0.1)], tmp_path, 8000, SETTINGS))
    assert soundfile.info(tmp_path / "train/clean/level0.1.wav").samplerate == RATE


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="cannot write"):
        list(prepare([constant(0.1)], tmp_path / "file", RATE, SETTINGS))


def test_a_pair_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """A disk that is full of the clean recording leaves none without its noisy one."""
    (tmp_path / "train/noisy/level0.1.wav").mkdir(parents=True)
    (outcome,) = prepare([constant(0.1)], tmp_path, RATE, SETTINGS)
    assert isinstance(outcome, FailedTask) and "noisy" in outcome.error
    assert not (tmp_path / "train/clean").exists()


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = made([constant(0.1)], tmp_path)

    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FileError, match=r"cannot write .*manifest\.csv: No space left on device"):
        finish(tmp_path, pairs)
    assert not (tmp_path / "train/manifest.csv").exists()


def test_pairs_are_resampled_alike(tmp_path: Path, rng: np.random.Generator) -> None:
    clean = rng.uniform(-0.3, 0.3, (48_007, 2)).astype(np.float32)
    soundfile.write(tmp_path / "clean.wav", clean, 48_000, "FLOAT")
    soundfile.write(tmp_path / "noisy.wav", clean / 2, 48_000, "FLOAT")
    pair = read_pair(tmp_path / "clean.wav", tmp_path / "noisy.wav", RATE)
    expected = soxr.resample(clean[:, 0], 48_000, RATE, "VHQ")
    assert np.array_equal(pair[0], expected)
    np.testing.assert_allclose(pair[1], expected / 2, atol=1e-6)


def test_pairs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    clean, noisy = tmp_path / "clean.wav", tmp_path / "noisy.wav"
    read = partial(read_pair, clean, noisy, RATE)
    soundfile.write(clean, np.zeros(100), RATE)
    with pytest.raises(AudioError, match=r"cannot read .*noisy\.wav"):
        read()
    soundfile.write(noisy, np.zeros(101), RATE)
    with pytest.raises(AudioError, match="100 samples and .* 101; expected one length"):
        read()
    soundfile.write(noisy, np.zeros(100), 8000)
    with pytest.raises(AudioError, match="16000 Hz and .* 8000 Hz; expected one sample rate"):
        read()
    soundfile.write(noisy, np.full(100, np.nan), RATE, "FLOAT")
    with pytest.raises(AudioError, match=r"noisy\.wav holds NaN"):
        read()
