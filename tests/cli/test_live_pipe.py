"""``speechduet enhance - -o -`` on a real clock: a source that cannot wait, a reader that stops."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from typer.testing import CliRunner

import speechduet
from speechduet.audio.wav_stream import WavHeader
from speechduet.cli import app

HEADER = WavHeader(48_000, 2, 16, False, None)
PER_S = HEADER.sample_rate * HEADER.sample_bytes
STEP_S = 0.05


def sound(duration_s: float) -> bytes:
    values = np.random.default_rng(0).normal(0, 3000, round(duration_s * PER_S) // 2)
    return values.astype("<i2").tobytes()


class Microphone(threading.Thread):
    """Writes sound as fast as it lasts, for so long, whatever becomes of it."""

    def __init__(self, pipe: IO[bytes], duration_s: float) -> None:
        super().__init__()
        self.pipe, self.duration_s = pipe, duration_s
        self.ended = float("inf")

    def run(self) -> None:
        data = sound(self.duration_s)
        size = round(PER_S * STEP_S)
        start = time.monotonic()
        for number in range(len(data) // size):
            self.pipe.write(data[number * size : (number + 1) * size])
            self.pipe.flush()
            time.sleep(max(0.0, start + (number + 1) * STEP_S - time.monotonic()))
        self.ended = time.monotonic()
        self.pipe.close()


def listen(pipe: IO[bytes], pause: Callable[[float], float], ended: Callable[[], float]) -> float:
    """Seconds of sound that come after the microphone's end, to who hears as fast as it lasts.

    ``pause(seconds since the beginning)`` is how long to stop reading.
    """
    start = due = time.monotonic()
    behind = 0.0
    while data := pipe.read(round(PER_S * STEP_S)):
        if time.monotonic() > ended():
            behind += len(data) / PER_S
        if paused := pause(time.monotonic() - start):
            time.sleep(paused)
            due = time.monotonic()
        # A sound card that had nothing to play goes on when there is something.
        due = max(due + STEP_S, time.monotonic() - STEP_S)
        time.sleep(max(0.0, due - time.monotonic()))
    return behind


@pytest.mark.slow
def test_a_reader_that_stops_for_five_seconds_is_not_behind_afterwards(tiny_model: Path) -> None:
    command = [sys.executable, "-m", "speechduet", "enhance", "-", "-o", "-", "--mode", "fast"]
    process = subprocess.Popen(
        [*command, "-m", str(tiny_model), "--threads", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(speechduet.__file__).parents[1])},
    )
    paused: list[float] = []

    def pause(passed_s: float) -> float:
        if passed_s < 7 or paused:
            return 0.0
        paused.append(passed_s)
        return 5.0

    with process:
        assert process.stdin is not None and process.stdout is not None and process.stderr
        process.stdin.write(HEADER.encode())
        process.stdin.flush()
        process.stdout.read(len(HEADER.encode()))  # which it writes when it is ready
        microphone = Microphone(process.stdin, 28)
        microphone.start()
        behind_s = listen(process.stdout, pause, lambda: microphone.ended)
        microphone.join()
        errors = process.stderr.read().decode()
        assert process.wait() == 0, errors
    # The latency is half a second.
    assert paused and behind_s < 1.2, (behind_s, errors)
    (line,) = [line for line in errors.splitlines() if line.startswith("to keep up: ")]
    assert " s left out; at most " in line


@pytest.mark.parametrize("option", [[], ["--no-live"]])
def test_a_file_stays_as_it_was_on_a_slow_machine(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, option: list[str]
) -> None:
    """Sound that is there at once is enhanced in the mode that was asked for, however long it
    takes."""
    from speechduet.enhancement.batches import Batches

    command = ["enhance", "-", "-o", "-", "-m", str(tiny_model), "--threads", "1"]
    data = HEADER.encode() + sound(8)
    expected = CliRunner().invoke(app, command, input=data)
    usual = Batches.enhance

    def slow(*given: object) -> object:
        time.sleep(0.4)
        return usual(*given)

    monkeypatch.setattr(Batches, "enhance", slow)
    result = CliRunner().invoke(app, [*command, *option], input=data)
    assert result.exit_code == 0 and "to keep up" not in result.stderr
    assert result.stdout_bytes == expected.stdout_bytes
