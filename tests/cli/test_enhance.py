"""``speechduet enhance`` end to end, with a tiny model of random weights."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import speechduet
from enhancing import files, run
from speechduet.audio import read, write
from speechduet.cli import app
from speechduet.enhancement.enhancer import Enhancer


@pytest.mark.usefixtures("place")
def test_a_file(tiny_model: Path) -> None:
    result = run(tiny_model, "in/a.wav", "-o", "out.wav")
    assert result.exit_code == 0
    assert result.stdout == ""
    backend, summary = result.stderr.splitlines()
    assert backend.startswith("backend pytorch, float32, on cpu")
    assert summary.startswith("1 enhanced (1.2 s of sound in ") and "real-time factor" in summary
    expected = Enhancer.from_pretrained(tiny_model)(*read("in/a.wav"))
    np.testing.assert_allclose(read("out.wav")[0], expected, atol=1 / 32768)


@pytest.mark.usefixtures("place")
def test_a_folder(tiny_model: Path) -> None:
    result = run(tiny_model, "in", "-o", "out")
    assert result.exit_code == 0, result.stderr
    assert files("out") == ["out/a.wav", "out/c.mp3", "out/deep/b.flac"]
    for name in ("a.wav", "c.mp3", "deep/b.flac"):
        assert str(soundfile.info(f"in/{name}")).replace("in/", "") == str(
            soundfile.info(f"out/{name}")
        ).replace("out/", "")


@pytest.mark.usefixtures("place")
def test_the_rest_goes_on_beside_bad_files(tiny_model: Path) -> None:
    result = run(tiny_model, "bad", "in/a.wav", "gone.wav", "in/*.xyz", "-o", "out")
    assert result.exit_code == 1
    assert files("out") == ["out/a.wav"]
    lines = result.stderr.splitlines()
    for name in ("bad/empty.wav is empty", "bad/letter.wav", "gone.wav", "in/*.xyz"):
        assert sum(line.startswith("failed: ") and name in line for line in lines) == 1, name
    assert lines[-1].startswith("1 enhanced") and lines[-1].endswith("4 failed")
    assert len(lines) == 6 and lines[1].startswith("backend ")


@pytest.mark.usefixtures("place")
def test_existing_results_are_skipped_unless_told_otherwise(tiny_model: Path) -> None:
    Path("out").mkdir()
    Path("out/a.wav").write_text("earlier")
    result = run(tiny_model, "in", "-o", "out")
    assert result.exit_code == 0
    assert Path("out/a.wav").read_text() == "earlier"
    assert "2 enhanced" in result.stderr and "1 skipped" in result.stderr
    assert "3 skipped" in run(Path("no-model"), "in", "-o", "out").stderr, "no model is needed"
    assert run(tiny_model, "in", "-o", "out", "--overwrite").exit_code == 0
    assert read("out/a.wav")[0].shape == (1, 20_000)


@pytest.mark.usefixtures("place")
def test_streams(tiny_model: Path) -> None:
    for output, stdin in (("-", Path("in/deep/b.flac").read_bytes()), ("out.wav", None)):
        result = run(tiny_model, "-" if stdin else "in/deep/b.flac", "-o", output, stdin=stdin)
        assert result.exit_code == 0, result.stderr
        data = result.stdout_bytes if output == "-" else Path(output).read_bytes()
        samples, sample_rate = soundfile.read(io.BytesIO(data))
        assert samples.shape == (20_000, 2) and sample_rate == 44_100
        assert data.startswith(b"RIFF")


@pytest.mark.usefixtures("place")
def test_an_empty_stream(tiny_model: Path) -> None:
    result = run(tiny_model, "-", "-o", "-", stdin=b"")
    assert result.exit_code == 1
    assert result.stdout == "" and "is empty (0 bytes)" in result.stderr


@pytest.mark.usefixtures("place")
def test_a_confidence_map(tiny_model: Path) -> None:
    result = run(tiny_model, "in/a.wav", "-o", "out.wav", "--confidence", "map.npz")
    assert result.exit_code == 0, result.stderr
    assert np.load("map.npz")["map"].shape == (256, 157)
    # With both there, nothing is left to do; a map alone cannot be made.
    assert run(tiny_model, "in/a.wav", "-o", "out.wav", "--confidence", "map.npz").exit_code == 0
    result = run(tiny_model, "in/a.wav", "-o", "out.wav", "--confidence", "other.npz")
    assert result.exit_code == 2
    assert "out.wav is there, and its map other.npz is not; expected" in result.stderr
    assert not Path("other.npz").exists()


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("beside", "asked"),
    [("map.npz", ["--confidence", "map.npz"]), ("out.wav.png", ["--plot"])],
    ids=["map", "picture"],
)
def test_nothing_beside_a_result_is_replaced_unasked(
    tiny_model: Path, beside: str, asked: list[str]
) -> None:
    Path(beside).write_text("mine")
    result = run(tiny_model, "in/a.wav", "-o", "out.wav", *asked)
    assert result.exit_code == 2
    assert f"{beside} is there; expected a new file; delete it, or let --overwrite" in result.stderr
    assert Path(beside).read_text() == "mine" and not Path("out.wav").exists()
    result = run(tiny_model, "in/a.wav", "-o", "out.wav", "--overwrite", *asked)
    assert result.exit_code == 0, result.stderr
    assert Path(beside).read_bytes() != b"mine"


@pytest.mark.usefixtures("place")
def test_a_map_and_a_picture_of_one_name(tiny_model: Path) -> None:
    asked = ["--plot", "--confidence", "out.wav.png"]
    result = run(tiny_model, "in/a.wav", "-o", "out.wav", *asked)
    assert result.exit_code == 2
    assert "out.wav.png is the name of the picture; expected another" in result.stderr


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("model", ["bad", "none", "bad/letter.wav"], ids=str)
def test_models_that_cannot_be_loaded(model: str) -> None:
    result = run(Path(model), "in/a.wav", "-o", "out.wav")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("speechduet: ")


@pytest.mark.usefixtures("place")
def test_a_folder_that_cannot_be_written(tiny_model: Path) -> None:
    result = run(tiny_model, "in", "-o", "in/a.wav/out")
    assert result.exit_code == 1
    assert result.stderr.count("cannot write in/a.wav/out") == 3


def test_bundled_models_can_be_listed() -> None:
    from speechduet.model.find import bundled

    result = CliRunner().invoke(app, ["enhance", "--list-models"])
    assert result.exit_code == 0
    assert result.stdout.split()[: len(bundled())] == bundled()


def test_an_interruption_leaves_nothing_behind(tiny_model: Path, place: Path) -> None:
    write("long.wav", np.tile(read("in/a.wav")[0], 400), 16_000)
    command = [sys.executable, "-m", "speechduet", "enhance", "long.wav", "-o", "out/long.wav"]
    process = subprocess.Popen(
        [*command, "-m", str(tiny_model), "--segment", "1", "--steps", "20"],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(speechduet.__file__).parents[1])},
        # A shell that starts the tests in the background makes them ignore interruptions.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not files("out") and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert files("out"), "it is writing by now"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert files("out") == []
