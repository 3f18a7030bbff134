"""``speechduet models``, ``convert``, and the command line as a whole."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import speechduet
from speechduet.cli import app
from speechduet.model.find import bundled
from speechduet.recipe import RECIPES


def test_systems_are_listed() -> None:
    result = CliRunner().invoke(app, ["models"])
    assert result.exit_code == 0
    for recipe in RECIPES:
        assert recipe.name in result.stdout and recipe.source in result.stdout
    for name in bundled():
        assert name in result.stdout.splitlines()
    assert "dereverberation); filled in: steps 50, corrector_snr 0.33" in result.stdout
    assert "org/name@revision" in result.stderr


def test_the_tables_count_what_is_published() -> None:
    result = CliRunner().invoke(app, ["models", "--table"])
    assert result.exit_code == 0
    lines = [line for line in result.stdout.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    heads = [index for index, row in enumerate(rows) if row[0] == "system"]
    parameters, operations, modes = (
        rows[head + 2 : end] for head, end in zip(heads, [*heads[1:], None], strict=True)
    )
    names = [recipe.name for recipe in RECIPES] + bundled()
    assert [row[0] for row in parameters] == [row[0] for row in operations] == names
    totals = {row[0]: row[1] for row in parameters}
    assert totals["sgmse_plus"] == "65,590,694"
    assert totals["storm"] == "55,118,132"
    assert totals["gp_unified"] == "106,782,668"
    # NFE 60, and the predictive decoder at two of them only.
    unified = next(row for row in modes if row[:2] == ["gp_unified", "published"])
    assert unified[2:8] == ["30", "60", "60", "60", "2", "–"]
    assert ["predictive", "published", "0", "1", "–", "–", "–", "1"] in [row[:8] for row in modes]
    assert {row[1] for row in modes if row[0] in bundled()} == {"fast", "balanced", "best"}


def test_a_checkpoint_is_converted(shared: Path, tmp_path: Path) -> None:
    checkpoint = shared / "reference" / "storm.ckpt"
    result = CliRunner().invoke(app, ["convert", str(checkpoint), str(tmp_path / "storm")])
    assert result.exit_code == 0
    assert "modes fast, balanced, best" in result.stderr
    assert speechduet.Enhancer.from_pretrained(tmp_path / "storm").pretrained.name == "storm"


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "x.ckpt").write_text("no weights")
    result = CliRunner().invoke(app, ["convert", str(tmp_path / "x.ckpt"), str(tmp_path / "x")])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1 and "x.ckpt is no checkpoint" in result.stderr


def test_help_and_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"{speechduet.__version__}\n"
    commands = [
        "enhance",
        "evaluate",
        "train",
        "ablate",
        "reproduce",
        "models",
        "convert",
        "export",
    ]
    overview = CliRunner().invoke(app, ["--help"])
    for command in commands:
        assert command in overview.stdout
        shown = CliRunner().invoke(app, [command, "--help"])
        assert shown.exit_code == 0 and "--help" in shown.stdout
    assert CliRunner().invoke(app, ["nothing"]).exit_code == 2


def test_the_package_names_what_it_has() -> None:
    assert {"Enhancer", "enhance_file", "metrics", "onnx"} <= set(dir(speechduet))
    assert speechduet.metrics.si_sdr is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        speechduet.nothing  # noqa: B018
