"""Names and errors of every kind in a batch: each file is done or reported by itself.

Nothing is enhanced here. A stand-in copies each file, or raises what the test says.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from speechduet.cli import app
from speechduet.enhancement import files
from speechduet.enhancement.enhancer import Enhancer
from speechduet.errors import AudioError, ModelError, SettingError
from speechduet.evaluation import scoring
from speechduet.files.atomic import replacing

NAMES = (
    b"not_utf8_\xff.wav",
    b"\xe9t\xe9/\xff\xfe/x.flac",
    "録音".encode() * 40 + b".wav",
    b"x" * 251 + b".wav",
    b"two\nlines.wav",
    b"-o.wav",
    b"a:b.wav",
    b"100% {0} %s.wav",
    b"[red]x[bold].wav",
    b"[broken.wav",
    b"take [1].wav",
    b":smile:.wav",
    b"\x1b[2Jescape.wav",
    b'it\'s "quoted".ogg',
)
FIXED = [name for name in NAMES if b"/" not in name]

ERRORS: tuple[Callable[[], BaseException], ...] = (
    lambda: AudioError("it is empty"),
    lambda: ModelError("no weights"),
    lambda: SettingError("no such track"),
    lambda: OSError(5, "Input/output error"),
    lambda: RuntimeError("shapes cannot be multiplied"),
    lambda: MemoryError(),
    lambda: torch.cuda.OutOfMemoryError("out of memory"),
    lambda: UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"),
    lambda: ValueError("a bug"),
    lambda: AssertionError(),
    lambda: StopIteration(),
    lambda: type("OfALibrary", (Exception,), {})("odd"),
)


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], Any]]:
    """What the stand-in raises, by the file's name."""
    errors: dict[str, Callable[[], Any]] = {}

    def stand_in(source: Path, target: Path, *_: Any, **__: Any) -> float:
        if source.name in errors:
            raise errors[source.name]()
        with replacing(target) as partial:
            partial.write_bytes(source.read_bytes())
        return 1.0

    enhancer = SimpleNamespace(backend="backend stand-in", sampling=lambda *_, **__: None)
    monkeypatch.setattr(files, "enhance_file", stand_in)
    monkeypatch.setattr(Enhancer, "from_pretrained", lambda *_, **__: enhancer)
    monkeypatch.chdir(tmp_path)
    return errors


def put(name: bytes | str) -> Path:
    path = Path("in") / os.fsdecode(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"sound")
    return path


def enhance(*given: str) -> Result:
    result = CliRunner().invoke(app, ["enhance", "-o", "out", *given])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def found(folder: str) -> set[Path]:
    return {path.relative_to(folder) for path in Path(folder).rglob("*") if path.is_file()}


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("given", [("in",), ("in/**/*",), ("in", "--workers", "4")], ids=" ".join)
def test_names_of_every_kind_in_a_folder(given: tuple[str, ...]) -> None:
    for name in NAMES:
        put(name)
    result = enhance(*given)
    assert result.exit_code == 0, result.stderr
    assert found("out") == found("in") and len(found("in")) == len(NAMES)
    assert f"{len(NAMES)} skipped" in enhance(*given).stderr


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_of_every_kind_given_outright(name: bytes) -> None:
    path = put(name)
    result = enhance("--", str(path))
    assert result.exit_code == 0, result.stderr
    assert found("out") == {Path(path.name)}


@pytest.mark.parametrize("name", FIXED, ids=ascii)
def test_names_of_every_kind_are_told_in_one_line(
    failing: dict[str, Callable[[], Any]], name: bytes
) -> None:
    failing[put(name).name] = lambda: AudioError("it is empty")
    result = enhance("in")
    assert result.exit_code == 1
    _, failed, summary = result.stderr.splitlines()
    assert failed.startswith("failed: in/") and failed.endswith(": it is empty")
    assert summary == "0 enhanced, 1 failed" and "\x1b" not in failed


