"""``speechduet train`` from the command line, but for the training itself."""

import re
import sys
from pathlib import Path

import pytest

from speechduet.cli import main


def run(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["speechduet", "train", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    output = capsys.readouterr()
    return int(ended.value.code or 0), output.out, output.err


def test_settings_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(["--show-settings"], monkeypatch, capsys)
    assert status == 0
    assert "  ema_decay: number from 0 below 1, default 0.999" in out


def test_usage_errors_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], root: Path
) -> None:
    smoke = ["--config", str(root / "recipes/smoke/gp_unified.yaml")]
    for arguments, message in (
        ([], "no recipe; expected --config FILE"),
        (["--config", "absent.yaml"], "cannot read absent.yaml"),
        ([*smoke, "--folder", "/dev/null"], "/dev/null is not a folder"),
        ([*smoke, "--folder", __file__], "is not a folder; expected a folder"),
        ([*smoke, "--override", "name=.."], "a plain name without slashes"),
        ([*smoke, "--override", "run.seed=-1"], "run.seed is -1; expected 0 or more"),
        ([*smoke, "--override", "rum.seed=1"], "did you mean 'run'?"),
    ):
        status, _, err = run(arguments, monkeypatch, capsys)
        assert (status, err.count("\n")) == (2, 1)
        assert message in err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("systm=storm", "unknown key 'systm'; expected name, system, .*; did you mean 'system'?"),
        ("run.sede=1", "run: unknown key 'sede'; expected .*; did you mean 'seed'?"),
        ("run.seed=one", "run.seed is 'one'; expected a whole number"),
        ("run.workers=-1", "run.workers is -1; expected 0 or more"),
        ("run.log_every_steps=0", "run.log_every_steps is 0; expected 1 or more"),
        ("run=3", "run is 3; expected named values"),
        ("losses.generative=-1", "losses.generative is -1; expected 0 or more"),
        ("mixing.excerpt_s=-1", "mixing.excerpt_s is -1; expected 0.01 or more"),
        ("mixing.babble=0.95", "mixing: coloured_noise, babble and murmur together are 1.05; exp"),
        (
            "mixing.level_db=[0, -9]",
            r"mixing: level_db is \[0.0, -9.0\]; expected a lower a",
        ),
        ("process.sigma_min=1", "process: sigma_min is 1.0; expected less than sigma_max, 0.5"),
        ("process={kind: schroedinger_bridge, k: 1}", "process.k is 1; expected 1.001 or more"),
        ("process.kind=diffusion", "process.kind is 'diffusion'; expected one of ornstein_uhlen"),
        (
            "network.kind=ncsnp",
            "network.kind is 'ncsnp'; expected one of .*; did you mean 'ncsnpp'?",
        ),
        ("network.multipliers=[]", "network.multipliers is []; expected 1 or more of them"),
        ("spectrogram.hop=0", "spectrogram.hop is 0; expected 1 or more"),
        ("spectrogram.n_fft=511", "spectrogram.n_fft is 511; expected a multiple of 2"),
        ("modes.balanced.start=0", "modes.balanced.start is 0; expected 0.001 or more"),
        ("modes.slow={steps: 1}", "unknown key 'slow' in modes; expected fast, balanced, best"),
        ("system=strom", "no system 'strom'; expected one of .*; did you mean 'storm'?"),
        ("system.layout.predictive=all", "system.layout.predictive is 'all'; expected one of none"),
    ],
)
def test_every_mistake_in_a_recipe_is_wrong_usage_of_one_kind(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    root: Path,
    override: str,
    message: str,
) -> None:
    recipe = root / "recipes/smoke/gp_unified.yaml"
    status, out, err = run(["--config", str(recipe), "--override", override], monkeypatch, capsys)
    assert (status, out, err.count("\n")) == (2, "", 1)
    place = re.escape(f"speechduet: override {override!r}: ")
    assert re.match(place + message.replace("[]", r"\[\]"), err), err
