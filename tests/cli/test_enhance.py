"""``speechduet enhance`` end to end, with a tiny model of random weights."""

import io
import os
import signal
import subprocess
import sys
import time
from inspect import signature
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner, Result

import speechduet
from speechduet.audio import read, write
from speechduet.cli import app
from speechduet.enhancement.enhancer import Enhancer
from speechduet.errors import SettingError
from speechduet.model.folder import Pretrained, save
from speechduet.network.ncsnpp import NCSNpp
from speechduet.network.system import Layout, System
from speechduet.process import OrnsteinUhlenbeck
from speechduet.sampler import Sampling
from speechduet.sampling import SETTINGS
from speechduet.settings import bounds, meanings
from speechduet.spectrogram import Spectrogram


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    layout = Layout(generative=True, predictive="shared", parametrisation="clean")
    tiny = NCSNpp(4, (1,) * 6, residual_blocks=1, attention_bins=(), frame_multiple=32)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    modes = {
        "fast": Sampling(steps=0),
        "balanced": Sampling(steps=2, predictor="ancestral", corrector_steps=0, beta=0.5),
    }
    save(
        Pretrained("tiny", System(layout, OrnsteinUhlenbeck(), tiny), Spectrogram(), modes), folder
    )
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> Path:
    """A folder to be in, with good and bad recordings."""
    monkeypatch.chdir(tmp_path)
    samples = rng.uniform(-0.3, 0.3, (2, 20_000)).astype(np.float32)
    write("in/a.wav", samples[:1], 16_000)
    write("in/deep/b.flac", samples, 44_100)
    write("in/c.mp3", samples, 32_000)
    Path("bad").mkdir()
    Path("bad/empty.wav").touch()
    Path("bad/letter.wav").write_text("no sound")
    return tmp_path


def run(model: Path, *arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["enhance", "-m", str(model), *arguments], input=stdin)


def files(folder: str) -> list[str]:
    return sorted(str(path) for path in Path(folder).rglob("*") if path.is_file())


@pytest.mark.usefixtures("place")
def test_a_file(model: Path) -> None:
    result = run(model, "in/a.wav", "-o", "out.wav")
    assert result.exit_code == 0
    assert result.stdout == ""
    backend, summary = result.stderr.splitlines()
    assert backend.startswith("backend pytorch, float32, on cpu")
    assert summary.startswith("1 enhanced (1.2 s of sound in ") and "real-time factor" in summary
    expected = Enhancer.from_pretrained(model)(*read("in/a.wav"))
    np.testing.assert_allclose(read("out.wav")[0], expected, atol=1 / 32768)


@pytest.mark.usefixtures("place")
def test_a_folder(model: Path) -> None:
    result = run(model, "in", "-o", "out")
    assert result.exit_code == 0, result.stderr
    assert files("out") == ["out/a.wav", "out/c.mp3", "out/deep/b.flac"]
    for name in ("a.wav", "c.mp3", "deep/b.flac"):
        assert str(soundfile.info(f"in/{name}")).replace("in/", "") == str(
            soundfile.info(f"out/{name}")
        ).replace("out/", "")


@pytest.mark.usefixtures("place")
def test_the_rest_goes_on_beside_bad_files(model: Path) -> None:
    result = run(model, "bad", "in/a.wav", "gone.wav", "in/*.xyz", "-o", "out")
    assert result.exit_code == 1
    assert files("out") == ["out/a.wav"]
    lines = result.stderr.splitlines()
    for name in ("bad/empty.wav is empty", "bad/letter.wav", "gone.wav", "in/*.xyz"):
        assert sum(line.startswith("failed: ") and name in line for line in lines) == 1, name
    assert lines[-1].startswith("1 enhanced") and lines[-1].endswith("4 failed")
    assert len(lines) == 6 and lines[1].startswith("backend ")


@pytest.mark.usefixtures("place")
def test_existing_results_are_skipped_unless_told_otherwise(model: Path) -> None:
    Path("out").mkdir()
    Path("out/a.wav").write_text("earlier")
    result = run(model, "in", "-o", "out")
    assert result.exit_code == 0
    assert Path("out/a.wav").read_text() == "earlier"
    assert "2 enhanced" in result.stderr and "1 skipped" in result.stderr
    assert "3 skipped" in run(Path("no-model"), "in", "-o", "out").stderr, "no model is needed"
    assert run(model, "in", "-o", "out", "--overwrite").exit_code == 0
    assert read("out/a.wav")[0].shape == (1, 20_000)


