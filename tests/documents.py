"""README and the pages of the documentation, as text: their commands and code."""

import re
import shlex
from pathlib import Path
from typing import Any

import typer

from speechduet.cli import app

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def blocks(text: str, language: str) -> list[str]:
    """The code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    """The shell commands, continued lines joined, prompts and comments gone."""
    joined = "\n".join(blocks(text, "console")).replace("\\\n", " ")
    lines = [line.removeprefix("$ ").strip() for line in joined.splitlines()]
    return [" ".join(shlex.split(line, comments=True)) for line in lines if line]


def calls(text: str) -> list[str]:
    """The calls of ``speechduet`` among the commands, without what a pipe leads to or from."""
    parts = [part.strip() for command in commands(text) for part in command.split("|")]
    return [part for part in parts if part.startswith("speechduet ")]


def misused(call: str) -> set[str]:
    """What ``speechduet`` does not know of a call: its command, or options."""
    found: Any = typer.main.get_command(app)
    words = shlex.split(call)[1:]
    while (commands_of := getattr(found, "commands", None)) and not words[0].startswith("-"):
        name = words.pop(0)
        if name not in commands_of:
            return {name}
        found = commands_of[name]
    options = {option for param in found.params for option in (*param.opts, *param.secondary_opts)}
    return {word for word in words if re.match(r"--?[a-z]", word)} - options - {"--help"}
