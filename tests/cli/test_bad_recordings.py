"""What a user may hand to ``speechduet evaluate``: every bad recording is named with its reason."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from speechduet.cli import app

RATE = 16_000
ROLES = ("clean", "enhanced", "noisy")


class Folders:
    """clean/, enhanced/ and noisy/, into which recordings are put."""

    def __init__(self, place: Path, speech: np.ndarray) -> None:
        self.place = place
        noise = 0.02 * np.random.default_rng(0).standard_normal(speech.size)
        self.good = dict(zip(ROLES, (speech, speech + 0.3 * noise, speech + noise), strict=True))
        for role in ROLES:
            (place / role).mkdir()

    def path(self, role: str, name: str) -> Path:
        return self.place / role / f"{name}.wav"

    def put(self, name: str, rate: int = RATE, roles: tuple[str, ...] = ROLES) -> None:
        """A good recording in each role."""
        for role in roles:
            soundfile.write(self.path(role, name), self.good[role], rate, "FLOAT")

    def spoil(self, name: str, role: str, samples: np.ndarray, rate: int = RATE) -> None:
        """A good recording but for one role."""
        self.put(name)
        soundfile.write(self.path(role, name), samples, rate, "FLOAT")

    def evaluate(self, *options: str) -> Result:
        roles = [text for role in ROLES for text in (f"--{role}", str(self.place / role))]
        return CliRunner().invoke(app, ["evaluate", *roles, "--jobs", "1", *options])


@pytest.fixture
def folders(tmp_path: Path, speech: np.ndarray) -> Folders:
    return Folders(tmp_path, speech)


def test_each_is_named_and_none_is_averaged(folders: Folders, tmp_path: Path) -> None:
    clean, enhanced = folders.good["clean"], folders.good["enhanced"]
    broken = enhanced.copy()
    broken[7] = np.nan
    folders.put("good")
    expected = {}
    for role, named in zip(ROLES, ("reference", "estimate", "noisy"), strict=True):
        folders.spoil(f"longer {role}", role, np.tile(folders.good[role], 2))
        folders.spoil(f"slower {role}", role, enhanced, 8_000)
        folders.spoil(f"stereo {role}", role, np.stack([enhanced, enhanced], 1))
        folders.spoil(f"broken {role}", role, broken)
        folders.put(f"lacking {role}")
        folders.path(role, f"lacking {role}").unlink()
        folders.put(f"only {role}", roles=(role,))
        folders.put(f"unreadable {role}")
        folders.path(role, f"unreadable {role}").write_text("not audio")
        folders.spoil(f"empty {role}", role, enhanced[:0])
        expected |= {
            f"longer {role}": "lengths differ",
            f"slower {role}": "sample rates differ",
            f"stereo {role}": f"{role}/stereo {role}.wav has 2 channels",
            f"broken {role}": f"{named} with NaN or infinite samples",
            f"lacking {role}": f"no {role} recording of this name",
            f"only {role}": " and no ",
            f"unreadable {role}": f"{role}/unreadable {role}.wav is not audio",
            f"empty {role}": f"{role}/empty {role}.wav holds no samples",
        }
    folders.spoil("silent clean", "clean", 0 * clean)
    folders.spoil("silent enhanced", "enhanced", 0 * clean)
    folders.spoil("as silence", "enhanced", 1e-30 * clean)  # to PESQ, beside the reference
    folders.spoil("without noise", "noisy", clean)
    for name, samples in (("short for PESQ", 3_000), ("short for ESTOI", 5_000)):
        for role in ROLES:
            excerpt = folders.good[role][8_000 : 8_000 + samples]
            soundfile.write(folders.path(role, name), excerpt, RATE)
    expected |= {
        "silent clean": "reference is silent",
        "silent enhanced": "estimate is silent",
        "as silence": "PESQ finds no sound in the estimate",
        "without noise": "noise is silent",
        "short for PESQ": "expected over 0.25 s for PESQ",
        "short for ESTOI": "expected 0.41 s of it for STOI and ESTOI",
    }
    json_file, csv_file, report = (tmp_path / f"scores.{kind}" for kind in ("json", "csv", "md"))
    result = folders.evaluate(
        *("--json", str(json_file), "--csv", str(csv_file), "--report", str(report))
    )
    assert result.exit_code == 1
    scores = json.loads(json_file.read_text())
    assert [row["file"] for row in scores["files"]] == ["good"]
    assert {interval["n"] for interval in scores["summary"].values()} == {1}
    assert [row["file"] for row in csv.DictReader(csv_file.open())] == ["good"]
    errors = {failure["file"]: failure["error"] for failure in scores["failed"]}
    assert len(errors) == len(scores["failed"]) and errors.keys() == expected.keys()
    for name, reason in expected.items():
        assert reason in errors[name]
        assert f"failed: {name}: {errors[name]}" in result.stderr
        assert f"- {name}: {errors[name]}" in report.read_text()


def test_an_empty_folder_beside_a_full_one_fails_every_file(folders: Folders) -> None:
    folders.put("a", roles=("clean", "noisy"))
    folders.put("b", roles=("clean", "noisy"))
    json_file = folders.place / "scores.json"
    result = folders.evaluate("--json", str(json_file))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.strip().splitlines() == [
        f"failed: {name}: no enhanced recording of this name" for name in "ab"
    ]
    scores = json.loads(json_file.read_text())
    assert scores["files"] == [] and scores["summary"]["pesq"]["n"] == 0


def test_empty_folders_are_a_mistake(folders: Folders) -> None:
    result = folders.evaluate()
    assert result.exit_code == 2
    assert "no recordings in" in result.stderr


def test_a_part_of_a_long_recording_may_not_be_silent(folders: Folders) -> None:
    """PESQ is computed by parts of at most 20 s; of silence there is none."""
    samples = {role: np.tile(signal, 11) for role, signal in folders.good.items()}
    samples["enhanced"][samples["enhanced"].size // 2 :] = 0
    for role, signal in samples.items():
        soundfile.write(folders.path(role, "half"), signal, RATE)
    result = folders.evaluate()
    assert result.exit_code == 1
    assert "failed: half: PESQ finds no sound in the estimate" in result.stderr
