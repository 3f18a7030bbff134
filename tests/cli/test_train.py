"""``speechduet train`` from the command line, but for the training itself."""

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
    assert "  ema_decay: number, default 0.999" in out


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
        ([*smoke, "--override", "run.seed=-1"], "run: seed is -1; expected 0 to"),
        ([*smoke, "--override", "rum.seed=1"], "did you mean 'run'?"),
    ):
        status, _, err = run(arguments, monkeypatch, capsys)
        assert (status, err.count("\n")) == (2, 1)
        assert message in err
