"""Progress where stderr is no terminal: lines with the time left, and nothing in between."""

import re
from pathlib import Path

import pytest

from speechduet.cli import progress
from speechduet.cli.progress import Bars, BatchProgress, track


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


STILL = [7.0] * 1000
BACK = [7.0 - 0.5 * reading for reading in range(1000)]


@pytest.mark.parametrize("readings", [STILL, BACK], ids=["still", "back"])
def test_a_clock_that_does_not_go_on_shows_no_odd_times(
    readings: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "perf_counter", iter(readings).__next__)
    assert list(track(range(40), "Scoring", "files", 40)) == list(range(40))
    with BatchProgress(1) as report:
        line = report.begin(Path("a.wav"))
        for done_s in (0.0, 1.0, 2.0):
            report.advance(line, done_s, 2.0)
            assert report.progress.tasks[0].fields["factor"] in ("-", "0.00")
        report.finished(2.0, line)
    said = capsys.readouterr().err
    assert "Scoring: 4 of 40 files, about 0:00:00 left" in said
    assert "1 enhanced (2.0 s of sound in 0.0 s, real-time factor 0.00)" in said
    assert not re.search(r"-\d|inf|nan|day", said)
