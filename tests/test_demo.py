"""The bundled samples and the scripts that a reader starts from the command line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

NAMES = ["cafe", "rain", "street", "workshop"]


def run(root: Path, script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, root / script, *arguments], capture_output=True, text=True, check=False
    )


def test_samples_are_small_and_paired(root: Path) -> None:
    files = [
        root / "samples" / role / f"{name}.flac" for role in ("clean", "noisy") for name in NAMES
    ]
    assert sorted((root / "samples").rglob("*.flac")) == sorted(files)
    assert sum(path.stat().st_size for path in files) < 600_000
    for name in NAMES:
        (clean, rate), (noisy, noisy_rate) = (
            soundfile.read(root / "samples" / role / f"{name}.flac") for role in ("clean", "noisy")
        )
        assert rate == noisy_rate == 16_000
        assert clean.shape == noisy.shape
        snr_db = 10 * np.log10(np.square(clean).sum() / np.square(noisy - clean).sum())
        assert -0.1 < snr_db < 10.1
        assert np.abs(noisy).max() < 0.99


def test_demo_scores_the_bundled_samples(root: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "fast").mkdir()
    shutil.copy(root / "samples/noisy/rain.flac", tmp_path / "fast/own.flac")  # an earlier run's
    result = run(root, "examples/demo.py", "--model", tiny_model, "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    for mode in ("fast", "balanced"):
        assert (
            sorted(path.stem for path in (tmp_path / mode).glob("*.flac") if path.stem != "own")
            == NAMES
        )
        assert mode in result.stdout
    assert sorted(path.stem for path in tmp_path.glob("*.png")) == NAMES
    for word in ("noisy", "PESQ", "ESTOI", "SI-SDR", "real-time factor"):
        assert word in result.stdout


def test_demo_takes_a_recording(root: Path, tiny_model: Path, tmp_path: Path) -> None:
    recording = tmp_path / "my recording.wav"
    soundfile.write(recording, np.random.default_rng(0).normal(0, 0.1, (22_050, 2)), 22_050)
    result = run(root, "examples/demo.py", recording, "--model", tiny_model, "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    assert soundfile.info(tmp_path / "balanced" / recording.name).frames == 22_050
    assert (tmp_path / "my recording.png").exists()
    assert "PESQ" not in result.stdout


def test_demo_names_what_is_wrong(root: Path, tiny_model: Path, tmp_path: Path) -> None:
    result = run(root, "examples/demo.py", tmp_path / "absent.wav", "--model", tiny_model)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "absent.wav" in result.stderr


def test_corpus_table(root: Path, tiny_model: Path, tmp_path: Path) -> None:
    for role in ("clean", "noisy"):
        folder = tmp_path / "vbdmd_subset" / role
        folder.mkdir(parents=True)
        # A training speaker (p287) is in the folder but not in the test set.
        for name, as_name in (("rain", "p232_001"), ("cafe", "p257_001"), ("rain", "p287_001")):
            shutil.copy(root / f"samples/{role}/{name}.flac", folder / f"{as_name}.flac")
    figures = tmp_path / "table.json"
    result = run(
        root,
        "benchmarks/corpus_table.py",
        *("--set", "vbdmd_subset", "--corpus", tmp_path, "--model", tiny_model),
        *("--modes", "fast,best", "--seeds", "2", "--threads", "1", "--jobs", "1"),
        *("--json", figures, "--audio", tmp_path / "audio"),
    )
    assert result.returncode == 0, result.stderr
    rows = json.loads(figures.read_text())["rows"]
    assert [(row["mode"], row["evaluations"], row["files"]) for row in rows] == [
        ("noisy", None, 2),
        ("fast", 1, 2),
        ("best", 3, 2),
    ]
    assert rows[1]["real_time_factor"] > 0
    first = result.stdout.splitlines()[2]
    assert f"| {rows[0]['scores']['pesq']['mean']:.3f} [" in first


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="needs espeak-ng")
def test_samples_are_what_their_script_makes(root: Path, tmp_path: Path) -> None:
    shutil.copy(root / "samples/make_samples.py", tmp_path)
    assert run(tmp_path, "make_samples.py").returncode == 0
    for path in (root / "samples").rglob("*.flac"):
        bundled, _ = soundfile.read(path)
        made, _ = soundfile.read(tmp_path / path.relative_to(root / "samples"))
        # Another release of espeak-ng may speak a little differently, but not much longer.
        assert made.size == pytest.approx(bundled.size, rel=0.1)
