"""Inputs that are no stream of one recording."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from speechduet.cli import app


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/null"])
@pytest.mark.parametrize("output", ["-", "out.wav"])
def test_a_device_is_no_recording(
    tiny_model: Path, tmp_path: Path, device: str, output: str
) -> None:
    place = output if output == "-" else str(tmp_path / output)
    command = ["enhance", "-m", str(tiny_model), device, "-o", place]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1 and f"{device} is a device; expected a file" in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_stream(tiny_model: Path, tmp_path: Path) -> None:
    for given in (str(tmp_path), str(tmp_path / "*.wav")):
        result = CliRunner().invoke(app, ["enhance", "-m", str(tiny_model), given, "-o", "-"])
        assert result.exit_code == 2 and "several recordings, to a stream" in result.stderr
