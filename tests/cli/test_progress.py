"""Progress where stderr is no terminal: lines with the time left, and nothing in between."""

import re

import pytest

from speechduet.cli.progress import Bars, track


def test_every_tenth_has_a_line_with_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(40), "Scoring [red]", "files", 40)) == list(range(40))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert re.fullmatch(r"Scoring \[red\]: 4 of 40 files, about \d:\d\d:\d\d left", lines[0])
    assert lines[-1] == "Scoring [red]: 40 of 40 files"


def test_large_steps_and_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars() as bars:
        archive, nothing = bars.bar("train.zip", "bytes"), bars.bar("test", "bytes")
        nothing(0, 0)
        for done in (10, 11, 55, 100):
            archive(done, 100)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" bytes")[0] for line in lines] == [
        "train.zip: 10 of 100",
        "train.zip: 55 of 100",
        "train.zip: 100 of 100",
    ]
