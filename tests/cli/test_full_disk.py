"""A disk that is full, or on which nothing may be written: a small one that the tests mount."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from speechduet.adaptation import Verdict
from speechduet.cli import app
from speechduet.model.folder import load
from tiny_recipe import SYSTEM_AND_DATA

pytestmark = pytest.mark.slow
RATE = 16_000
RECIPE = (
    SYSTEM_AND_DATA
    + """
run: {max_steps: 4, batch_size: 2, workers: 0, accelerator: cpu, precision: 32-true,
      checkpoint_every_steps: 2}
"""
)

Disk = Callable[[str], Path]
"""Gives the disk another size, or makes it read-only: options of mount."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "tmpfs", str(place), "-o"]
    mounted = False

    def of(options: str) -> Path:
        nonlocal mounted
        done = subprocess.run(
            [*mount, f"remount,{options}" if mounted else options], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip(f"a disk cannot be mounted here: {done.stderr.decode().strip()}")
        mounted = True
        return place

    try:
        of("size=64k")
        yield of
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], check=True)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def recorded(path: Path, seconds: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, round(seconds * RATE))
    soundfile.write(path, samples, RATE)
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def fill(folder: Path) -> Path:
    """Take all room that is left."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return filler
    raise AssertionError


def refused(result: Result, *texts: str) -> None:
    assert result.exit_code == 1, result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if "No space left" in line]
    assert lines and all(text in lines[0] for text in texts), result.stderr


def test_one_recording(tmp_path: Path, tiny_model: Path, disk: Disk) -> None:
    place = disk("size=64k")
    (place / "out.wav").write_text("earlier")
    source = recorded(tmp_path / "in.wav", 10)
    command = ["enhance", source, "-m", tiny_model, "--mode", "fast", "--overwrite", "-o"]
    refused(run(*command, place / "out.wav"), "failed: ", f"cannot write {place}/out.wav")
    assert content(place) == {"out.wav": b"earlier"}


def test_a_folder_keeps_what_fits(tmp_path: Path, tiny_model: Path, disk: Disk) -> None:
    place = disk("size=200k")
    for name, seconds in (("a", 0.5), ("b", 30), ("c", 0.5)):
        recorded(tmp_path / f"in/{name}.wav", seconds)
    command = ["enhance", tmp_path / "in", "-m", tiny_model, "--mode", "fast", "-o", place / "out"]
    result = run(*command)
    refused(result, "failed: ", "/out/b.wav")
    assert "2 enhanced" in result.stderr and "1 failed" in result.stderr
    assert sorted(content(place)) == ["out/a.wav", "out/c.wav"]
    disk("size=8m")
    assert run(*command).exit_code == 0
    assert sorted(content(place)) == ["out/a.wav", "out/b.wav", "out/c.wav"]


def test_a_confidence_map_and_a_picture(tmp_path: Path, tiny_model: Path, disk: Disk) -> None:
    pytest.importorskip("matplotlib", reason="draws the pictures")
    place = disk("size=100k")
    source = recorded(tmp_path / "in.wav", 0.5)
    command = ["enhance", source, "-m", tiny_model, "-o", tmp_path / "out.wav"]
    filler = fill(place)
    refused(run(*command, "--confidence", place / "map.png"), "map.png")
    assert not (tmp_path / "out.wav").exists() and list(place.iterdir()) == [filler]


@pytest.mark.filterwarnings("ignore")
def test_training(tmp_path: Path, root: Path, disk: Disk) -> None:
    pytest.importorskip("lightning", reason="needs the extra train")
    place = disk("size=16m")
    (tmp_path / "tiny.yaml").write_text(RECIPE.replace("ROOT", str(root)))
    command = ["train", "--config", tmp_path / "tiny.yaml", "--folder"]
    assert run(*command, tmp_path / "whole").exit_code == 0
    command += [place / "run"]
    assert run(*command, "--override", "run.max_minutes=1e-9").exit_code == 0
    before = content(place)
    fill(place)
    refused(run(*command), f"cannot write to {place}/run", "free disk space")
    kept = content(place)
    assert {name: kept.get(name) for name in before if "events" not in name} == {
        name: text for name, text in before.items() if "events" not in name
    }
    room = (place / "filler").stat().st_size
    (place / "filler").unlink()
    # Room for the log, and none for a checkpoint.
    with (place / "filler").open("wb") as file:
        file.write(bytes(room - (place / "run/last.ckpt").stat().st_size // 2))
    refused(run(*command), "cannot write the checkpoint of step 2", "free disk space")
    assert (place / "run/last.ckpt").read_bytes() == before["run/last.ckpt"]
    assert not [name for name in content(place) if name.endswith((".part", ".partial"))]
    (place / "filler").unlink()
    assert run(*command).exit_code == 0
    for name in ("config.json", "model.safetensors"):
        assert content(place)[f"run/model/{name}"] == (tmp_path / "whole/model" / name).read_bytes()


@pytest.mark.filterwarnings("ignore")
def test_adaptation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, root: Path, tiny_model: Path, disk: Disk
) -> None:
    pytest.importorskip("lightning", reason="needs the extra train")
    pytest.importorskip("pesq", reason="needs the extra evaluation")
    monkeypatch.setattr("speechduet.adaptation.verdict.PAIRS", 2)
    monkeypatch.setattr("speechduet.adaptation.checking._STRETCHES", 2)
    monkeypatch.setattr(Verdict, "accepted", True)
    place = disk("size=64k")
    noise = recorded(tmp_path / "noise/hum.wav", 12).parent
    command = ["adapt", noise, "--speech", root / "samples/clean", "-m", tiny_model]
    command += ["--steps", "2", "-o", place / "adapted"]
    refused(run(*command), "cannot write the checkpoint of step 2", "free disk space")
    assert not (place / "adapted").exists()
    disk("size=32m")
    filler = fill(place)
    filler.write_bytes(bytes(filler.stat().st_size - 6_000_000))
    assert run(*command).exit_code == 0
    load(place / "adapted")
    assert sorted(path.name for path in place.iterdir()) == ["adapted", "filler"]


def test_a_report(tmp_path: Path, disk: Disk, speech: np.ndarray) -> None:
    pytest.importorskip("pesq", reason="needs the extra evaluation")
    place = disk("size=64k")
    for role in ("clean", "enhanced"):
        (tmp_path / role).mkdir()
        soundfile.write(tmp_path / role / "a.wav", speech, RATE)
    (place / "report.md").write_text("earlier")
    (place / "scores.csv").write_text("earlier")
    filler = fill(place)
    command = ["evaluate", "--clean", tmp_path / "clean", "--enhanced", tmp_path / "enhanced"]
    command += ["--jobs", "1", "--csv", place / "scores.csv", "--report", place / "report.md"]
    refused(run(*command), "cannot write")
    filler.unlink()
    assert content(place) == {"report.md": b"earlier", "scores.csv": b"earlier"}
    assert run(*command).exit_code == 0


def test_where_nothing_may_be_written(tmp_path: Path, tiny_model: Path, disk: Disk) -> None:
    place = disk("size=1m")
    (place / "out.wav").write_text("earlier")
    disk("ro")
    for name in "ab":
        recorded(tmp_path / f"in/{name}.wav", 0.5)
    command = ["enhance", "-m", tiny_model, "--mode", "fast", "--overwrite", "-o"]
    for source, target in (("in/a.wav", "out.wav"), ("in", "folder")):
        result = run(*command, place / target, tmp_path / source)
        assert result.exit_code in (1, 2) and "Traceback" not in result.stderr
        assert f"{place}/{target}" in result.stderr and "Read-only file system" in result.stderr
    assert content(place) == {"out.wav": b"earlier"}
