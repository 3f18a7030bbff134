"""``speechduet info``."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from speechduet.audio import write
from speechduet.cli import app


def info(*arguments: object) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["info", *map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture
def recording(tmp_path: Path, rng: np.random.Generator) -> Path:
    samples = rng.uniform(-0.1, 0.1, (2, 44_100)).astype(np.float32)
    samples[1] = 0
    write(tmp_path / "a.wav", samples, 44_100)
    return tmp_path / "a.wav"


def test_a_recording_and_what_would_be_done(recording: Path, tiny_model: Path) -> None:
    found = info(recording, "-m", tiny_model, "--device", "cpu")
    sound, plan = found["recording"], found["enhancing"]
    assert (sound["container"], sound["sample_rate"], sound["channels"]) == ("WAV", 44_100, 2)
    assert sound["silent_channels"] == 1 and sound["duration_s"] == 1
    assert (plan["model"], plan["mode"], plan["model_rate"]) == ("tiny", "balanced", 16_000)
    assert plan["segments"] == 1 and plan["evaluations"] == 2  # one channel is silent
    assert plan["time_s"] > 0 and "measured here on 2 s" in plan["basis"]
    best = info(recording, "-m", tiny_model, "--mode", "best")["enhancing"]
    assert best["evaluations"] == 3
    text = CliRunner().invoke(app, ["info", str(recording), "-m", str(tiny_model)]).stdout
    for line in ("2, 1 of them silent", "44,100 Hz", "1.00 s (44,100 samples)", "one piece"):
        assert line in text


def test_long_recordings_are_planned_in_segments(tmp_path: Path, tiny_model: Path) -> None:
    write(tmp_path / "long.wav", np.full(40 * 16_000, 0.1, np.float32), 16_000)
    plan = info(tmp_path / "long.wav", "-m", tiny_model)["enhancing"]
    assert plan["segments"] == 3 and plan["evaluations"] == 6
    assert plan["segment_s"] == pytest.approx(16, abs=0.5)


def test_damage_and_silence(recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    data = recording.read_bytes()
    recording.write_bytes(data[: len(data) // 2])
    (notice,) = info(recording, "-m", tiny_model)["recording"]["notices"]
    assert "a.wav" in notice
    write(tmp_path / "silence.wav", np.zeros(8000, np.float32), 8000)
    found = info(tmp_path / "silence.wav", "-m", tiny_model)
    assert found["recording"]["level_db"] is None and found["enhancing"]["evaluations"] == 0
    text = CliRunner().invoke(app, ["info", str(tmp_path / "silence.wav"), "-m", str(tiny_model)])
    assert "silence, peak silence" in text.stdout


def test_models(tiny_model: Path) -> None:
    found = info(tiny_model)["model"]
    assert (found["name"], found["system"], found["sample_rate"]) == ("tiny", "gp_unified", 16_000)
    assert found["parameters"] == sum(found["parts"].values())
    assert {mode: one["evaluations"] for mode, one in found["modes"].items()} == {
        **{"fast": 1, "balanced": 2, "best": 3},
    }
    bundled = CliRunner().invoke(app, ["info", "gp_unified_compact"]).stdout
    for text in ("5,663,384", "licence              mit", "LibriSpeech", "set test, pairs 55"):
        assert text in bundled


def test_a_published_checkpoint_says_what_was_filled_in(shared: Path, tmp_path: Path) -> None:
    named = tmp_path / "epoch=326-step=408750.ckpt"
    named.symlink_to(shared / "reference/sgmse_plus.ckpt")
    text = CliRunner().invoke(app, ["info", str(named)]).stdout
    assert "steps 50, corrector_snr 0.33, filled in" in text
    assert "mode best            50 steps, 100 evaluations, corrector 0.33" in text


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [("absent.wav", 2, "no model 'absent.wav'"), ("text.wav", 1, "text.wav is not audio")],
)
def test_what_is_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, status: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.wav").write_text("no sound")
    result = CliRunner().invoke(app, ["info", name])
    assert result.exit_code == status and said in result.stderr


def test_models_as_json() -> None:
    listed = json.loads(CliRunner().invoke(app, ["models", "--json", "--table"]).stdout)
    assert "gp_unified" in [one["name"] for one in listed["systems"]]
    assert {"steps": 50, "corrector_snr": 0.33} in [
        one["settings"] for one in listed["published_checkpoints"]
    ]
    sizes = {row["system"]: row["total"] for row in listed["tables"]["Trainable parameters"]}
    assert sizes["sgmse_plus"] == "65,590,694"
