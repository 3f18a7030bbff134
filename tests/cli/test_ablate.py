"""``speechduet ablate`` from its file to its report."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.cli import main

CONFIG = """
systems: {tiny: MODEL}
valid: {clean: FOLDER/clean, noisy: FOLDER/noisy}
test: {clean: FOLDER/clean, noisy: FOLDER/noisy}
sweeps:
  plain: {system: tiny, steps: [1, 2], corrector_steps: [0], test: true}
  fused: {system: tiny, steps: [1], corrector_steps: [0], beta: [0, 1]}
picks: {best: {by: si_sdr}}
"""


@pytest.fixture
def config(tmp_path: Path, root: Path, tiny_model: Path) -> Path:
    for role in ("clean", "noisy"):
        (tmp_path / role).mkdir()
        for name in ("a", "b"):
            samples, rate = soundfile.read(root / f"samples/{role}/rain.flac", frames=16_000)
            soundfile.write(tmp_path / role / f"{name}.wav", samples, rate)
    path = tmp_path / "mine.yaml"
    path.write_text(CONFIG.replace("MODEL", str(tiny_model)).replace("FOLDER", str(tmp_path)))
    return path


def run(
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *options: str,
) -> tuple[int, str, str]:
    folder = str(config.parent / "out")
    arguments = ["--config", str(config), "--folder", folder, "--jobs", "1", *options]
    monkeypatch.setattr(sys, "argv", ["speechduet", "ablate", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_from_file_to_report(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(config, monkeypatch, capsys)
    assert status == 0
    # Valid and test have the same files here: what valid measured, test knows already.
    assert "valid: 6 of 6 trajectories" in err and "test: " not in err
    assert "## Fewest steps for the same score, on valid (as in arXiv 2305.10734)" in out
    assert "| best | tiny | " in out
    folder = config.parent / "out"
    assert (folder / "report.md").read_text() == out
    rows = list(csv.DictReader((folder / "settings.csv").open()))
    assert [row["system"] for row in rows if row["set"] == "valid"] == ["noisy"] + 3 * ["tiny"]
    # On test: the noisy input, the sweep that is to be tested, and the pick.
    picked = max(rows[1:4], key=lambda row: float(row["si_sdr"]))
    tested = [(row["steps"], row["beta"]) for row in rows if row["set"] == "test"]
    assert set(tested[1:]) == {("1", "1.0"), ("2", "1.0"), (picked["steps"], picked["beta"])}
    files = list(csv.DictReader((folder / "files.csv").open()))
    assert len(files) == 2 * len(rows)
    again = run(config, monkeypatch, capsys)
    assert again[1] == out and "trajectories" not in again[2]


def test_a_file_that_fails_is_named_and_the_rest_is_measured(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(config.parent / "noisy/b.wav", np.zeros(16_000), 16_000)
    status, out, err = run(config, monkeypatch, capsys, "--override", "picks={}")
    assert status == 1
    assert "failed: valid: tiny (1 step, corrector steps 0): b: " in err
    assert "N = 1" not in out and (config.parent / "out/valid_steps.png").exists()


def test_usage_errors_are_one_line(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for override, message, expected in (
        ("sweps={}", "did you mean 'sweeps'?", 2),
        ("sweeps.plain.start_from=[predict]", "expected one of noisy, predictive", 2),
        ("valid.clean=absent", "absent is no folder", 2),
        ("systems.tiny=absent/model/x", "no model 'absent/model/x'", 2),
    ):
        status, _, err = run(config, monkeypatch, capsys, "--override", override)
        assert (status, err.count("\n")) == (expected, 1), err
        assert message in err
