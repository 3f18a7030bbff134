"""Options of ``speechduet enhance``: what they reach, and wrong usage."""

import json
import shutil
from inspect import signature
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest

from enhancing import files, run
from speechduet.audio import read
from speechduet.cli import app
from speechduet.enhancement.enhancer import Enhancer
from speechduet.errors import SettingError
from speechduet.sampler import Sampling
from speechduet.sampling import SETTINGS
from speechduet.settings import bounds, meanings


@pytest.mark.usefixtures("place")
def test_options_reach_the_sampler(tiny_model: Path) -> None:
    settings = ["--mode", "fast", "--steps", "3", "--grid", "paper", "--alpha", "0.2"]
    settings += ["--beta", "0.1", "--corrector-steps", "1", "--seed", "5", "--strength", "0.9"]
    result = run(tiny_model, "in/a.wav", "-o", "out.wav", *settings)
    assert result.exit_code == 0, result.stderr
    expected = Enhancer.from_pretrained(tiny_model)(
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
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def sampling(self: Enhancer, mode: str, **expert: object) -> Sampling:
        seen.append(expert)
        raise SettingError("enough")

    monkeypatch.setattr(Enhancer, "sampling", sampling)
    given = ["--no-predict-once", "--corrector-snr", "0.4", "--start-from", "noisy"]
    for options in ([], ["--predict-once"], given):
        assert run(tiny_model, "in/a.wav", "-o", "out.wav", *options).exit_code == 2
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
def test_settings_out_of_range_are_wrong_usage(tiny_model: Path, given: str) -> None:
    result = run(tiny_model, "in/a.wav", "-o", "out.wav", given)
    assert result.exit_code == 2 and given.partition("=")[0] in result.stderr
    assert not Path("out.wav").exists()


@pytest.mark.usefixtures("place")
def test_machine_options_do_not_change_the_result(tiny_model: Path) -> None:
    run(tiny_model, "in/c.mp3", "-o", "one.wav")
    machine = ["--segment", "1", "--batch-size", "3", "--threads", "1", "--device", "cpu"]
    assert run(tiny_model, "in/c.mp3", "-o", "two.wav", *machine).exit_code == 0
    np.testing.assert_allclose(read("one.wav")[0], read("two.wav")[0], atol=1 / 16384)


@pytest.mark.usefixtures("place")
def test_backend_and_precision_reach_the_network(tiny_model: Path) -> None:
    options = ["--backend", "pytorch", "--precision", "bfloat16"]
    result = run(tiny_model, "in/a.wav", "-o", "out.wav", *options)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("backend pytorch, bfloat16, on cpu (as asked)\n")
    rough = Enhancer.from_pretrained(tiny_model, backend="pytorch", precision="bfloat16")
    np.testing.assert_allclose(read("out.wav")[0], rough(*read("in/a.wav")), atol=1 / 32768)


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
        (["in/a.wav", "-o", "x.wav", "--mode", "slow"], "'slow' is not one of 'fast', 'balanced'"),
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
def test_wrong_usage(tiny_model: Path, arguments: list[str], message: str) -> None:
    before = files(".")
    result = run(tiny_model, *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.stderr
    assert files(".") == before


@pytest.mark.usefixtures("place")
def test_a_mode_that_the_model_lacks(tiny_model: Path) -> None:
    shutil.copytree(tiny_model, "model")
    config = json.loads(Path("model/config.json").read_text())
    del config["modes"]["best"]
    Path("model/config.json").write_text(json.dumps(config))
    result = run(Path("model"), "in/a.wav", "-o", "x.wav", "--mode", "best")
    assert result.exit_code == 2 and "has no mode 'best'; expected one of fast" in result.stderr


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("option", [("--alpha", "3"), ("--grid", "fine"), ("--mode", "quick")])
def test_wrong_usage_with_nothing_left_to_do(tiny_model: Path, option: tuple[str, str]) -> None:
    assert run(tiny_model, "in/a.wav", "-o", "out.wav").exit_code == 0
    assert run(tiny_model, "in/a.wav", "-o", "out.wav", *option).exit_code == 2
