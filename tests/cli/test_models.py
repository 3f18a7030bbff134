"""``speechduet models``, ``convert``, and the command line as a whole."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import speechduet
from speechduet.cli import app
from speechduet.recipe import RECIPES


def test_systems_are_listed() -> None:
    result = CliRunner().invoke(app, ["models"])
    assert result.exit_code == 0
    for recipe in RECIPES:
        assert recipe.name in result.stdout and recipe.source in result.stdout


def test_the_table_counts_published_parameters_and_operations() -> None:
    result = CliRunner().invoke(app, ["models", "--table"])
    assert result.exit_code == 0
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in result.stdout.splitlines()]
    table = {row[0]: row[1:] for row in rows[2:]}
    assert list(table) == [recipe.name for recipe in RECIPES]
    assert table["sgmse_plus"][0] == "65.59"
    assert table["storm"][0] == "55.12"
    assert table["gp_unified"][0] == "106.78"
    assert table["predictive"][1:4] == ["–", "–", "27.34"]
    # Counted on the original code: 266.9 GMAC, a little of it outside convolutions and attention.
    assert float(table["sgmse_plus"][4]) == pytest.approx(266.9, rel=0.005)
    assert table["sgmse_plus"][5:] == ["30", "60"]


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
    commands = ["enhance", "evaluate", "train", "models", "convert"]
    overview = CliRunner().invoke(app, ["--help"])
    for command in commands:
        assert command in overview.stdout
        shown = CliRunner().invoke(app, [command, "--help"])
        assert shown.exit_code == 0 and "--help" in shown.stdout
    assert CliRunner().invoke(app, ["nothing"]).exit_code == 2


def test_the_package_names_what_it_has() -> None:
    assert {"Enhancer", "enhance_file", "metrics"} <= set(dir(speechduet))
    assert speechduet.metrics.si_sdr is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        speechduet.nothing  # noqa: B018
