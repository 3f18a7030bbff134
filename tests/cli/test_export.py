"""``speechduet export``."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import speechduet
from speechduet.cli import app

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def test_a_model_is_exported(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    result = CliRunner().invoke(app, ["export", "--onnx", str(folder), "-m", str(tiny_model)])
    assert result.exit_code == 0, result.output
    assert "MB in float32; largest differences from PyTorch: generative " in result.stderr
    enhanced = speechduet.onnx.Enhancer(folder)(np.ones(2_000, np.float32), 16_000, "fast")
    assert enhanced.shape == (2_000,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--onnx", "{}/new", "-m", "no-such"], "no model 'no-such'"),
        (["--onnx", "{}/new", "-m", "{model}", "--precision", "int8"], "without activation ranges"),
        (["--onnx", "{}/new", "--precision", "int4"], "'int4' is not one of"),
        (["--onnx", "{}/file"], "file is not a folder"),
        (["--onnx", "{}"], "holds other files"),
        ([], "--onnx"),
    ],
)
def test_wrong_usage(tiny_model: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "file").touch()
    filled = [text.replace("{model}", str(tiny_model)).format(tmp_path) for text in arguments]
    result = CliRunner().invoke(app, ["export", *filled])
    assert result.exit_code == 2 and message in " ".join(result.stderr.split()), result.stderr
    assert not (tmp_path / "new").exists()