@pytest.mark.parametrize("workers", ["1", "3"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda make: type(make()).__name__)
def test_whatever_one_file_raises_the_others_are_done(
    failing: dict[str, Callable[[], Any]], error: Callable[[], BaseException], workers: str
) -> None:
    for name in ("a.wav", "b.wav", "c.wav", "d.wav"):
        put(name)
    failing["b.wav"] = error
    result = enhance("in", "--workers", workers)
    assert result.exit_code == 1, result.stderr
    assert found("out") == {Path("a.wav"), Path("c.wav"), Path("d.wav")}
    failures = [line for line in result.stderr.splitlines() if line.startswith("failed: ")]
    assert len(failures) == 1 and "in/b.wav" in failures[0]
    assert result.stderr.splitlines()[-1].endswith("1 failed")
    assert "Traceback" not in result.stderr


def test_verbosely_an_unforeseen_error_tells_where_it_came_from(
    failing: dict[str, Callable[[], Any]],
) -> None:
    put("a.wav")
    failing["a.wav"] = lambda: ValueError("a bug")
    result = enhance("in", "-v")
    assert "failed: in/a.wav: ValueError: a bug\nTraceback" in result.stderr
    assert "stand_in" in result.stderr
    failing["a.wav"] = lambda: AudioError("in/a.wav is empty")
    assert "Traceback" not in enhance("in", "-v").stderr


@pytest.mark.parametrize("workers", ["1", "3"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_program_ends_the_batch(
    failing: dict[str, Callable[[], Any]], error: type[BaseException], workers: str
) -> None:
    for name in ("a.wav", "b.wav"):
        put(name)
    failing["a.wav"] = lambda: error()
    result = CliRunner().invoke(app, ["enhance", "in", "-o", "out", "--workers", workers])
    assert "failed" not in result.stderr and "enhanced" not in result.stderr


@pytest.mark.usefixtures("failing")
def test_a_result_whose_name_would_be_too_long_fails_by_itself() -> None:
    put("x" * 252 + ".ts")
    put("a.ts")
    result = enhance("in", "--format", "wav")
    assert result.exit_code == 1
    assert "File name too long" in result.stderr and found("out") == {Path("a.wav")}


@pytest.fixture
def scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], Any]]:
    """What scoring raises, by the name of the pair."""
    errors: dict[str, Callable[[], Any]] = {}

    def stand_in(pair: scoring.ScoredPair, further: Any) -> scoring.Scores:
        if pair.name in errors:
            raise errors[pair.name]()
        return scoring.Scores(pair.name, 2.0, 0.5, 10.0)

    monkeypatch.setattr(scoring, "score", stand_in)
    monkeypatch.chdir(tmp_path)
    return errors


def evaluate(*given: str) -> Result:
    folders = ["--clean", "in", "--enhanced", "in", "--jobs", "1"]
    result = CliRunner().invoke(app, ["evaluate", *folders, *given])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def test_names_of_every_kind_are_scored(scored: dict[str, Callable[[], Any]]) -> None:
    for name in NAMES:
        put(name)
    put("._a.wav")
    scored["two\nlines"] = lambda: AudioError("it is empty")
    reports = [f"scores.{kind}" for kind in ("csv", "json", "md")]
    result = evaluate("--csv", reports[0], "--json", reports[1], "--report", reports[2])
    assert result.exit_code == 1, result.output
    assert "failed: two\\nlines: it is empty" in result.stderr.splitlines()
    scores = json.loads(Path("scores.json").read_text())
    assert len(scores["files"]) == len(NAMES) - 1 and len(scores["failed"]) == 1
    assert "not_utf8_\udcff" in {row["file"] for row in scores["files"]}
    assert "not_utf8_\\xff" in Path("scores.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("error", ERRORS, ids=lambda make: type(make()).__name__)
def test_whatever_scoring_one_file_raises_the_others_are_scored(
    scored: dict[str, Callable[[], Any]], error: Callable[[], BaseException]
) -> None:
    for name in ("a.wav", "b.wav", "c.wav"):
        put(name)
    scored["b"] = error
    result = evaluate("--json", "scores.json")
    if isinstance(error(), SettingError | ModelError):
        assert result.exit_code == 2, "what is wrong with the request ends it at once"
        return
    assert result.exit_code == 1 and "failed: b: " in result.stderr
    scores = json.loads(Path("scores.json").read_text())
    assert [row["file"] for row in scores["files"]] == ["a", "c"]
    assert [row["file"] for row in scores["failed"]] == ["b"]


@pytest.mark.usefixtures("scored")
def test_systems_of_odd_names_are_compared() -> None:
    put("a.wav")
    for name in (b"[red]x[bold]", b"\xff"):
        Path(os.fsdecode(name)).mkdir()
        (Path(os.fsdecode(name)) / "a.wav").touch()
    odd = [
        text for name in (b"[red]x[bold]", b"\xff") for text in ("--enhanced", os.fsdecode(name))
    ]
    result = evaluate(*odd)
    assert result.exit_code == 0, result.output
    assert "\\xff" in result.stdout