@pytest.mark.usefixtures("place")
def test_streams(model: Path) -> None:
    for output, stdin in (("-", Path("in/deep/b.flac").read_bytes()), ("out.wav", None)):
        result = run(model, "-" if stdin else "in/deep/b.flac", "-o", output, stdin=stdin)
        assert result.exit_code == 0, result.stderr
        data = result.stdout_bytes if output == "-" else Path(output).read_bytes()
        samples, sample_rate = soundfile.read(io.BytesIO(data))
        assert samples.shape == (20_000, 2) and sample_rate == 44_100
        assert data.startswith(b"RIFF")


@pytest.mark.usefixtures("place")
def test_an_empty_stream(model: Path) -> None:
    result = run(model, "-", "-o", "-", stdin=b"")
    assert result.exit_code == 1
    assert result.stdout == "" and "is empty (0 bytes)" in result.stderr


@pytest.mark.usefixtures("place")
def test_options_reach_the_sampler(model: Path) -> None:
    settings = ["--mode", "fast", "--steps", "3", "--grid", "paper", "--alpha", "0.2"]
    settings += ["--beta", "0.1", "--corrector-steps", "1", "--seed", "5", "--strength", "0.9"]
    result = run(model, "in/a.wav", "-o", "out.wav", *settings)
    assert result.exit_code == 0, result.stderr
    expected = Enhancer.from_pretrained(model)(
        *(*read("in/a.wav"), "fast"),
        **{"steps": 3, "grid": "paper", "alpha": 0.2, "beta": 0.1, "corrector_steps": 1},
        **{"seed": 5, "strength": 0.9},
    )
    np.testing.assert_allclose(read("out.wav")[0], expected, atol=1 / 32768)


def test_every_setting_of_the_sampler_is_an_option() -> None:
    """With the type, the range and the help of its field."""
    (command,) = [command for command in app.registered_commands if command.name == "enhance"]
    assert command.callback is not None
    given = signature(command.callback).parameters
    hints = get_type_hints(Sampling, include_extras=True)
    assert set(SETTINGS) == set(hints) and set(SETTINGS) < set(given)
    for name in SETTINGS:
        kind, option = get_args(given[name].annotation)
        assert given[name].default is None and set(get_args(kind)) >= {type(None)}
        assert (option.min, option.max) == bounds(hints[name])
        assert option.help == dict(meanings(Sampling))[name]


@pytest.mark.usefixtures("place")
def test_settings_that_were_not_given_are_the_mode_s(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def sampling(self: Enhancer, mode: str, **expert: object) -> Sampling:
        seen.append(expert)
        raise SettingError("enough")

    monkeypatch.setattr(Enhancer, "sampling", sampling)
    given = ["--no-predict-once", "--corrector-snr", "0.4", "--start-from", "noisy"]
    for options in ([], ["--predict-once"], given):
        assert run(model, "in/a.wav", "-o", "out.wav", *options).exit_code == 2
    assert seen == [
        {},
        {"predict_once": True},
        {"predict_once": False, "corrector_snr": 0.4, "start_from": "noisy"},
    ]


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    "given",
    [
        *("--start=0", "--start=1.1", "--corrector-snr=0", "--framings=0", "--framings=1001"),
        *("--alpha=1.1", "--steps=-1", "--grid=fine", "--predictor=frog", "--start-from=clean"),
    ],
)
def test_settings_out_of_range_are_wrong_usage(model: Path, given: str) -> None:
    result = run(model, "in/a.wav", "-o", "out.wav", given)
    assert result.exit_code == 2 and given.partition("=")[0] in result.stderr
    assert not Path("out.wav").exists()


@pytest.mark.usefixtures("place")
def test_machine_options_do_not_change_the_result(model: Path) -> None:
    run(model, "in/c.mp3", "-o", "one.wav")
    machine = ["--segment", "1", "--batch-size", "3", "--threads", "1", "--device", "cpu"]
    assert run(model, "in/c.mp3", "-o", "two.wav", *machine).exit_code == 0
    np.testing.assert_allclose(read("one.wav")[0], read("two.wav")[0], atol=1 / 16384)


@pytest.mark.usefixtures("place")
def test_backend_and_precision_reach_the_network(model: Path) -> None:
    options = ["--backend", "pytorch", "--precision", "bfloat16"]
    result = run(model, "in/a.wav", "-o", "out.wav", *options)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("backend pytorch, bfloat16, on cpu (as asked)\n")
    rough = Enhancer.from_pretrained(model, backend="pytorch", precision="bfloat16")
    np.testing.assert_allclose(read("out.wav")[0], rough(*read("in/a.wav")), atol=1 / 32768)


