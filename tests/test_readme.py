"""README keeps its word: its links lead somewhere and its commands work."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from documents import README, ROOT, blocks, calls, commands, misused
from speechduet.model import find

TEXT = README.read_text(encoding="utf-8") if README.exists() else ""
COMMANDS = commands(TEXT)

# What is run as it stands; the others need a corpus, a checkpoint or hours.
RUN = (
    "speechduet enhance samples",
    "speechduet evaluate --clean samples",
    "speechduet plot",
)

pytestmark = pytest.mark.skipif(not TEXT, reason="needs README.md")


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


def slugs(page: Path) -> set[str]:
    """What can be pointed to in a page of Markdown: its headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def test_local_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", TEXT) + re.findall(r'src="([^"]+)"', TEXT)
    absent = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = ROOT / path if path else README
        if "://" not in link and not (target.exists() and (not anchor or anchor in slugs(target))):
            absent.append(link)
    assert links and not absent


@pytest.mark.parametrize("call", calls(TEXT))
def test_options_exist(call: str) -> None:
    assert not misused(call)


def test_commands_run_one_after_another(bundled_model: None, elsewhere: Path) -> None:
    for command in COMMANDS:
        if command.startswith(RUN):
            run(["-m", *shlex.split(command)], elsewhere)


@pytest.mark.parametrize("number", range(len(blocks(TEXT, "python"))))
def test_python_runs(number: int, bundled_model: None, elsewhere: Path) -> None:
    run(["-c", blocks(TEXT, "python")[number]], elsewhere)
