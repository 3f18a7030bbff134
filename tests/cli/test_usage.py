"""Values that no option can mean: status 2, one sentence, nothing done; all commands, all options.

The options are asked of the commands themselves, so that a new one is tried by itself.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

import numpy as np
import pytest
from typer import Typer
from typer.models import ArgumentInfo, OptionInfo
from typer.testing import CliRunner, Result

from speechduet.audio import write
from speechduet.cli import app
from speechduet.cli.usage import check_output
from speechduet.errors import FileError

DELETED = "import tempfile; d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)"


class Value(NamedTuple):
    """An option with a value, or an argument."""

    names: tuple[str, ...]
    type: Any
    info: OptionInfo | ArgumentInfo
    required: bool

    @property
    def is_option(self) -> bool:
        return isinstance(self.info, OptionInfo)

    @property
    def long(self) -> str:
        return self.names[-1]


class Command(NamedTuple):
    """A command: the words that call it, and what it takes."""

    words: tuple[str, ...]
    values: tuple[Value, ...]


def commands(group: Typer = app, words: tuple[str, ...] = ()) -> Iterator[Command]:
    for command in group.registered_commands:
        assert command.callback is not None
        yield Command(
            (*words, command.name or command.callback.__name__), (*values(command.callback),)
        )
    for below in group.registered_groups:
        assert below.typer_instance is not None
        yield from commands(below.typer_instance, (*words, str(below.name)))


def values(callback: Callable[..., Any]) -> Iterator[Value]:
    hints = get_type_hints(callback, include_extras=True)
    for name, parameter in signature(callback).parameters.items():
        hint, *details = get_args(hints[name])
        (info,) = (one for one in details if isinstance(one, OptionInfo | ArgumentInfo))
        kinds = {kind for kind in (get_args(hint) or (hint,)) if kind is not type(None)}
        if kinds != {bool}:
            names = info.param_decls or (f"--{name.replace('_', '-')}",)
            yield Value((*names,), kinds, info, parameter.default is Parameter.empty)


COMMANDS = list(commands())


def options(kind: type | None = None) -> list[Any]:
    """All options with a value, or those with a value of this type."""
    return [
        pytest.param(command, value, id=f"{' '.join(command.words)} {value.long}")
        for command in COMMANDS
        for value in command.values
        if value.is_option and (kind is None or value.type == {kind})
    ]


def call(command: Command, option: Value, *given: str) -> Result:
    """The command with all that it requires, and one option with a value."""
    required: list[str] = []
    for other in command.values:
        if other.required and other is not option:
            required += [other.long, "."] if other.is_option else ["."]
    return CliRunner().invoke(app, [*command.words, *required, *given])


def assert_refused(result: Result, *texts: str) -> None:
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit) and "Traceback" not in result.output
    stderr = " ".join(result.stderr.replace("│", " ").split())
    for text in texts:
        assert text in stderr
    assert result.stdout == "" and os.listdir() == []  # noqa: PTH208


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_there_are_options_of_all_kinds() -> None:
    assert {command.words[0] for command in COMMANDS} >= {"enhance", "prepare", "reproduce"}
    assert len(options(float)) >= 7 and len(options(int)) >= 20 and len(options()) > 80


@pytest.mark.parametrize(("command", "option"), [*options(int), *options(float)])
def test_each_number_has_a_range(command: Command, option: Value) -> None:
    assert option.info.min is not None and option.info.max is not None


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(("command", "option"), options(float))
@pytest.mark.parametrize("value", ["nan", "-inf", "1e999", "-1", "many"])
def test_absurd_numbers(command: Command, option: Value, value: str) -> None:
    assert_refused(call(command, option, option.long, value), option.long)


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(("command", "option"), options(int))
@pytest.mark.parametrize("value", ["nan", "-1", "1.5", str(10**30), "9" * 5000])
def test_absurd_whole_numbers(command: Command, option: Value, value: str) -> None:
    assert_refused(call(command, option, option.long, value), option.long)


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(("command", "option"), options())
def test_empty_values(command: Command, option: Value) -> None:
    for name in option.names:
        assert_refused(call(command, option, name, ""), name, "it is empty; expected")
    long = option.long
    assert_refused(call(command, option, f"{long}="), long, "it is empty; expected")


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("before", ["-q", "--overwrite", "--no-live", "--"])
def test_an_empty_argument_behind_a_flag(before: str) -> None:
    refused = CliRunner().invoke(app, ["enhance", "-o", "x", before, ""])
    assert_refused(refused, "an argument: it is empty; expected a value")


@pytest.mark.usefixtures("nowhere")
def test_empty_arguments() -> None:
    runner = CliRunner()
    for given in (["enhance", "", "-o", "x"], ["convert", "", "x"], ["convert", "x", ""]):
        assert_refused(runner.invoke(app, given), "it is empty")
    assert_refused(runner.invoke(app, ["prepare", "pairs", "", ".", "-o", "x"]), "it is empty")


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with a recording of a second, a folder and a text."""
    monkeypatch.chdir(tmp_path)
    samples = np.random.default_rng(0).uniform(-0.3, 0.3, (1, 16_000)).astype(np.float32)
    write(tmp_path / "a.wav", samples, 16_000)
    Path("empty").mkdir()
    Path("text").write_text("no model")
    Path("half").mkdir()
    Path("half/config.json").write_text("{}")
    return tmp_path


