import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from speechduet.cli import app


@pytest.fixture
def folder(tmp_path: Path, speech: np.ndarray, rng: np.random.Generator) -> Path:
    for name in ("a", "b"):
        for role, level in (("clean", 0), ("noisy", 0.03), ("enhanced", 0.01)):
            (tmp_path / role).mkdir(exist_ok=True)
            waveform = speech + level * rng.standard_normal(speech.size)
            soundfile.write(tmp_path / role / f"{name}.flac", waveform, 16_000)
    return tmp_path


def run(folder: Path, *options: str) -> Result:
    folders = ["--clean", str(folder / "clean"), "--enhanced", str(folder / "enhanced")]
    return CliRunner().invoke(app, ["evaluate", *folders, "--jobs", "1", *options])


def test_means_go_to_stdout(folder: Path) -> None:
    result = run(folder)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "| metric | mean | 95 % interval | files |"
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["PESQ", "ESTOI", "SI-SDR (dB)"]
    assert all(line.endswith("| 2 |") for line in lines[2:])


def test_files_are_written(folder: Path) -> None:
    outputs = {kind: folder / "out" / f"scores.{kind}" for kind in ("csv", "json", "md")}
    result = run(
        folder,
        *("--noisy", str(folder / "noisy"), "--csv", str(outputs["csv"])),
        *("--json", str(outputs["json"]), "--report", str(outputs["md"])),
    )
    assert result.exit_code == 0
    told = json.loads(outputs["json"].read_text())
    assert told["summary"]["si_sar"]["n"] == 2
    rows = outputs["csv"].read_text().splitlines()
    assert rows[0] == "file,pesq,estoi,si_sdr,si_sir,si_sar"
    assert float(rows[1].split(",")[3]) == told["files"][0]["si_sdr"]
    assert result.stdout in outputs["md"].read_text()
    assert len(list((folder / "out").iterdir())) == 3


def test_a_failed_file_is_named_and_not_averaged(folder: Path) -> None:
    (folder / "enhanced/a.flac").unlink()
    json_file = folder / "scores.json"
    result = run(folder, "--json", str(json_file))
    assert result.exit_code == 1
    assert "failed: a: no enhanced recording of this name" in result.stderr
    told = json.loads(json_file.read_text())
    assert told["summary"]["pesq"]["n"] == 1
    assert told["failed"][0]["file"] == "a"


def test_usage_errors(folder: Path) -> None:
    assert run(folder, "--report", "scores.pdf").exit_code == 2
    assert run(folder, "--noisy", str(folder / "absent")).exit_code == 2
    for path in [*(folder / "clean").iterdir(), *(folder / "enhanced").iterdir()]:
        path.unlink()
    result = run(folder)
    assert result.exit_code == 2
    assert "no recordings" in result.stderr
