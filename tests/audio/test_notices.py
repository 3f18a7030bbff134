"""Warnings about recordings: of their own kind in Python, one line each in programs."""

import subprocess
import sys

import pytest

from speechduet.audio.notices import AudioWarning, warn

PROGRAM = """
import warnings
from speechduet.audio.notices import show_warnings_as_lines, warn
show_warnings_as_lines()
for number in (1, 2, 2):
    warn(f"a.wav: {number}")
warn("a\\nb\\x1b[2J.wav: 3")
warnings.warn("something else")
"""


def test_a_warning_has_a_kind_of_its_own() -> None:
    with pytest.warns(AudioWarning, match=r"a\.wav: cut off"):
        warn("a.wav: cut off")


def test_a_program_shows_each_as_one_line() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    ).stderr.splitlines()
    assert shown[:3] == ["note: a.wav: 1", "note: a.wav: 2", "note: a.wav: 2"]
    assert shown[3] == r"note: a\nb\x1b[2J.wav: 3"
    assert "UserWarning: something else" in shown[4]
