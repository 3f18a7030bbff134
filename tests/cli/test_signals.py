"""Whatever asks a command to end: no partial file, no traceback, the usual exit status.

The real program runs, but for what enhances: a stand-in that writes half a file and waits.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import speechduet

PROGRAM = """
import sys, time, types
from pathlib import Path
from speechduet.files.atomic import replacing

def enhance_file(source, target, *given, **named):
    with replacing(target) as partial:
        partial.write_text("half")
        while not Path("go on").exists():
            time.sleep(0.02)
        partial.write_text("whole")
    return 1.0

class Enhancer:
    backend = "backend stand-in"
    @classmethod
    def from_pretrained(cls, *given):
        return cls()
    def sampling(self, *given, **named):
        return None

for name, held in {
    "files": {"enhance_file": enhance_file},
    "enhancer": {"Enhancer": Enhancer},
    "confidence": {"check_compared": None, "check_file": None},
}.items():
    sys.modules["speechduet.enhancement." + name] = types.SimpleNamespace(**held)

from speechduet.cli import main
main()
"""
USUAL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Batch:
    """An enhancement of four files that waits within each file."""

    def __init__(self, *given: str, before: Callable[[], object] | None = None) -> None:
        def prepare() -> None:
            # A shell that starts the tests in the background makes them ignore interruptions.
            for number in USUAL:
                signal.signal(number, signal.SIG_DFL)
            if before is not None:
                before()

        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "enhance", "in", "-o", "out", *given],
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(speechduet.__file__).parents[1])},
            preexec_fn=prepare,
        )

    def writes(self, files: int = 1) -> "Batch":
        end = time.monotonic() + 120
        while len(left()) < files:
            assert time.monotonic() < end and self.process.poll() is None
            time.sleep(0.02)
        return self

    def ended(self, *numbers: int) -> tuple[int, str]:
        for number in numbers:
            self.process.send_signal(number)
        try:
            _, errors = self.process.communicate(timeout=60)
        finally:
            self.process.kill()
        return self.process.returncode, errors.decode()


def left() -> list[str]:
    """What is hidden in the folder of results."""
    return [path.name for path in Path("out").glob(".*")]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name in "abcd":
        Path(f"in/{name}.wav").write_text("sound")


@pytest.mark.parametrize("workers", ["1", "3"])
@pytest.mark.parametrize("number", USUAL)
def test_nothing_is_left(number: signal.Signals, workers: str) -> None:
    batch = Batch("--workers", workers).writes(int(workers))
    status, errors = batch.ended(number)
    assert status == 128 + number, errors
    assert "Traceback" not in errors and "failed" not in errors
    assert not list(Path("out").glob("*"))


@pytest.mark.parametrize("numbers", [(signal.SIGINT,) * 3, (signal.SIGTERM, signal.SIGINT)])
def test_impatience_does_no_harm(numbers: tuple[int, ...]) -> None:
    status, errors = Batch("--workers", "2").writes(2).ended(*numbers)
    assert status in {128 + number for number in numbers}
    assert "Traceback" not in errors and not list(Path("out").glob("*"))


def test_what_is_complete_stays() -> None:
    Path("out").mkdir()
    Path("out/a.wav").write_text("earlier")
    Batch().writes().ended(signal.SIGTERM)
    assert [path.read_text() for path in Path("out").iterdir()] == ["earlier"]


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_the_next_run_cleans_up_after_a_killed_one(overwrite: tuple[str, ...]) -> None:
    status, _ = Batch("--workers", "2").writes(2).ended(signal.SIGKILL)
    assert status == -signal.SIGKILL and len(left()) == 2
    Path("go on").touch()
    status, errors = Batch(*overwrite).ended()
    assert status == 0, errors
    assert sorted(path.name for path in Path("out").iterdir()) == [f"{n}.wav" for n in "abcd"]


def test_a_run_with_nothing_to_do_cleans_up_too() -> None:
    Path("go on").touch()
    assert Batch().ended()[0] == 0
    Path("go on").unlink()
    assert Batch("--overwrite").writes().ended(signal.SIGKILL)[0] == -signal.SIGKILL
    assert len(left()) == 1
    status, errors = Batch().ended()
    assert status == 0 and "4 skipped" in errors and left() == []


def test_two_runs_into_one_folder_leave_each_other_alone() -> None:
    first = Batch().writes()
    second = Batch().writes(2)
    Path("go on").touch()
    assert first.ended()[0] == second.ended()[0] == 0
    assert len(list(Path("out").iterdir())) == 4 and left() == []


def test_what_is_told_to_survive_its_terminal_does() -> None:
    batch = Batch(before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)).writes()
    batch.process.send_signal(signal.SIGHUP)
    Path("go on").touch()
    status, errors = batch.ended()
    assert status == 0, errors
    assert len(list(Path("out").iterdir())) == 4
