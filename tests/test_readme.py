"""README keeps its word: its links lead somewhere and its commands work."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from speechduet.cli import app
from speechduet.model import find

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8") if README.exists() else ""

# What is run as it stands; the others need a corpus, a checkpoint or hours.
RUN = (
    "speechduet enhance samples",
    "speechduet evaluate --clean samples",
    "speechduet models",
    "speechduet info",
    "speechduet plot",
    "speechduet export",
    "python -m speechduet.onnx",
)

pytestmark = pytest.mark.skipif(not TEXT, reason="needs README.md")


def blocks(language: str) -> list[str]:
    """The code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """The shell commands, continued lines joined, prompts and comments gone."""
    text = "\n".join(blocks("console")).replace("\\\n", " ")
    lines = [line.removeprefix("$ ").strip() for line in text.splitlines()]
    return [" ".join(shlex.split(line, comments=True)) for line in lines if line]


@pytest.fixture
def bundled_model() -> None:
    """Skips without the bundled model."""
    if not find.bundled():
        pytest.skip("needs the bundled model")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the repository's samples, where the commands run in README's order."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "samples").symlink_to(ROOT / "samples")
    return folder


def run(arguments: list[str], folder: Path) -> None:
    result = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_the_two_commands_of_the_set_up() -> None:
    assert "make demo" in TEXT
    assert "make test" in TEXT
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(re.findall(r"\bmake ([a-z]+)\b(?=`|\n| IN=)", TEXT)) <= set(targets)


def test_local_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXT)
    absent = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert not absent


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("speechduet")])
def test_options_exist(command: str) -> None:
    found: Any = typer.main.get_command(app)
    words = shlex.split(command)[1:]
    while commands_of := getattr(found, "commands", None):
        name = words.pop(0)
        assert name in commands_of, f"no command {name}"
        found = commands_of[name]
    options = {option for param in found.params for option in param.opts}
    assert {word for word in words if re.match(r"--?[a-z]", word)} <= options | {"--help"}


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith(RUN)])
def test_commands_run(command: str, bundled_model: None, elsewhere: Path) -> None:
    program, *words = shlex.split(command)
    main = ["-c", "from speechduet.cli import main; main()"] if program == "speechduet" else []
    run([*main, *words], elsewhere)


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_python_runs(number: int, bundled_model: None, elsewhere: Path) -> None:
    run(["-c", blocks("python")[number]], elsewhere)


@pytest.mark.parametrize("script", [c for c in commands() if re.match(r"python \w", c)])
def test_scripts_exist_and_explain_themselves(script: str) -> None:
    path, *words = shlex.split(script)[1:]
    usage = subprocess.run(
        [sys.executable, ROOT / path, "--help"], capture_output=True, text=True, check=True
    ).stdout
    for word in words:
        assert not word.startswith("--") or word in usage
