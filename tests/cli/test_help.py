"""What people meet first: examples in every help, completion, colour, quiet."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from speechduet.cli import app
from speechduet.cli.examples import EXAMPLES

WHOLE: Any = typer.main.get_command(app)
COMMANDS = {
    f"{name} {inner}".strip(): command if not inner else command.commands[inner]
    for name, command in WHOLE.commands.items()
    for inner in getattr(command, "commands", {"": None})
}


@pytest.mark.parametrize("words", COMMANDS)
def test_each_help_ends_with_examples(words: str) -> None:
    assert words in EXAMPLES, "give the command an example in speechduet.cli.examples"
    shown = CliRunner().invoke(app, [*words.split(), "--help"]).stdout
    end = shown.partition("Examples:")[2]
    for line in EXAMPLES[words]:
        assert line in end and len(line) < 78  # so that it is not broken on a terminal


@pytest.mark.parametrize(
    ("words", "line"), [(words, line) for words in COMMANDS for line in EXAMPLES.get(words, ())]
)
def test_the_options_of_examples_exist(words: str, line: str) -> None:
    (called,) = (part for part in line.split(" | ") if part.startswith("speechduet "))
    assert called.startswith(f"speechduet {words} ") or called == f"speechduet {words}"
    arguments = shlex.split(called)[1 + len(words.split()) :]
    command = COMMANDS[words]
    known = {option for parameter in command.params for option in parameter.opts}
    given = [one for one in arguments if re.match(r"--?[a-z]", one)]
    assert not [option for option in given if option not in known]
    # What is given is all that is needed, and of the right kind; files need not be there.
    result = CliRunner().invoke(app, [*words.split(), *arguments, "--nothing"])
    assert "No such option: --nothing" in re.sub(r"[\s│]+", " ", result.stderr)


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("speechduet enh", "enhance"), ("speechduet enhance --stre", "--strength")],
)
def test_bash_completes(typed: str, completed: str) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    environment = {**os.environ, **words, "_SPEECHDUET_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-m", "speechduet"],
        **{"env": environment, "capture_output": True, "text": True, "check": False},
    )
    assert completed in done.stdout.split()


@pytest.mark.parametrize(("no_colour", "coloured"), [("", True), ("1", False)])
def test_colour_is_for_terminals_that_want_it(no_colour: str, coloured: bool) -> None:
    pty = pytest.importorskip("pty", reason="needs pseudo-terminals")
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    environment |= {"TERM": "xterm-256color"} | ({"NO_COLOR": no_colour} if no_colour else {})
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "speechduet", "models", "--nothing"]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 4096):
                said += piece
        except OSError:  # how Linux says that the other end is closed
            pass
    os.close(ours)
    assert process.returncode == 2 and b"No such option" in said
    assert bool(re.search(rb"\x1b\[[0-9;]*3[0-9]m", said)) == coloured


def test_no_colour_in_a_file() -> None:
    environment = {**os.environ, "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "speechduet", "models", "--nothing"]
    said = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert b"\x1b" not in said.stdout + said.stderr


def test_quiet_says_what_failed_and_no_more(root: Path, tiny_model: Path, tmp_path: Path) -> None:
    noisy = str(root / "samples/noisy/cafe.flac")
    wanted = ["-m", str(tiny_model), "--mode", "fast", "--device", "cpu"]
    loud = CliRunner().invoke(app, ["enhance", noisy, "-o", str(tmp_path / "a"), *wanted])
    *_, last = loud.stderr.splitlines()
    assert re.fullmatch(
        r"1 enhanced \(2\.9 s of sound in [\d.]+ s, real-time factor [\d.]+\)", last
    )
    arguments = ["enhance", noisy, "-o", str(tmp_path / "b"), *wanted, "--quiet"]
    quiet = CliRunner().invoke(app, arguments)
    assert quiet.exit_code == 0 and quiet.output == ""
    assert (tmp_path / "b/cafe.flac").is_file()
    broken = CliRunner().invoke(app, ["enhance", "absent.wav", *arguments[2:]])
    assert broken.exit_code == 1 and "absent.wav" in broken.stderr
    assert broken.stderr.count("\n") == 1
