import os
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from speechduet.cli import app
from speechduet.data import find_pairs

RATE = 16_000


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["prepare", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    for role in ("clean", "noisy", "noise"):
        (tmp_path / role).mkdir()
        for name in ("a", "b"):
            samples = rng.uniform(-0.3, 0.3, 4800)
            soundfile.write(tmp_path / role / f"{name}.wav", samples, 48_000)
    return tmp_path


def test_pairs(folder: Path) -> None:
    result = run("pairs", folder / "clean", folder / "noisy", "-o", folder / "set")
    assert result.exit_code == 0, result.stderr
    assert "2 pairs, 0.00 h" in result.stderr
    pairs = find_pairs(folder / "set" / "manifest.csv")
    assert [pair.clean.path.name for pair in pairs] == ["a.wav", "b.wav"]
    assert soundfile.info(pairs[0].noisy.path).samplerate == RATE


def test_a_pair_that_fails_is_named_and_the_rest_is_made(folder: Path) -> None:
    soundfile.write(folder / "noisy/a.wav", np.zeros(7), 48_000)
    arguments = ("pairs", folder / "clean", folder / "noisy", "-o", folder / "set")
    result = run(*arguments)
    assert result.exit_code == 1
    assert "failed: a: " in result.stderr and "expected one length" in result.stderr
    assert "1 of 2 pairs failed" in result.stderr
    assert (folder / "set/clean/b.wav").exists()
    assert not (folder / "set/manifest.csv").exists()
    soundfile.write(folder / "noisy/a.wav", np.zeros(4800), 48_000)
    assert run(*arguments).exit_code == 0
    assert len(find_pairs(folder / "set/manifest.csv")) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("pairs", "clean", "noisy", "-o", "."),
        ("pairs", "clean", "noisy", "-o", "clean"),
        ("pairs", "clean", "noisy", "-o", "link"),
        ("pairs", "clean/deep", "noisy", "-o", "."),
        ("pairs", "link", "noisy", "-o", "noisy/deep/new"),
        ("mix", "--speech", "clean", "--noise", "noisy", "-o", "."),
        ("mix", "--speech", "noise", "--noise", "link", "-o", "clean/set"),
        ("mix", "--speech", "noise", "--noise", "noise", "--rooms", "clean", "-o", "."),
        ("mix", "--speech", "noise", "--noise", "rooms", "--simulate-rooms", "1", "-o", "."),
        ("voicebank", "archives", "-o", "archives/clean_testset_wav"),
        ("voicebank", "test/clean", "-o", "."),
    ],
    ids=" ".join,
)
def test_a_set_is_never_made_among_its_recordings(
    folder: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    for name in ("clean/deep", "rooms", "archives", "test/clean"):
        Path(name).mkdir(parents=True)
    Path("link").symlink_to("clean")
    before = {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}
    result = run(*arguments)
    assert result.exit_code == 2
    assert "would replace or join" in result.stderr and "--output" in result.stderr
    assert {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")} == before


def test_mix_is_the_same_again(folder: Path) -> None:
    arguments = ("mix", "--speech", folder / "clean", "--noise", folder / "noise", "--count", 5)
    for name in ("one", "same"):
        result = run(*arguments, "--snr", "-5,5", "--seed", 3, "-o", folder / name)
        assert result.exit_code == 0, result.stderr
    sums = [(folder / name / "SHA256SUMS").read_text() for name in ("one", "same")]
    assert sums[0] == sums[1] and sums[0].count("\n") == 11
    assert "snr_db" in (folder / "one/manifest.csv").read_text()


def test_another_set_needs_another_folder(folder: Path) -> None:
    arguments = ("mix", "--speech", folder / "clean", "--noise", folder / "noise")
    assert run(*arguments, "-o", folder / "set").exit_code == 0
    result = run(*arguments, "-o", folder / "set", "--seed", 1)
    assert result.exit_code == 2
    assert "other settings" in result.stderr


def test_mix_with_measured_rooms(folder: Path) -> None:
    (folder / "rooms").mkdir()
    soundfile.write(folder / "rooms/r.wav", np.eye(1, 500)[0] * 0.9, RATE)
    sources = ("--speech", folder / "clean", "--noise", folder / "noise")
    result = run("mix", *sources, "--rooms", folder / "rooms", "-o", folder / "set")
    assert result.exit_code == 0, result.stderr
    assert "r.wav" in (folder / "set/manifest.csv").read_text()


def test_settings_are_checked(folder: Path) -> None:
    sources = ("--speech", folder / "clean", "--noise", folder / "noise", "-o", folder / "set")
    assert run("mix", *sources, "--snr", "loud").exit_code == 2
    both = run("mix", *sources, "--rooms", folder / "noise", "--simulate-rooms", 2)
    assert both.exit_code == 2 and "one of them" in both.stderr
    (folder / "empty").mkdir()
    empty = run("pairs", folder / "empty", folder / "empty", "-o", folder / "set")
    assert empty.exit_code == 1 and "no recordings" in empty.stderr


def test_voicebank(folder: Path) -> None:
    source = folder / "archives"
    source.mkdir()
    result = run("voicebank", source, "-o", folder / "set")
    assert result.exit_code == 2 and "clean_trainset_28spk_wav.zip" in result.stderr
    for role in ("clean", "noisy"):
        for part, names in (
            ("trainset_28spk", ("p226_1", "p287_1", "p300_1")),
            ("testset", ("p232_1",)),
        ):
            with ZipFile(source / f"{role}_{part}_wav.zip", "w") as archive:
                for name in names:
                    archive.write(folder / role / "a.wav", f"{role}_{part}_wav/{name}.wav")
    few = ("--expect-train", 3, "--expect-test", 1)
    for number, speakers in enumerate(((), ("--valid-speakers", " p226 , p287"))):
        made = folder / f"set{number}"
        result = run("voicebank", source, "-o", made, *few, *speakers)
        assert result.exit_code == 0, result.stderr
        splits = (("train", ["p300_1"]), ("valid", ["p226_1", "p287_1"]), ("test", ["p232_1"]))
        for split, names in splits:
            assert [pair.name for pair in find_pairs(made / split)] == names
    result = run("voicebank", source, "-o", folder / "set2", *few, "--valid-speakers", "p226,P287")
    assert result.exit_code == 2 and "no speaker 'P287'" in result.stderr
    assert "did you mean 'p287'?" in result.stderr and not (folder / "set2").exists()


@pytest.mark.parametrize("subtype", ["FLOAT", "PCM_24", "PCM_16"])
def test_pairs_are_written_as_they_are_read(folder: Path, subtype: str) -> None:
    loud = 3.0 if subtype == "FLOAT" else 1.0
    for role, level in (("clean", 0.5), ("noisy", loud)):
        for name in ("a", "b"):
            square = level * np.sign(np.sin(np.arange(4800) * 0.13 + 0.1))
            soundfile.write(folder / role / f"{name}.wav", square, 48_000, subtype)
    result = run("pairs", folder / "clean", folder / "noisy", "-o", folder / "set")
    assert result.exit_code == 0, result.stderr
    clean, noisy = (
        soundfile.read(folder / "set" / role / "a.wav")[0] for role in ("clean", "noisy")
    )
    assert soundfile.info(folder / "set/noisy/a.wav").subtype == subtype
    np.testing.assert_allclose(noisy, 2 * loud * clean, atol=1e-3)
    note = "note: a: clean and noisy are turned down alike by"
    assert (note in result.stderr) == (subtype != "FLOAT")


NAMES = (
    b"x\xff\xfe.wav",
    b"X.WAV",
    b"[1]*?.Flac",
    "語".encode() * 83 + b"ab.wav",
    b"x" * 252 + b".au",
    b"new\nline.wav",
)


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_every_name_works(folder: Path, name: bytes) -> None:
    for role in ("clean", "noisy", "noise"):
        (folder / role / "b.wav").unlink()
        samples, rate = soundfile.read(folder / role / "a.wav")
        path = folder / role / os.fsdecode(name)
        (folder / role / "a.wav").unlink()
        plain = folder / f"plain{path.suffix.lower()}"
        soundfile.write(plain, samples, rate)
        plain.rename(path)
        (folder / role / "._x.wav").write_bytes(b"\0\5\x16\7")
    result = run("pairs", folder / "clean", folder / "noisy", "-o", folder / "set")
    assert result.exit_code == 0, result.stderr
    assert len(find_pairs(folder / "set/manifest.csv")) == 1
    sources = ("--speech", folder / "clean", "--noise", folder / "noise")
    result = run("mix", *sources, "-o", folder / "mixed")
    assert result.exit_code == 0, result.stderr
    assert len(find_pairs(folder / "mixed/manifest.csv")) == 1
    again = run("mix", *sources, "-o", folder / "mixed")
    assert again.exit_code == 0, again.stderr


@pytest.mark.parametrize(
    "content", [b"", b"text", b"RIFF\xff\xff\xff\xffWAVEfmt ", b"\0" * 1000, b"ID3\4" * 99]
)
def test_one_unreadable_file_ends_nothing(folder: Path, content: bytes) -> None:
    (folder / "noisy/a.wav").write_bytes(content)
    result = run("pairs", folder / "clean", folder / "noisy", "-o", folder / "set")
    assert result.exit_code == 1
    assert "failed: a: " in result.stderr and "1 of 2 pairs failed" in result.stderr
    assert (folder / "set/noisy/b.wav").exists()
    (folder / "noise/a.wav").write_bytes(content)
    sources = ("--speech", folder / "clean", "--noise", folder / "noise")
    result = run("mix", *sources, "--count", 8, "-o", folder / "mixed")
    assert result.exit_code == 1 and "of 8 pairs failed" in result.stderr
    assert list((folder / "mixed/noisy").glob("*.wav"))
