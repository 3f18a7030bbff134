"""A prepared set holds what was read: no sample cut off, no resolution lost."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.data.pairs import find_pairs, from_folders
from speechduet.data.preparation import (
    FailedTask,
    Prepared,
    Task,
    file_name,
    finish,
    prepare,
)
from speechduet.data.sources import Made, read_pair
from speechduet.errors import SettingError

RATE = 16_000


def sweep(peak: float, rate: int = RATE) -> np.ndarray:
    time = np.arange(rate) / rate
    return peak * np.sin(2 * np.pi * 440 * time)


def made(
    folder: Path, subtypes: tuple[str, str], peaks: tuple[float, float], rate: int = RATE
) -> tuple[np.ndarray, np.ndarray, str, str]:
    """A pair of files through prepare: both as written, their subtype, the note on it."""
    for role, subtype, peak in zip(("clean", "noisy"), subtypes, peaks, strict=True):
        (folder / role).mkdir()
        soundfile.write(folder / role / "x.wav", sweep(peak, rate), rate, subtype)
    task = Task("x", lambda: read_pair(folder / "clean/x.wav", folder / "noisy/x.wav", RATE))
    (outcome,) = prepare([task], folder / "set", RATE, {})
    assert isinstance(outcome, Prepared), outcome
    paths = [folder / "set" / role / "x.wav" for role in ("clean", "noisy")]
    infos = [soundfile.info(path) for path in paths]
    assert infos[0].subtype == infos[1].subtype
    clean, noisy = (soundfile.read(path)[0] for path in paths)
    return clean, noisy, infos[0].subtype, outcome.note


@pytest.mark.parametrize(
    ("subtypes", "written"),
    [
        (("PCM_U8", "PCM_U8"), "PCM_16"),
        (("PCM_16", "PCM_16"), "PCM_16"),
        (("ULAW", "ALAW"), "PCM_16"),
        (("PCM_24", "PCM_24"), "PCM_24"),
        (("PCM_16", "PCM_24"), "PCM_24"),
        (("PCM_24", "PCM_32"), "PCM_32"),
        (("FLOAT", "FLOAT"), "FLOAT"),
        (("PCM_16", "FLOAT"), "FLOAT"),
        (("DOUBLE", "PCM_32"), "FLOAT"),
    ],
)
def test_the_format_holds_both(subtypes: tuple[str, str], written: str, tmp_path: Path) -> None:
    clean, noisy, subtype, note = made(tmp_path, subtypes, (0.5, 0.4))
    assert subtype == written and not note
    for held, role in ((clean, "clean"), (noisy, "noisy")):
        source = soundfile.read(tmp_path / role / "x.wav")[0]
        np.testing.assert_allclose(held, source, atol=1e-7)


@pytest.mark.parametrize("peaks", [(0.5, 4.0), (4.0, 0.5), (1e-5, 2e-5), (1.0, 1.0)])
@pytest.mark.parametrize("subtypes", [("FLOAT", "FLOAT"), ("DOUBLE", "DOUBLE")])
def test_floats_of_any_level_stay_as_they_are(
    subtypes: tuple[str, str], peaks: tuple[float, float], tmp_path: Path
) -> None:
    clean, noisy, _, _ = made(tmp_path, subtypes, peaks)
    np.testing.assert_allclose(clean, sweep(peaks[0]), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(noisy, sweep(peaks[1]), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_what_resampling_lifts_above_full_scale_is_turned_down_with_its_partner(
    subtype: str, tmp_path: Path
) -> None:
    for role, gain in (("clean", 0.5), ("noisy", 1.0)):
        square = np.sign(np.sin(2 * np.pi * 1000 * np.arange(48_000) / 48_000 + 0.1))
        soundfile.write(tmp_path / f"{role}.wav", gain * square, 48_000, subtype)
    pair = read_pair(tmp_path / "clean.wav", tmp_path / "noisy.wav", RATE)
    assert pair.subtype == subtype
    assert "turned down alike by" in pair.note
    assert 0.99 < np.abs(pair.noisy).max() <= 1
    np.testing.assert_allclose(pair.noisy, 2 * pair.clean, atol=1e-3)


class OddError(Exception):
    """Not of this package, nor of any other."""


@pytest.mark.parametrize(
    "error",
    [
        OddError("odd"),
        ValueError("v"),
        MemoryError(),
        UnicodeEncodeError("utf-8", "x\udcff", 1, 2, "surrogates not allowed"),
        ZeroDivisionError("z"),
        OSError(36, "File name too long"),
        AssertionError(),
        NotImplementedError("coder"),
    ],
)
def test_whatever_one_pair_raises_the_others_are_made(error: Exception, tmp_path: Path) -> None:
    def broken() -> Made:
        raise error

    good = np.full(1600, 0.5, np.float32)
    tasks = [Task("bad", broken), Task("good", lambda: Made(good, good))]
    outcomes = list(prepare(tasks, tmp_path, RATE, {}))
    assert isinstance(outcomes[0], FailedTask) and outcomes[0].name == "bad"
    assert type(error).__name__ in outcomes[0].error
    assert isinstance(outcomes[1], Prepared)


def test_what_is_wrong_with_all_ends_it_at_once(tmp_path: Path) -> None:
    def broken() -> Made:
        raise SettingError("a package is missing")

    with pytest.raises(SettingError, match="a package is missing"):
        list(prepare([Task("x", broken)], tmp_path, RATE, {}))


@pytest.mark.parametrize(
    "stem", ["x" * 251, "x" * 252, "語" * 84, "ä" * 126, os.fsdecode(b"\xff" * 254), "short"]
)
def test_names_that_become_too_long_are_shortened(stem: str) -> None:
    name = file_name(f"sub/{stem}", ".wav")
    raw = os.fsencode(name.name)
    assert len(raw) <= 255 and name.suffix == ".wav" and name.parent == Path("sub")
    if len(os.fsencode(stem)) <= 251:
        assert name.name == f"{stem}.wav"
    other = file_name(f"sub/{stem[:-1]}#", ".wav")
    assert other != name
    if "\udcff" not in stem:
        raw.decode()


NAMES = (b"x\xff.wav", b"X.WAV", b"a\nb.wav", b"a\\b.wav", b'c,"d;.wav', "y\u2028z.wav".encode())


def test_sets_with_odd_names_are_listed_and_found_again(tmp_path: Path) -> None:
    sound = np.full(1600, 0.5, np.float32)
    tasks = []
    for raw in NAMES:
        stem = os.fsdecode(raw)[:-4]
        if raw != NAMES[0]:  # which needs all of writing
            tasks.append(Task(stem, lambda: Made(sound, sound)))
    outcomes = [one for one in prepare(tasks, tmp_path, RATE, {}) if isinstance(one, Prepared)]
    finish(tmp_path, outcomes)
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)
    listed, in_folders = find_pairs(tmp_path / "manifest.csv"), find_pairs(tmp_path)
    assert {pair[1:] for pair in listed} == {pair[1:] for pair in in_folders}
    assert len(listed) == len(tasks)
    for path in (tmp_path / "clean").iterdir():
        os.utime(path, (0, 0))
    list(prepare(tasks, tmp_path, RATE, {}))
    assert all(path.stat().st_mtime == 0 for path in (tmp_path / "clean").iterdir())


def test_a_manifest_keeps_the_bytes_of_names(tmp_path: Path) -> None:
    sound = np.full(1600, 0.5)
    soundfile.write(tmp_path / "x.wav", sound, RATE)
    (tmp_path / "x.wav").rename(tmp_path / os.fsdecode(NAMES[0]))
    (tmp_path / "list.csv").write_bytes(b"\xef\xbb\xbfclean,noisy\nx\xff.wav,x\xff.wav\n")
    pair = find_pairs(tmp_path / "list.csv")[0]
    assert pair.clean.shape().samples == 1600


def test_folders_with_leftovers_of_macos(tmp_path: Path) -> None:
    for role in ("clean", "noisy"):
        (tmp_path / role).mkdir()
        soundfile.write(tmp_path / role / "x.wav", np.zeros(100), RATE)
    (tmp_path / "clean" / "._x.wav").write_bytes(b"\0\5\x16\7")
    assert [pair.name for pair in from_folders(tmp_path / "clean", tmp_path / "noisy")] == ["x"]