@pytest.mark.usefixtures("recording")
@pytest.mark.parametrize(
    ("model", "message"),
    [
        (" ", "no model ' '; expected a bundled model"),
        ("nan", "no model 'nan'; expected a bundled model"),
        ("empty", "empty is no model: it has neither config.json nor model.safetensors"),
        (".", ". is no model"),
        ("half", "half is incomplete: it has no model.safetensors; copy"),
        ("text", "text"),
        ("a.wav", "a.wav"),
        ("/dev/null", "no model '/dev/null'; expected"),
        ("gone/model", "gone/model"),
        ("x" * 300, "no model 'xxx"),
        ("x/" * 3000, "no model 'x/x"),
        ("~nobody/model", "~nobody/model"),
        ("not_utf8_\udcff", "no model 'not_utf8_\\udcff'"),
    ],
)
def test_wrong_models(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: str, message: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = CliRunner().invoke(app, ["enhance", "a.wav", "-o", "out.wav", "-m", model])
    assert result.exit_code == 2, result.output
    assert message in result.stderr and result.stderr.count("\n") == 1
    assert result.stderr.startswith("speechduet: ") and not Path("out.wav").exists()


@pytest.mark.usefixtures("recording")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["a.wav", "-o", "/dev/null"], "/dev/null is neither a file nor a folder; expected"),
        (["a.wav", "-o", "text"], "text is a file; expected a folder"),
        (["empty", "-o", "a.wav"], "a.wav is a file; expected a folder"),
        (["a.wav", "-o", "a.wav"], "would be replaced by its own result; expected another place"),
        (["a.wav", "-o", "."], "would be replaced by its own result; expected another place"),
        (["a.wav", "-o", "x.wav", "--device", "cuda:99"], "device 'cuda:99' is not there"),
        (["a.wav", "-o", "x.wav", "--device", "nan"], "device 'nan' is not there; expected"),
        (["a.wav", "-o", "x.wav", "--format", "nan"], "format 'nan' cannot be written; expected"),
        (["a.wav", "-o", "x.wav", "--confidence", "empty"], "empty is a folder; expected"),
        (["a.wav", "-o", "x.wav", "--confidence", "/dev/null"], "/dev/null is not a file"),
        (["a.wav", "-o", "x.wav", "--confidence", "a.wav/x.npz"], "a.wav is not a folder"),
        (["a.wav", "-o", "x.wav", "--latency", "1"], "a latency for files; expected a stream"),
        (["a.wav", "-o", "x.wav", "--mode", "best"], "has no mode 'best'; expected one of fast"),
    ],
)
def test_wrong_wishes(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path, given: list[str], message: str
) -> None:
    from speechduet.enhancement.enhancer import Enhancer

    loaded = Enhancer.from_pretrained

    def without_best(*given: Any, **named: Any) -> Enhancer:
        enhancer = loaded(*given, **named)
        modes = {name: m for name, m in enhancer.pretrained.modes.items() if name != "best"}
        object.__setattr__(enhancer.pretrained, "modes", modes)
        return enhancer

    monkeypatch.setattr(Enhancer, "from_pretrained", without_best)
    before = sorted(Path().rglob("*"))
    result = CliRunner().invoke(app, ["enhance", "-m", str(tiny_model), *given])
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.split()) and "Traceback" not in result.output
    assert sorted(Path().rglob("*")) == before


@pytest.mark.usefixtures("recording")
@pytest.mark.parametrize("option", ["--csv", "--json", "--report"])
@pytest.mark.parametrize("name", ["empty", "/dev/null/x.md", "a.wav/x.md", "/dev/null", ".", "-"])
def test_reports_that_cannot_be_written_are_told_before_the_work(option: str, name: str) -> None:
    given = ["evaluate", "--clean", ".", "--enhanced", "x=.", option, name]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output and result.stdout == ""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs Linux's /proc")
def test_a_place_for_no_file_is_told_before_the_work() -> None:
    with pytest.raises(FileError, match="cannot write /proc/x.csv"):
        check_output(Path("/proc/x.csv"))


@pytest.mark.skipif(sys.platform == "win32", reason="a folder that is in use stays there")
def test_in_a_folder_that_was_deleted() -> None:
    code = f"import os; {DELETED}; from speechduet.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code, "models"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("speechduet: the current folder was deleted")


@pytest.mark.usefixtures("recording")
@pytest.mark.parametrize("snr", ["nan", "0,inf", "1e9", "loud", "0,,5", "0;5", "-inf"])
def test_absurd_ratios(snr: str) -> None:
    given = ["prepare", "mix", "--speech", ".", "--noise", ".", "-o", "set", "--snr", snr]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 2 and "expected numbers from" in result.stderr
    assert not Path("set").exists()
