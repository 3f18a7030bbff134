"""``speechduet bench``, end to end and with what it cannot use."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from speechduet.cli import app


def test_a_model_is_measured(tiny_model: Path, tmp_path: Path) -> None:
    record = tmp_path / "kept" / "record.json"
    result = CliRunner().invoke(
        app,
        [
            *("bench", "--model", str(tiny_model), "--mode", "fast", "--seconds", "0.5"),
            *("--repeats", "2", "--threads", "1", "--json", str(record)),
        ],
    )
    assert result.exit_code == 0, result.stderr
    assert "real-time factor" in result.stdout and "| speechduet, float32 |" in result.stdout
    assert "timing: 2 by turns" in result.stderr
    written = json.loads(record.read_text())
    assert written["request"]["mode"] == "fast" and written["machine"]["threads"] == 1
    assert len(written["contestants"]["speechduet, float32"]["seconds"]) == 2


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--repeats", "0"], 2, "Invalid value for '--repeats'"),
        (["--device", "cuda:9"], 2, "device 'cuda:9' is not there"),
        (["--model", "nowhere"], 2, "no model 'nowhere'"),
        (["--network", "unet"], 2, "no network 'unet'"),
        (["--network", "storm", "--model", "x"], 2, "model and network; expected one of them"),
        (["--threads", "0"], 2, "Invalid value for '--threads'"),
        (["--backend", "cuda-graphs"], 2, "CUDA graphs on cpu; expected device cuda"),
        (["--train", "--config", "nowhere.yaml"], 2, "cannot read nowhere.yaml"),
        (["--train", "--config", "a.yaml", "--json", "./a.yaml"], 2, "a.yaml would replace a file"),
        (["--json", "talk.wav"], 2, "talk.wav is a recording"),
    ],
)
def test_what_cannot_be_measured(
    options: list[str],
    status: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("talk.wav").touch()
    result = CliRunner().invoke(app, ["bench", *options])
    assert result.exit_code == status
    assert message in result.stderr and "Traceback" not in result.output


def test_a_folder_that_is_no_clone(tiny_model: Path, tmp_path: Path) -> None:
    command = ["bench", "--model", str(tiny_model), "--against-sgmse"]
    result = CliRunner().invoke(app, [*command, str(tmp_path)])
    assert result.exit_code == 2
    assert "has no sgmse/backbones/ncsnpp.py; expected a clone" in result.stderr
    assert CliRunner().invoke(app, [*command, str(tmp_path / "absent")]).exit_code == 2


def test_a_model_that_the_clone_does_not_have(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "sgmse" / "backbones").mkdir(parents=True)
    (tmp_path / "sgmse" / "backbones" / "ncsnpp.py").touch()
    command = ["bench", "--model", str(tiny_model), "--against-sgmse", str(tmp_path)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert "a model that the SGMSE+ code does not have" in result.stderr


def test_help() -> None:
    assert CliRunner().invoke(app, ["bench", "--help"]).exit_code == 0