@pytest.mark.usefixtures("place")
def test_a_confidence_map(model: Path) -> None:
    result = run(model, "in/a.wav", "-o", "out.wav", "--confidence", "map.npz")
    assert result.exit_code == 0, result.stderr
    assert np.load("map.npz")["map"].shape == (256, 157)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in/a.wav", "-o", "x.wav", "--frobnicate"], "No such option: --frobnicate"),
        (["in/a.wav"], "say where results go"),
        (["-o", "out"], "give at least one recording"),
        (["in/a.wav", "-o", "x.wav", "--steps", "many"], "Invalid value for '--steps'"),
        (["in/a.wav", "-o", "x.wav", "--steps", "-1"], "Invalid value for '--steps'"),
        (["in/a.wav", "-o", "x.wav", "--grid", "fine"], "'fine' is not one of 'exact', 'paper'"),
        (["in/a.wav", "-o", "x.wav", "--mode", "best"], "has no mode 'best'; expected one of fast"),
        (["in/a.wav", "-o", "x.wav", "--beta", "2"], "Invalid value for '--beta'"),
        (["in/a.wav", "-o", "x.wav", "--strength", "2"], "Invalid value for '--strength'"),
        (["in/a.wav", "-o", "x.wav", "--seed", "-2"], "Invalid value for '--seed'"),
        (["in/a.wav", "-o", "x.wav", "--device", "gpu"], "device 'gpu' is not there"),
        (["in/a.wav", "-o", "x.wav", "--backend", "tpu"], "'tpu' is not one of 'auto', 'pytorch'"),
        (["in/a.wav", "-o", "x.wav", "--backend", "cuda-graphs", "--device", "cpu"], "device cuda"),
        (["in/a.wav", "-o", "x.wav", "--precision", "int4"], "'int4' is not one of 'auto'"),
        (
            ["in/a.wav", "-o", "x.wav", "--backend", "pytorch", "--precision", "int8"],
            "int8 in PyTorch; expected float32 or bfloat16; take backend onnxruntime",
        ),
        (["in/a.wav", "-o", "x.wav", "--threads", "0"], "Invalid value for '--threads'"),
        (["in/a.wav", "-o", "x.wav", "--segment", "0"], "Invalid value for '--segment'"),
        (["in/a.wav", "-o", "x.wav", "--confidence", "x.jpg"], "a .png or .npz file"),
        (["in", "-o", "x", "--confidence", "x.npz"], "a confidence map of 3 recordings"),
        (["in", "-o", "x", "--format", "m4a"], "format 'm4a' cannot be written"),
        (["in/a.wav", "-o", "in"], "would be replaced by its own result"),
        (["-", "in/a.wav", "-o", "x"], "a stream (-) among 2 inputs"),
    ],
)
def test_wrong_usage(model: Path, arguments: list[str], message: str) -> None:
    before = files(".")
    result = run(model, *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.stderr
    assert files(".") == before


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("option", [("--alpha", "3"), ("--grid", "fine"), ("--mode", "quick")])
def test_wrong_usage_with_nothing_left_to_do(model: Path, option: tuple[str, str]) -> None:
    assert run(model, "in/a.wav", "-o", "out.wav").exit_code == 0
    assert run(model, "in/a.wav", "-o", "out.wav", *option).exit_code == 2


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("model", ["bad", "none", "bad/letter.wav"], ids=str)
def test_models_that_cannot_be_loaded(model: str) -> None:
    result = run(Path(model), "in/a.wav", "-o", "out.wav")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("speechduet: ")


@pytest.mark.usefixtures("place")
def test_a_folder_that_cannot_be_written(model: Path) -> None:
    result = run(model, "in", "-o", "in/a.wav/out")
    assert result.exit_code == 1
    assert result.stderr.count("cannot write in/a.wav/out") == 3


def test_bundled_models_can_be_listed() -> None:
    from speechduet.model.find import bundled

    result = CliRunner().invoke(app, ["enhance", "--list-models"])
    assert result.exit_code == 0
    assert result.stdout.split()[: len(bundled())] == bundled()


def test_an_interruption_leaves_nothing_behind(model: Path, place: Path) -> None:
    write("long.wav", np.tile(read("in/a.wav")[0], 400), 16_000)
    command = [sys.executable, "-m", "speechduet", "enhance", "long.wav", "-o", "out/long.wav"]
    process = subprocess.Popen(
        [*command, "-m", str(model), "--segment", "1", "--steps", "20"],
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
